"""Files of every odd and hostile kind among good ones, with the model in the package, in bounded memory."""

import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from sightline.index import Table, to_path
from support.images import draw

pytestmark = pytest.mark.system

INDEX = """
import json, sys
from pathlib import Path
from sightline import load
from sightline.index.sync import sync
encoder = load("mini")
for folder, index in zip(sys.argv[1::2], sys.argv[2::2]):
    summary = sync(index, [folder], encoder)
print(json.dumps([[path.name, reason] for path, reason in summary.skipped]))
# Not getrusage's, which begins with what the parent took before exec.
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))
"""


def bomb(path, width, height):
    """A PNG of a few kilobytes that says it is that large; its pixels, where they are read, are black."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    row = bytes(1 + width * 4)
    data = b"".join(packer.compress(row) for _ in range(height if height < 10_000 else 10)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def scene(size=(96, 64)):
    array = np.random.default_rng(3).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(array).resize(size, Image.Resampling.BICUBIC)


# How an upright picture is stored under each EXIF orientation (EXIF 2.32, 4.6.4 A).
TURNS = {1: None, 2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE"}
TURNS |= {6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}


def odd_files(folder):
    """Those that are pictures, after all, by their names; and those that are not, with what is said of them."""
    upright = scene()
    upright.save(folder / "wrong-suffix.png", "JPEG", quality=100, subsampling=0)
    upright.convert("CMYK").save(folder / "cmyk.jpg", quality=100)
    wide = np.asarray(upright.convert("L")).astype(np.uint16) * 257
    Image.fromarray(wide).save(folder / "sixteen.png")
    upright.convert("P").save(folder / "palette.png", transparency=0)
    upright.save(folder / "moving.gif", save_all=True, append_images=[scene().rotate(90)] * 3)
    Image.new("RGB", (1, 1), "red").save(folder / "one.png")
    Image.new("RGB", (30_000, 10), "blue").save(folder / "long.png")
    Image.new("RGB", (10, 30_000), "blue").save(folder / "tall.png")
    bomb(folder / "large.png", 6_000, 6_000)
    for orientation, turn in TURNS.items():
        stored = upright.transpose(Image.Transpose[turn]) if turn else upright
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(folder / f"turned-{orientation}.png", exif=exif)
    good = {path.name for path in folder.iterdir()}

    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("words")
    draw(folder / "whole.jpg", 1, (400, 300)).rename(folder / "half.jpg")
    os.truncate(folder / "half.jpg", (folder / "half.jpg").stat().st_size // 2)
    bomb(folder / "bomb.png", 60_000, 60_000)
    (folder / "bomb.gif").write_bytes(b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(20))
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "around").symlink_to(".")
    said = {"empty.jpg": "empty", "text.jpg": "not an image", "half.jpg": "cut short", "bomb.png": "too many"}
    return good, said | {
        "bomb.gif": "too many|GIF",
        "dangling.jpg": "link to nothing",
        "loop.jpg": "symbolic links|loop",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in kilobytes on Linux")
def test_every_kind_is_indexed_or_skipped_with_its_reason_and_touches_no_neighbour(tmp_path):
    for seed in range(40):
        draw(tmp_path / "good" / f"{seed:02}.jpg", seed, (100 + seed, 80))
    (tmp_path / "mixed").mkdir()
    for path in (tmp_path / "good").iterdir():
        (tmp_path / "mixed" / path.name).write_bytes(path.read_bytes())
    good, said = odd_files(tmp_path / "mixed")
    folders = [tmp_path / name for name in ("good", "index", "mixed", "index-mixed")]
    ran = subprocess.run([sys.executable, "-c", INDEX, *folders], capture_output=True, text=True, check=True)
    skipped, peak = map(json.loads, ran.stdout.splitlines())
    alone, mixed = (vectors(tmp_path / index) for index in ("index", "index-mixed"))

    assert dict(skipped).keys() == said.keys()
    for name, reason in skipped:
        assert any(words in reason for words in said[name].split("|")), (name, reason)
    assert mixed.keys() == alone.keys() | good
    for name, vector in alone.items():
        np.testing.assert_array_equal(mixed[name], vector, name)
    for orientation in TURNS:
        assert mixed[f"turned-{orientation}.png"] @ mixed["turned-1.png"] > 0.999
    assert mixed["moving.gif"] @ mixed["turned-1.png"] > 0.95, "the first picture of several"
    assert mixed["wrong-suffix.png"] @ mixed["turned-1.png"] > 0.98
    assert peak < 3_000_000, "kilobytes"


def vectors(index):
    table = Table.open(index)
    ids, matrix = table.vectors()
    names = [to_path(row["uri"]).name for row in table.rows(ids, ["uri"])]
    return dict(zip(names, matrix.astype(np.float32), strict=True))
