"""Precision "fast": rules propose, a check decides, what was found is noted; on an index's first files it is checked
again."""

import json
import logging
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import sightline
from sightline.encoder import fast
from sightline.encoder.hardware import machine
from sightline.encoder.options import EncoderOptions
from sightline.errors import SightlineError, UsageError
from sightline.index import Table
from sightline.index.sync import sync
from sightline.segment import Segmenter
from support.images import draw
from support.videos import colored

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def notes(tmp_path, monkeypatch):
    """The folder of the notes, and two candidates whatever the machine."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(fast, "candidates", lambda device: ["bfloat16", "float32"])
    monkeypatch.setattr(fast, "COUNT", 4)
    return tmp_path / "cache" / "sightline" / "precision"


@pytest.fixture
def photos(tmp_path):
    for seed in range(20):
        draw(tmp_path / "photos" / f"{seed:02}.png", seed)
    return tmp_path / "photos"


def opened():
    return sightline.load("mini", device="cpu", precision="fast")


def cosines(monkeypatch, *values):
    """The next cosines that checks find."""
    left = list(values)
    monkeypatch.setattr(fast, "mean_cosine", lambda *rows: left.pop(0))
    return left


@pytest.mark.parametrize(
    ("flags", "proposed"),
    [
        ((), ["float32"]),
        (("bf16",), ["bfloat16", "float32"]),
        (("vnni",), ["int8", "float32"]),
        (("bf16", "vnni"), ["int8", "bfloat16", "float32"]),
        (("bf16", "vnni", "amx"), ["bfloat16", "float32"]),
    ],
    ids=str,
)
def test_the_rules_of_a_processor(flags, proposed, monkeypatch):
    monkeypatch.undo()
    for name, flag in (("has_bfloat16", "bf16"), ("is_int8_quick", "vnni"), ("has_amx", "amx")):
        monkeypatch.setattr(fast, name, lambda device, flag=flag: flag in flags)
    assert fast.candidates(CPU) == proposed


def test_the_rules_of_a_gpu(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(fast, "has_bfloat16", lambda device: device.index == 1)
    assert fast.candidates(torch.device("cuda:1")) == ["bfloat16", "float16", "float32"]
    assert fast.candidates(torch.device("cuda:0")) == ["float16", "float32"]
    assert fast.candidates(torch.device("mps")) == ["float16", "float32"]


def test_a_choice_is_checked_once_and_noted(notes, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "sightline")
    encoder = opened()
    assert repr(encoder) == 'Encoder("mini", dim=128, device="cpu", precision="fast")'
    assert not notes.exists(), "nothing is checked before it is needed"
    assert encoder.precision == "bfloat16"
    assert "mini: images in bfloat16: mean cosine to float32 0.9999" in caplog.text
    (note,) = [json.loads(file.read_text()) for file in notes.iterdir()]
    assert (note["model"], note["tower"], note["machine"]) == ("mini", "images", machine(CPU))
    assert 0.9999 < note["cosines"]["bfloat16"] < 1
    left = cosines(monkeypatch)
    assert (opened().precision, left) == ("bfloat16", []), "taken from the note"


def test_vectors_are_those_of_the_precision_chosen(photos):
    files = sorted(photos.iterdir())[:4]
    texts = ["a red star", "two dogs on a beach"]
    chosen, plain = opened(), sightline.load("mini", device="cpu", precision="bfloat16")
    assert np.array_equal(chosen.encode_images(files), plain.encode_images(files))
    assert np.array_equal(chosen.encode_text(texts), plain.encode_text(texts))


def test_it_can_be_pickled():
    encoder = opened()
    assert encoder.precision == "bfloat16"
    again = pickle.loads(pickle.dumps(encoder))
    assert (again.precision, again.is_fast) == ("bfloat16", True)


def test_what_does_not_keep_near_float32_is_not_taken(monkeypatch, notes):
    cosines(monkeypatch, 0.9989, 0.9991)
    encoder = opened()
    assert (encoder.precision, encoder.text_precision) == ("float32", "bfloat16"), "each tower by itself"
    again = opened()
    assert (again.precision, again.text_precision) == ("float32", "bfloat16")
    assert len(list(notes.iterdir())) == 2


def test_vectors_that_are_no_numbers_are_not_taken(monkeypatch):
    encoder, least = opened(), []
    encode = type(encoder).encode_images

    def broken(self, *images, **options):
        if self.precision == "bfloat16":
            raise SightlineError("no numbers")
        least.append(self.precision)
        return encode(self, *images, **options)

    monkeypatch.setattr(type(encoder), "encode_images", broken)
    assert (encoder.precision, opened().precision, least) == ("float32", "float32", ["float32"])


def test_a_precision_that_a_tower_cannot_be_computed_in_is_passed_over(monkeypatch, notes, caplog):
    caplog.set_level(logging.INFO, "sightline")
    monkeypatch.setattr(fast, "candidates", lambda device: ["float99", "bfloat16", "float32"])
    assert opened().precision == "bfloat16"
    assert "its tower for images is not computed in float99: precision 'float99' is not known" in caplog.text
    (note,) = notes.iterdir()
    assert list(json.loads(note.read_text())["cosines"]) == ["bfloat16"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[]", b'{"cosines": {"bfl', b'{"cosines": {"bfloat16": NaN}}', b'{"cosines": [1]}'],
    ids=str,
)
def test_a_damaged_note_is_written_anew(content, notes, monkeypatch):
    assert opened().precision == "bfloat16"
    (note,) = notes.iterdir()
    whole = note.read_text()
    note.write_bytes(content)
    assert opened().precision == "bfloat16"
    assert note.read_text() == whole
    assert list(notes.iterdir()) == [note]


def test_without_a_cache_it_is_checked_each_time(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "file" / name)
    assert opened().precision == "bfloat16"

    def homeless(name):
        raise RuntimeError("no home")

    monkeypatch.setattr("platformdirs.user_cache_path", homeless)
    encoder = opened()
    assert encoder.precision == "bfloat16"
    encoder.note_cosine(0.5)
    assert encoder.precision == "float32"


def test_an_index_is_made_in_it(photos, tmp_path, monkeypatch):
    report = sync(tmp_path / "index", [photos], "mini", options=EncoderOptions("cpu", "fast"))
    assert (report.added, report.precision) == (20, "bfloat16")
    sync(tmp_path / "other", [photos], "mini", options=EncoderOptions("cpu", "bfloat16"))
    table, other = Table.open(tmp_path / "index"), Table.open(tmp_path / "other")
    assert table.precisions() == {"bfloat16": 20}
    assert np.array_equal(table.vectors()[1], other.vectors()[1]), "the first files are encoded as the others are"
    cosines(monkeypatch)  # no check is made of an index that holds such vectors
    draw(photos / "new.png", 99)
    assert sync(tmp_path / "index", [photos], options=EncoderOptions("cpu", "fast")).precision == "bfloat16"
    assert sync(tmp_path / "index", [photos], options=EncoderOptions("cpu", "fast")).precision is None


def test_the_first_files_may_show_that_it_is_not_near(photos, tmp_path, monkeypatch, caplog):
    cosines(monkeypatch, 0.99995, 0.9981)
    report = sync(tmp_path / "index", [photos], "mini", options=EncoderOptions("cpu", "fast"))
    assert (report.added, report.precision) == (20, "float32")
    assert "on these files bfloat16 does not keep near float32 (mean cosine 0.9981, at least 0.999" in caplog.text
    sync(tmp_path / "other", [photos], "mini", options=EncoderOptions("cpu", "float32"))
    table, other = Table.open(tmp_path / "index"), Table.open(tmp_path / "other")
    assert table.precisions() == {"float32": 20}, "nothing was written before"
    assert np.array_equal(table.vectors()[1], other.vectors()[1])
    assert opened().precision == "float32", "it is remembered"


def test_first_files_that_cannot_be_read_decide_nothing(tmp_path):
    for number in range(fast.COUNT):
        (tmp_path / f"{number}.png").write_bytes(b"broken")
    draw(tmp_path / "z.png", 1)
    report = sync(tmp_path / "index", [tmp_path], "mini", options=EncoderOptions("cpu", "fast"))
    assert (report.added, len(report.skipped), report.precision) == (1, fast.COUNT, "bfloat16")


def test_videos_are_among_the_first_files(tmp_path, monkeypatch):
    colored(tmp_path / "films" / "a.mp4", [("red", 1), ("blue", 1)])
    draw(tmp_path / "films" / "b.png", 1)
    (tmp_path / "films" / "c.mp4").write_bytes(b"broken")
    seen = []
    near = fast.mean_cosine
    monkeypatch.setattr(fast, "mean_cosine", lambda rows, others: seen.append(len(rows)) or near(rows, others))
    report = sync(tmp_path / "index", [tmp_path / "films"], "mini", options=EncoderOptions("cpu", "fast"))
    assert (report.added, report.precision, len(report.skipped)) == (2, "bfloat16", 1)
    assert seen == [fast.COUNT, Table.open(tmp_path / "index").count()]


def test_labels_of_pixels_are_not_checked_by_vectors():
    with pytest.raises(UsageError, match="not by labels of pixels"):
        Segmenter("mini-groupvit", precision="fast")


WRITER = """
import sys
import sightline
encoder = sightline.load("mini", device="cpu", precision="fast")
print(encoder.precision, flush=True)
while True:
    encoder._fast["images"].add("bfloat16", 0.9999)
"""


@pytest.mark.system
def test_writers_side_by_side_and_kills_leave_whole_notes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        assert len({writer.stdout.readline() for writer in writers}) == 1
        (note,) = (tmp_path / "xdg/sightline/precision").glob("*.json")
        begun = time.monotonic()
        reads = 0
        while time.monotonic() < begun + 0.2 or not reads:
            assert json.loads(note.read_text())["cosines"]
            reads += 1
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert json.loads(note.read_text())["cosines"]
