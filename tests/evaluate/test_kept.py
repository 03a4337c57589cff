"""Vectors kept between evaluations: the same bits, or none."""

import dataclasses
import os
import time

import numpy as np
import pytest

from sightline.data import captions
from sightline.encoder import load
from sightline.evaluate import retrieval
from sightline.evaluate.encode import encode
from sightline.evaluate.kept import Entry, KeptVectors, key_of
from support.datasets import tar
from support.images import as_bytes, image


def same(a, b):
    assert a.samples == b.samples
    assert a.skipped == b.skipped
    np.testing.assert_array_equal(a.vectors, b.vectors)
    assert a.vectors.dtype == b.vectors.dtype
    if a.rescoring is not None or b.rescoring is not None:
        np.testing.assert_array_equal(a.rescoring, b.rescoring)


@pytest.fixture
def no_stream(monkeypatch):
    """After this is called, nothing can be encoded."""

    def stop(encoder):
        def refuse(*args, **options):
            raise AssertionError("encoded again")

        monkeypatch.setattr(encoder, "stream", refuse)

    return stop


@pytest.mark.system
@pytest.mark.parametrize("name", ["mini", "mini-xclip"])
def test_the_second_time_nothing_is_encoded(request, shard, tmp_path, no_stream, name):
    encoder = request.getfixturevalue(name.replace("-", "_"))
    samples, kept = captions(shard).samples, KeptVectors(tmp_path / "vectors")
    plain = encode(encoder, samples)
    same(encode(encoder, samples, kept=kept), plain)
    assert kept.taken == 0
    result = retrieval(encoder, captions(shard))
    no_stream(encoder)
    same(encode(encoder, samples, kept=kept), plain)
    assert kept.taken == len(plain.samples) == 11
    again = retrieval(encoder, captions(shard), kept=kept)
    assert dataclasses.replace(again, date=result.date) == result


def test_what_decides_the_bits_is_in_the_key(mini, tmp_path):
    kept = KeptVectors(tmp_path / "vectors")

    def samples(*numbers):
        files = [(f"{at}.png", as_bytes(image(number))) for at, number in enumerate(numbers)]
        texts = [(f"{at}.txt", b"a") for at in range(len(numbers))]
        return captions(tar(tmp_path / "data.tar", sorted(files + texts))).samples

    encode(mini, samples(1, 2), kept=kept)
    encode(mini, samples(1, 3), kept=kept)  # the same names, another image
    encode(mini, samples(2, 1), kept=kept)
    encode(mini, samples(1, 2), kept=kept, project=False)
    encode(load("mini", precision="bfloat16"), samples(1, 2), kept=kept)
    assert kept.taken == 0
    assert len(list((tmp_path / "vectors").iterdir())) == 5
    encode(mini, samples(1, 2), kept=kept)
    assert kept.taken == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
        lambda content: b"no archive",
    ],
)
def test_a_damaged_entry_is_none(mini, shard, tmp_path, spoil):
    samples, kept = captions(shard).samples, KeptVectors(tmp_path / "vectors")
    plain = encode(mini, samples, kept=kept)
    (file,) = (tmp_path / "vectors").iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    same(encode(mini, samples, kept=kept), plain)
    assert kept.taken == 0
    same(encode(mini, samples, kept=kept), plain)
    assert kept.taken == 11, "written anew"


def test_the_folder_is_bounded_and_what_was_used_stays(mini, shard, tmp_path):
    all_samples, folder = captions(shard).samples, tmp_path / "vectors"
    encode(mini, all_samples, kept=KeptVectors(folder))
    (first,) = folder.iterdir()
    kept = KeptVectors(folder, limit=2 * first.stat().st_size)
    for count in (6, 7):
        encode(mini, all_samples[:count], kept=kept)
        encode(mini, all_samples, kept=kept)
    encode(mini, all_samples[:8], kept=kept)
    assert sum(file.stat().st_size for file in folder.iterdir()) <= kept.limit
    assert first.exists()


def test_where_nothing_can_be_written_nothing_is_kept(mini, shard, tmp_path):
    (tmp_path / "vectors").write_text("a file")
    samples, kept = captions(shard).samples, KeptVectors(tmp_path / "vectors")
    same(encode(mini, samples, kept=kept), encode(mini, samples))
    assert (tmp_path / "vectors").read_text() == "a file"


def test_other_code_and_decoders_are_in_the_key(mini, shard, monkeypatch):
    samples, keys = captions(shard).samples[:1], set()
    keys.add(key_of(mini, samples, True))
    monkeypatch.setattr("sightline.evaluate.kept.code_hash", lambda: "changed")
    keys.add(key_of(mini, samples, True))
    monkeypatch.setattr("sightline.evaluate.kept.version", lambda name: f"{name} 9")
    keys.add(key_of(mini, samples, True))
    assert len(keys) == 3


def test_an_entry_with_any_byte_changed_is_the_same_or_none(tmp_path):
    kept = KeptVectors(tmp_path)
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    kept.keep("a", Entry(np.arange(3), rows, rows[:, None].astype(np.float16), {3: "broken"}))
    whole = (tmp_path / "a.npz").read_bytes()
    for at in range(len(whole)):
        (tmp_path / "a.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        if (entry := kept.find("a")) is not None:
            np.testing.assert_array_equal(entry.vectors, rows)
            np.testing.assert_array_equal(entry.rescoring, rows[:, None])
            assert (entry.readable.tolist(), entry.reasons) == ([0, 1, 2], {3: "broken"})


def test_what_is_too_large_is_not_kept_and_what_a_kill_left_goes(tmp_path):
    kept, rows = KeptVectors(tmp_path, limit=2000), np.zeros((3, 4), np.float32)
    kept.keep("a", Entry(np.arange(3), rows, None, {}))
    kept.keep("b", Entry(np.arange(3), np.zeros((3, 999), np.float32), None, {}))
    for name, age in ((".c.npz.0123", 2 * 86_400), (".d.npz.0123", 0)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    kept.keep("a", Entry(np.arange(3), rows, None, {}))
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz", ".d.npz.0123"}
