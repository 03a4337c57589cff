"""From the start of a process to the first image's vector: exports in ONNX Runtime and OpenVINO against torch.

python benchmarks/engines.py PHOTOS VOCABULARY [--rounds 9] [--folder DIR] [--mini]

A ViT-B/32 with random weights, whole processes in turn. Time, and the highest memory of each (VmHWM). Torch computes as
by default ("auto") and in float32. VOCABULARY is a folder with `clip-vocab.json` and `clip-merges.txt`; DIR keeps the
model and its exports for the next run.
"""

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from measure import in_turn, random_clip, ratio, report

from sightline.optimize.export import export

FIRST = """
import sys
import sightline
model, precision, photo = sys.argv[1:]
encoder = sightline.load(model, device="cpu", precision=precision)
encoder.encode_images([photo])
assert encoder.exported is None or "torch" not in sys.modules
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
EXPORTS: dict[str, tuple[Any, Any]] = {
    "ONNX Runtime float32": ("onnx", "float32"),
    "ONNX Runtime int8": ("onnx", "int8"),
    "OpenVINO float32": ("openvino", "float32"),
    "OpenVINO int8": ("openvino", "int8"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="keep the model and its exports here")
    parser.add_argument("--mini", action="store_true", help="a model of the packaged one's size, to try the program")
    given = parser.parse_args()
    photo = min(given.photos.glob("*.jpg"))
    with tempfile.TemporaryDirectory() as scratch:
        folder: Path = given.folder or Path(scratch)
        models = made(folder, given.mini, given.vocabulary)
        memory: dict[str, list[float]] = {name: [] for name in models}
        candidates = {name: partial(first, *model, photo, memory[name]) for name, model in models.items()}
        taken = in_turn(candidates, range(given.rounds + 1))
    figures: dict[str, Any] = {}
    for name in EXPORTS:
        for base in ("torch auto", "torch float32"):
            figures[f"{name} against {base}, time"] = ratio(taken, name, base)
            figures[f"{name} against {base}, peak memory"] = median(memory[name]) / median(memory[base])
    report(__file__, figures)


def made(folder: Path, mini: bool, vocabulary: Path) -> dict[str, tuple[Path, str]]:
    """The models by what computes them, each with the precision to ask for."""
    model = folder / "model"
    if not model.exists():
        random_clip(model, mini, vocabulary)
    models = {f"torch {precision}": (model, precision) for precision in ("auto", "float32")}
    for name, (engine, precision) in EXPORTS.items():
        out = folder / f"export {engine} {precision}"
        if not out.exists():
            export(model, out, engine, precision)
        models[name] = out, "auto"
    return models


def first(model: Path, precision: str, photo: Path, memory: list[float], turn: int) -> None:
    """A process that makes one vector; `memory` gets its peak in MB, but for the warm-up's."""
    command = [sys.executable, "-c", FIRST, str(model), precision, str(photo)]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1e3
    if turn:
        memory.append(peak)


if __name__ == "__main__":
    main()
