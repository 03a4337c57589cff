"""A family's two towers at its public base size: ours against `transformers`, on inputs that lie in memory.

python benchmarks/families.py align [images] [texts] [--inputs 16] [--texts 96] [--rounds 5] [--mini]

Weights are random, with the statistics of batch norms taken from a first batch. Ours run as the encoder runs them:
texts sorted by length, batches of its size, one on each core. The peer takes all cores, texts as they come padded to
the longest of the batch, and that size of batch with which it was quickest in a first look. The limit: the products of
the architecture, as torch counts them, at the speed of the best shape of a BERT base.
"""

import argparse
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers
from measure import block_shapes, config_of, in_turn, product_peak, ratio, report, seconds
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.flop_counter import FlopCounterMode

from sightline.encoder.engines.engine import ROWS, TOKENS
from sightline.encoder.hardware import cores, one_core_threads
from sightline.encoder.pipeline import batches, ordered_map
from sightline.encoder.text_batches import for_threads
from sightline.models import family_of
from sightline.models.tower import Tower

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PEER_BATCHES = (1, 4, 16)


@dataclass
class Public:
    """A family's model: the reference's class, a config, one input's shape, the method that embeds it, the tower whose
    products are the limit."""

    model: Any
    config: Any
    shape: tuple[int, ...]
    features: str
    limit: Any


FAMILIES = {
    "align": (transformers.AlignModel, transformers.AlignConfig, "get_image_features"),
    "groupvit": (transformers.GroupViTModel, transformers.GroupViTConfig, "get_image_features"),
    "xclip": (transformers.XCLIPModel, transformers.XCLIPConfig, "get_video_features"),
}


