"""Segmentation by words on photos with VOC's 20 classes: mean IoU of a GroupViT in both modes.

python benchmarks/voc20.py CHECKPOINT VOC20 PHOTOS [--limit N] [--prompt TEXT]

VOC20 holds `classes.txt` (the background first) and `masks/*.png` of label numbers; PHOTOS a picture of each mask's
stem. Two figures each: over 21 classes, the background at the paper's threshold of 0.95 (Xu et al., 2022, section 4.1);
and over the 20 classes alone, without a threshold, where pixels of the background don't count. What naming everything
background, or the class that is most common, would give stands beside them.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from measure import report
from PIL import Image

from sightline import Segmenter
from sightline.metrics import confusion, mean_iou
from sightline.templates import IMAGE_TEMPLATE

THRESHOLD = 0.95
SPELLED = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv monitor"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("voc20", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--prompt", default=IMAGE_TEMPLATE)
    given = parser.parse_args()
    names = (given.voc20 / "classes.txt").read_text().split()[1:]
    classes = [SPELLED.get(name, name) for name in names]
    masks = sorted((given.voc20 / "masks").glob("*.png"))[: given.limit]
    segmenter = Segmenter(given.checkpoint)
    size = len(classes) + 1
    figures: dict[str, float] = {"photos": len(masks)}
    truths = [np.asarray(Image.open(mask)).astype(np.int64) for mask in masks]
    counts = np.sum([np.bincount(truth.ravel(), minlength=size) for truth in truths], axis=0)
    everything = np.zeros((size, size), np.int64)
    everything[:, 0] = counts
    figures["mIoU of 21, all background"] = mean_iou(everything)
    common = np.zeros((size, size), np.int64)
    common[1:, 1 + counts[1:].argmax()] = counts[1:]
    figures["mIoU of 20, all the most common class"] = mean_iou(common)
    for mode in ("paper", "transformers"):
        for what, threshold, ignore in (("21", THRESHOLD, None), ("20", None, 0)):
            total, start = np.zeros((size, size), np.int64), time.perf_counter()
            for mask, truth in zip(masks, truths, strict=True):
                photo = next(given.photos.glob(f"{mask.stem}.*"))
                found = segmenter(photo, classes, mode=mode, background=threshold, prompt=given.prompt)
                total += confusion(truth, found.labels + 1, size, ignore)
            figures[f"mIoU of {what}, {mode}"] = mean_iou(total)
            figures[f"photos a second, {what}, {mode}"] = len(masks) / (time.perf_counter() - start)
    report(__file__, figures)


if __name__ == "__main__":
    main()
