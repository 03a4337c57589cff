"""Weights in 4 bits against float32: memory, in processes of their own, and vectors.

python benchmarks/four_bits.py VOCABULARY [CHECKPOINT SHARD.tar] [--mini]

The memory is that of a CLIP of random weights, the size of a ViT-L/14, above a process that imported torch and
bitsandbytes. VOCABULARY is a folder with `clip-vocab.json` and `clip-merges.txt`. The vectors are its own, of drawn
images and their captions; with CHECKPOINT also that one's, of captioned images. Writes four_bits.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from int8 import both, cosines, overlaps
from measure import random_clip, report
from transformers import CLIPConfig

import sightline
from sightline.data import captions
from sightline.scenes import distinct

SIZES = {
    "vision_config": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}
    | {"num_attention_heads": 16, "patch_size": 14},
    "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    "projection_dim": 768,
}
"""Of ViT-L/14, where they differ from a ViT-B/32's."""

PROCESS = """
import json, sys
import torch, bitsandbytes
from sightline.optimize.profile_clock import Memory
memory = Memory(torch.device("cpu"))
found = {"before": memory.now()}
memory.start()
if sys.argv[2] != "nothing":
    import sightline
    options = {"dtype": torch.float32}
    if sys.argv[2] == "4 bits":
        options["quantization_config"] = sightline.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    model = sightline.CLIPModel.from_pretrained(sys.argv[1], **options)
    if sys.argv[2] == "float32":  # the file is mapped: what is not read yet is read
        sum(float(tensor.detach().sum()) for tensor in model.parameters())
print(json.dumps(found | {"open": memory.now(), "most": memory.most()}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("checkpoint", nargs="?")
    parser.add_argument("shard", nargs="?")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--mini", action="store_true", help="a model of the packaged one's size, to try the program")
    given = parser.parse_args()
    scenes = distinct(given.images, seed=14)
    drawn = [scene.draw(224) for scene in scenes], [scene.captions[0] for scene in scenes]
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        random_clip(Path(folder), given.mini, given.vocabulary, None if given.mini else CLIPConfig(**SIZES))
        figures |= memory(folder) | {f"random, {name}": value for name, value in vectors(folder, *drawn).items()}
    if given.checkpoint and given.shard:
        samples = captions(given.shard).samples
        texts = [caption for sample in samples for caption in sample.captions]
        found = vectors(given.checkpoint, [sample.content() for sample in samples], texts)
        figures |= {f"checkpoint, {name}": value for name, value in found.items()}
    report(__file__, figures)


def memory(folder: str) -> dict[str, float]:
    """Bytes, and shares of float32's, above a process that imported the two libraries."""
    kinds = ("nothing", "float32", "4 bits")
    found = {kind: json.loads(subprocess.check_output([sys.executable, "-c", PROCESS, folder, kind])) for kind in kinds}
    figures: dict[str, float] = {}
    for of in ("open", "most"):
        above = {kind: found[kind][of] - found["nothing"]["open"] for kind in kinds}
        figures |= {f"MB {of}, {kind}": above[kind] / 1e6 for kind in kinds[1:]}
        figures[f"share {of}"] = above["4 bits"] / above["float32"]
    return figures


def vectors(model: str, images: list[Any], texts: list[str]) -> dict[str, float]:
    """Cosines to float32's, and the share of the first ten that are the same."""
    exact, small = (
        both(sightline.load(model, precision=precision, device="cpu"), images, texts)
        for precision in ("float32", "int4")
    )
    return cosines(small, exact) | overlaps(small, exact)


if __name__ == "__main__":
    main()
