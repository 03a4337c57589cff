"""Segmentation of drawn scenes against their masks."""

import json

import numpy as np
import pytest
from PIL import Image

from sightline import Segmenter, scenes
from sightline.data.classes import Classes
from sightline.data.masks import masked
from sightline.errors import UsageError
from sightline.evaluate import compare, segmentation
from sightline.evaluate.segmentation import SegmentationTask, measure
from sightline.metrics import confusion, iou, mean_iou

CLASSES = ("background", "something red", "something blue", "something green")


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter("mini-groupvit")


@pytest.fixture
def folder(tmp_path):
    """Five scenes whose masks tell three colors and void; the fourth picture is broken, the fifth of another size."""
    (tmp_path / "masks").mkdir()
    (tmp_path / "images").mkdir()
    for index in range(5):
        scene = scenes.sample(8, index)
        numbers = np.array([0, *(1 + i % 3 for i in range(len(scene.things)))], np.uint8)
        truth = numbers[scene.mask(64)]
        truth[:4] = 255
        Image.fromarray(truth).save(tmp_path / "masks" / f"{index}.png")
        scene.draw(32 if index == 4 else 64).save(tmp_path / "images" / f"{index}.jpg")
    (tmp_path / "images" / "3.jpg").write_bytes(b"nothing")
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    return tmp_path


def expected(segmenter, folder, mode, threshold, ignored):
    """As the field counts: one matrix over all pixels."""
    total = np.zeros((4, 4), np.int64)
    for index in range(3):
        truth = np.asarray(Image.open(folder / "masks" / f"{index}.png")).astype(int)
        truth[np.isin(truth, ignored)] = 255
        picture = folder / "images" / f"{index}.jpg"
        found = segmenter(picture, CLASSES[1:], mode=mode, background=threshold).labels + 1
        total += confusion(truth, found, 4, 255)
    return total


@pytest.mark.parametrize(("mode", "given", "threshold", "ignored"), [
    ("paper", None, 0.95, []),
    ("paper", 0.5, 0.5, []),
    ("transformers", 0.0, None, [0]),
])  # fmt: skip
def test_both_modes_with_and_without_a_background(segmenter, folder, mode, given, threshold, ignored):
    heard = []
    result = segmentation(segmenter, masked(folder), heard.append, mode=mode, background=given)
    total = expected(segmenter, folder, mode, threshold, ignored)
    assert result.figures["mIoU"] == pytest.approx(mean_iou(total))
    assert result.figures["pixel_accuracy"] == pytest.approx(np.trace(total) / total.sum())
    told = {name: share for name, share in zip(CLASSES, iou(total), strict=True) if not np.isnan(share)}
    assert result.details["classes"] == pytest.approx(told)
    assert result.samples["key"] == ["0", "1", "2"]
    assert [(one.source, one.reason[:22]) for one in result.skipped] == [
        (str(folder / "images" / "3.jpg"), result.skipped[0].reason[:22]),
        (str(folder / "images" / "4.jpg"), "its mask is 64 x 64 pi"),
    ]
    assert result.settings["background"] == threshold
    assert heard[-1].skipped == 2
    assert json.loads(json.dumps(result.samples)) == result.samples


def test_two_modes_can_be_compared(segmenter, folder):
    data = masked(folder)
    paper, other = (segmentation(segmenter, data, mode=mode) for mode in ("paper", "transformers"))
    compared = compare(paper, other, draws=30)
    assert set(compared.figures) == {"mIoU", "pixel_accuracy"}
    with pytest.raises(UsageError, match="background"):
        compare(paper, segmentation(segmenter, data, background=0))


def test_a_list_with_gaps_and_void(segmenter, folder):
    (folder / "classes.txt").unlink()
    (folder / "config.yaml").write_text("classes:\n  0: unlabeled\n  1: something red\n  2: something blue\n  3: ink\n")
    result = segmentation(segmenter, masked(folder))
    assert result.settings["background"] is None
    assert "unlabeled" not in result.details["classes"]
    with pytest.raises(UsageError, match="no class named 'background'"):
        segmentation(segmenter, masked(folder), background=0.5)


def test_arguments_that_do_not_fit(segmenter, folder):
    with pytest.raises(UsageError, match="mode"):
        segmentation(segmenter, masked(folder), mode="open_clip")
    with pytest.raises(UsageError, match="a photo"):
        segmentation(segmenter, masked(folder), prompt="a photo")


@pytest.mark.parametrize(
    ("background", "threshold", "things", "void"),
    [(None, 0.95, [1, 3], [2]), (0.5, 0.5, [1, 3], [2]), (0.0, None, [1, 3], [0, 2])],
)
def test_the_background_is_a_class_or_left_out(background, threshold, things, void):
    classes = Classes(("Background", "cat", "void", "dog"), (0, 1, 2, 3))
    task = SegmentationTask.of(classes, background)
    assert (task.threshold, task.things, task.void, task.background) == (threshold, things, void, 0)
    assert task.positions(np.array([[0, 1, -1]])).tolist() == [[1, 3, 0]]
    without = SegmentationTask.of(Classes(("cat", "dog"), (0, 1)), None)
    assert (without.threshold, without.things, without.background) == (None, [0, 1], None)
    assert without.positions(np.array([-1])).tolist() == [-1]


def test_a_picture_may_count_more_than_once():
    rng = np.random.default_rng(0)
    matrices = rng.integers(0, 9, (6, 3, 3))
    matrices[:, 2] = matrices[:, :, 2] = 0  # a class that is nowhere
    counts = [[[i, int(m[i, i]), int(m[i].sum()), int(m[:, i].sum())] for i in range(3)] for m in matrices]
    weights = rng.integers(0, 3, (4, 6))
    found = measure({"counts": counts}, weights.astype(float))
    for row, each in enumerate(weights):
        total = np.tensordot(each, matrices, 1)
        assert found["mIoU"][row] == pytest.approx(mean_iou(total))
        assert found["pixel_accuracy"][row] == pytest.approx(np.trace(total) / total.sum())
