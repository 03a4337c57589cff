"""The loss and the ranking over a range of scales."""

import numpy as np
import pytest
import torch

from sightline.data import captions
from sightline.encoder.rescorer import Rescorer
from sightline.evaluate.encode import encode
from sightline.evaluate.matching import Block, learned_scale, pair_blocks, rounds
from sightline.evaluate.temperature import RANGE, best_scale, curve, scales_around, temperature
from sightline.models import FAMILIES
from sightline.nn.loss import contrastive_loss
from support.videos import film


def fixed(cosines, right):
    """Questions in blocks of two."""
    rows = np.asarray(cosines, np.float32)
    return lambda: (Block(rows[i : i + 2], *[np.asarray(right)[i : i + 2]] * 2) for i in range(0, len(rows), 2))


def noisy(count, noise, seed=0):
    """Cosines whose right answers stand out, more or less."""
    rng = np.random.default_rng(seed)
    return np.clip(np.eye(count) * 0.3 + noise * rng.standard_normal((count, count)), -1, 1).astype(np.float32)


@pytest.mark.parametrize("way", ["text_to_image", "image_to_text"])
def test_what_a_model_says_of_its_pairs(mini, shard, way):
    """The loss is the contrastive loss of `forward`, the ranking the same at every scale."""
    encoded = encode(mini, captions(shard).samples)
    said = rounds([sample.captions for sample in encoded.samples])
    assert len(said) == len(encoded.samples), "one has a single caption"
    own = learned_scale(mini)
    model = FAMILIES["clip"].model.from_pretrained("mini", dtype="float32")
    assert own == pytest.approx(float(model.scale.detach()), rel=1e-6)
    logits = torch.from_numpy(mini.encode_text(said)).double() @ torch.from_numpy(encoded.vectors).double().T * own
    found = {name: curve(blocks, scales_around(own)) for name, blocks in pair_blocks(mini, encoded).items()}
    at = found[way].scales.tolist().index(own)
    both = (found["text_to_image"].loss[at] + found["image_to_text"].loss[at]) / 2
    assert both == pytest.approx(float(contrastive_loss(logits)), rel=1e-4)
    ahead = logits if way == "text_to_image" else logits.T
    assert found[way].ranks.tolist() == (ahead > ahead.diag()[:, None]).sum(1).tolist()
    assert not found[way].rank_changes.any()
    assert found[way].accuracy == (found[way].ranks == 0).mean()


def test_rounds_are_as_many_as_all_have():
    assert rounds([("a", "b", "c"), ("d", "e")]) == ["a", "d", "b", "e"]


def test_confidence_rises_and_entropy_falls_with_the_scale():
    found = curve(fixed(noisy(40, 0.2), range(40)), np.geomspace(0.1, 500, 20))
    assert (np.diff(found.confidence) > 0).all()
    assert (np.diff(found.entropy) < 0).all()
    assert found.confidence[0] == pytest.approx(1 / 40, rel=0.2)
    assert found.entropy[0] == pytest.approx(np.log(40), rel=0.01)
    assert found.error[-1] == pytest.approx(1 - found.accuracy, abs=0.05)


@pytest.mark.parametrize("noise", [0.12, 0.2, 0.4])
def test_the_best_scale_is_where_the_slope_is_none(noise):
    cosines = noisy(60, noise)
    scale, loss = best_scale(fixed(cosines, range(60)), fixed(cosines.T, range(60)))
    free = torch.tensor(scale, dtype=torch.float64, requires_grad=True)

    def at(factor):
        return contrastive_loss(torch.from_numpy(cosines).double() * factor)

    (slope,) = torch.autograd.grad(at(free), free)
    assert loss == pytest.approx(float(at(free).detach()), rel=1e-9)
    assert abs(float(slope)) * scale < 1e-3 * loss
    for other in (0.97, 1.03):
        assert float(at(scale * other)) > loss


@pytest.mark.parametrize(("cosines", "end"), [(np.eye(4) / 50, RANGE[1]), (-np.eye(4), RANGE[0])])
def test_without_a_least_loss_it_is_an_end_of_the_range(cosines, end):
    assert best_scale(fixed(cosines, range(4)))[0] == pytest.approx(end)


def test_the_models_own_scale_is_one_of_the_scales():
    for own in (0.01, 14.6, 5000.0):
        scales = scales_around(own)
        assert own in scales
        assert scales.min() <= min(own, RANGE[0])
        assert scales.max() >= max(own, RANGE[1]) * (1 - 1e-12)


def test_result(mini, shard):
    result = temperature(mini, captions(shard))
    figures = result.figures
    assert figures["best_scale_loss"] <= figures["loss"]
    assert (figures["rank_changes"], len(result.skipped)) == (0, 1)
    curves = result.details["text_to_image"]
    own, best = curves["scales"].index(figures["scale"]), curves["scales"].index(figures["best_scale"])
    assert curves["confidence"][own] == figures["text_to_image_confidence"]
    assert curves["error"][best] == figures["best_scale_text_to_image_calibration_error"]


def test_a_film_prompts_its_texts(mini_xclip, tmp_path):
    """X-CLIP's cosines are those of the whole model, not of two vectors."""
    for seed, name in enumerate("ab"):
        film(tmp_path / f"{name}.mp4", [seed])
    (tmp_path / "captions.csv").write_text("file,caption\na.mp4,a red square\nb.mp4,a blue circle\n")
    encoded = encode(mini_xclip, captions(tmp_path / "captions.csv").samples)
    ((cosines, right, _),) = list(pair_blocks(mini_xclip, encoded)["text_to_image"]())
    texts = mini_xclip.embed_text(["a red square", "a blue circle"])
    exact = Rescorer(mini_xclip).cosines(texts, encoded.vectors, encoded.rescoring)
    np.testing.assert_allclose(cosines, exact.T, atol=1e-6)
    assert right.tolist() == [0, 1]
