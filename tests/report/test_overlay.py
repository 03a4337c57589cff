"""The overlay, its legend and the labels' file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.errors import UsageError
from sightline.report.overlay import check_overlay, color, label_file, label_map, overlay, save_png

LABELS = np.repeat(np.array([[0, 0, 1, -1]], np.int32), 60, axis=0).repeat(200, axis=1)  # 60 x 800
SHARES = np.array([0.5, 0.25])


def test_overlay_paints_classes_and_leaves_the_background() -> None:
    photo = Image.new("RGB", (800, 60), (100, 100, 100))
    page = np.asarray(overlay(photo, LABELS, ["cat", "a sofa, 犬"], SHARES)).astype(int)
    assert page.shape[1] == 800
    assert page.shape[0] > 60
    for x, number in ((100, 0), (500, 1)):
        want = np.array([100, 100, 100]) * 0.45 + np.array(color(number)) * 0.55
        assert np.abs(page[30, x] - want).max() <= 1
    assert (page[30, 700] == 100).all()
    assert (page[30, 400] == 255).all()  # an edge
    legend = page[60:]
    for number in (0, 1):
        assert (legend == color(number)).all(axis=2).sum() > 100
    assert (legend.sum(axis=2) < 200).any()  # text


def test_many_classes_and_small_pictures() -> None:
    labels = np.arange(64, dtype=np.int32).reshape(8, 8)
    page = overlay(Image.new("RGB", (8, 8)), labels, [f"class {i}" * 9 for i in range(64)], np.full(64, 1 / 64))
    assert page.width == 640
    assert page.height < 640 * 4
    nothing = overlay(Image.new("RGB", (8, 8)), np.full((8, 8), -1, np.int32), ["a", "b"], np.zeros(2))
    assert nothing.height > 640


def test_label_map_and_files(tmp_path: Path) -> None:
    few = label_map(LABELS, ["cat", "sofa"])
    many = label_map(LABELS, [str(i) for i in range(300)])
    for picture, name, classes in ((few, "a.png", ["cat", "söfa\n犬"]), (many, "b.png", [str(i) for i in range(300)])):
        save_png(picture, tmp_path / name, classes)
        with Image.open(tmp_path / name) as again:
            assert (np.asarray(again) == LABELS + 1).all()
    assert few.getpalette()[3:9] == [*color(0), *color(1)]
    check_overlay(tmp_path / "a.png")  # our own may be written again
    assert label_file("x/cat.png") == Path("x/cat.labels.png")


def test_nobody_s_picture_is_lost(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "cat.labels.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, message in (
        ("photo.png", "photo.png is no image of ours"),
        ("cat.png", "cat.labels.png is no image of ours"),
        ("text.png", "text.png is no image of ours"),
        ("cat.jpg", "name it cat.png"),
        ("nowhere/cat.png", "no folder to write"),
    ):
        with pytest.raises(UsageError, match=message):
            check_overlay(tmp_path / name)
