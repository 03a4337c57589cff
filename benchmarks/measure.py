"""What the benchmarks share: candidates in turn, medians and ratios, the machine's own limits, a report as JSON."""

import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from sightline.checkpoint.names import PACKAGED

MINI = {"clip": "mini", "align": "mini-align", "groupvit": "mini-groupvit", "xclip": "mini-xclip"}


def config_of(reference: Any, mini: bool) -> Any:
    """A config of the reference's class: the defaults, which are the public base size, or the packaged model's size."""
    return reference.from_pretrained(PACKAGED / MINI[reference.model_type]) if mini else reference()


def random_clip(
    folder: Path, mini: bool = False, vocabulary: Path | None = None, config: CLIPConfig | None = None
) -> CLIPConfig:
    """Writes a CLIP with random weights into the folder: by the config, or a ViT-B/32, or of the packaged model's size.

    `vocabulary` holds CLIP's `clip-vocab.json` and `clip-merges.txt`, for texts.
    """
    config = config or config_of(CLIPConfig, mini)
    config.text_config.max_position_embeddings = 77
    if vocabulary is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("vocab.json", "merges.txt"):
            shutil.copyfile(vocabulary / f"clip-{name}", folder / name)
        numbers = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        config.text_config.vocab_size = len(numbers)
        config.text_config.eos_token_id = numbers["<|endoftext|>"]
    CLIPModel(config).save_pretrained(folder)
    side = config.vision_config.image_size
    CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side}).save_pretrained(folder)
    return config


def block_shapes(rows: int, tower: Any) -> list[tuple[int, int, int]]:
    """The products (rows, in, out) of a block of a tower with this config."""
    width, hidden = tower.hidden_size, tower.intermediate_size
    return [(rows, width, 3 * width), (rows, width, width), (rows, width, hidden), (rows, hidden, width)]


def block_products(tower: Any) -> int:
    """Multiplications of weights in all blocks of a tower with this config, for one token."""
    width, hidden = tower.hidden_size, tower.intermediate_size
    products: int = tower.num_hidden_layers * (4 * width * width + 2 * width * hidden)
    return products


def image_products(config: CLIPConfig) -> int:
    """Multiplications of weights in the image tower for one image, by the book (ours leaves some out)."""
    vision = config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    outside = patches * 3 * vision.patch_size**2 * vision.hidden_size + vision.hidden_size * config.projection_dim
    products: int = (patches + 1) * block_products(vision) + outside
    return products


def seconds(work: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(
    candidates: Mapping[str, Callable[[Any], Any]],
    inputs: Iterable[Any],
    compare: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, list[float]]:
    """Each candidate on each input, one after another, the order turned round each time; the seconds that each took.

    The first input is a warm-up and does not count. `compare` sees the outputs of each round by name.
    """
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for turn, given in enumerate(inputs):
        outputs = {}
        for name in list(candidates) if turn % 2 else reversed(list(candidates)):
            start = time.perf_counter()
            outputs[name] = candidates[name](given)
            if turn:
                taken[name].append(time.perf_counter() - start)
        if compare is not None:
            compare(outputs)
    return taken


def ratio(taken: dict[str, list[float]], slow: str, fast: str) -> float:
    """How many times as long `slow` took: the median of the rounds' ratios, as the machine's speed drifts."""
    return statistics.median(a / b for a, b in zip(taken[slow], taken[fast], strict=True))


def product_peak(shapes: Iterable[tuple[int, int, int]], dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of some products (rows, in, out), each with a dozen weights in turn as in a tower."""
    best = 0.0
    for rows, width, out in shapes:
        x = torch.randn(rows, width).to(dtype)
        weights = [torch.randn(out, width).to(dtype) for _ in range(12)]

        def products(x: torch.Tensor = x, weights: list[torch.Tensor] = weights) -> None:
            with torch.inference_mode():
                for weight in weights:
                    torch.nn.functional.linear(x, weight)

        products()
        taken = statistics.median(seconds(products) for _ in range(9))
        best = max(best, 2 * rows * width * out * len(weights) / taken)
    return best


def report(program: str, figures: dict[str, Any]) -> None:
    """Prints the figures and writes them beside the program."""
    processor = torch.backends.cpu.get_cpu_capability()
    about = {"date": time.strftime("%Y-%m-%d"), "torch": torch.__version__, "processor": processor}
    for name, value in figures.items():
        print(f"{name}: {value:.6g}" if isinstance(value, float) else f"{name}: {value}")
    Path(program).with_suffix(".json").write_text(json.dumps(about | figures, indent=2) + "\n", encoding="utf-8")
