"""A task, timed each time that a line comes in: `beside.py` asks for it in two checkouts in turn.

echo | python benchmarks/tasks.py TASK MODEL PHOTOS [--rows 500000] [--pairs 32]

TASK: images (32 files to vectors), texts (256 captions), search (16 queries, one by one, over `--rows` vectors), train
(a step of `--pairs` pairs), cold (`sightline search` as a whole process). MODEL: a CLIP's folder. PHOTOS: a folder of
JPEGs.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

WORDS = [
    "a",
    "red",
    "bicycle",
    "leans",
    "against",
    "the",
    "old",
    "wall",
    "of",
    "a",
    "small",
    "house",
    "near",
    "two",
    "trees",
    "and",
    "a",
    "dog",
]


def captions(count: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(5, 18))) for _ in range(count)]


def images(given: argparse.Namespace) -> Callable[[], Any]:
    import sightline

    encoder, files = sightline.load(given.model), sorted(given.photos.glob("*.jpg"))[:32]
    return lambda: encoder.encode_images(files)


def texts(given: argparse.Namespace) -> Callable[[], Any]:
    import sightline

    encoder, said = sightline.load(given.model), captions(256)
    return lambda: encoder.encode_text(said)


def search(given: argparse.Namespace) -> Callable[[], Any]:
    from sightline.index import Scan

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((given.rows, 512), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scan = Scan(np.arange(len(rows)), rows.astype(np.float16))
    queries = rng.standard_normal((16, 512), np.float32)
    return lambda: [scan.top(query, 10) for query in queries]


def train(given: argparse.Namespace) -> Callable[[], Any]:
    import torch

    import sightline
    from sightline.train.batch import Batch
    from sightline.train.parallel import Parallel
    from sightline.train.recipe import Recipe
    from sightline.train.trainer import Trainer

    clip = sightline.CLIPModel.from_pretrained(given.model, dtype="float32")
    recipe = Recipe(
        model=lambda: (clip, cast(Any, None)),
        data=lambda *_: cast(Any, None),
        steps=10_000,
        batch_size=given.pairs,
        warmup_steps=0,
    )
    trainer = Trainer(recipe, Path(tempfile.mkdtemp()) / "run", Parallel())
    random, side = torch.Generator().manual_seed(0), clip.config.vision_config.image_size
    pixels = torch.randn(given.pairs, 3, side, side, generator=random)
    ids = torch.randint(1, 800, (given.pairs, 16), generator=random)
    ids[:, -1] = clip.config.text_config.vocab_size - 1  # the end of a text
    batch = Batch(pixels, ids, torch.ones_like(ids), torch.arange(given.pairs))
    return lambda: trainer.step(0, batch)


def cold(given: argparse.Namespace) -> Callable[[], Any]:
    index = Path(tempfile.mkdtemp()) / "index"
    program = [sys.executable, "-m", "sightline"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
    subprocess.run([*program, "index", str(given.photos), "--model", str(given.model), "--index", str(index)], **quiet)
    return lambda: subprocess.run([*program, "search", "a red bicycle", "--index", str(index)], **quiet)


TASKS = {"images": images, "texts": texts, "search": search, "train": train, "cold": cold}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--pairs", type=int, default=32)
    given = parser.parse_args()
    work = TASKS[given.task](given)
    work()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
