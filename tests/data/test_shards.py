"""WebDataset shards: what is found in them, and shards that lie."""

import gzip
import json
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from sightline.data import captions
from sightline.data.paths import _expand_braces, resolve_paths
from sightline.errors import DataError, UsageError
from support.datasets import shard, tar
from support.examples import examples
from support.images import as_bytes, image


def test_every_sample_is_found_with_its_bytes_and_captions(tmp_path):
    for number in range(3):
        shard(tmp_path / f"train-{number}.tar", range(4 * number, 4 * number + 4))
    found = captions(tmp_path / "train-{0..2}.tar")
    assert [sample.key for sample in found.samples] == [f"{i:04d}" for i in range(12)]
    assert [sample.content() for sample in found.samples] == [as_bytes(image(i)) for i in range(12)]
    assert found.samples[5].captions == ("picture f a", "picture f ab")
    assert not found.left_out
    assert str(found.left_out) == "nothing"
    assert captions(str(tmp_path / "*.tar")).samples == found.samples
    assert captions(sorted(tmp_path.iterdir())).samples == found.samples


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("json", b'{"captions": ["a", " b ", "", 3]}', ("a", "b")),
        ("json", b'{"caption": "a"}', ("a",)),
        ("JSON", b'{"caption": ["a", "b"], "url": ""}', ("a", "b")),
        ("txt", "été \n".encode(), ("été",)),
    ],
)
def test_captions_as_json_or_text(tmp_path, name, content, said):
    tar(tmp_path / "a.tar", [("./x/k.one.jpg", b"1"), ("x/k.jpg", b"22"), (f"x/k.{name}", content)])
    (sample,) = captions(tmp_path / "a.tar").samples
    assert (sample.key, sample.content(), sample.captions) == ("x/k", b"22", said)


def test_what_lacks_a_part_is_left_out_and_counted(tmp_path):
    good = ("good.png", b"1"), ("good.txt", b"words")
    files = [("alone.jpg", b"1"), ("words.txt", b"a"), ("empty.jpg", b"1"), ("empty.json", b'{"captions": []}')]
    files += [("broken.jpg", b"1"), ("broken.json", b"{"), ("good.png", b"2"), ("list.jpg", b"1"), ("list.json", b"[]")]
    found = captions(tar(tmp_path / "a.tar", [*good, *files]))
    assert [(sample.key, sample.content()) for sample in found.samples] == [("good", b"1")]
    assert found.left_out.counts == {
        "twice in their shard": 1,
        "without a file of captions": 1,
        "captions without an image": 1,
        "with no caption in their file": 2,
        "with captions in broken JSON": 1,
    }
    assert "2 with no caption in their file" in str(found.left_out)
    assert "empty.json" in str(found.left_out)


def test_nothing_to_be_found_is_an_error_that_says_why(tmp_path):
    with pytest.raises(DataError, match=r"1 without a file of captions: .*alone.jpg"):
        captions(tar(tmp_path / "a.tar", [("alone.jpg", b"1")]))
    with pytest.raises(DataError, match="not one image with a caption; left out: nothing"):
        captions(tar(tmp_path / "b.tar", []))


def test_one_sample_in_two_shards_counts_once_and_different_ones_of_one_key_stay(tmp_path):
    shard(tmp_path / "a.tar", [1, 2])
    tar(
        tmp_path / "b.tar",
        [("0001.png", as_bytes(image(1))), ("0001.txt", b"other"), ("9.jpg", b"1"), ("9.txt", b"nine")],
    )
    shard(tmp_path / "c.tar", [2])
    found = captions(tmp_path / "*.tar")
    assert sorted(sample.key for sample in found.samples) == ["0002", "9", "a/0001", "b/0001"]
    assert found.left_out.counts == {"twice, in different shards": 1}
    (tmp_path / "d").mkdir()
    tar(tmp_path / "d/a.tar", [("0001.png", b"1"), ("0001.txt", b"third")])
    with pytest.raises(DataError, match="other names"):
        captions(tmp_path / "**/*.tar")


