"""Vectors kept between evaluations: the same bits, or none."""

import dataclasses

import numpy as np
import pytest

from sightline.data import captions
from sightline.encoder import load
from sightline.evaluate import retrieval
from sightline.evaluate.encode import encode
from sightline.evaluate.kept import KeptVectors
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
