"""Recall@K of a checkpoint on a Flickr8k shard: float32 and "auto" against the figures in its `training.json`.

python benchmarks/flickr8k.py CHECKPOINT SHARD.tar
"""

import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

import sightline
from sightline.metrics import ranks, recall_at

checkpoint, shard = map(Path, sys.argv[1:3])
images, captions, owner = [], [], []
with tarfile.open(shard) as tar:
    members = {m.name: m for m in tar.getmembers()}
    for name in sorted(n for n in members if n.endswith(".jpg")):
        images.append(Image.open(io.BytesIO(tar.extractfile(members[name]).read())))
        for caption in json.load(tar.extractfile(members[name.replace(".jpg", ".json")]))["captions"]:
            captions.append(caption)
            owner.append(len(images) - 1)
owner = np.array(owner)
of_image = [np.flatnonzero(owner == i) for i in range(len(images))]
reference = json.loads((checkpoint / "training.json").read_text())["dev"]

vectors = {}
for dtype in ("float32", "auto"):
    encoder = sightline.load(checkpoint, precision=dtype)
    i, t = vectors[dtype] = encoder.encode_images(images), encoder.encode_text(captions)
    i2t, t2i = ranks(i @ t.T, of_image), ranks(t @ i.T, owner)
    found = {f"{way}_R@{k}": 100 * recall_at(r, k) for way, r in (("t2i", t2i), ("i2t", i2t)) for k in (1, 5, 10)}
    print(f"{dtype} ({encoder.precision}): largest difference {max(abs(found[k] - reference[k]) for k in found):.3f}")
    print("  " + "  ".join(f"{k} {found[k]:.2f} (reference {reference[k]:.2f})" for k in found))
for what, a, b in zip(("images", "texts"), vectors["float32"], vectors["auto"], strict=True):
    cosines = (a * b).sum(1)
    print(f"cosine of auto to float32, {what}: mean {cosines.mean():.6f}, min {cosines.min():.6f}")
