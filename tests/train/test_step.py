"""A step's gradient, however it is computed."""

import pytest
import torch

from models.test_pairs import MODELS, at_random, inputs
from sightline.errors import UsageError
from sightline.train.batch import Batch
from sightline.train.objective import Contrastive
from sightline.train.parallel import Parallel
from sightline.train.step import backward


def batch_of(model, owner):
    """Random texts, so many pictures as `owner` (T,) tells."""
    pixels, ids, mask = inputs(model, len(owner))
    return Batch(pixels[: max(owner) + 1], ids, mask, torch.tensor(owner))


def gradients(model):
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", MODELS)
def test_plain_is_the_gradient_of_the_loss(family):
    torch.manual_seed(0)
    model = at_random(family)
    batch = batch_of(model, [0, 1, 2])
    done = backward(model, batch, Contrastive(model.label_smoothing), parallel=Parallel())
    found = gradients(model)
    model.zero_grad()
    loss = model.loss(model.meet(model.halves(batch.pixel_values, batch.input_ids, batch.attention_mask)))
    loss.backward()
    torch.testing.assert_close(done.loss, loss.detach(), rtol=1e-12, atol=0)
    assert (done.pictures, done.texts) == (3, 3)
    assert found.keys() == gradients(model).keys()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-9, msg=name)


def test_accumulated_parts_are_batches_of_their_own():
    torch.manual_seed(0)
    model = at_random("clip")
    batch = batch_of(model, [0, 1, 1, 2, 2])
    done = backward(model, batch, Contrastive(), accumulate=2, parallel=Parallel())
    found = gradients(model)
    model.zero_grad()
    first = backward(model, batch.part(0, 1), Contrastive(), parallel=Parallel()).loss
    for p in model.parameters():
        p.grad = None if p.grad is None else p.grad / 2
    second = backward(model, batch.part(1, 3), Contrastive(), parallel=Parallel()).loss
    torch.testing.assert_close(done.loss, first / 3 + second * 2 / 3)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(found[name], gradient * 2 / 3, msg=name)


def test_what_has_no_parts_says_so():
    model = at_random("clip")
    batch = batch_of(model, [0, 1])
    with pytest.raises(UsageError, match="lower accumulate"):
        backward(model, batch, Contrastive(), accumulate=3, parallel=Parallel())


@pytest.mark.parametrize("family", MODELS)
def test_cached_is_the_gradient_of_the_whole(family):
    torch.manual_seed(0)
    model = at_random(family)
    batch = batch_of(model, [0, 0, 1, 2, 3])
    done = backward(model, batch, Contrastive(0.1), parallel=Parallel())
    expected = {name: gradient.clone() for name, gradient in gradients(model).items()}
    model.zero_grad()
    cached = backward(model, batch, Contrastive(0.1), micro_batch=3, parallel=Parallel())
    torch.testing.assert_close(cached.loss, done.loss, rtol=1e-12, atol=0)
    assert gradients(model).keys() == expected.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-12 * largest, msg=name)