def test_the_fingerprint_knows_the_samples_and_not_their_order(tmp_path):
    shard(tmp_path / "a.tar", [1, 2])
    shard(tmp_path / "b.tar", [3])
    shard(tmp_path / "both.tar", [3, 2, 1])
    shard(tmp_path / "more.tar", [3, 2, 1], captions=3)
    whole = captions(tmp_path / "both.tar").fingerprint
    assert whole == captions([tmp_path / "b.tar", tmp_path / "a.tar"]).fingerprint
    others = {captions(tmp_path / f"{name}.tar").fingerprint for name in ("a", "more")}
    assert len(others | {whole}) == 3


def test_shards_that_lie(tmp_path):
    whole = shard(tmp_path / "whole.tar", range(3)).read_bytes()
    spoiled = {
        "cut short in the middle of": whole[:700],
        "damaged at byte": whole[: whole.rindex(b"ustar") - 257] + b"\1" * 1024,
        "compressed": gzip.compress(whole),
        "no tar": b"a picture, say" * 200,
        "cut short|no tar": b"",
    }
    for number, (message, content) in enumerate(spoiled.items()):
        (tmp_path / f"{number}.tar").write_bytes(content)
        with pytest.raises(DataError, match=rf"{number}\.tar: .*({message})"):
            captions(tmp_path / f"{number}.tar")
    with pytest.raises(DataError, match=r"no\.tar: No such file"):
        captions(tmp_path / "no.tar")
    with pytest.raises(DataError, match=r"no\*\.tar: no such file"):
        captions(tmp_path / "no*.tar")


@pytest.mark.parametrize("kind", [b"0", b"5", b"x", b"g", b"L", b"K", b"S"])
@pytest.mark.parametrize("size", [-1, -512, -(10**6), 10**15])
def test_a_size_below_zero_or_beyond_the_file(tmp_path, kind, size):
    header = bytearray(tarfile.TarInfo("b.jpg").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = (b"\xff" if size < 0 else b"\x80") + (size % 256**11).to_bytes(11, "big")
    header[148:157] = b" " * 8 + kind
    header[148:156] = b"%06o\0 " % sum(header)
    whole = shard(tmp_path / "a.tar", [1]).read_bytes()
    (tmp_path / "a.tar").write_bytes(bytes(header) + whole)
    if kind in b"05":
        with pytest.raises(DataError, match=r"a\.tar: .*(damaged|cut short)"):
            captions(tmp_path / "a.tar")
    else:  # such a header is about the next one, and may swallow it: anything but an error of another kind
        with suppress(DataError):
            captions(tmp_path / "a.tar")


@examples(60)
@given(st.data())
def test_a_spoiled_shard_gives_samples_or_an_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("spoiled")
    content = bytearray(shard(folder / "a.tar", range(2)).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 4 * 512))] = data.draw(st.integers(0, 255))
    (folder / "a.tar").write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    with suppress(DataError):  # anything else is a failure
        for sample in captions(folder / "a.tar").samples:
            assert len(sample.content()) == sample.size


def test_a_shard_that_changed_since_is_an_error(tmp_path):
    (sample,) = captions(shard(tmp_path / "a.tar", [1])).samples
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.tar/0001\.png: the tar is shorter"):
        sample.content()
    (tmp_path / "a.tar").unlink()
    with pytest.raises(DataError, match=r"a\.tar/0001\.png: can't be read"):
        sample.content()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a", ["a"]),
        ("a{0..2}", ["a0", "a1", "a2"]),
        ("{08..10}", ["08", "09", "10"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{a,b}{0..1}", ["a0", "a1", "b0", "b1"]),
        ("{t-{00..01},v}", ["t-00", "v", "t-01", "v"]),
        ("{x}", ["{x}"]),
    ],
)
def test_braces(pattern, names):
    assert list(_expand_braces(pattern)) == names


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path):
    shard(tmp_path / "a[1]{0..1}.tar", [1])
    assert resolve_paths(tmp_path / "a[1]{0..1}.tar") == [tmp_path / "a[1]{0..1}.tar"]
    with pytest.raises(UsageError, match="range"):
        resolve_paths("{0..99999999999}.tar")


def test_captions_with_half_a_surrogate_have_a_fingerprint(tmp_path):
    content = json.dumps({"caption": "\ud800"}).encode()
    assert captions(tar(tmp_path / "a.tar", [("k.jpg", b"1"), ("k.json", content)])).fingerprint
