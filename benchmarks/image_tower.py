"""How much of the machine's matrix products the image tower gets, and how long one picture and one query take.

python benchmarks/image_tower.py PHOTOS VOCABULARY [--rounds 23] [--mini]

A ViT-B/32 with random weights, in bfloat16. The share: the products that a vector needs by the time of batches run
as the encoder runs them, one on each core, against the best of the own shapes of the tower, on each core and on all at
once. One picture (a file) and one query (words), warm, are compared with `transformers` in its best setting.
"""

import argparse
import random
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from encode_images import peer as peer_images
from encode_texts import peer as peer_texts
from measure import block_shapes, image_products, in_turn, product_peak, random_clip, ratio, report, seconds
from transformers import CLIPConfig

import sightline
from sightline.encoder.hardware import one_core_threads


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--rounds", type=int, default=23)
    parser.add_argument("--mini", action="store_true", help="models of the packaged ones' size, to try the program")
    given = parser.parse_args()
    files = sorted(given.photos.glob("*.jpg"))
    random.Random(0).shuffle(files)
    with tempfile.TemporaryDirectory() as folder:
        config = random_clip(Path(folder), given.mini, given.vocabulary)
        report(__file__, share(Path(folder), config) | one(Path(folder), files, given.rounds + 1))


def share(model: Path, config: CLIPConfig) -> dict[str, Any]:
    tower = sightline.CLIPVisionModelWithProjection.from_pretrained(model, dtype=torch.bfloat16)
    cores = torch.get_num_threads()
    batch = sightline.load(model).batch
    vision = config.vision_config
    rows = batch * ((vision.image_size // vision.patch_size) ** 2 + 1)
    shapes = block_shapes(rows, vision)
    products, width = image_products(config), vision.hidden_size
    # Multiplications of the last block that only the other tokens' outcomes would need.
    last = (vision.image_size // vision.patch_size) ** 2 * (2 * width * width + 2 * width * vision.intermediate_size)

    def run() -> float:
        pixels = torch.randn(batch, 3, vision.image_size, vision.image_size).bfloat16()
        with torch.inference_mode():
            tower.embed(pixels)
            return median(seconds(partial(tower.embed, pixels)) for _ in range(9))

    figures: list[dict[str, float]] = []
    for _ in range(3):
        peak = max(
            product_peak(shapes, torch.bfloat16), sum(on_each(cores, partial(product_peak, shapes, torch.bfloat16)))
        )
        rate = sum(batch / taken for taken in on_each(cores, run))
        whole, needed = (2 * count * rate / peak for count in (products, products - last))
        figures.append({"peak": peak, "whole": whole, "needed": needed})
    return {
        "limit, products in bfloat16: GFLOP/s": median(f["peak"] for f in figures) / 1e9,
        "share of it, counting the products of the architecture": median(f["whole"] for f in figures),
        "share of it, counting those that are computed": median(f["needed"] for f in figures),
    }


def on_each(cores: int, work: Callable[[], float]) -> list[float]:
    """The work on each core at the same time."""
    with one_core_threads(cores) as pool:
        return [future.result() for future in [pool.submit(work) for _ in range(cores)]]


def alone(encode: Callable[[list[Any]], Any], item: Any) -> Any:
    return encode([item])


def one(model: Path, files: list[Path], count: int) -> dict[str, Any]:
    texts = [
        f"{i} dogs run over {what} grass" for i in range(8) for what in ("green", "tall", "wet", "the neighbour's")
    ]
    found: dict[str, Any] = {}
    kinds = (("picture", files, peer_images), ("query", texts, partial(peer_texts, padding=True)))
    for what, inputs, peer in kinds:
        candidates: dict[str, Callable[[Any], Any]] = {}
        for dtype in ("float32", "bfloat16"):
            encoder = sightline.load(model, precision=dtype)
            encode = encoder.encode_images if what == "picture" else encoder.encode_text
            candidates[f"ours, {dtype}"] = partial(alone, encode)
            candidates[f"transformers, {dtype}"] = partial(alone, peer(model, getattr(torch, dtype)))
        taken = in_turn(candidates, inputs[:count])
        best = min(("transformers, float32", "transformers, bfloat16"), key=lambda name: median(taken[name]))
        found[f"one {what}, ours, bfloat16 against {best}"] = ratio(taken, best, "ours, bfloat16")
        found[f"one {what}, ours, float32 against transformers, float32"] = ratio(
            taken, "transformers, float32", "ours, float32"
        )
    return found


if __name__ == "__main__":
    main()
