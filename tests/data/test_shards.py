"""WebDataset shards: what is found in them, and shards that lie."""

import gzip
import io
import json
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from sightline.data import LeftOut, captions
from sightline.data.paths import _expand_braces, resolve_paths
from sightline.data.shards import read_shards
from sightline.errors import DataError, UsageError
from support.datasets import shard, tar
from support.examples import examples
from support.images import as_bytes, image

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 5\n"
NO_PAIR = "with a dot in the key, and no pair of an image and a text"
BESIDE = "files that macOS or tar put beside others (._NAME, __MACOSX, PaxHeaders)"


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


@pytest.mark.parametrize(
    ("names", "keys", "counts"),
    [
        (["v1.5_0.jpg", "v1.5_0.txt", "b.jpg", "b.txt"], {"v1.5_0", "b"}, {}),
        (["2022.05.1.jpg", "2022.05.1.txt", "2022.05.2.jpg", "2022.05.2.JSON"], {"2022.05.1", "2022.05.2"}, {}),
        (["b.jpg", "b.txt", "c.input.jpg", "c.output.txt"], {"b"}, {NO_PAIR: 2}),
        (["b.jpg", "b.txt", "b.mask.png"], {"b"}, {NO_PAIR: 1}),
        (["b.jpg", "b.en.txt", "c.jpg", "c.txt"], {"c"}, {NO_PAIR: 1, "without a file of captions": 1}),
        (["x.y/b.jpg", "x.y/b.txt", "x/b.jpg", "x/b.txt", "b.jpg", "b.txt"], {"x.y/b", "x/b", "b"}, {}),
        (["./x.1/b.v2.jpg", "./x.1/b.v2.txt"], {"x.1/b.v2"}, {}),
        (["B.JPG", "B.TXT", "c.Jpeg", "c.Json"], {"B", "c"}, {}),
        (["b.jpg", "b.jpeg", "b.txt"], {"b"}, {"images beside another one of the same key": 1}),
        (["b.jpg", "b.caption", "c.mp4", "c.txt"], {"b", "c"}, {}),
        (["b.jpg", "b.txt", "b.cls", "noext", "b.npy"], {"b"}, {"files of other kinds, which are not read": 3}),
        (["b.jpg", "b.txt", "._b.jpg", "__MACOSX/._b.jpg", "PaxHeaders.7/b.jpg"], {"b"}, {BESIDE: 3}),
    ],
)
def test_keys_and_dots(tmp_path, names, keys, counts):
    note = {True: b'{"caption": "words"}', False: b"words"}
    found = captions(tar(tmp_path / "a.tar", [(name, note[name.lower().endswith("json")]) for name in names]))
    assert {sample.key for sample in found.samples} == keys
    assert {sample.captions for sample in found.samples} == {("words",)}
    assert found.left_out.counts == counts
    for sample in found.samples:
        assert sample.media.name.removeprefix("./").rpartition(".")[0] == sample.key


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("k.txt", "été".encode("latin-1"), "with captions that are not in UTF-8: save them so"),
        ("k.json", '{"caption": "été"}'.encode("latin-1"), "with captions that are not in UTF-8: save them so"),
        ("k.txt", "一只狗".encode("gb18030"), "with captions that are not in UTF-8: save them so"),
        ("k.txt", b"a dog\0", "with a NUL character in their captions"),
        ("k.txt", b"", "with no caption in their file"),
        ("k.json", b"{", "with captions in broken JSON"),
        ("k.txt", "\ufeffa dog".encode(), None),
        ("k.txt", "a dog".encode("utf-16"), None),
        ("k.json", '\ufeff{"caption": "a dog"}'.encode(), None),
        ("k.json", '{"caption": "a dog"}'.encode("utf-16"), None),
    ],
)
def test_encodings_of_captions(tmp_path, name, content, reason):
    found = captions(tar(tmp_path / "a.tar", [("a.jpg", b"1"), ("a.txt", b"a"), ("k.jpg", b"2"), (name, content)]))
    assert [sample.captions for sample in found.samples] == [("a",), *([] if reason else [("a dog",)])]
    assert found.left_out.counts == ({reason: 1} if reason else {})


KEYS = st.text("ab.", min_size=1, max_size=6).filter(lambda key: key.strip("."))


