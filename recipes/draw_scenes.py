"""Draws scenes with their captions into a folder that `sightline train` and `sightline eval` take.

python recipes/draw_scenes.py FOLDER [--count 4000] [--seed 0] [--size 144]

Writes pictures/NNNNN.png and captions.jsonl. The same seed draws the same scenes; scenes of other seeds are others.
With --distinct no two captions are alike, as a test of retrieval wants it.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from rich.progress import track

from sightline import scenes
from sightline.files import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=144, help="pixels")
    parser.add_argument("--distinct", action="store_true")
    given = parser.parse_args()
    if given.distinct:
        chosen = scenes.distinct(given.count, seed=given.seed)
    else:
        chosen = [scenes.sample(given.seed, number) for number in range(given.count)]
    draw(chosen, given.folder, given.size)


def draw(chosen: list[scenes.Scene], folder: Path, size: int) -> None:
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    lines = []
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        drawn = pool.map(partial(save, size=size), *zip(*numbered(chosen, pictures), strict=True), chunksize=50)
        for name, one in zip(track(drawn, total=len(chosen), description="drawing"), chosen, strict=True):
            lines.append(json.dumps({"file": f"pictures/{name}", "captions": list(one.captions)}))
    write_text(folder / "captions.jsonl", "\n".join(lines) + "\n")


def numbered(chosen: list[scenes.Scene], folder: Path) -> list[tuple[scenes.Scene, Path]]:
    return [(one, folder / f"{number:05}.png") for number, one in enumerate(chosen)]


def save(scene: scenes.Scene, path: Path, size: int) -> str:
    scene.draw(size).save(path)
    return path.name


if __name__ == "__main__":
    main()
