"""`sightline optimize --to int8`: a checkpoint in int8, measured on images and texts."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli.output import one_line
from sightline.errors import ImageError, UsageError

if TYPE_CHECKING:
    from PIL import Image

IMAGES = 256
"""Of a folder with more images, as many, evenly spread over their names."""
TEXTS = 1024
"""Of a file with more texts, its first."""


def calibrate_into(out: Path, model: str, calibrate: list[str], texts: Path | None) -> str:
    """Writes the checkpoint into `out`, which appears when all is done. Returns what is to be said at the end. Raises
    `UsageError`, `SightlineError`."""
    check_new(out)
    files = _images(calibrate)
    captions = None if texts is None else _lines(texts)
    check_not_quantised(model)

    from sightline.encoder.source import EncoderSource
    from sightline.optimize import calibrate_int8

    source = EncoderSource(model)
    writing = out.absolute().with_name(f".{out.name}.unfinished")
    shutil.rmtree(writing, ignore_errors=True)
    try:
        writing.mkdir()
        pictures = _Pictures(files, source.size_hint)
        calibrate_int8(source, writing, pictures, captions)
        writing.rename(out.absolute())
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    on = f"{pictures.count} images and {'drawn' if captions is None else len(captions)} texts"
    return one_line(f"{out}: {model} in int8, measured on {on}")


def check_new(out: Path) -> None:
    """Raises `UsageError` for a folder that holds something, or that cannot be made."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{out} is there already: --out names a new folder")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.absolute().parent} to write it into")


def check_not_quantised(model: str) -> None:
    """Raises `UsageError` for a checkpoint whose weights are rounded already."""
    from sightline.checkpoint.hub import resolve
    from sightline.files import read_checkpoint_json

    path = resolve(model)
    config = (path if path.is_dir() else path.parent) / "config.json"
    quantised = read_checkpoint_json(config).get("quantization_config") if config.is_file() else None
    if quantised:
        method = quantised.get("quant_method", "") if isinstance(quantised, dict) else ""
        raise UsageError(
            f"{model}: its weights are quantised already ({method or 'quantization_config in its config.json'}): name "
            "the checkpoint that it was made of"
        )


class _Pictures:
    """The images of the files; those that cannot be read are told and left out."""

    def __init__(self, files: list[Path], short_side: int) -> None:
        self.files, self.short_side, self.count = files, short_side, 0

    def __iter__(self) -> "Iterator[Image.Image]":
        from sightline.processing.image.reading import open_image

        for file in self.files:
            try:
                picture = open_image(file, short_side=self.short_side)
            except ImageError as error:
                print(one_line(f"left out: {error}"), file=sys.stderr)
                continue
            self.count += 1
            yield picture


def _images(folders: list[str]) -> list[Path]:
    from sightline.processing.suffixes import is_image

    if not folders:
        raise UsageError("--to int8 measures on images: give a folder of some that are like yours, --calibrate DIR")
    found: list[Path] = []
    for name in folders:
        folder = Path(name)
        if not folder.is_dir():
            raise UsageError(f"--calibrate {name}: there is no such folder of images")
        inside = sorted(file for file in folder.rglob("*") if is_image(file) and file.is_file())
        if not inside:
            raise UsageError(f"--calibrate {name}: there are no images in it")
        found += inside
    if len(found) > IMAGES:
        print(one_line(f"of {len(found)} images {IMAGES} are taken, evenly spread"), file=sys.stderr)
        found = [found[i * len(found) // IMAGES] for i in range(IMAGES)]
    return found


def _lines(file: Path) -> list[str]:
    from sightline.data.left_out import LeftOut
    from sightline.data.texts import read_text

    lines = [line for line in map(str.strip, read_text(file, LeftOut()).splitlines()) if line]
    if not lines:
        raise UsageError(f"--texts {file}: there are no texts in it, one on each line")
    if len(lines) > TEXTS:
        print(one_line(f"of {len(lines)} texts the first {TEXTS} are taken"), file=sys.stderr)
    return lines[:TEXTS]
