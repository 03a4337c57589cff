"""Precision int8 against float32 on captioned images: cosines, recalls, the first ten of each query, and an index in
int8 that is asked in bfloat16.

python benchmarks/int8.py CHECKPOINT SHARD.tar [CHECKPOINT_IN_INT8]

Each recall comes with the paired interval of its difference to float32's. Writes int8.json beside this file.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sightline
from sightline.data import captions
from sightline.evaluate import compare, retrieval

Vectors = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("shard")
    parser.add_argument("int8", nargs="?", help="the checkpoint by `sightline optimize --to int8`")
    given = parser.parse_args()
    data = captions(given.shard)
    images = [sample.content() for sample in data.samples]
    texts = [caption for sample in data.samples for caption in sample.captions]
    exact = sightline.load(given.checkpoint, precision="float32")
    of_exact, expected = retrieval(exact, data), both(exact, images, texts)
    report: dict[str, Any] = {}
    places = {"int8": given.checkpoint, "bfloat16": given.checkpoint, "calibrated int8": given.int8}
    vectors = {}
    for name, place in places.items():
        if place is None:
            continue
        encoder = sightline.load(place, precision="bfloat16" if name == "bfloat16" else "int8")
        vectors[name] = both(encoder, images, texts)
        report[name] = cosines(vectors[name], expected) | overlaps(vectors[name], expected)
        rows: Any = compare(of_exact, retrieval(encoder, data)).details
        report[name]["recalls"] = {row["figure"]: [row[key] for key in ("a", "b", "interval")] for row in rows["rows"]}
        print(name, json.dumps(report[name], indent=1))
    whole = _first(vectors["bfloat16"][1] @ vectors["bfloat16"][0].T)
    mixed = _first(vectors["bfloat16"][1] @ vectors["int8"][0].T)
    report["recall@10 of an index in int8 asked in bfloat16"] = _shared(mixed, whole)
    print("recall@10 of an index in int8 asked in bfloat16, of the answers all in bfloat16:", _shared(mixed, whole))
    Path(__file__).with_suffix(".json").write_text(json.dumps(report, indent=2))


def both(encoder: sightline.Encoder, images: list[Any], texts: list[str]) -> tuple[Vectors, Vectors]:
    """The vectors of the images, and of the texts."""
    found = encoder.encode_images(images)
    assert isinstance(found, np.ndarray)
    return found, encoder.encode_text(texts)


def cosines(found: tuple[Vectors, Vectors], expected: tuple[Vectors, Vectors]) -> dict[str, float]:
    """Of images' and of texts' vectors to those expected."""
    figures: dict[str, float] = {}
    for noun, a, b in zip(("images", "texts"), found, expected, strict=True):
        each = (a * b).sum(1)
        figures |= {f"{noun}, mean cosine": float(each.mean()), f"{noun}, least cosine": float(each.min())}
    return figures


def overlaps(found: tuple[Vectors, Vectors], expected: tuple[Vectors, Vectors]) -> dict[str, float]:
    """The share of a query's first ten that are the same, in both directions."""
    (images, texts), (exact_images, exact_texts) = found, expected
    return {
        "of texts' first ten images, shared": _shared(_first(texts @ images.T), _first(exact_texts @ exact_images.T)),
        "of images' first ten texts, shared": _shared(_first(images @ texts.T), _first(exact_images @ exact_texts.T)),
    }


def _first(scores: Vectors) -> NDArray[np.int64]:
    return np.argsort(-scores, axis=1, kind="stable")[:, :10]


def _shared(found: NDArray[np.int64], expected: NDArray[np.int64]) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, expected, strict=True)]))


if __name__ == "__main__":
    main()
