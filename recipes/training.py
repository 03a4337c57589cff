"""What the recipes of the packaged models share: drawn scenes, batches of them, the training loop, files, evaluation.

Every scene is a function of its number, and drawn once: the recipes share the cache of pictures. The same seed on the
same kind of machine gives the same weights.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

import sightline
from sightline import scenes
from sightline.files import replacing
from sightline.metrics import ranks, recall_at
from sightline.models.pretrained import PretrainedModel

CACHE = Path.home() / ".cache/sightline"
SEED = 7
SCENES = 60_000
FEW = 500  # drawings that are not worth starting processes
SIZE = 64  # pixels
BATCH = 256
DECAY = 0.1
# CLIP's image processor, for these pictures in -1..1.
CLIP_PIXELS = {
    "image_processor_type": "CLIPImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": SIZE},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": SIZE, "width": SIZE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


@dataclass(frozen=True)
class Stage:
    """`kinds` of batches in turn, chosen of so many `scenes`."""

    steps: int
    warmup_steps: int
    lr: float
    kinds: tuple[str, ...] = ("any", "alike")
    seed: int = SEED
    batch_size: int = BATCH
    scenes: int = SCENES


S = TypeVar("S", bound=Stage)


def arguments(about: str | None, tasks: Iterable[str]) -> argparse.ArgumentParser:
    """The command line of a recipe: a task, a folder, and what makes a run short, to try the recipe."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=list(tasks))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=CACHE, help="what was drawn is kept here")
    for name in ("steps", "batch-size", "scenes"):
        parser.add_argument(f"--{name}", type=int, help="in place of each stage's own number")
    parser.add_argument("--tests", type=int, help="scenes or films that are evaluated, in place of the recipe's number")
    return parser


def as_asked(stage: S, given: argparse.Namespace) -> S:
    """The stage with the numbers of the command line."""
    numbers = {name: getattr(given, name) for name in ("steps", "batch_size", "scenes")}
    return replace(stage, **{name: number for name, number in numbers.items() if number is not None})


@dataclass(frozen=True)
class Batch:
    """Of one kind: pixels (B, 3, SIZE, SIZE) in -1..1; ids (B, the longest text's length).

    `rows` (B,): the scenes' numbers; `complete` (B,): whether the text says all that there is to see.
    """

    kind: str
    pixels: torch.Tensor
    ids: torch.Tensor
    rows: torch.Tensor
    complete: torch.Tensor


# --- data


def scene(index: int) -> scenes.Scene:
    return scenes.sample(SEED, index)


def draw_image(index: int) -> np.ndarray:
    return np.asarray(scene(index).draw(SIZE))


def drawn(file: Path, draw: Callable[[int], np.ndarray], numbers: range) -> np.ndarray:
    """`draw(number)` of every number, stacked; from `file` where it has been drawn before."""
    if not file.exists():
        arrays = list(map(draw, numbers)) if len(numbers) <= FEW else in_processes(draw, numbers)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, temporary.open("wb") as out:
            np.save(out, np.stack(arrays))
    found: np.ndarray = np.load(file, mmap_mode="r")
    return found


def in_processes(draw: Callable[[int], np.ndarray], numbers: range) -> list[np.ndarray]:
    """`draw(number)` of every number, on all cores."""
    arrays = []
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for i, array in enumerate(pool.map(draw, numbers, chunksize=100)):
            arrays.append(array)
            if i % 1000 == 999:
                print(f"\rdrawing: {i + 1:,} of {len(numbers):,}", end="", flush=True)
    print()
    return arrays


def draw_images(cache: Path, count: int) -> np.ndarray:
    """The training scenes: uint8 (count, SIZE, SIZE, 3)."""
    return drawn(cache / f"mini-{SEED}-0-{count}.npy", draw_image, range(count))


