"""`run_clip.py`, a script for `transformers`, with that library's classes and with ours: both losses, and the time.

python benchmarks/contrastive_example.py CHECKPOINT SHARD.tar [--steps 20] [--batch-size 32] [--pairs 1000]

A pair of the image tower of CHECKPOINT, a CLIP, and of a new RoBERTa, whose tokenizer is trained on the shard's
captions, learns SHARD's pictures with the first caption of each, by `transformers.Trainer`: once without dropout, once
with RoBERTa's own. Each library makes its pair with the same seed. Times are the processor's, of a step.
"""

import argparse
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from measure import ratio, report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.contrastive import Recorder, roberta, script

LIBRARIES = ("transformers", "sightline")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("shard", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=1000)
    given = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    figures: dict[str, Any] = {"steps": given.steps, "batch size": given.batch_size}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs, captions = unpack(given.shard, folder, given.pairs)
        for dropout in (0.0, 0.1):
            text = roberta(
                folder / f"roberta {dropout}",
                captions,
                8000,
                dropout,
                hidden_size=192,
                intermediate_size=768,
                num_hidden_layers=4,
                num_attention_heads=3,
                max_position_embeddings=66,
            )
            trained = {name: train(name, given, text, pairs, folder / f"{name} {dropout}") for name in LIBRARIES}
            losses = {name: trainer.losses for name, trainer in trained.items()}
            what = f"dropout {dropout}"
            for step, (theirs, ours) in enumerate(zip(*losses.values(), strict=True), 1):
                print(f"{what}, step {step}: {theirs:.6f} {ours:.6f}")
            differences = [abs(theirs - ours) for theirs, ours in zip(*losses.values(), strict=True)]
            figures[f"{what}, first and last loss"] = f"{losses['sightline'][0]:.4f}, {losses['sightline'][-1]:.4f}"
            figures[f"{what}, largest difference"] = max(differences)
            taken = {name: trainer.taken[1:] for name, trainer in trained.items()}
            figures[f"{what}, the reference's time against ours"] = ratio(taken, *LIBRARIES)
    report(__file__, figures)


def unpack(shard: Path, folder: Path, count: int) -> tuple[Path, list[str]]:
    """A file of so many pictures' paths and first captions, and all captions of these pictures."""
    rows, captions = [], []
    with tarfile.open(shard) as tar:

        def content(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        for name in sorted(name for name in tar.getnames() if name.endswith(".jpg"))[:count]:
            said = json.loads(content(name.replace(".jpg", ".json")))["captions"]
            path = folder / name
            path.write_bytes(content(name))
            rows.append({"image_path": str(path), "caption": said[0]})
            captions += said
    file = folder / "pairs.json"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file, captions


def train(library: str, given: argparse.Namespace, text: Path, pairs: Path, output: Path) -> Any:
    arguments = {
        "image_model": given.checkpoint,
        "text_model": text,
        "train_file": pairs,
        "output_dir": output,
        "max_seq_length": 64,
        "max_steps": given.steps,
        "per_device_train_batch_size": given.batch_size,
        "learning_rate": 5e-5,
        "weight_decay": 0.1,
        "warmup_steps": 0,
        "remove_unused_columns": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_strategy": "no",
        "use_cpu": True,
    }
    words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    return script(library).main([*words, "--do_train"], Recorder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
