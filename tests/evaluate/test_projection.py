"""New heads on frozen towers, and vectors of fewer numbers."""

import json

import numpy as np
import pytest

from sightline import scenes
from sightline.data import captions
from sightline.encoder import load
from sightline.errors import UsageError
from sightline.evaluate.heads import train_heads
from sightline.evaluate.pair_vectors import PairVectors, principal_axes, turned
from sightline.evaluate.projection import encode_pairs, projection
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
    return PairVectors(unit(pictures), unit(texts), owner, np.arange(len(owner)))


@pytest.mark.parametrize("dim", [4, 16, 64])
def test_heads_learn_what_the_states_tell(dim):
    heads = train_heads(made_pairs(), dim, 10.0, seed=3)
    found = heads.project(made_pairs(seed=7))
    assert (found.images.shape, found.texts.shape) == ((100, dim), (200, dim))
    np.testing.assert_allclose(np.linalg.norm(found.images, axis=1), 1, atol=1e-5)
    recall = ((found.texts @ found.images.T).argmax(1) == found.owner).mean()
    assert recall > 0.9


def test_heads_are_those_of_their_seed():
    one, same, other = (train_heads(made_pairs(), 4, 10.0, seed=seed).texts.weight for seed in (3, 3, 4))
    assert (one == same).all()
    assert not (one == other).any()


def test_principal_axes_are_numpys_and_keep_cosines():
    rng = np.random.default_rng(0)
    pairs = PairVectors(
        unit(rng.standard_normal((50, 6)) + 2), unit(rng.standard_normal((90, 6))), np.arange(90) // 2, np.arange(90)
    )
    axes, shares = principal_axes(pairs)
    both = np.concatenate([pairs.images / np.sqrt(50), pairs.texts / np.sqrt(90)])
    _, singular, right = np.linalg.svd(both.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(axes * right.T, axis=0)), 1, atol=1e-5)
    np.testing.assert_allclose(shares, singular**2 / 2, atol=1e-6)
    whole = turned(pairs, axes)
    np.testing.assert_allclose(whole.texts @ whole.images.T, pairs.texts @ pairs.images.T, atol=1e-6)


@pytest.mark.parametrize("name", ["mini", "mini-align", "mini-groupvit", "mini-xclip"])
def test_states_are_what_the_projection_takes(name, shard):
    """States and vectors against the whole model's parts."""
    encoder = load(name, precision="float32")
    (states, skipped), (vectors, _) = (
        encode_pairs(encoder, captions(shard), project=wanted) for wanted in (False, True)
    )
    assert len(skipped) == 1
    samples = [sample for sample in captions(shard).samples if sample.key != "04"]
    images = encoder.encode_images([sample.content() for sample in samples])
    np.testing.assert_allclose(vectors.images, images, atol=1e-5)
    texts = [text for sample in samples for text in sample.captions]
    np.testing.assert_allclose(vectors.texts, encoder.encode_text(texts), atol=1e-6)
    assert vectors.owner.tolist() == states.owner.tolist()
    model = FAMILIES[encoder.config.model_type].model.from_pretrained(name, dtype="float32")
    text = encoder.config.text_config.hidden_size
    without_projection = name in ("mini-align", "mini-xclip")
    vision = encoder.dim if without_projection else encoder.config.vision_config.hidden_size
    assert (states.images.shape[1], states.texts.shape[1]) == (vision, text)
    np.testing.assert_allclose(np.linalg.norm(states.images, axis=1), 1, atol=1e-5)
    if name == "mini":  # without a bias the length of a state changes nothing
        import torch

        for head, rows, projected in (
            (model.text_projection, states.texts, vectors.texts),
            (model.visual_projection, states.images, vectors.images),
        ):
            np.testing.assert_allclose(unit(head(torch.from_numpy(rows)).detach().numpy()), projected, atol=1e-5)


@pytest.mark.system
def test_result(mini, train, shard):
    result = projection(mini, train, captions(shard), dims=(8, 300, 8), seed=1)
    ways = [(row["method"], row["dimension"]) for row in result.details["rows"]]
    assert ways == [
        ("original", mini.dim),
        ("truncated", 8),
        ("principal axes", 8),
        ("new heads", 8),
        ("new heads", 300),
    ]
    assert result.seed == 1
    assert result.settings["train_fingerprint"] == train.fingerprint
    assert 1 <= result.figures["effective_dimension"] <= mini.dim
    by = dict(zip(ways, result.details["rows"], strict=True))
    from sightline.evaluate import retrieval

    figures = retrieval(mini, captions(shard)).figures
    assert by["original", mini.dim]["mean_recall"] == pytest.approx(figures["mean_recall"])
    assert by["principal axes", 8]["mean_recall"] >= by["truncated", 8]["mean_recall"] - 0.1
    assert result.figures["new heads 300 mean recall"] == by["new heads", 300]["mean_recall"]


@pytest.mark.parametrize(("dims", "says"), [((), "none"), ((0,), "above 0"), ((128, -1), "-1")])
def test_dimensions_that_are_none(mini, train, shard, dims, says):
    with pytest.raises(UsageError, match=says):
        projection(mini, train, captions(shard), dims=dims)


def test_what_was_trained_on_is_not_measured_on(mini, shard):
    with pytest.raises(UsageError, match=r"12 samples of .* are also in .*, such as 00"):
        projection(mini, captions(shard), captions(shard), dims=(8,))
