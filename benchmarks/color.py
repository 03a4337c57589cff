"""Whether colors survive: HDR films against the same film in SDR, photos with profiles against the same in sRGB.

python benchmarks/color.py PHOTOS CHECKPOINT [--photos 40]

The photos are written as HDR10 and HLG films (BT.2020, white at 203 nits) and as JPEGs in ProPhoto, Adobe RGB and
Display P3 with the profile inside; the cosines are those of CHECKPOINT's vectors. Then the times, on one core: frames
of HDR film against frames of SDR of the same size and codec, and JPEGs without a profile, with sRGB's and with
Adobe RGB's.
"""

import argparse
import io
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import in_turn, ratio, report
from PIL import Image, ImageCms

import sightline
from sightline.encoder import Encoder
from sightline.processing.image.reading import open_image
from sightline.processing.video.sampling import frames_at

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.colors import ADOBE, CODES, DISPLAY_P3, PROPHOTO, tagged_film

FILMS: dict[str, dict[str, Any]] = {
    "sdr": {"bits": 8},
    "hdr10": {"primaries": 9, "transfer": CODES["pq"], "matrix": 9},
    "hlg": {"primaries": 9, "transfer": CODES["hlg"], "matrix": 9},
}
PROFILES = {"prophoto": PROPHOTO, "adobe rgb": ADOBE, "display p3": DISPLAY_P3}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("--photos", type=int, default=40, dest="count")
    given = parser.parse_args()
    files = sorted(given.photos.rglob("*.jpg"))
    random.Random(0).shuffle(files)
    files = files[: given.count]
    encoder = sightline.load(given.checkpoint, precision="float32")
    with tempfile.TemporaryDirectory() as scratch:
        figures = films(encoder, files, Path(scratch)) | profiles(encoder, files, Path(scratch)) | times(Path(scratch))
        figures |= profile_times(files)
    report(__file__, {"photos": len(files)} | figures)


def films(encoder: Encoder, files: list[Path], folder: Path) -> dict[str, float]:
    vectors = {}
    for name, how in FILMS.items():
        written = [
            tagged_film(folder / f"{name}{i}.mp4", even(Image.open(file)), **how) for i, file in enumerate(files)
        ]
        vectors[name] = encoder.encode_videos(written)
    return cosines(vectors, "sdr")


def profiles(encoder: Encoder, files: list[Path], folder: Path) -> dict[str, float]:
    vectors = {"srgb": encoder.encode_images([open_image(file) for file in files])}
    for name, profile in PROFILES.items():
        vectors[name] = encoder.encode_images([stored(open_image(file), profile) for file in files])
    return cosines(vectors, "srgb")


def cosines(vectors: dict[str, Any], reference: str) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, rows in vectors.items():
        if name != reference:
            likeness = (rows * vectors[reference]).sum(axis=1)
            figures |= {f"{name}: mean": float(likeness.mean()), f"{name}: min": float(likeness.min())}
    return figures


def times(folder: Path) -> dict[str, float]:
    """Frames of 1280 x 720, each decoded from its keyframe and reduced for a model of 224 pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (18, 32, 3), np.uint8)
    picture = Image.fromarray(noise).resize((1280, 720), Image.Resampling.BICUBIC)
    hows = {name: FILMS[name] | {"bits": 10} for name in FILMS}
    written = {name: tagged_film(folder / f"time {name}.mp4", picture, **how) for name, how in hows.items()}
    candidates = {name: lambda second, film=film: frames_at(film, [second], 224) for name, film in written.items()}
    taken = in_turn(candidates, [0.0, 1.0, 2.0, 3.0, 4.0])
    return {f"{name}: time of SDR's": 1 / ratio(taken, "sdr", name) for name in ("hdr10", "hlg")}


def profile_times(files: list[Path]) -> dict[str, float]:
    files = files[:24]
    candidates = {}
    for name, profile in {"none": None, "srgb": SRGB.tobytes(), "adobe rgb": ADOBE}.items():
        data = [encoded(Image.open(file).resize((1600, 1200)), profile) for file in files]
        candidates[name] = lambda number, data=data: open_image(data[number], short_side=224)
    taken = in_turn(candidates, list(range(len(files))))
    return {f"profile {name}: time of none": 1 / ratio(taken, "none", name) for name in ("srgb", "adobe rgb")}


def even(picture: Image.Image) -> Image.Image:
    return picture.convert("RGB").resize((picture.width // 2 * 2, picture.height // 2 * 2))


def stored(picture: Image.Image, profile: bytes) -> bytes:
    """The file of the picture in the profile's space."""
    there = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(picture, SRGB, there, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC)
    assert converted is not None
    return encoded(converted, profile, 97)


def encoded(picture: Image.Image, profile: bytes | None, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=quality, subsampling=0, icc_profile=profile)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
