"""What the benchmarks share: candidates in turn, medians and ratios, the machine's own limits, a report as JSON."""

import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel


def random_b32(folder: Path, vocabulary: Path | None = None) -> Path:
    """A ViT-B/32 with random weights, written into the folder; `vocabulary` holds CLIP's `clip-vocab.json` and
    `clip-merges.txt`, for texts."""
    CLIPModel(CLIPConfig()).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    if vocabulary is not None:
        for name in ("vocab.json", "merges.txt"):
            shutil.copyfile(vocabulary / f"clip-{name}", folder / name)
    return folder


def seconds(work: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(
    candidates: dict[str, Callable[[Any], Any]],
    inputs: Iterable[Any],
    compare: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, list[float]]:
    """Each candidate on each input, one after another, the order turned round each time; the seconds that each took.

    The first input is a warm-up and does not count. `compare` sees the outputs of each round by name.
    """
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for turn, given in enumerate(inputs):
        outputs = {}
        for name in list(candidates) if turn % 2 else reversed(candidates):
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