def public(family: str, mini: bool) -> Public:
    """At the public base size, or at that of the packaged model."""
    model, kind, features = FAMILIES[family]
    config = config_of(kind, mini)
    vision = config.vision_config
    side = 289 if family == "align" and not mini else vision.image_size  # align-base's processor crops to 289
    frames = (vision.num_frames,) if family == "xclip" else ()
    limit = config.text_config if mini else transformers.BertConfig()
    return Public(model, config, (*frames, 3, side, side), features, limit)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("towers", nargs="*", default=["images", "texts"])
    parser.add_argument("--inputs", type=int, default=16)
    parser.add_argument("--texts", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mini", action="store_true", help="models of the packaged ones' size, to try the program")
    given = parser.parse_args()
    chosen = public(given.family, given.mini)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen.config.save_pretrained(folder)
        save(folder, chosen)
        figures: dict[str, Any] = {}
        if "images" in given.towers:
            figures |= images(folder, chosen, given.inputs, given.rounds)
        if "texts" in given.towers:
            figures |= texts(folder, chosen, given.texts, given.rounds)
    report(str(Path(__file__).with_stem("_".join(["families", given.family, *given.towers]))), figures)


def save(folder: Path, public: Public) -> None:
    """Random weights; one batch in training fills the running statistics."""
    family = family_of(folder)
    model: Any = family.model(family.config.from_folder(folder)).train()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the mean of all batches, of which there is one
    with torch.no_grad():
        getattr(model, public.features)(torch.randn(2, *public.shape))
    model.eval().save_pretrained(folder)


def images(folder: Path, public: Public, count: int, rounds: int) -> dict[str, Any]:
    def first(pixels: Tensor, model: Any) -> Any:
        return getattr(model, public.features)(pixels)

    size = max(1, ROWS // int(family_of(folder).config.from_folder(folder).image_rows))

    def ours(tower: Tower, dtype: torch.dtype, pixels: Tensor) -> Tensor:
        return spread(lambda rows: tower.embed(pixels[rows].to(dtype)), list(batches(range(count), size)))

    def theirs(model: Any, dtype: torch.dtype, size: int, pixels: Tensor) -> Tensor:
        return torch.cat([first(part, model).pooler_output for part in torch.split(pixels.to(dtype), size)])

    sets = [torch.randn(count, *public.shape) for _ in range(rounds + 1)]
    flops = products(folder, lambda model: first(torch.empty(1, *public.shape, device="meta"), model))
    return compare(folder, public, "inputs", family_of(folder).image, ours, theirs, sets, count, flops)


def texts(folder: Path, public: Public, count: int, rounds: int) -> dict[str, Any]:
    rng, most = random.Random(0), public.config.text_config.vocab_size

    def ids() -> list[list[int]]:
        lengths = [rng.randint(6, 20) for _ in range(count)]
        return [[*(rng.randrange(most // 50, most - 2) for _ in range(n - 1)), most - 1] for n in lengths]

    def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        longest = max(map(len, rows))
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows]), mask

    def ours(tower: Tower, dtype: torch.dtype, rows: list[list[int]]) -> Tensor:
        lengths = [len(row) for row in rows]
        groups = for_threads(lengths, TOKENS, cores())
        return spread(lambda group: tower.embed(*padded([rows[i] for i in group])), groups)

    def theirs(model: Any, dtype: torch.dtype, size: int, rows: list[list[int]]) -> Tensor:
        parts = [padded(rows[start : start + size]) for start in range(0, count, size)]
        return torch.cat([model.get_text_features(i, attention_mask=mask).pooler_output for i, mask in parts])

    sets = [ids() for _ in range(rounds + 1)]
    some, tokens = torch.ones(1, 16, dtype=torch.long, device="meta"), sum(map(len, sets[1])) / count
    flops = products(folder, lambda model: model.get_text_features(some)) * tokens / 16
    return compare(folder, public, "texts", family_of(folder).text, ours, theirs, sets, count, flops)


def spread(embed: Callable[[list[int]], Tensor], groups: list[list[int]]) -> Tensor:
    """Batches as the encoder computes them: one on each core; the rows in the order of their numbers."""

    def work(rows: list[int]) -> Tensor:
        with torch.inference_mode():
            return embed(rows)

    done = list(ordered_map(work, groups, one_core_threads(cores()), cores() + 1))
    found = torch.cat([vectors for _, vectors in done])
    return found[torch.tensor([row for rows, _ in done for row in rows]).argsort()]


def compare(
    folder: Path,
    public: Public,
    what: str,
    tower: type[Tower],
    ours: Callable[..., Tensor],
    theirs: Callable[..., Tensor],
    sets: list[Any],
    count: int,
    flops: float,
) -> dict[str, Any]:
    candidates: dict[str, Callable[[Any], Tensor]] = {}
    chosen = {}
    for name, dtype in DTYPES.items():
        candidates[f"ours, {name}"] = partial(ours, tower.for_encoding(folder, dtype), dtype)
        peer = public.model.from_pretrained(folder, dtype=dtype).eval()
        sizes = {size: partial(inferring(theirs), peer, dtype, size) for size in PEER_BATCHES if size <= count}
        # The first size, being tried before the machine is warm, is tried once more.
        looks = [(seconds(partial(sizes[size], sets[0])), size) for size in (*sizes, min(sizes))]
        chosen[name] = min(looks)[1]
        candidates[f"transformers, {name}"] = sizes[chosen[name]]
    cosines: dict[str, list[float]] = {"float32": [], "bfloat16": []}

    def check(outputs: dict[str, Tensor]) -> None:
        exact = normalize(outputs["transformers, float32"])
        for name in cosines:
            cosines[name].append(float((normalize(outputs[f"ours, {name}"].float()) * exact).sum(-1).min()))

    taken = in_turn(candidates, sets, check)
    rows: dict[str, Any] = {f"{what} a second, {name}": count / median(times) for name, times in taken.items()}
    for fast, slow in (("float32", "float32"), ("bfloat16", "bfloat16"), ("bfloat16", "float32")):
        found = ratio(taken, f"transformers, {slow}", f"ours, {fast}")
        rows[f"{what}, ours, {fast} against transformers, {slow}, batches of {chosen[slow]}"] = found
    for name, dtype in DTYPES.items():
        limit = product_peak(block_shapes(2048, public.limit), dtype) / flops
        rows[f"{what}, share of the limit, {name}"] = rows[f"{what} a second, ours, {name}"] / limit
        rows[f"{what}, least cosine to transformers in float32, {name}"] = float(np.min(cosines[name]))
    return rows


def inferring(work: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return torch.inference_mode()(work)


def products(folder: Path, work: Callable[[Any], Any]) -> int:
    """Floating-point operations of what `work` does with the model: two for each multiplication."""
    family = family_of(folder)
    with torch.device("meta"):
        model = family.model(family.config.from_folder(folder)).eval()
    with FlopCounterMode(display=False) as counter:
        work(model)
    return int(counter.get_total_flops())


if __name__ == "__main__":
    main()
