"""How X-CLIP's cost grows with the number of frames, and what the second step of a search costs.

python benchmarks/video_frames.py [--rounds 4] [--mini]

The public base configuration (B/32, 224 pixels) with random weights, at 8, 16 and 32 frames. Frames lie in memory.
Four videos, in the encoder's batches, one on each core; the peer takes all cores for the four. The second step: 100
videos scored for one text, from the rows that exact scores need, in half precision.
"""

import argparse
import tempfile
from functools import partial
from operator import methodcaller
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers
from families import products, spread
from measure import config_of, in_turn, ratio, report
from torch import Tensor

from sightline import XCLIPConfig, XCLIPModel
from sightline.encoder.engines.engine import ROWS
from sightline.encoder.pipeline import batches
from sightline.models.tower import Tower
from sightline.models.xclip.prompts import XCLIPRescorer
from sightline.models.xclip.vision import XCLIPVideoTower

FRAMES = (8, 16, 32)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
VIDEOS, SCORED = 4, 100


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--mini", action="store_true", help="models of the packaged ones' size, to try the program")
    given = parser.parse_args()
    config = config_of(transformers.XCLIPConfig, given.mini)
    side = config.vision_config.image_size
    with tempfile.TemporaryDirectory() as folder:
        found = frames(Path(folder), config, given.rounds)
        report(__file__, found | second_step(Path(folder) / str(FRAMES[0]), side))


def frames(folder: Path, config: transformers.XCLIPConfig, rounds: int) -> dict[str, Any]:
    candidates, flops, parameters = {}, {}, {}
    side = config.vision_config.image_size
    for count in FRAMES:
        here = folder / str(count)
        config.vision_config.num_frames = count
        XCLIPModel(XCLIPConfig.from_dict(config.to_dict())).save_pretrained(here)
        for name, dtype in DTYPES.items():
            tower = XCLIPVideoTower.for_encoding(here, dtype)
            candidates[f"ours, {name}, {count}"] = partial(ours, tower, dtype, count)
        reference = transformers.XCLIPModel.from_pretrained(here).eval()
        candidates[f"transformers, {count}"] = partial(theirs, reference, count)
        pixels = torch.empty(1, count, 3, side, side, device="meta")
        flops[count] = products(here, methodcaller("get_video_features", pixels))
        parameters[count] = tower.num_parameters()
    taken = in_turn(candidates, [torch.randn(VIDEOS, max(FRAMES), 3, side, side) for _ in range(rounds + 1)])
    rows: dict[str, Any] = {f"seconds for the videos: {name}": median(times) for name, times in taken.items()}
    for count in FRAMES:
        for who in ("ours, float32", "ours, bfloat16", "transformers"):
            rows[f"{count} frames against {FRAMES[0]}, {who}"] = ratio(taken, f"{who}, {count}", f"{who}, {FRAMES[0]}")
        for who in ("ours, float32", "ours, bfloat16"):
            rows[f"{count} frames, {who} against transformers"] = ratio(
                taken, f"transformers, {count}", f"{who}, {count}"
            )
        rows[f"{count} frames against {FRAMES[0]}, products"] = flops[count] / flops[FRAMES[0]]
        rows[f"{count} frames, parameters"] = parameters[count]
    return rows


def ours(tower: Tower, dtype: torch.dtype, count: int, videos: Tensor) -> Tensor:
    config: Any = tower.config
    groups = list(batches(range(VIDEOS), max(1, ROWS // config.image_rows)))
    return spread(lambda rows: tower.embed(videos[rows, :count].to(dtype)), groups)


def theirs(model: Any, count: int, videos: Tensor) -> Tensor:
    with torch.inference_mode():
        found: Tensor = model.get_video_features(videos[:, :count]).pooler_output
        return found


def second_step(folder: Path, side: int) -> dict[str, Any]:
    tower, rescorer = XCLIPVideoTower.for_encoding(folder, torch.bfloat16), XCLIPRescorer.from_pretrained(folder)
    pixels = torch.randn(1, FRAMES[0], 3, side, side).bfloat16()
    with torch.inference_mode():
        vectors, rows = tower.embed_with_extras(pixels)
        text = torch.randn(1, vectors.shape[-1])
        kept = vectors.half().repeat(SCORED, 1), rows.half().repeat(SCORED, 1, 1)
        candidates = {
            "embed": lambda _: tower.embed(pixels),
            "embed with rows": lambda _: tower.embed_with_extras(pixels),
            "score": lambda _: rescorer(text, *kept),
        }
        taken = in_turn(candidates, range(12))
    return {
        "a video's rows for exact scores in bytes": rows.half().nbytes,
        "a video with its rows against without, bfloat16": ratio(taken, "embed with rows", "embed"),
        f"{SCORED} videos scored for a text, against one video embedded": ratio(taken, "score", "embed"),
    }


if __name__ == "__main__":
    main()
