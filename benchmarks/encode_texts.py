"""Captions to vectors: ours against `transformers` with padding to the longest and to 77 tokens.

python benchmarks/encode_texts.py VOCABULARY SHARD.tar [--captions 5000] [--rounds 3] [--mini]

A ViT-B/32's text tower with random weights; VOCABULARY is a folder with CLIP's `clip-vocab.json` and `clip-merges.txt`,
the captions are those of a Flickr8k shard. The peer takes them in batches of 32, ours as they come. The limit: the
tower's products for the tokens that there are, without padding, at the speed of the best shape.
"""

import argparse
import json
import random
import tarfile
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from measure import block_products, block_shapes, in_turn, product_peak, random_clip, ratio, report
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

import sightline

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("shard", type=Path)
    parser.add_argument("--captions", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mini", action="store_true", help="models of the packaged ones' size, to try the program")
    given = parser.parse_args()
    texts: list[str] = []
    with tarfile.open(given.shard) as tar:
        for member in tar.getmembers():
            if member.name.endswith(".json"):
                content = tar.extractfile(member)
                assert content is not None
                texts += json.load(content)["captions"]
    random.Random(0).shuffle(texts)
    size = given.captions // given.rounds
    warm_up, *sets = (texts[i * size : (i + 1) * size] for i in range(-1, given.rounds))
    with tempfile.TemporaryDirectory() as folder:
        config = random_clip(Path(folder), given.mini, given.vocabulary)
        found = measure(Path(folder), config, [texts[-BATCH:] or warm_up, *sets])
        report(__file__, {"captions": size * given.rounds} | found)


def measure(model: Path, config: CLIPConfig, sets: list[list[str]]) -> dict[str, Any]:
    ours = sightline.load(model, precision="bfloat16")
    exact = sightline.load(model, precision="float32")
    cosines: list[float] = []

    def compare(outputs: dict[str, Any]) -> None:
        cosines.extend((outputs["ours, float32"] * outputs["transformers, float32, padding=True"]).sum(axis=1))

    taken = in_turn(
        {
            "ours, bfloat16": ours.encode_text,
            "ours, float32": exact.encode_text,
            "transformers, float32, padding=True": peer(model, torch.float32, True),
            "transformers, float32, padding to 77": peer(model, torch.float32, "max_length"),
            "transformers, bfloat16, padding=True": peer(model, torch.bfloat16, True),
        },
        sets,
        compare,
    )
    size = len(sets[1])
    rows: dict[str, Any] = {f"captions a second, {name}": size / median(times) for name, times in taken.items()}
    for slow in list(taken)[2:]:
        rows[f"ours, bfloat16 against {slow}"] = ratio(taken, slow, "ours, bfloat16")
    rows["ours, float32 against transformers, float32, padding=True"] = ratio(
        taken, "transformers, float32, padding=True", "ours, float32"
    )
    rows["cosine to transformers, float32: mean"] = float(np.mean(cosines))
    rows["cosine to transformers, float32: min"] = float(np.min(cosines))
    tokens = np.mean([len(row) for row in ours.tokenizer.encode([text for texts in sets[1:] for text in texts])])
    peak = product_peak(block_shapes(2048, config.text_config), torch.bfloat16)
    rows["tokens a caption"] = float(tokens)
    rows["limit, products in bfloat16: GFLOP/s"] = peak / 1e9
    rows["limit, products: captions a second"] = float(peak / (2 * block_products(config.text_config) * tokens))
    rows["share of the limit"] = rows["captions a second, ours, bfloat16"] / rows["limit, products: captions a second"]
    return rows


def peer(model: Path, dtype: torch.dtype, padding: bool | str) -> Any:
    reference = CLIPModel.from_pretrained(model, dtype=dtype).eval()
    tokenizer = CLIPTokenizer.from_pretrained(model)

    def encode(texts: list[str]) -> Any:
        found = []
        for start in range(0, len(texts), BATCH):
            inputs = tokenizer(
                texts[start : start + BATCH], padding=padding, truncation=True, max_length=77, return_tensors="pt"
            )
            with torch.inference_mode():
                out = reference.get_text_features(**inputs)
            found.append(torch.nn.functional.normalize(out.pooler_output.float(), dim=-1).numpy())
        return np.concatenate(found)

    return encode


if __name__ == "__main__":
    main()
