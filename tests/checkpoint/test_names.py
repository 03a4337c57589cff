"""What people write for a checkpoint."""

import json
import shutil
from pathlib import Path

import pytest

import sightline
from sightline.checkpoint.hub import resolve
from sightline.checkpoint.names import PACKAGED, hub_name
from sightline.errors import CheckpointError, HubError, UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner/model", ("owner/model", None)),
        ("bert-base-uncased", ("bert-base-uncased", None)),
        ("hf-hub:owner/model", ("owner/model", None)),
        ("hf://owner/model", ("owner/model", None)),
        ("https://huggingface.co/owner/model", ("owner/model", None)),
        ("https://huggingface.co/owner/model/", ("owner/model", None)),
        ("huggingface.co/owner/model?library=x", ("owner/model", None)),
        ("https://huggingface.co/owner/model/tree/main", ("owner/model", "main")),
        ("https://huggingface.co/owner/model/blob/v1.0/config.json", ("owner/model", "v1.0")),
        ("https://hf.co/owner/model/resolve/0123abc/model.safetensors", ("owner/model", "0123abc")),
        ("owner/model@v1.0", ("owner/model", "v1.0")),
        ("hf-hub:owner/model@refs/pr/4", ("owner/model", "refs/pr/4")),
        ("models--owner--model", ("owner/model", None)),
        ("models--owner--a--b", ("owner/a--b", None)),
        ("/nowhere/at/all", (None, None)),
        ("./here", (None, None)),
        ("a/b/c", (None, None)),
        ("a/b/tree/main", (None, None)),
        ("folder/model/", (None, None)),
        ("https://example.com/owner/model", (None, None)),
        ("C:\\models\\clip", (None, None)),
        ("", (None, None)),
    ],
)
def test_forms_of_hub_names(text: str, expected: tuple[str | None, str | None]) -> None:
    assert hub_name(text) == expected


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the Hub with "owner/model", which is mini, in the revisions main and v1."""
    commit, repository = "0123456789" * 4, tmp_path / "hub/models--owner--model"
    shutil.copytree(PACKAGED / "mini", repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    for revision in ("main", "v1"):
        (repository / "refs" / revision).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return repository


@pytest.mark.parametrize(
    "name",
    [
        "owner/model",
        "hf-hub:owner/model",
        "https://huggingface.co/owner/model/tree/main",
        "owner/model@v1",
        "models--owner--model",
    ],
)
def test_each_form_opens_and_is_remembered_by_name_and_commit(cache: Path, name: str) -> None:
    encoder = sightline.load(name)
    assert (encoder.name, encoder.revision) == ("owner/model", "0123456789" * 4)
    again = sightline.load(encoder.name, revision=encoder.revision)
    assert again.fingerprint == sightline.load("mini").fingerprint


def test_a_folder_of_the_cache(cache: Path) -> None:
    encoder = sightline.load(cache)
    assert Path(encoder.name) == cache / "snapshots" / ("0123456789" * 4)
    assert sightline.load(encoder.name).fingerprint == encoder.fingerprint
    with pytest.raises(CheckpointError, match=f"no snapshot of v9 in it; .* snapshots: {'0123456789' * 4}"):
        sightline.load(cache, revision="v9")
    with pytest.raises(CheckpointError, match="names the revision v1, but revision='main' is asked for"):
        sightline.load("owner/model@v1", revision="main")


def test_a_folder_of_sentence_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(PACKAGED / "mini", tmp_path / "clip/0_CLIPModel")
    (tmp_path / "clip/modules.json").write_text(json.dumps([{"idx": 0, "path": "0_CLIPModel"}]))
    encoder = sightline.load("clip")
    assert Path(encoder.name) == tmp_path / "clip/0_CLIPModel"
    assert encoder.fingerprint == sightline.load("mini").fingerprint
    shutil.rmtree(tmp_path / "clip/0_CLIPModel")
    with pytest.raises(CheckpointError, match="sentence-transformers without a CLIP"):
        sightline.load("clip")


@pytest.mark.parametrize(
    ("name", "meant"), [("minni", "mini"), ("mini-clip", "mini-xclip"), ("mini_align", "mini-align")]
)
def test_a_name_that_is_almost_a_packaged_model(name: str, meant: str) -> None:
    with pytest.raises(CheckpointError, match=f"{name}: no such model; did you mean {meant}\\?"):
        resolve(name)


def test_a_folder_that_a_run_has_not_made_is_not_looked_for_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "run/step-00000100").mkdir(parents=True)
    with pytest.raises(
        CheckpointError, match=r"run/best: no such file or folder in .*/run \(it holds step-00000100\); .*hf-hub:"
    ):
        resolve("run/best")
    with pytest.raises(HubError):  # nor a folder beside it, so it may be on the Hub
        resolve("walk/best")
    with pytest.raises(HubError):
        resolve("hf-hub:run/best")


@pytest.mark.parametrize("name", [None, 5, b"mini", ["mini"]])
def test_what_is_no_name(name: object) -> None:
    with pytest.raises(UsageError, match="a model is named by a name or a folder, not by"):
        resolve(name)
