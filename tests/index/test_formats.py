"""Animated images, RAW and JPEG XL in an index."""

import pytest

from sightline.distribution import install
from sightline.index import Table, to_path
from sightline.index.sync import sync
from sightline.processing.image import formats, raw
from support.images import draw, image
from support.raw import dng
from support.tables import counts, reasons


def animate(path, seeds, duration):
    first, *rest = (image(seed) for seed in seeds)
    path.parent.mkdir(exist_ok=True)
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0)


def held(index):
    """(name, kind, start, end) of each row."""
    columns = Table.open(index).columns(["uri", "kind", "start", "end"]).to_pylist()
    rows = [(to_path(row["uri"]).name, row["kind"], row["start"], row["end"]) for row in columns]
    return sorted(rows, key=lambda row: (row[0], row[2] or 0))


def test_animated_images_are_moments(tmp_path, index, encoder):
    photos = tmp_path / "photos"
    animate(photos / "a.gif", [1, 2], 900)
    animate(photos / "b.png", [3, 4], 600)
    animate(photos / "c.webp", [5, 6], 100)
    draw(photos / "d.gif", 7)
    (photos / "e.gif").write_bytes(b"GIF89a" + bytes(20))
    report = sync(index, [photos], encoder)
    assert report.added == 4
    assert [path.name for path, _ in report.skipped] == ["e.gif"]
    assert held(index) == [
        ("a.gif", "moment", 0.0, pytest.approx(0.9)),
        ("a.gif", "moment", pytest.approx(0.9), pytest.approx(1.8)),
        ("b.png", "moment", 0.0, pytest.approx(0.6)),
        ("b.png", "moment", pytest.approx(0.6), pytest.approx(1.2)),
        ("c.webp", "image", None, None),
        ("d.gif", "image", None, None),
    ]
    assert counts(sync(index, [photos], encoder))["unchanged"] == 4
    (photos / "a.gif").rename(photos / "z.gif")
    assert counts(sync(index, [photos], encoder)) == {"unchanged": 3, "moved": 1}
    animate(photos / "z.gif", [1], 900)
    assert counts(sync(index, [photos], encoder)) == {"unchanged": 3, "changed": 1}
    assert ("z.gif", "image", None, None) in held(index)


def test_raw_and_its_jpeg_are_both_there(tmp_path, index, encoder):
    photos = tmp_path / "photos"
    draw(photos / "IMG_1.JPG", 1)
    (photos / "IMG_1.DNG").write_bytes(dng(image(1, (96, 64)), image(1, (900, 600))))
    assert counts(sync(index, [photos], encoder)) == {"added": 2}
    rows = Table.open(index).columns(["uri", "width", "height", "camera_model"]).to_pylist()
    (row,) = [row for row in rows if row["uri"].endswith("DNG")]
    assert (row["width"], row["height"], row["camera_model"]) == (96, 64, "Tester")


def test_what_needs_another_package_is_named(tmp_path, index, encoder, monkeypatch):
    monkeypatch.setattr(raw, "_HAS_RAWPY", False)
    monkeypatch.setattr(formats, "HAS_JXL", False)
    photos = tmp_path / "photos"
    draw(photos / "a.png", 1)
    (photos / "b.dng").write_bytes(dng(image(1, (96, 64))))
    (photos / "c.jxl").write_bytes(b"\xff\x0a" + bytes(20))
    report = sync(index, [photos], encoder)
    assert report.added == 1
    assert reasons(report) == {
        "b.dng": f"a RAW file, which needs the package rawpy: {install('raw')}",
        "c.jxl": f"JPEG XL needs the package pillow-jxl-plugin: {install('jxl')}",
    }
