"""What gradient caching costs and saves: memory and time of a step, of a CLIP of ViT-B/32's size with random weights.

    python benchmarks/gradient_caching.py [--micro-batch 32] [--batches 64 128] [--cached 1024] [--precision bfloat16]
        [--tokens 32] [--mini]

Each step in a process of its own, its weights and gradients there already: the most memory that it takes beyond these
and its batch (a processor: the high water of resident memory; a GPU: of allocated memory), and its seconds, the median
of three, or the only one of a step of ten seconds. All at once: the micro-batch alone, then `--batches`; cached:
`--batches` and `--cached`. Expected of a cached step: the micro-batch's memory and three times the features
(themselves, once more in one tensor, its gradient). The figures go to gradient_caching.json beside this file.
"""

import argparse
import ctypes
import gc
import statistics
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from sightline import CLIPConfig, CLIPModel
from sightline.train.batch import Batch
from sightline.train.loss import ContrastiveLoss
from sightline.train.parallel import Parallel
from sightline.train.step import backward


def main() -> None:
    # Imported here, as processes that are measured import this file.
    import transformers
    from measure import config_of, report

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micro-batch", type=int, default=32)
    parser.add_argument("--batches", type=int, nargs="*", default=[64, 128])
    parser.add_argument("--cached", type=int, nargs="*", default=[1024])
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--mini", action="store_true", help="models of the packaged ones' size, to try the program")
    given = parser.parse_args()
    small = given.micro_batch
    config = config_of(transformers.CLIPConfig, given.mini).to_dict()
    steps: list[tuple[int, int | None]] = [(batch, None) for batch in (small, *given.batches)]
    steps += [(batch, small) for batch in (*given.batches, *given.cached)]
    figures: dict[str, Any] = {"micro-batch": small, "precision": given.precision, "tokens": given.tokens}
    for batch, micro in steps:
        with get_context("spawn").Pool(1) as alone:
            memory, seconds = alone.apply(step, (config, batch, micro, given.precision, given.tokens))
        name = f"batch of {batch}, {'all at once' if micro is None else 'cached'}"
        figures[f"{name}: MB of memory"] = memory / 1e6
        figures[f"{name}: seconds"] = seconds
        print(f"{name}: {memory / 1e6:,.0f} MB, {seconds:.1f} s", file=sys.stderr, flush=True)
    one = figures[f"batch of {small}, all at once: MB of memory"]
    width = config["projection_dim"]
    for batch in (*given.batches, *given.cached):
        cached = f"batch of {batch}, cached"
        expected = one + 3 * 2 * batch * width * 4 / 1e6
        figures[f"{cached}: memory over what is expected"] = figures[f"{cached}: MB of memory"] / expected
        if batch in given.batches:
            whole = f"batch of {batch}, all at once"
            figures[f"{cached}: memory over all at once"] = (
                figures[f"{cached}: MB of memory"] / figures[f"{whole}: MB of memory"]
            )
            figures[f"{cached}: time over all at once"] = figures[f"{cached}: seconds"] / figures[f"{whole}: seconds"]
    report(__file__, figures)


def step(settings: dict[str, Any], batch: int, micro: int | None, dtype: str, tokens: int) -> tuple[int, float]:
    """Bytes beyond what is there before, and seconds."""
    torch.manual_seed(0)
    parallel = Parallel()
    config = CLIPConfig.from_dict(settings)
    model = parallel.wrap(CLIPModel(config).train())
    if parallel.device.type == "cpu":
        model.set_attn_implementation("eager")

    def given(count: int) -> Batch:
        text, side = config.text_config, config.vision_config.image_size
        assert isinstance(text.eos_token_id, int)
        ids = torch.randint(1, text.vocab_size // 2, (count, tokens))
        ids[:, -1] = text.eos_token_id
        return Batch(torch.randn(count, 3, side, side), ids, torch.ones_like(ids), torch.arange(count))

    def once(samples: Batch) -> float:
        begun = time.perf_counter()
        done = backward(
            model,
            samples,
            ContrastiveLoss(),
            micro_batch_size=micro if len(samples) > 2 else None,
            precision=getattr(torch, dtype),
            parallel=parallel,
        )
        done.loss.item()
        return time.perf_counter() - begun

    samples = given(batch)
    once(given(2))  # gradients have their place, kernels are chosen
    held = _held(parallel.device)
    taken = [once(samples)]
    memory = _most(parallel.device) - held
    if taken[0] < 10:
        taken = [once(samples) for _ in range(3)]
    return memory, statistics.median(taken)


def _held(device: torch.device) -> int:
    """Bytes now; from here on the most counts."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _resident("VmRSS")


def _most(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else _resident("VmHWM")


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
