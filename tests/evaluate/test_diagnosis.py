"""Diagnosis and confusions: the answers, their confidence, and the mistakes that are shown."""

import base64
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from sightline import scenes
from sightline.data import captions, labelled
from sightline.data.classes import Classes
from sightline.evaluate import Result, confusions, diagnosis, zeroshot
from sightline.evaluate.confusions import most_confused
from sightline.evaluate.diagnosis import MISTAKES, most_confident
from sightline.evaluate.matching import Answers, Block, answer, learned_scale
from sightline.evaluate.small_images import SIDE, small_images
from sightline.report.results import write_report
from support.videos import film


def answers(right, predicted, confidence):
    return Answers(
        np.array(right), np.array(predicted), np.zeros(len(right)), np.array(confidence), np.zeros(len(right), int)
    )


def test_answers_by_hand():
    cosines = np.log(np.array([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2], [0.4, 0.4, 0.2]])).astype(np.float32) / 10
    given = answer(lambda: iter([Block(cosines, np.array([1, 2, 1]), np.array([1, 2, 1]))]), 10.0)
    assert given.predicted.tolist() == [1, 0, 0]  # of equal ones the first
    np.testing.assert_allclose(given.confidence, [0.5, 0.6, 0.4], rtol=1e-6)
    np.testing.assert_allclose(given.right_confidence, [0.5, 0.2, 0.4], rtol=1e-6)
    figures = given.figures()
    assert figures["accuracy"] == pytest.approx(1 / 3)
    assert figures["confidence"] == pytest.approx(0.5)
    assert figures["confidence_when_right"] == pytest.approx(0.5)
    assert figures["confidence_when_wrong"] == pytest.approx(0.5)
    assert "confidence_when_wrong" not in answers([0], [0], [0.9]).figures()
    assert "confidence_when_right" not in answers([0], [1], [0.9]).figures()


def test_the_surest_are_shown_nobody_twice():
    found = answers([0, 0, 1, 2, 3, 4], [1, 2, 1, 3, 3, 5], [0.9, 0.95, 0.5, 0.4, 0.99, 0.1])
    # The last but one and the third are right; of the first two the second is surer of the same picture's place.
    assert most_confident(found) == [1, 3, 5]
    many = answers(range(100), np.arange(100) + 1, np.linspace(0, 1, 100))
    assert most_confident(many) == list(range(99, 99 - MISTAKES, -1))


def test_result(mini, shard, tmp_path):
    result = diagnosis(mini, captions(shard))
    details, count = result.details, 11
    assert result.settings["scale"] == learned_scale(mini)
    for way in ("text_to_image", "image_to_text"):
        of = details[way]
        assert (of["questions"], of["candidates"]) == (count, count)
        assert sum(of["reliability"]["counts"]) == count
        accuracy = result.figures[f"{way}_accuracy"]
        assert sum(of["histogram"]["right"]) == round(count * accuracy)
        low, high = result.intervals[f"{way}_accuracy"]
        assert low <= accuracy <= high
        wrong = count - sum(of["histogram"]["right"])
        assert len(of["mistakes"]) <= wrong == sum(of["histogram"]["wrong"])
        for one in of["mistakes"]:
            assert one["right"] != one["predicted"]
            assert one["confidence"] >= one["right_confidence"]
    said = {one.key: one.captions for one in captions(shard).samples}
    for one in details["image_to_text"]["mistakes"]:
        assert one["right"] in said[one["key"]]
        assert one["predicted"] not in said[one["key"]]
    matrix = details["matrix"]
    seen = [one for one in captions(shard).samples if one.key in matrix["keys"]]
    assert matrix["texts"] == [one.captions[0] for one in seen]
    texts, images = mini.encode_text(matrix["texts"]), mini.encode_images([one.content() for one in seen])
    np.testing.assert_allclose(matrix["cosines"], texts @ images.T, atol=1e-5)
    assert set(matrix["keys"]) <= details["images"].keys()
    result.save(tmp_path / "result.json")
    assert Result.open(tmp_path / "result.json").details == details


def test_pictures_are_small_jpegs_and_what_cannot_be_read_is_left_out(shard, tmp_path):
    film(tmp_path / "film.mp4", [1, 2])
    (tmp_path / "captions.csv").write_text("file,caption\nfilm.mp4,a film\n")
    samples = [*captions(shard).samples, *captions(tmp_path / "captions.csv").samples]
    images = small_images(samples)
    assert len(images) == 12
    assert "04" not in images
    for text in images.values():
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            assert image.format == "JPEG"
            assert max(image.size) <= SIDE


def test_the_most_confused():
    found = answers([0, 0, 1, 2, 2, 2], [1, 0, 0, 1, 1, 2], [0.5, 0.9, 0.4, 0.6, 0.8, 0.3])
    assert [(pair, rows.tolist()) for pair, rows in most_confused(found)] == [
        ((2, 1), [4, 3]), ((0, 1), [0]), ((1, 0), [2]),
    ]  # fmt: skip


def test_classes_that_are_confused(mini, tmp_path):
    """Against `zeroshot`, and by what is drawn: the classes are named wrongly."""
    for number, scene in enumerate(scenes.distinct(12, 9)):
        folder = tmp_path / ("circle", "star")[number % 2]
        folder.mkdir(exist_ok=True)
        scene.draw(64).save(folder / f"{number}.png")
    (tmp_path / "star" / "broken.png").write_bytes(b"none")
    known = Classes(("star", "house", "circle"), (0, 1, 2), ("one {}",))
    data = labelled(tmp_path)
    result, told = confusions(mini, data, known), zeroshot(mini, data, known)
    details = result.details
    assert result.figures["accuracy"] == told.figures["top-1"]
    assert details["classes"] == told.details["classes"]
    assert details["without_samples"] == told.details["without_samples"] == ["house"]
    wrong = [
        (known.names[a], known.names[b])
        for a, b in zip(told.samples["label"], told.samples["predicted"], strict=True)
        if a != b
    ]
    assert wrong
    assert {(one["right"], one["predicted"]): one["count"] for one in details["pairs"]} == Counter(wrong)
    assert {key for one in details["pairs"] for key in one["keys"]} == details["images"].keys()
    cosines = np.array([[0.5, 0.2, 0.1]], np.float32)
    assert answer(lambda: iter([Block(cosines, np.array([2]), np.array([2]))]), 1.0).ranks.tolist() == [2]
    assert len(result.skipped) == 1
    result.save(tmp_path / "result.json")
    write_report(tmp_path / "page.html", [Result.open(tmp_path / "result.json")])
    page = (tmp_path / "page.html").read_text()
    assert page.count("taken for") == len(details["pairs"])
    assert page.count("<img") == len(details["images"])
