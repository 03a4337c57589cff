"""Images with masks, and masks that are not as they should be."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from sightline.data.masks import masked, read_mask
from sightline.errors import DataError, ImageError, UsageError


@pytest.fixture
def folder(tmp_path):
    """Three masks of three classes with their images."""
    for name in ("masks", "images"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for number in range(3):
        mask = np.array([[3, 5, 255], [9, 3, number * 2 + 5]], np.uint8)
        Image.fromarray(mask).save(tmp_path / "set" / "masks" / f"{number}.png")
        Image.new("RGB", (3, 2)).save(tmp_path / "set" / "images" / f"{number}.jpg")
    (tmp_path / "set" / "classes.csv").write_text("id,name\n3,cat\n5,dog\n9,kite\n7,bird\n")
    return tmp_path / "set"


def test_masks_with_their_images_and_classes(folder):
    data = masked(folder)
    assert data.name == str(folder)
    assert data.samples == tuple(
        (str(i), folder / "images" / f"{i}.jpg", folder / "masks" / f"{i}.png") for i in range(3)
    )
    assert read_mask(folder / "masks" / "0.png", data.classes).tolist() == [[0, 1, -1], [2, 0, 1]]


def test_images_elsewhere_and_beside_their_masks(folder, tmp_path):
    (folder / "images").rename(tmp_path / "photos")
    assert len(masked(folder, image_root=tmp_path / "photos").samples) == 3
    for file in (tmp_path / "photos").iterdir():
        file.rename(folder / file.name)
    assert [image.parent for _, image, _ in masked(folder).samples] == [folder] * 3
    (folder / "1.jpg").unlink()
    assert masked(folder).left_out.counts == {f"masks without an image in {folder}": 1}


def test_names_in_another_unicode_form_and_two_images_of_one_name(folder):
    for part, form, suffix in (("masks", "NFC", "png"), ("images", "NFD", "jpg")):
        (folder / part / f"0.{suffix}").rename(folder / part / unicodedata.normalize(form, f"é.{suffix}"))
    assert {mask.name for _, _, mask in masked(folder).samples} == {"é.png", "1.png", "2.png"}
    Image.new("RGB", (3, 2)).save(folder / "images" / "1.bmp")
    assert masked(folder).left_out.counts == {f"masks with several images of their name in {folder / 'images'}": 1}


def test_the_data_decide_the_fingerprint(folder):
    before = masked(folder).fingerprint
    assert masked(folder).fingerprint == before
    mask = np.asarray(Image.open(folder / "masks" / "0.png")).copy()
    mask[-1, -1] ^= 1
    Image.fromarray(mask).save(folder / "masks" / "0.png")
    assert masked(folder).fingerprint != before


def test_folders_without_masks(folder, tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        masked(folder / "none")
    with pytest.raises(DataError, match="none: no such file or folder; the images"):
        masked(folder, image_root=folder / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="--classes"):
        masked(tmp_path / "empty")
    with pytest.raises(DataError, match="not one mask"):
        masked(tmp_path / "empty", classes=folder / "classes.csv")
    (folder / "masks" / "more").mkdir()
    Image.new("L", (3, 2)).save(folder / "masks" / "more" / "0.png")
    with pytest.raises(DataError, match="two masks have the same name"):
        masked(folder)


def test_masks_that_cannot_be_read(folder):
    classes, file = masked(folder).classes, folder / "masks" / "0.png"
    Image.new("L", (3, 2), 8).save(file)
    with pytest.raises(DataError, match=r"0\.png: the number 8"):
        read_mask(file, classes)
    Image.new("RGB", (3, 2)).save(file)
    with pytest.raises(DataError, match="mask of colors"):
        read_mask(file, classes)
    file.write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"its mask 0\.png can't be read"):
        read_mask(file, classes)
