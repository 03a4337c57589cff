"""New heads on frozen towers, and vectors of fewer numbers."""

import json

import numpy as np
import pytest

from sightline import scenes
from sightline.data import captions
from sightline.encoder import load
from sightline.errors import UsageError
from sightline.evaluate.encode import quiet
from sightline.evaluate.projection import Pairs, _Twofold, principal_axes, projection, train_heads, turned
from sightline.models import FAMILIES
from sightline.vectors import unit
from support.datasets import tar
from support.images import as_bytes


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    files = []
    for number, scene in enumerate(scenes.distinct(48, 11)):
        said = json.dumps({"captions": scene.captions[:2]}).encode()
        files += [(f"t{number}.png", as_bytes(scene.draw(64))), (f"t{number}.json", said)]
    return captions(tar(tmp_path_factory.mktemp("train") / "train.tar", files))


def made_pairs(count=100, width=24, each=2, seed=0):
    """Pictures and texts that tell of the same eight numbers, each in its own way and with noise."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(count), each)
    ways = np.random.default_rng(1)
    hidden = rng.standard_normal((count, 8))
    pictures = hidden @ ways.standard_normal((8, width)) + 0.1 * rng.standard_normal((count, width))
    texts = hidden[owner] @ ways.standard_normal((8, width - 6)) + 0.1 * rng.standard_normal((len(owner), width - 6))
    return Pairs(unit(pictures), unit(texts), owner)


@pytest.mark.parametrize("dim", [4, 16, 64])
def test_heads_learn_what_the_states_tell(dim):
    heads = train_heads(made_pairs(), dim, 10.0, seed=3)
    found = heads.project(made_pairs(seed=7))
    assert (found.pictures.shape, found.texts.shape) == ((100, dim), (200, dim))
    np.testing.assert_allclose(np.linalg.norm(found.pictures, axis=1), 1, atol=1e-5)
    recall = ((found.texts @ found.pictures.T).argmax(1) == found.owner).mean()
    assert recall > 0.9


def test_heads_are_those_of_their_seed():
    one, same, other = (train_heads(made_pairs(), 4, 10.0, seed=seed).texts.weight for seed in (3, 3, 4))
    assert (one == same).all()
    assert not (one == other).any()


def test_principal_axes_are_numpys_and_keep_cosines():
    rng = np.random.default_rng(0)
    pairs = Pairs(unit(rng.standard_normal((50, 6)) + 2), unit(rng.standard_normal((90, 6))), np.arange(90) // 2)
    axes, shares = principal_axes(pairs)
    both = np.concatenate([pairs.pictures / np.sqrt(50), pairs.texts / np.sqrt(90)])
    _, singular, right = np.linalg.svd(both.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(axes * right.T, axis=0)), 1, atol=1e-5)
    np.testing.assert_allclose(shares, singular**2 / 2, atol=1e-6)
    whole = turned(pairs, axes)
    np.testing.assert_allclose(whole.texts @ whole.pictures.T, pairs.texts @ pairs.pictures.T, atol=1e-6)


@pytest.mark.parametrize("name", ["mini", "mini-align", "mini-groupvit"])
def test_states_are_what_the_projection_takes(name, shard):
    """Each side of the twofold vectors against the whole model's parts."""
    encoder = load(name, dtype="float32")
    states, own, skipped = _Twofold(encoder).pairs(captions(shard), quiet)
    assert len(skipped) == 1
    samples = [one for one in captions(shard).samples if one.key != "04"]
    np.testing.assert_allclose(own.pictures, encoder.encode_images([one.content() for one in samples]), atol=1e-5)
    texts = [text for one in samples for text in one.captions]
    np.testing.assert_allclose(own.texts, encoder.encode_text(texts), atol=1e-5)
    model = FAMILIES[encoder.config.model_type].model.from_pretrained(name, dtype="float32")
    text = encoder.config.text_config.hidden_size
    vision = encoder.dim if name == "mini-align" else encoder.config.vision_config.hidden_size
    assert (states.pictures.shape[1], states.texts.shape[1]) == (vision, text)
    if name == "mini":  # without a bias the length of what is projected tells nothing
        import torch

        projected = model.text_projection(torch.from_numpy(states.texts)).detach().numpy()
        np.testing.assert_allclose(unit(projected), own.texts, atol=1e-5)
    assert encoder.dim == own.texts.shape[1], "the encoder that was given is as it was"


def test_result(mini, train, shard):
    result = projection(mini, train, captions(shard), dims=(8, 300, 8), seed=1)
    ways = [(row["way"], row["dimension"]) for row in result.details["rows"]]
    assert ways == [("own", mini.dim), ("own, cut", 8), ("principal axes", 8), ("new heads", 8), ("new heads", 300)]
    assert result.seed == 1
    assert result.settings["train_fingerprint"] == train.fingerprint
    assert 1 <= result.figures["effective_dimension"] <= mini.dim
    by = dict(zip(ways, result.details["rows"], strict=True))
    from sightline.evaluate import retrieval

    figures = retrieval(mini, captions(shard)).figures
    assert by["own", mini.dim]["mean_recall"] == pytest.approx(figures["mean_recall"])
    assert by["principal axes", 8]["mean_recall"] >= by["own, cut", 8]["mean_recall"] - 0.1
    assert result.figures["new heads 300 mean recall"] == by["new heads", 300]["mean_recall"]


@pytest.mark.parametrize(("dims", "says"), [((), "none"), ((0,), "above 0"), ((128, -1), "-1")])
def test_dimensions_that_are_none(mini, train, shard, dims, says):
    with pytest.raises(UsageError, match=says):
        projection(mini, train, captions(shard), dims=dims)


def test_what_was_trained_on_is_not_measured_on(mini, shard):
    with pytest.raises(UsageError, match=r"12 samples of .* are also in .*, such as 00"):
        projection(mini, captions(shard), captions(shard), dims=(8,))
