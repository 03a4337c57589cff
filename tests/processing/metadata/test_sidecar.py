"""Which files beside an image speak of it."""

import os
import unicodedata

import pytest

from sightline.processing.metadata.sidecar import find_takeout, find_xmp

LONG = "PXL_20230101_120000000.PORTRAIT-01.COVER.jpg"


@pytest.mark.parametrize(
    ("image", "beside"),
    [
        ("photo.jpg", "photo.jpg.json"),
        ("photo.jpg", "PHOTO.JPG.JSON"),
        ("photo.jpg", "photo.json"),
        *(("photo.jpg", f"photo.jpg{'.supplemental-metadata'[:length]}.json") for length in range(1, 23)),
        ("photo(1).jpg", "photo.jpg(1).json"),
        ("photo(1).jpg", "photo(1).jpg.json"),
        ("photo(12).jpg", "photo.jpg.supplemental-metadata(12).json"),
        ("photo-edited.jpg", "photo.jpg.json"),
        ("photo-bearbeitet(2).jpg", "photo.jpg.supplemental-metadata(2).json"),
        (LONG, f"{LONG}.supplemental-metadata"[:46] + ".json"),
        (LONG + "x" * 10, f"{LONG}xx.json"),
        ("photo.mp4", "photo.mp4.json"),
        ("photo.mov", "photo.heic.supplemental-metadata.json"),
        ("photo.mp4", "photo.jpg.json"),
        (unicodedata.normalize("NFC", "Café.jpg"), unicodedata.normalize("NFD", "Café.jpg.json")),
    ],
)
def test_takeout(tmp_path, image, beside):
    (tmp_path / beside).touch()
    assert find_takeout(tmp_path / image) == tmp_path / beside


@pytest.mark.parametrize(
    ("image", "beside"),
    [
        ("photo.jpg", "photo.jpg(1).json"),
        ("photo(1).jpg", "photo.jpg.json"),
        ("photo(1).jpg", "photo.jpg(2).json"),
        ("photo.jpg", "photo2.jpg.json"),
        ("photo2.jpg", "photo.jpg.json"),
        ("photo.jpg", "photo.jpg.sample.json"),
        ("photo.jpg", "photo.heic.json"),
        ("photo.jpg", "metadata.json"),
    ],
)
def test_others(tmp_path, image, beside):
    (tmp_path / beside).touch()
    assert find_takeout(tmp_path / image) is None


@pytest.mark.parametrize("beside", ["photo.jpg.xmp", "photo.xmp", "PHOTO.JPG.XMP", "Photo.Xmp"])
def test_xmp(tmp_path, beside):
    (tmp_path / beside).touch()
    assert find_xmp(tmp_path / "photo.jpg") == tmp_path / beside


def test_the_longer_name_counts(tmp_path):
    for name in ("photo.xmp", "photo.jpg.xmp", "photo.json", "photo.jpg.json"):
        (tmp_path / name).touch()
    assert find_xmp(tmp_path / "photo.jpg").name == "photo.jpg.xmp"
    assert find_takeout(tmp_path / "photo.jpg").name == "photo.jpg.json"


def test_case_tells_images_apart(tmp_path):
    for name in ("a.jpg.xmp", "A.jpg.xmp"):
        (tmp_path / name).touch()
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("names without case here")
    assert find_xmp(tmp_path / "a.jpg").name == "a.jpg.xmp"
    assert find_xmp(tmp_path / "A.jpg").name == "A.jpg.xmp"


def test_a_folder_is_listed_again_when_it_has_changed(tmp_path):
    os.utime(tmp_path, (10, 10))
    assert not find_xmp(tmp_path / "photo.jpg")
    (tmp_path / "photo.jpg.xmp").touch()
    assert find_xmp(tmp_path / "photo.jpg")
    os.utime(tmp_path, (10, 10))
    assert not find_xmp(tmp_path / "photo.jpg"), "not listed once"
    os.utime(tmp_path, (20, 20))
    assert find_xmp(tmp_path / "photo.jpg")


def test_a_folder_that_has_just_changed_is_listed_each_time(tmp_path):
    assert not find_xmp(tmp_path / "photo.jpg")
    times = tmp_path.stat()
    (tmp_path / "photo.jpg.xmp").touch()
    os.utime(tmp_path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert find_xmp(tmp_path / "photo.jpg")
