"""Whether `similar` finds copies, and only copies: photos of which every fourth has copies that were changed a little.

python benchmarks/near_copies.py PHOTOS MODEL...

Beside `near_duplicates` at several thresholds stands what the cosines alone would give, without the perceptual hashes.
A group is right if all of it is one photo; "wrong" are files of another photo than the first of their group.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from measure import report
from PIL import Image, ImageEnhance

from sightline.index import Table
from sightline.index.sync import sync
from sightline.search import near_duplicates


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("models", nargs="+")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "photos"
        folder.mkdir()
        photos = sorted(given.photos.rglob("*.jpg"))
        for number, photo in enumerate(photos):
            shutil.copy(photo, folder / f"{number:05}-photo.jpg")
            if number % 4 == 0:
                write_copies(photo, folder / f"{number:05}")
        copies = sum(1 for _ in folder.iterdir()) - len(photos)
        figures: dict[str, Any] = {"photos": len(photos), "copies": copies}
        for number, model in enumerate(given.models):
            index = Path(scratch) / f"index-{number}"
            sync(index, [folder], model)
            table, name = Table.open(index), Path(model).name
            for threshold in (0.85, 0.9, 0.95, 0.99):
                figures[f"{name} {threshold} with hashes"] = counts(near_duplicates(table, threshold), copies)
                with patch("sightline.search.similar.HASH_BITS", 64):
                    figures[f"{name} {threshold} cosines alone"] = counts(near_duplicates(table, threshold), copies)
    report(__file__, figures)


def write_copies(photo: Path, stem: Path) -> None:
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    width, height = image.size
    changed = {"half": image.resize((width // 2, height // 2)), "bright": ImageEnhance.Brightness(image).enhance(1.2)}
    for percent in (2, 5):
        left, top = width * percent // 100, height * percent // 100
        changed[f"cut{percent}"] = image.crop((left, top, width - left, height - top))
    for name, copy in changed.items():
        copy.save(f"{stem}-{name}.jpg", quality=90)
    image.save(f"{stem}-compressed.jpg", quality=40)
    shutil.copy(photo, f"{stem}-copy.jpg")


def counts(groups: list[list[Any]], copies: int) -> dict[str, Any]:
    photos = [[Path(item.uri).stem.split("-")[0] for item in group] for group in groups]
    wrong = sum(photo != group[0] for group in photos for photo in group)
    beside = sum(len(group) - 1 for group in photos)
    return {
        "groups": len(groups),
        "right": sum(len(set(group)) == 1 for group in photos),
        "beside the first": beside,
        "wrong": wrong,
        "found": round((beside - wrong) / copies, 3) if copies else None,
    }


if __name__ == "__main__":
    main()
