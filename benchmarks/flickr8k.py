"""Recall@K of a checkpoint on a Flickr8k shard: float32 and "auto" against the figures in its `training.json`.

python benchmarks/flickr8k.py CHECKPOINT SHARD.tar
"""

import argparse
import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

import sightline
from sightline.metrics import ranks, recall_at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("shard", type=Path)
    given = parser.parse_args()
    images, captions, owner = read(given.shard)
    of_image = [np.flatnonzero(owner == i) for i in range(len(images))]
    reference = json.loads((given.checkpoint / "training.json").read_text())["dev"]

    vectors: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for dtype in ("float32", "auto"):
        encoder = sightline.load(given.checkpoint, precision=dtype)
        i, t = vectors[dtype] = encoder.encode_images(images), encoder.encode_text(captions)
        i2t, t2i = ranks(i @ t.T, of_image), ranks(t @ i.T, owner.tolist())
        found = {f"{way}_R@{k}": 100 * recall_at(r, k) for way, r in (("t2i", t2i), ("i2t", i2t)) for k in (1, 5, 10)}
        print(
            f"{dtype} ({encoder.precision}): largest difference {max(abs(found[k] - reference[k]) for k in found):.3f}"
        )
        print("  " + "  ".join(f"{k} {found[k]:.2f} (reference {reference[k]:.2f})" for k in found))
    for what, a, b in zip(("images", "texts"), vectors["float32"], vectors["auto"], strict=True):
        cosines = (a * b).sum(1)
        print(f"cosine of auto to float32, {what}: mean {cosines.mean():.6f}, min {cosines.min():.6f}")


def read(shard: Path) -> tuple[list[Image.Image], list[str], np.ndarray]:
    """Images, captions, and each caption's image as its row."""
    images: list[Image.Image] = []
    captions: list[str] = []
    owner: list[int] = []
    with tarfile.open(shard) as tar:

        def content(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        for name in sorted(name for name in tar.getnames() if name.endswith(".jpg")):
            images.append(Image.open(io.BytesIO(content(name))))
            for caption in json.loads(content(name.replace(".jpg", ".json")))["captions"]:
                captions.append(caption)
                owner.append(len(images) - 1)
    return images, captions, np.array(owner)


if __name__ == "__main__":
    main()
