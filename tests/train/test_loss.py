"""The contrastive loss: pairs as ever, several texts a picture by its definition, and by rows."""

import math

import pytest
import torch
from torch.nn import functional as F

from sightline.nn.loss import contrastive_loss, loss_of_rows, loss_of_rows_without_equals, text_kinds


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


# --- equal texts


def with_equal_texts(x, owner, kind, smoothing=0.0):
    return loss_of_rows_without_equals(x, x.t(), torch.tensor(owner), torch.tensor(kind), 0, 0, smoothing)


def by_definition(x, owner, kind, smoothing):
    """Two cross entropies, answer by answer, over those that are left."""
    pictures, texts = range(len(x)), range(len(owner))
    said = [{kind[text] for text in texts if owner[text] == picture} for picture in pictures]
    of_pictures = of_texts = 0.0
    for picture in pictures:
        left = [text for text in texts if owner[text] == picture or kind[text] not in said[picture]]
        chances = dict(zip(left, x[picture, left].log_softmax(0), strict=True))
        own = [chances[text] for text in texts if owner[text] == picture]
        if own:
            of_pictures -= (1 - smoothing) * sum(own) / len(own) + smoothing * sum(chances.values()) / len(left)
    for text in texts:
        left = [picture for picture in pictures if owner[text] == picture or kind[text] not in said[picture]]
        chances = dict(zip(left, x[left, text].log_softmax(0), strict=True))
        of_texts -= (1 - smoothing) * chances[owner[text]] + smoothing * sum(chances.values()) / len(left)
    return (of_pictures / len(x) + of_texts / len(owner)) / 2


EQUAL = [
    ([0, 1, 2, 3], [0, 0, 1, 0]),  # one caption each
    ([0, 0, 1, 2, 2, 3], [0, 1, 1, 2, 1, 2]),  # several, some of them common
    ([0, 0, 1, 3], [5, 5, 5, 7]),  # one picture says a caption twice, one has none
    ([0, 1, 2, 3], [0, 0, 0, 0]),  # all alike
]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("owner", "kind"), EQUAL)
def test_equal_texts_are_no_answers_for_each_others_pictures(owner, kind, smoothing):
    torch.manual_seed(3)
    x = logits(4, len(owner))
    mine, plain = with_equal_texts(x, owner, kind, smoothing), by_definition(x, owner, kind, smoothing)
    torch.testing.assert_close(mine, plain, rtol=1e-12, atol=1e-15)
    (a,), (b,) = torch.autograd.grad(mine, x), torch.autograd.grad(plain, x, allow_unused=True)
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)
    assert torch.autograd.gradcheck(lambda x: with_equal_texts(x, owner, kind, smoothing), x)
    assert not torch.isclose(mine, contrastive_loss(x, torch.tensor(owner), smoothing), rtol=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_where_no_texts_are_equal_nothing_changes(smoothing):
    torch.manual_seed(4)
    x, owner = logits(4, 7), [0, 0, 1, 2, 2, 2, 3]
    mine = with_equal_texts(x, owner, list(range(7)), smoothing)
    torch.testing.assert_close(mine, contrastive_loss(x, torch.tensor(owner), smoothing), rtol=1e-12, atol=0)


def test_of_one_caption_for_all_there_is_nothing_to_learn():
    """Where CLIP's loss is the logarithm of the batch at best."""
    torch.manual_seed(6)
    x = logits(16, 16)
    loss = with_equal_texts(x, list(range(16)), [0] * 16)
    loss.backward()
    assert loss == 0
    assert x.grad.abs().max() == 0
    assert contrastive_loss(torch.full((16, 16), 3.0), torch.arange(16)) == pytest.approx(math.log(16))


@pytest.mark.parametrize(("owner", "kind"), EQUAL)
def test_equal_texts_over_two_processes_add_up(owner, kind):
    torch.manual_seed(5)
    x, owners, kinds = logits(4, len(owner)), torch.tensor(owner), torch.tensor(kind)
    cut = sum(picture < 2 for picture in owner)
    first = loss_of_rows_without_equals(x[:2], x[:, :cut].t(), owners, kinds, 0, 0, 0.1)
    second = loss_of_rows_without_equals(x[2:], x[:, cut:].t(), owners, kinds, 2, cut, 0.1)
    torch.testing.assert_close(first + second, with_equal_texts(x, owner, kind, 0.1), rtol=1e-12, atol=1e-15)


def test_texts_are_equal_by_their_tokens_not_by_what_fills_them_up():
    ids = torch.tensor([[7, 9, 0, 0], [7, 9, 5, 5], [7, 9, 9, 0], [7, 8, 0, 0], [7, 9, 0, 0]])
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 0]])
    kinds = text_kinds(ids, mask).tolist()
    assert kinds[0] == kinds[1]
    assert len(set(kinds)) == 4
