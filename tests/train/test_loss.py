"""The contrastive loss: pairs as ever, several texts a picture by its definition, and by rows."""

import pytest
import torch
from torch.nn import functional as F

from sightline.nn.loss import contrastive_loss, loss_of_rows


def logits(pictures, texts):
    return (torch.randn(pictures, texts, dtype=torch.float64) * 3).requires_grad_()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_of_pairs_it_is_the_loss_of_pairs(smoothing):
    torch.manual_seed(0)
    x = logits(6, 6)
    mine = contrastive_loss(x, torch.arange(6), smoothing)
    theirs = contrastive_loss(x, label_smoothing=smoothing)
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=0)
    (a,), (b,) = torch.autograd.grad(mine, x), torch.autograd.grad(theirs, x)
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_several_texts_share_a_pictures_answer(smoothing):
    torch.manual_seed(1)
    owner = torch.tensor([0, 0, 0, 1, 2, 2])
    x = logits(3, 6)
    forth = back = 0.0
    for text in range(6):
        chances = x[:, text].log_softmax(0)
        forth -= (1 - smoothing) * chances[owner[text]] + smoothing * chances.mean()
    for picture in range(3):
        chances = x[picture].log_softmax(0)
        back -= (1 - smoothing) * chances[owner == picture].mean() + smoothing * chances.mean()
    found = contrastive_loss(x, owner, smoothing)
    torch.testing.assert_close(found, (forth / 6 + back / 3) / 2, rtol=1e-12, atol=0)


def test_a_picture_without_a_text_is_a_wrong_answer_only():
    x = torch.tensor([[5.0, 0.0], [0.0, 5.0], [9.0, 0.0]], dtype=torch.float64)
    owner = torch.tensor([0, 1])
    with_it = contrastive_loss(x, owner)
    without = contrastive_loss(x[:2], owner)
    assert with_it.isfinite()
    assert with_it > without  # the first text is more like the third picture


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_rows_of_two_processes_add_up(smoothing):
    torch.manual_seed(2)
    owner = torch.tensor([0, 0, 1, 2, 2, 2, 3])
    x = logits(4, 7)
    whole = contrastive_loss(x, owner, smoothing)
    first = loss_of_rows(x[:1], x[:, :2].t(), owner[:2], 0, 0, smoothing)
    second = loss_of_rows(x[1:], x[:, 2:].t(), owner[2:] - 1, 1, 2, smoothing)
    torch.testing.assert_close(first + second, whole, rtol=1e-12, atol=0)


def test_a_picture_without_a_text_asks_for_none_smoothed_or_not():
    logits = torch.randn(3, 2, generator=torch.Generator().manual_seed(1), requires_grad=True)
    contrastive_loss(logits, torch.tensor([0, 1]), 0.1).backward()
    smooth, forth = logits.grad[2].clone(), F.cross_entropy(logits.t(), torch.tensor([0, 1]), label_smoothing=0.1)
    assert torch.allclose(smooth, torch.autograd.grad(forth / 2, logits)[0][2])
