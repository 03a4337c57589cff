"""Equal captions and equal names of classes: each is as right as the other, in all evaluations."""

import unicodedata

import numpy as np
import pytest

from sightline import scenes
from sightline.data import captions, labelled
from sightline.data.classes import Classes
from sightline.evaluate import confusions, diagnosis, retrieval, temperature, zeroshot
from sightline.evaluate.encode import encode
from sightline.evaluate.equal_texts import equal_texts
from sightline.evaluate.projection import _row, encode_pairs
from sightline.metrics import ranks
from support.datasets import tar
from support.images import as_bytes

WORDS = ("a red circle", "a blue square", "caf\u00e9 at night", "a green star")
FORMS = (
    lambda text: text,
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: f" {text.replace(' ', '  ')}\n",
    str.capitalize,
)


@pytest.fixture(scope="module")
def few_words(tmp_path_factory):
    """32 images with 4 captions, written in four forms: a shard."""
    files = []
    for number, scene in enumerate(scenes.distinct(32, 5)):
        text = FORMS[number // 4 % 4](WORDS[number % 4])
        files += [(f"{number:02d}.png", as_bytes(scene.draw(64))), (f"{number:02d}.txt", text.encode())]
    return captions(tar(tmp_path_factory.mktemp("few") / "few.tar", files))


@pytest.mark.parametrize("form", FORMS)
def test_the_same_words_in_any_form(form):
    texts = [*WORDS, *map(form, WORDS), "a red circles"]
    assert equal_texts(texts).tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert equal_texts([]).tolist() == []


def oracle(encoder, data):
    """The cosines (32, 4), the ranks of images and of texts by the words, and by pairs alone."""
    encoded = encode(encoder, data.samples)
    scores = encoded.vectors.astype(np.float64) @ encoder.encode_text(list(WORDS)).astype(np.float64).T
    columns = scores[:, np.arange(32) % 4]
    same = [np.flatnonzero(np.arange(32) % 4 == number % 4) for number in range(32)]
    alone = [[number] for number in range(32)]
    return [ranks(of, right) + 1 for right in (same, alone) for of in (columns, columns.T)]


def test_recall_counts_words_and_tells_what_pairs_alone_would_be(mini, few_words):
    result = retrieval(mini, few_words)
    of_images, of_texts, image_pairs, text_pairs = oracle(mini, few_words)
    assert result.samples["image_to_text"] == of_images.tolist()
    assert [rank for (rank,) in result.samples["text_to_image"]] == of_texts.tolist()
    assert (result.details["texts"], result.details["different_texts"]) == (32, 4)
    pairs = result.figures | result.details["pairs_only"]
    for way, found, alone in (
        ("image_to_text", of_images, image_pairs),
        ("text_to_image", of_texts, text_pairs),
    ):
        for k in (1, 5, 10):
            assert result.figures[f"{way}_R@{k}"] == np.mean(found <= k)
            assert pairs[f"{way}_R@{k}"] == np.mean(alone <= k)
        assert pairs[f"{way}_median_rank"] == np.median(alone)
    assert result.figures["image_to_text_R@10"] > pairs["image_to_text_R@10"] + 0.1
    assert all(result.figures[name] != value for name, value in result.details["pairs_only"].items())


def test_a_text_that_two_films_have(mini_xclip, few_words):
    """Where the whole model scores pairs, tile by tile."""
    result = retrieval(mini_xclip, few_words)
    assert result.details["different_texts"] == 4
    assert result.details["pairs_only"]
    # Of the four texts one is first for each image; it is right for all images that have it.
    assert result.figures["image_to_text_R@10"] <= result.figures["image_to_text_mean_rank"] * 8
    assert set(result.samples["image_to_text"]) <= {1, 9, 17, 25}, "behind all eight copies of each wrong text"


def test_no_equal_text_is_a_mistake(mini, few_words):
    found = diagnosis(mini, few_words)
    of_images, of_texts, _, _ = oracle(mini, few_words)
    assert found.figures["text_to_image_accuracy"] == np.mean(of_texts == 1)
    assert found.figures["image_to_text_accuracy"] == np.mean(of_images == 1)
    words = {sample.key: equal_texts([*WORDS, *sample.captions])[-1] for sample in few_words.samples}
    for one in found.details["text_to_image"]["mistakes"]:
        assert words[one["right"]] != words[one["predicted"]]
    for one in found.details["image_to_text"]["mistakes"]:
        right, predicted = equal_texts([one["right"], one["predicted"]])
        assert right != predicted
    told = temperature(mini, few_words)
    for way in ("text_to_image", "image_to_text"):
        assert told.figures[f"{way}_accuracy"] == found.figures[f"{way}_accuracy"]
    # The loss stays that of the pairs, which no model can bring below log 8.
    assert told.figures["best_scale_loss"] > np.log(8)


def test_projection_counts_as_retrieval_does(mini, few_words):
    pairs, _ = encode_pairs(mini, few_words)
    row, figures = _row("original", pairs), retrieval(mini, few_words).figures
    assert {name: row[name] for name in figures} == figures


def test_classes_of_one_name(mini, tmp_path):
    for number, scene in enumerate(scenes.distinct(6, 9)):
        folder = tmp_path / f"n0000000{number % 3}"
        folder.mkdir(exist_ok=True)
        scene.draw(64).save(folder / f"{number}.png")
    known = Classes(("crane", "star", "Crane"), (0, 1, 2), ("a {}",))
    data = labelled(tmp_path)
    result, told = zeroshot(mini, data, known), confusions(mini, data, known)
    assert result.details["equal_names"] == told.details["equal_names"] == ["crane"]
    assert result.figures["top-1"] == told.figures["accuracy"]
    ranked = dict(zip(result.samples["label"], result.samples["rank"], strict=True))
    assert {rank for label, rank in ranked.items() if label in (0, 2)} <= {1, 2}
    assert not [pair for pair in told.details["pairs"] if {pair["right"], pair["predicted"]} == {"crane", "Crane"}]
