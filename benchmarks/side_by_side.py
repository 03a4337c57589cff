"""The four families at their public base sizes, beside one another: size, speed, memory; X-CLIP by its frames.

python benchmarks/side_by_side.py [--inputs 16] [--rounds 5] [--families clip ...] [--frames 16 32] [--mini]

Weights are random, towers are opened as the encoder opens them (bfloat16 where the machine has it), inputs lie ready.
Speeds are ratios to CLIP's in the same run. Memory is that of a process of its own that opens one tower and embeds: its
peak above what importing takes.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measure import MINI, in_turn, ratio, report
from torch import Tensor

from sightline.checkpoint.names import PACKAGED
from sightline.encoder.engines.engine import ROWS
from sightline.encoder.hardware import cores, one_core_threads, pick_dtype
from sightline.encoder.pipeline import batches, ordered_map
from sightline.files import write_json
from sightline.models import FAMILIES, family_of
from sightline.models.tower import Tower

DTYPE = pick_dtype("auto", torch.device("cpu"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--families", nargs="+", choices=MINI, default=list(MINI), help="CLIP is always among them")
    parser.add_argument("--frames", nargs="*", type=int, default=[16, 32], help="of X-CLIP, beside those of its config")
    parser.add_argument("--mini", action="store_true", help="models of the packaged ones' size, to try the program")
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory:
        return memory(given.memory, given.inputs)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folders = {}
        families = ["clip", *(model_type for model_type in given.families if model_type != "clip")]
        for model_type in families:
            config = config_of(model_type, given.mini)
            folders[model_type] = save(Path(name) / model_type, config)
            with torch.device("meta"):
                model = FAMILIES[model_type].model(config)
            figures[f"{model_type}, million parameters"] = model.num_parameters() / 1e6
        for frames in given.frames:
            config = config_of("xclip", given.mini)
            config.vision_config.num_frames = frames
            folders[f"xclip, {frames} frames"] = save(Path(name) / f"xclip{frames}", config)
        towers = {key: family_of(folder).image.for_encoding(folder, DTYPE) for key, folder in folders.items()}
        images = {key: inputs(folder, given.inputs) for key, folder in folders.items()}
        work = {
            key: partial(repeated, partial(embed, batch(folders[key])), tower, images[key])
            for key, tower in towers.items()
        }
        taken = in_turn(work, range(given.rounds + 1))
        for key in images:
            figures[f"{key}, an image's (video's) time against CLIP's"] = ratio(taken, key, "clip")
            figures[f"{key}, vectors a second"] = given.inputs / sorted(taken[key])[len(taken[key]) // 2]
        texts = {key: family_of(folders[key]).text.for_encoding(folders[key], DTYPE) for key in families}
        ids = torch.randint(1, 9, (given.inputs, 16))
        work = {key: partial(repeated, embed_words, tower, ids) for key, tower in texts.items()}
        taken = in_turn(work, range(4 * given.rounds + 1))
        for key in texts:
            figures[f"{key}, a text's time against CLIP's"] = ratio(taken, key, "clip")
        for key, folder in folders.items():
            command = [sys.executable, __file__, "--memory", str(folder), "--inputs", str(given.inputs)]
            figures[f"{key}, MB above importing"] = float(subprocess.check_output(command))
    report(__file__, figures)


def config_of(model_type: str, mini: bool) -> Any:
    config = FAMILIES[model_type].config
    return config.from_folder(PACKAGED / MINI[model_type]) if mini else config()


def save(folder: Path, config: Any) -> Path:
    FAMILIES[config.model_type].model(config).eval().save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", {})
    return folder


def batch(folder: Path) -> int:
    return max(1, ROWS // int(family_of(folder).config.from_folder(folder).image_rows))


def inputs(folder: Path, count: int) -> Tensor:
    config = family_of(folder).config.from_folder(folder)
    side = config.vision_config.image_size
    side = 289 if config.model_type == "align" and side > 289 else side  # align-base's processor crops to 289
    frames = (config.frames,) if config.frames > 1 else ()
    return torch.randn(count, *frames, 3, side, side).to(DTYPE)


def repeated(work: Callable[[Tower, Tensor], None], tower: Tower, given: Tensor, turn: int) -> None:
    work(tower, given)


def embed(size: int, tower: Tower, pixels: Tensor) -> None:
    """A batch on each core, as the encoder does it."""

    def work(rows: list[int]) -> Tensor:
        with torch.inference_mode():
            return tower.embed(pixels[rows])

    groups = list(batches(range(len(pixels)), size))
    list(ordered_map(work, groups, one_core_threads(cores()), cores() + 1))


def embed_words(tower: Tower, ids: Tensor) -> None:
    with torch.inference_mode():
        tower.embed(ids, torch.ones_like(ids))


def memory(folder: Path, count: int) -> None:
    before = peak()
    tower = family_of(folder).image.for_encoding(folder, DTYPE)
    embed(batch(folder), tower, inputs(folder, count))
    print(peak() - before)


def peak() -> float:
    """This process's highest memory so far in MB; `getrusage` would count what its parent had."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


if __name__ == "__main__":
    main()
