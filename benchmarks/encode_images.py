"""A folder of pictures to vectors, end to end: ours against `transformers` as its README uses it.

python benchmarks/encode_images.py PHOTOS [--mosaics] [--rounds 5] [--mini]

A ViT-B/32 with random weights, the peer in batches of 32, float32 and bfloat16. `--mosaics`: 12-megapixel JPEGs made of
the photos. Each round has pictures of its own. The limit: decoding and resizing on all cores, then the tower's products
at the speed of the best shape.
"""

import argparse
import os
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from measure import block_shapes, image_products, in_turn, product_peak, random_clip, ratio, report, seconds
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

import sightline
from sightline.processing.image.reading import open_image

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--mosaics", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mini", action="store_true", help="models of the packaged ones' size, to try the program")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        config = random_clip(model, given.mini)
        photos = sorted(given.photos.glob("*.jpg"))
        random.Random(0).shuffle(photos)
        size = BATCH if given.mosaics else 2 * BATCH
        sets = [[photos[(turn * size + i) % len(photos)] for i in range(size)] for turn in range(given.rounds + 1)]
        if given.mosaics:
            sets = [list(mosaics(files, photos, Path(scratch))) for files in sets]
        report(__file__.replace(".py", "_mosaics.py") if given.mosaics else __file__, measure(model, config, sets))


def mosaics(files: list[Path], photos: list[Path], scratch: Path) -> Iterator[Path]:
    """For each file a JPEG of 4032 x 3024 pixels with that photo and those that follow it, at their own size."""
    for file in files:
        mosaic = Image.new("RGB", (4032, 3024))
        others = islice(cycle(photos), photos.index(file), None)
        for top in range(0, 3024, 426):
            for left in range(0, 4032, 426):
                mosaic.paste(Image.open(next(others)).convert("RGB"), (left, top))
        mosaic.save(scratch / file.name, quality=90)
        yield scratch / file.name


def measure(model: Path, config: CLIPConfig, sets: list[list[Path]]) -> dict[str, Any]:
    ours = {name: sightline.load(model, precision=name) for name in ("float32", "bfloat16")}
    cosines: list[float] = []

    def compare(outputs: dict[str, Any]) -> None:
        cosines.extend((outputs["ours, float32"] * outputs["transformers, float32"]).sum(axis=1))

    taken = in_turn(
        {f"ours, {name}": encoder.encode_images for name, encoder in ours.items()}
        | {f"transformers, {name}": peer(model, getattr(torch, name)) for name in ours},
        sets,
        compare,
    )
    size = len(sets[0])
    rows: dict[str, Any] = {f"pictures a second, {name}": size / median(times) for name, times in taken.items()}
    fast = "ours, bfloat16"
    for slow in list(taken)[2:]:
        rows[f"{fast} against {slow}"] = ratio(taken, slow, fast)
    rows["ours, float32 against transformers, float32"] = ratio(taken, "transformers, float32", "ours, float32")
    rows["cosine to transformers, float32: mean"] = float(np.mean(cosines))
    rows["cosine to transformers, float32: min"] = float(np.min(cosines))
    profile = ours["float32"].profile
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def prepare() -> None:
            side = profile.size_hint
            list(pool.map(lambda file: profile.resize_and_crop(open_image(file, short_side=side)), sets[-1]))

        rows["limit, decoding and resizing: pictures a second"] = size / median(seconds(prepare) for _ in range(5))
    vision = config.vision_config
    tokens = (vision.image_size // vision.patch_size) ** 2 + 1
    peak = product_peak(block_shapes(tokens * BATCH, vision), torch.bfloat16)
    rows["limit, products in bfloat16: GFLOP/s"] = peak / 1e9
    rows["limit, products: pictures a second"] = peak / (2 * image_products(config))
    limit = 1 / sum(1 / rows[f"limit, {part}: pictures a second"] for part in ("decoding and resizing", "products"))
    rows[f"share of the limit, {fast}"] = rows[f"pictures a second, {fast}"] / limit
    return rows


def peer(model: Path, dtype: torch.dtype) -> Any:
    reference = CLIPModel.from_pretrained(model, dtype=dtype).eval()
    processor = CLIPImageProcessor.from_pretrained(model)

    def encode(files: list[Path]) -> Any:
        found = []
        for start in range(0, len(files), BATCH):
            images = [Image.open(file) for file in files[start : start + BATCH]]
            inputs = processor(images=images, return_tensors="pt")
            with torch.inference_mode():
                out = reference.get_image_features(inputs["pixel_values"].to(dtype))
            found.append(torch.nn.functional.normalize(out.pooler_output.float(), dim=-1).numpy())
        return np.concatenate(found)

    return encode


if __name__ == "__main__":
    main()