def varied(drawn: np.ndarray, rng: np.random.Generator, frames: int = 1) -> torch.Tensor:
    """uint8 (B, SIZE, SIZE, 3) to (B, 3, SIZE, SIZE) in -1..1, shifted a few pixels and differently exposed.

    So many `frames` in a row are of one film, and exposed alike. No mirror: left is not right.
    """
    pixels = torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 255
    dy, dx = rng.integers(0, 5, 2)
    pixels = nn.functional.pad(pixels, (2, 2, 2, 2), mode="replicate")[:, :, dy : dy + SIZE, dx : dx + SIZE]
    gain = torch.from_numpy(rng.uniform(0.9, 1.1, (len(drawn) // frames, 3, 1, 1)).astype(np.float32))
    gain = gain.repeat_interleave(frames, dim=0)
    return (pixels * gain).clamp(0, 1) * 2 - 1


def padded(texts: Sequence[Sequence[int]], pad: int) -> torch.Tensor:
    """(B, length of the longest)."""
    ids = torch.full((len(texts), max(map(len, texts))), pad)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = torch.tensor(text)
    return ids


class Batches:
    """Endless batches, their kinds in turn: of "any" scenes, of scenes "alike" in background and light.

    Where scenes are alike, captions are complete, as only the things tell them apart; else every second one is.
    """

    def __init__(self, stage: Stage, tokenizer: Tokenizer, pad: int, cache: Path) -> None:
        self.kinds, self.batch, self.scenes, self.pad = stage.kinds, stage.batch_size, stage.scenes, pad
        self.images = draw_images(cache, self.scenes)
        described = [scene(i) for i in range(self.scenes)]
        self.texts = [[e.ids for e in tokenizer.encode_batch(list(one.captions))] for one in described]
        settings = np.array([f"{one.background} {one.light}" for one in described])
        pools = [np.flatnonzero(settings == setting) for setting in np.unique(settings)]
        self.pools = [pool for pool in pools if len(pool) >= self.batch]
        self.rng = np.random.default_rng(stage.seed)

    def choose(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of scenes (B,) and their pictures, uint8."""
        pool = self.pools[self.rng.integers(len(self.pools))] if kind == "alike" else self.scenes
        rows = np.sort(self.rng.choice(pool, self.batch, replace=False))
        return rows, self.images[rows]

    def text(self, row: int, kind: str, whole: bool) -> list[int]:
        """One of the scene's captions; the first four are complete."""
        texts = self.texts[row]
        return texts[self.rng.integers(4) if whole else self.rng.integers(4, len(texts))]

    def __call__(self, step: int) -> Batch:
        kind = self.kinds[step % len(self.kinds)]
        rows, drawn = self.choose(kind)
        pixels = varied(drawn, self.rng)
        complete = self.rng.random(self.batch) < (1.0 if kind == "alike" else 0.5)
        texts = [self.text(row, kind, whole) for row, whole in zip(rows, complete, strict=True)]
        return Batch(kind, pixels, padded(texts, self.pad), torch.from_numpy(rows), torch.from_numpy(complete))


# --- training


def learning_rate(step: int, stage: Stage) -> float:
    """Warm-up, then half a cosine."""
    return stage.lr * min(step / stage.warmup_steps, 0.5 * (1 + math.cos(math.pi * min(1, step / stage.steps))))


def fit(
    model: nn.Module,
    stage: Stage,
    losses: Callable[[int], tuple[torch.Tensor, dict[str, float]]],
    bound: Callable[[], object],
    undecayed: Iterable[nn.Parameter] = (),
) -> None:
    """All steps of a stage. `losses(step)`: the loss, and figures by name, whose running means are printed.

    `bound()` is called after each step, to hold a parameter within limits. `undecayed`: parameters beside the model's.
    """
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": DECAY}, {"params": [*others, *undecayed], "weight_decay": 0.0}],
        lr=stage.lr,
        betas=(0.9, 0.98),
        fused=True,
    )
    start = time.monotonic()
    means: dict[str, float] = {}
    for step in range(stage.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, stage)
        loss, figures = losses(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            bound()
        for name, value in figures.items():
            means[name] = means.get(name, value) + 0.1 * (value - means.get(name, value))
        if step % 20 == 19:
            spent = time.monotonic() - start
            said = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
            pace, left = (step + 1) * stage.batch_size / spent, spent / (step + 1) * (stage.steps - step - 1)
            print(f"step {step + 1} of {stage.steps}: {said}; {pace:.0f} pairs/s, {left / 60:.0f} min left", flush=True)


def save(
    model: PretrainedModel,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    words: dict[str, object],
    pixels: dict[str, object],
) -> None:
    """Hugging Face layout, weights in float16. `words`, `pixels`: the settings of tokenizer and image processor."""
    half = type(model)(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(words, indent=2) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels, indent=2) + "\n")


# --- evaluation: scenes that training never drew, 1,000 of them if no other number is asked for, half of them with a
# held-out pair of shape and color


def evaluate(folder: Path, count: int | None) -> None:
    tests = scenes.distinct(count or 1_000, seed=1)
    held_out = np.array([any((t.shape, t.color) in scenes.HELD_OUT for t in one.things) for one in tests])
    encoder = sightline.load(folder, precision="float32")
    images = encoder.encode_images([one.draw(224) for one in tests])
    texts = encoder.encode_text([one.caption for one in tests])
    answers = list(range(len(tests)))
    t2i, i2t = ranks(texts @ images.T, answers), ranks(images @ texts.T, answers)
    for name, r in (("text to image", t2i), ("image to text", i2t)):
        print(f"{name}: R@1 {recall_at(r, 1):.1%}, R@5 {recall_at(r, 5):.1%}; ", end="")
        print(f"R@1 with held-out pairs {recall_at(r[held_out], 1):.1%} of {held_out.sum()}, ", end="")
        print(f"without {recall_at(r[~held_out], 1):.1%}")
    hits = []
    for shape in scenes.SHAPES:
        for color in scenes.COLORS:
            right = np.array([any((t.shape, t.color) == (shape, color) for t in one.things) for one in tests])
            if right.sum() >= 5:
                query = encoder.encode_text([f"a {color} {shape}"])[0]
                hits.append(right[np.argsort(-(images @ query))[:5]].mean())
    print(f'"a red circle" and {len(hits) - 1} such queries: precision of the first five {np.mean(hits):.1%}')
    # One word exchanged for all its alternatives: does the right one win? For scenes of one thing.
    words = {"shape": scenes.SHAPES, "color": scenes.COLORS, "texture": scenes.TEXTURES, "size": scenes.SIZES}
    single = [i for i, one in enumerate(tests) if len(one.things) == 1]
    for part, options in words.items():
        right_ones = []
        for i in single:
            thing = tests[i].things[0]
            others: list[Any] = [{part: option} for option in options]
            choices = [replace(tests[i], things=(replace(thing, **other),)).caption for other in others]
            scores = encoder.encode_text(choices) @ images[i]
            right_ones.append(list(options)[int(scores.argmax())] == getattr(thing, part))
        print(f"the right {part} of {len(options)}, in the full caption of a scene with one thing: ", end="")
        print(f"{np.mean(right_ones):.1%} of {len(single)}")
