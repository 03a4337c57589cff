"""What a GPU must show, in one command of a few minutes: each check prints a line, and all go into gpu.json.

python benchmarks/gpu.py [--device cuda] [--rounds 5] [--checks opening parity ...] [--mini]

Models have random weights, a ViT-B/32's size or, by `--mini`, the packaged model's. Without the device it says so in a
line and ends with status 2; with a check that failed it ends with status 1. `--device cpu` tries the program: checks
that need a GPU are then named as left out.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from measure import image_products, random_clip, report, seconds
from torch.nn.functional import normalize
from transformers import CLIPConfig

import sightline
from sightline import scenes
from sightline.encoder.memory import BatchLimit
from sightline.errors import SightlineError

BATCH = 64


class Without(Exception):
    """Why a check cannot be made here."""


class Given:
    """A checkpoint in a folder, its config, the device, pictures and texts."""

    def __init__(self, folder: Path, config: CLIPConfig, device: torch.device, rounds: int) -> None:
        self.folder, self.config, self.device, self.rounds = folder, config, device, rounds
        self.is_gpu = device.type != "cpu"
        side = config.vision_config.image_size
        self.pixels = torch.randn(BATCH if self.is_gpu else 4, 3, side, side)

    def tower(self, dtype: torch.dtype, **options: Any) -> Any:
        """The image tower on the device."""
        kind = sightline.CLIPVisionModelWithProjection
        return kind.from_pretrained(self.folder, dtype=dtype, **options).to(self.device).eval()

    def rate(self, embed: Callable[[torch.Tensor], Any], pixels: torch.Tensor) -> float:
        """Pictures a second, the device's work waited for."""

        def run() -> None:
            embed(pixels)
            self.wait()

        with torch.inference_mode():
            run()
            return len(pixels) / median(seconds(run) for _ in range(self.rounds))

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.is_gpu:
            torch.get_device_module(self.device).synchronize()


def opening(given: Given) -> dict[str, Any]:
    """Seconds from `load` to the first picture's vector."""
    picture = scenes.sample(0).draw(320)
    start = time.perf_counter()
    vector = sightline.load(given.folder, device=given.device).encode_images([picture])
    return {"seconds": time.perf_counter() - start, "passed": bool(np.isfinite(vector).all())}


def parity(given: Given) -> dict[str, Any]:
    """The least cosine between the device's vectors and the processor's in float32."""
    pictures = [scenes.sample(number).draw(320) for number in range(8)]
    exact = sightline.load(given.folder, device="cpu", precision="float32").encode_images(pictures)
    found: dict[str, Any] = {}
    least: Any = {"float32": 0.99999, "bfloat16": 0.99}
    for precision in least:
        vectors = sightline.load(given.folder, device=given.device, precision=precision).encode_images(pictures)
        found[precision] = float((vectors * exact).sum(axis=1).min())
        found["passed"] = found.get("passed", True) and found[precision] >= least[precision]
    return found


def flash(given: Given) -> dict[str, Any]:
    """Flash attention by name against torch's own choice, in bfloat16: cosine and rate."""
    if not given.is_gpu:
        raise Without("the flash kernel is a GPU's")
    pixels = given.pixels.to(given.device, torch.bfloat16)
    plain = given.tower(torch.bfloat16)
    named = given.tower(torch.bfloat16, attn_implementation="flash_attention_2")
    with torch.inference_mode():
        a, b = (normalize(tower.embed(pixels).float(), dim=-1) for tower in (plain, named))
    cosine = float((a * b).sum(-1).min())
    ratio = given.rate(named.embed, pixels) / given.rate(plain.embed, pixels)
    return {"cosine": cosine, "rate by torch's choice": ratio, "passed": cosine > 0.999}


def rate(given: Given) -> dict[str, Any]:
    """Pictures a second in bfloat16, by float32's, and the share of the peak of a large product."""
    half = given.rate(given.tower(torch.bfloat16).embed, given.pixels.to(given.device, torch.bfloat16))
    full = given.rate(given.tower(torch.float32).embed, given.pixels.to(given.device))
    share = 2 * image_products(given.config) * half / peak(given)
    return {"pictures a second": half, "by float32's": half / full, "share of the peak": share, "passed": share > 0}


def peak(given: Given) -> float:
    """FLOP/s of a large product in bfloat16."""
    side = 8192 if given.is_gpu else 512
    a, b = torch.randn(2, side, side, device=given.device).bfloat16()

    def run() -> None:
        for _ in range(4):
            a @ b
        given.wait()

    run()
    return 4 * 2 * side**3 / median(seconds(run) for _ in range(given.rounds))


def four_bits(given: Given) -> dict[str, Any]:
    """A tower in nf4 by bitsandbytes: cosine to float32, and its memory by float32's."""
    config = sightline.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    kind: Any = sightline.CLIPVisionModelWithProjection
    small = kind.from_pretrained(given.folder, quantization_config=config, device_map=str(given.device))
    exact = given.tower(torch.float32)
    pixels = given.pixels.to(given.device)
    with torch.inference_mode():
        a, b = (normalize(tower.embed(pixels).float(), dim=-1) for tower in (exact, small))
    cosine, share = float((a * b).sum(-1).mean()), size(small) / size(exact)
    return {"cosine": cosine, "memory by float32's": share, "passed": cosine >= 0.98 and share <= 0.35}


