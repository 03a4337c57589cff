"""A training run, killed at ten random moments and taken up each time: are the weights those of a run left alone?

python benchmarks/kill_training.py CHECKPOINT CAPTIONS [--steps 120] [--batch-size 32] [--kills 10] [--seed 0]

Both runs are `sightline train` in processes of their own, with random crops, mirrored pictures, averaged weights and a
checkpoint every three steps; kills are SIGKILL, at any moment between a process's start and its end.
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = "import sys; sys.argv[0] = 'sightline'; from sightline.cli.main import run; run()"
RECIPE = """
from sightline.train import Recipe

recipe = Recipe(
    model={model!r},
    data={data!r},
    steps={steps},
    batch_size={batch_size},
    captions_per_image=2,
    crop=(0.5, 1.0),
    flip=True,
    lr=5e-4,
    ema_decay=0.99,
    checkpoint_every=3,
)
"""


def start(recipe: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "train", str(recipe), "--out", str(out)], stderr=subprocess.PIPE, stdout=-3
    )


def hashes(run: Path) -> dict[str, str]:
    files = [run / "last/model.safetensors", run / "last/training/state.safetensors"]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("captions")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    moments, folder = random.Random(given.seed), Path(tempfile.mkdtemp(prefix="kill-training-"))
    recipe = folder / "recipe.py"
    settings = {"model": given.checkpoint, "data": given.captions, "steps": given.steps, "batch_size": given.batch_size}
    recipe.write_text(RECIPE.format(**settings))

    begun = time.monotonic()
    alone = start(recipe, folder / "alone")
    _, errors = alone.communicate()
    if alone.returncode:
        sys.exit(f"the run failed: {errors.decode()}")
    whole = time.monotonic() - begun
    expected = hashes(folder / "alone")
    print("left alone:", expected)

    killed: list[int] = []
    while True:
        process = start(recipe, folder / "killed")
        # Some fall into the start, most into training; a share of the whole run each.
        wait = moments.uniform(0.1, 0.22) * whole if len(killed) < given.kills else None
        try:
            _, errors = process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done = sorted((folder / "killed").glob("step-*"))
            killed.append(int(done[-1].name.removeprefix("step-")) if done else 0)
            print(f"killed after {wait:.1f} s, last whole checkpoint: step {killed[-1]}", flush=True)
            continue
        if process.returncode:
            sys.exit(f"the run failed: {errors.decode()}")
        break
    found = hashes(folder / "killed")
    print("killed:    ", found)
    print(json.dumps({"kills": len(killed), "at": killed, "identical": found == expected}))
    shutil.rmtree(folder)
    return int(found != expected)


if __name__ == "__main__":
    sys.exit(main())
