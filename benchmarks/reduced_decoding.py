"""What decoding large JPEGs at a reduced scale saves, and what it costs in likeness.

python benchmarks/reduced_decoding.py PHOTOS CHECKPOINT [--mosaics 64]

4032 x 3024 mosaics of the photos, on one core: decoding and resizing at the reduced scale against decoding all, and the
cosines between both paths' vectors by CHECKPOINT in float32.
"""

import argparse
import random
import tempfile
from pathlib import Path

from encode_images import mosaics
from measure import in_turn, ratio, report

import sightline
from sightline.processing.image.reading import open_image


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("--mosaics", type=int, default=64)
    given = parser.parse_args()
    photos = sorted(given.photos.glob("*.jpg"))
    random.Random(0).shuffle(photos)
    encoder = sightline.load(given.checkpoint, precision="float32")
    with tempfile.TemporaryDirectory() as scratch:
        files = list(mosaics(photos[: given.mosaics], photos, Path(scratch)))
        taken = in_turn(
            {
                "reduced": lambda file: encoder.profile.resize_and_crop(open_image(file, short_side=encoder.size_hint)),
                "whole": lambda file: encoder.profile.resize_and_crop(open_image(file)),
            },
            files[:24],
        )
        cosines = (encoder.encode_images(files) * encoder.encode_images(files, exact=True)).sum(axis=1)
    figures = {
        "mosaics": len(files),
        "whole against reduced": ratio(taken, "whole", "reduced"),
        "share of the time": 1 / ratio(taken, "whole", "reduced"),
        "cosine to the exact path: mean": float(cosines.mean()),
        "cosine to the exact path: min": float(cosines.min()),
    }
    report(__file__, figures)


if __name__ == "__main__":
    main()