def size(model: torch.nn.Module) -> int:
    """Bytes of a model's tensors."""
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


def compiling(given: Given) -> dict[str, Any]:
    """Seconds to compile the tower in bfloat16, its rate by the plain one's, the cosine."""
    if not given.is_gpu:
        raise Without("compiling is measured on a GPU")
    pixels, tower = given.pixels.to(given.device, torch.bfloat16), given.tower(torch.bfloat16)
    compiled: Any = torch.compile(tower.embed, dynamic=False)
    with torch.inference_mode():
        taken = seconds(lambda: compiled(pixels))
        a, b = (normalize(embed(pixels).float(), dim=-1) for embed in (tower.embed, compiled))
    cosine, faster = float((a * b).sum(-1).min()), given.rate(compiled, pixels) / given.rate(tower.embed, pixels)
    return {"seconds to compile": taken, "rate by the plain one's": faster, "cosine": cosine, "passed": cosine > 0.999}


def ddp(given: Given) -> dict[str, Any]:
    """Two steps of training in a process that torch's DDP wraps, as `torchrun` starts it, and without: their losses."""
    losses = []
    for alone in (True, False):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        spread = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        command = [sys.executable, __file__, "--steps-of", str(given.folder), "--device", given.device.type]
        ran = subprocess.run(
            [*command, "--alone"] if alone else command,
            env=os.environ if alone else {**os.environ, **spread},
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise RuntimeError(ran.stderr.strip().splitlines()[-1])
        losses.append([float(number) for number in ran.stdout.split()])
    return {"losses": losses[1], "alone": losses[0], "passed": bool(np.allclose(losses[0], losses[1], rtol=1e-4))}


def steps(folder: Path, device: str, alone: bool) -> None:
    """Prints the losses of two steps."""
    from sightline.train.batch import Batch
    from sightline.train.parallel import DDPProcesses, Parallel
    from sightline.train.recipe import Recipe
    from sightline.train.trainer import Trainer

    torch.manual_seed(0)
    model: Any = sightline.CLIPModel.from_pretrained(folder, dtype="float32")
    side, text = model.config.vision_config.image_size, model.config.text_config
    ids = torch.randint(3, text.vocab_size - 1, (4, 8))
    ids[:, -1] = text.eos_token_id if text.eos_token_id != 2 else text.vocab_size - 1
    batch: Any = Batch(torch.randn(4, 3, side, side), ids, torch.ones_like(ids), torch.arange(4))
    nothing: Any = None
    recipe = Recipe(
        model=lambda: (model, nothing), data=lambda *_: nothing, steps=10, batch_size=4, lr=1e-4, warmup_steps=0
    )
    with tempfile.TemporaryDirectory() as scratch, Parallel(device) if alone else DDPProcesses(device) as parallel:
        trainer = Trainer(recipe, Path(scratch) / "run", parallel)
        print(*(trainer.step(number, batch)["loss"] for number in range(2)))


def memory(given: Given) -> dict[str, Any]:
    """A batch that does not fit is halved until it does; on a GPU memory really runs out."""
    limit, sizes = BatchLimit(sightline.load(given.folder, device=given.device).engine), []

    def forward(part: torch.Tensor, count: int) -> int:
        sizes.append(count)
        if given.is_gpu and count > 16:
            torch.empty(1 << 50, dtype=torch.uint8, device=given.device)
        elif count > 16:
            raise torch.OutOfMemoryError("out of memory")
        return len(part)

    done = sum(limit.split(torch.empty(64), 64, forward))
    return {"sizes": sizes[:3], "passed": done == 64 and sizes[:3] == [64, 32, 16]}


CHECKS = {
    "opening": opening,
    "parity": parity,
    "flash attention": flash,
    "rate": rate,
    "4-bit": four_bits,
    "compile": compiling,
    "ddp of one": ddp,
    "memory": memory,
}


def shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=list(CHECKS))
    parser.add_argument("--mini", action="store_true")
    parser.add_argument("--steps-of", type=Path, help="what the check of DDP starts")
    parser.add_argument("--alone", action="store_true", help="likewise")
    options = parser.parse_args()
    if options.steps_of is not None:
        steps(options.steps_of, options.device, options.alone)
        return 0
    kind = options.device.partition(":")[0]
    if kind != "cpu" and not torch.get_device_module(kind).is_available():
        print(f"no GPU here: torch finds no device {options.device!r}", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {"device": options.device}
    if kind == "cuda":
        figures["device"] = torch.cuda.get_device_name(options.device)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        given = Given(folder, random_clip(folder, options.mini), torch.device(options.device), options.rounds)
        for name in options.checks:
            start = time.perf_counter()
            try:
                found = CHECKS[name](given)
            except Without as error:
                found = {"left out": str(error)}
            except (SightlineError, RuntimeError, ImportError, ValueError) as error:
                found = {"passed": False, "error": (str(error).splitlines() or [type(error).__name__])[0][:200]}
            found["took"] = time.perf_counter() - start
            said = ", ".join(f"{key} {shown(value)}" for key, value in found.items())
            print(f"{name}: {said}", flush=True)
            figures[name] = found
    report(__file__, figures)
    return int(any(isinstance(found, dict) and found.get("passed") is False for found in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