@examples(100)
@given(
    st.lists(st.tuples(KEYS, st.sampled_from(["jpg", "png", "txt", "json", "cls", "JPG"])), unique=True, max_size=12)
)
def test_every_member_is_in_a_sample_or_counted(tmp_path_factory, parts):
    names = [f"{key}.{suffix}" for key, suffix in parts]
    left_out = LeftOut()
    path = tar(tmp_path_factory.mktemp("keys") / "a.tar", [(name, b'{"caption": "a"}') for name in names])
    samples = read_shards([path], left_out)
    assert len({sample.media.name for sample in samples}) == len(samples)
    media = [name for name in names if name.lower().endswith(("jpg", "png"))]
    other_kinds = [name for name in names if name.endswith("cls")]
    lonely = {name.rpartition(".")[0] for name in media} - {sample.key for sample in samples}
    assert len(left_out) >= len(lonely) + len(other_kinds)
    assert len(left_out) >= len(media) - len(samples)


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
        "an empty file": b"",
        "a Git LFS pointer, .*git lfs pull": LFS,
        "a web page": b"<html>Sign in" + b" " * 1000,
    }
    for number, (message, content) in enumerate(spoiled.items()):
        (tmp_path / f"{number}.tar").write_bytes(content)
        with pytest.raises(DataError, match=rf"{number}\.tar: .*({message})"):
            captions(tmp_path / f"{number}.tar")
    with pytest.raises(DataError, match=r"no\.tar: no such file"):
        captions(tmp_path / "no.tar")
    with pytest.raises(DataError, match=r"no\*\.tar: no such file"):
        captions(tmp_path / "no*.tar")


def content_of(path):
    """A tar without the empty blocks at its end."""
    whole = path.read_bytes().rstrip(b"\0")
    return whole + b"\0" * (-len(whole) % 512)


def test_tars_one_after_the_other_are_all_read(tmp_path):
    parts = [shard(tmp_path / f"{number}.tar", [number]) for number in range(3)]
    (tmp_path / "all.tar").write_bytes(b"".join(part.read_bytes() for part in parts))
    found = captions(tmp_path / "all.tar")
    assert [sample.key for sample in found.samples] == ["0000", "0001", "0002"]
    assert [sample.content() for sample in found.samples] == [as_bytes(image(number)) for number in range(3)]
    assert not found.left_out
    (tmp_path / "all.tar").write_bytes(parts[0].read_bytes() + b"\1" * 512)
    with pytest.raises(DataError, match=r"all\.tar: damaged at byte 10240"):
        captions(tmp_path / "all.tar")
    for size, message in [(600, "cut short in the middle of 0001.png"), (300, "cut short"), (1020, "cut short")]:
        (tmp_path / "all.tar").write_bytes(parts[0].read_bytes() + content_of(parts[1])[:size])
        with pytest.raises(DataError, match=rf"all\.tar: {message}"):
            captions(tmp_path / "all.tar")


def test_a_tar_without_its_end_is_read_and_said(tmp_path):
    path = shard(tmp_path / "a.tar", range(3))
    path.write_bytes(content_of(path))
    found = captions(path)
    assert len(found) == 3
    assert str(found.left_out) == f"nothing; {path} has no end mark: if it was fetched, see that it is whole"
    path.write_bytes(path.read_bytes() + b"0001.png")
    with pytest.raises(DataError, match=r"a\.tar: cut short at byte"):
        captions(path)


def test_links_and_sparse_files_in_tars(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as out:
        for name in ("a.jpg", "a.txt", f"{'long' * 40}/b.jpg", f"{'long' * 40}/b.txt"):
            info = tarfile.TarInfo(name)
            info.size = 5
            out.addfile(info, io.BytesIO(b"words"))
        for name, target, kind in [
            ("hard.jpg", "a.jpg", tarfile.LNKTYPE),
            ("hard.txt", "a.txt", tarfile.LNKTYPE),
            ("soft.jpg", "a.jpg", tarfile.SYMTYPE),
            ("gone.jpg", "none.jpg", tarfile.LNKTYPE),
            ("pipe", "", tarfile.FIFOTYPE),
            ("folder.jpg", "", tarfile.DIRTYPE),
        ]:
            info = tarfile.TarInfo(name)
            info.linkname, info.type = target, kind
            out.addfile(info)
    found = captions(tmp_path / "a.tar")
    assert [sample.key for sample in found.samples] == ["a", f"{'long' * 40}/b", "hard"]
    assert found.samples[2].content() == b"words"
    assert found.left_out.counts == {
        "links in a tar: pack the files themselves (tar --dereference)": 2,
        "in a tar that are no files": 1,
    }


def test_sources_joined_by_two_colons_and_upper_case(tmp_path):
    parts = [shard(tmp_path / name, [number]) for number, name in enumerate(["a.tar", "b.TAR"])]
    assert len(captions("::".join(map(str, parts)))) == len(captions(tmp_path)) == 2


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
