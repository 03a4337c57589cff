"""Folders of images with their texts beside them."""

import pytest

from sightline.data import captions
from sightline.errors import DataError, UsageError


def fill(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("1.txt", "a dog\n\n a cat \r\n", ("a dog", "a cat")),
        ("1.TXT", "\ufeffa dog", ("a dog",)),
        ("1.caption", "a dog", ("a dog",)),
        ("1.json", '{"caption": "a dog", "width": 3}', ("a dog",)),
        ("1.json", '{"captions": ["a dog", "a cat"]}', ("a dog", "a cat")),
        ("1.json", '{"text": "a dog"}', ("a dog",)),
        ("1.json", '["a dog"]', ("a dog",)),
        ("1.txt", "été".encode("utf-16"), ("été",)),
    ],
)
def test_texts_beside_images(tmp_path, name, content, said):
    (sample,) = captions(fill(tmp_path, {"in/1.JPG": "x", f"in/{name}": content})).samples
    assert (sample.key, sample.media, sample.captions) == ("in/1.JPG", tmp_path / "in/1.JPG", said)


def test_what_lacks_a_part_is_counted(tmp_path):
    files = {
        "1.jpg": "x",
        "1.txt": "a dog",
        "2.jpg": "x",
        "3.txt": "alone",
        "4.jpg": "x",
        "4.png": "y",
        "4.txt": "four",
    }
    files |= {"v1.5.jpg": "x", "v1.5.txt": "dots", "5.jpg": "x", "5.txt": " \n", "6.jpg": "x", "6.json": "{"}
    files |= {"7.jpg": "x", "7.txt": "été".encode("latin-1"), "8.jpg": "x", "8.txt": "a\0 dog", "9.jpg": "x"}
    files |= {"9.json": "{}", "9.txt": "second", ".1.jpg": "x", ".git/1.jpg": "x", "readme.md": "x"}
    found = captions(fill(tmp_path, files))
    assert {sample.key: sample.captions for sample in found.samples} == {
        "1.jpg": ("a dog",),
        "4.jpg": ("four",),
        "9.jpg": ("second",),
        "v1.5.jpg": ("dots",),
    }
    assert found.left_out.counts == {
        "without a text beside them": 1,
        "texts without an image beside them": 1,
        "images beside another one of the same name": 1,
        "with no caption in their file": 1,
        "with captions in broken JSON": 1,
        "with captions that are not in UTF-8: save them so": 1,
        "with a NUL character in their captions": 1,
    }


def test_folders_that_have_no_pairs(tmp_path):
    with pytest.raises(
        DataError, match=r"no images with texts of the same name .*; left out: 1 without a text .*1\.jpg"
    ):
        captions(fill(tmp_path / "a", {"1.jpg": "x"}))
    with pytest.raises(DataError, match=r"no table .* and no shards"):
        captions(fill(tmp_path / "b", {"1.md": "x"}))
    with pytest.raises(UsageError, match="has no splits"):
        captions(fill(tmp_path / "c", {"1.jpg": "x", "1.txt": "a"}), split="train")


def test_what_lies_beside_the_table_or_the_shards_is_counted(tmp_path):
    fill(tmp_path, {"1.jpg": "x", "t.csv": "file,caption\n1.jpg,a\n", "a.tar": "x", "b.tar.gz": "x"})
    assert captions(tmp_path).left_out.counts == {
        "shards beside t.csv, which is read: name them to read them": 1,
        "shards that are compressed: unpack them to plain tars": 1,
    }
