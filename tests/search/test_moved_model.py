"""The model of an index lies elsewhere than it did when the index was built."""

import json
import shutil

import numpy as np
import pytest

from sightline.checkpoint.hub import PACKAGED
from sightline.encoder import TextEncoder
from sightline.errors import CheckpointError, HubError, ModelMismatch
from sightline.index import ModelRecord, Table, fsck, lock
from sightline.index.folder import MODEL_PLACES
from sightline.search import open_index
from support.tables import rows_of


@pytest.fixture
def first(tmp_path):
    """A folder with a model."""
    shutil.copytree(PACKAGED / "mini", tmp_path / "first")
    return tmp_path / "first"


@pytest.fixture
def index(tmp_path, first):
    """An index that the model in the folder built."""
    return build(tmp_path / "index", str(first))


def build(folder, name, revision=None):
    encoder = TextEncoder("mini")
    folder.mkdir()
    table = Table.create(folder, ModelRecord(name, encoder.fingerprint, encoder.dim, revision))
    rows = rows_of(np.eye(encoder.dim)[:3])
    table.append(rows.replace_schema_metadata(table.dataset.schema.metadata))
    return folder


def answers(index, model=None):
    return len(open_index(index, model).search("a red circle", k=2)) == 2


def test_named_once_it_is_remembered(index, first, tmp_path):
    assert answers(index)
    second = first.rename(tmp_path / "second")
    with pytest.raises(CheckpointError, match=r"first: no such file or folder.*index.*--model.*open_index"):
        answers(index)
    assert answers(index, second)
    assert answers(index)
    assert Table.open(index).model.name == str(second)
    assert fsck.check(index) == []
    third = second.rename(tmp_path / "third")
    with pytest.raises(CheckpointError, match=r"second: no such file or folder"):
        answers(index)
    assert answers(index, str(third))
    third.rename(first)
    assert answers(index), "an index that is carried to and fro finds the model on both computers"


def test_a_relative_name_holds_from_everywhere(index, first, tmp_path, monkeypatch):
    first.rename(tmp_path / "second")
    monkeypatch.chdir(tmp_path)
    assert answers(index, "second")
    monkeypatch.chdir("/")
    assert answers(index)


def test_another_model_is_refused_and_not_remembered(index):
    with pytest.raises(ModelMismatch, match=r"mini-groupvit \(\w{12}\) is another one.*sightline index PATH --index"):
        open_index(index, "mini-groupvit")
    assert not (index / MODEL_PLACES).exists()


def test_a_model_that_changed_at_its_place_is_refused(index, first):
    config = json.loads((first / "config.json").read_text())
    config["vision_config"]["layer_norm_eps"] = 0.5
    (first / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelMismatch, match="another one"):
        answers(index)
    assert answers(index, "mini"), "and the one in the package is the same as before"
    assert answers(index)


def test_an_index_that_cannot_be_written_answers(index, first, tmp_path):
    second = first.rename(tmp_path / "second")
    with lock.writer(index):
        assert answers(index, second)
    assert not (index / MODEL_PLACES).exists()
    (index / lock.NAME).unlink()
    (index / lock.NAME).mkdir()  # as in a folder in which nothing may be written, whoever runs the test
    assert answers(index, second)
    assert not (index / MODEL_PLACES).exists()


def test_what_a_killed_writer_left_is_swept_before_the_lock_forgets_it(index, first, tmp_path):
    (index / lock.NAME).write_text('{"pid": 1, "since": "then"}')
    (index / "items.lance" / "data" / "left.lance").write_text("half")
    assert answers(index, first.rename(tmp_path / "second"))
    assert fsck.check(index) == []


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", '{"places": 1}', '{"places": [1, [], ["a"], [1, null]]}'])
def test_a_damaged_note_is_as_none(index, note):
    (index / MODEL_PLACES).write_text(note)
    assert answers(index)
    assert answers(index, "mini")
    assert answers(index)


def test_a_model_of_the_hub_that_the_cache_lost(tmp_path, first, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    index = build(tmp_path / "index", "someone/something", "0" * 40)
    with pytest.raises(HubError, match=r"someone/something.*--model") as caught:
        answers(index)
    assert caught.value.reason == "offline"
    assert answers(index, first)
    assert answers(index)
    shutil.rmtree(first)
    with pytest.raises(HubError, match="someone/something"):
        answers(index)
