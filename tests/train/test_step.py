"""A step's gradient, however it is computed."""

import weakref
from dataclasses import replace

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from sightline.errors import UsageError
from sightline.models.pairs import PairEmbeddings
from sightline.train.loss import ContrastiveLoss
from sightline.train.parallel import Parallel
from sightline.train.step import backward
from support import tiny
from support.parity import GRADIENT_FLOOR, GRADIENTS, close

OWNER = [0, 0, 1, 2, 3, 3, 3, 4, 5]


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def found(model, batch, seed=0, **how):
    """The loss and the gradients of a step, and the next random number after it."""
    model.zero_grad()
    torch.manual_seed(seed)
    done = backward(model, batch, how.pop("loss", ContrastiveLoss(0.1)), parallel=Parallel(), **how)
    assert (done.images, done.texts) == (len(batch), len(batch.owner))
    return done.loss, gradients(model), torch.rand(1)


def all_graphs_kept(model, batch, pieces, precision=torch.float32):
    """What gradient caching stands for: so many forwards, one loss over all, one backward."""
    model.zero_grad()
    torch.manual_seed(0)
    embeddings = []
    for i in range(pieces):
        piece = batch.part(len(batch) * i // pieces, len(batch) * (i + 1) // pieces)
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            made = model.encode(piece.pixel_values, piece.input_ids, piece.attention_mask)
        embeddings.append(made.map(torch.Tensor.float) if precision != torch.float32 else made)
    sides = [[h.images for h in embeddings], [h.texts for h in embeddings]]
    whole = PairEmbeddings(*(tuple(map(torch.cat, zip(*side, strict=True))) for side in sides))
    loss = ContrastiveLoss(0.1)(model.match(whole), batch)
    loss.backward()
    return loss.detach(), gradients(model), torch.rand(1)


def same(mine, expected, relative=GRADIENTS, floor=GRADIENT_FLOOR):
    """Loss and gradients as in the models' parity, and the same random number next."""
    assert torch.equal(mine[2], expected[2])
    close(mine[0], expected[0], relative)
    assert mine[1].keys() == expected[1].keys()
    size = torch.cat([gradient.flatten() for gradient in expected[1].values()]).norm().item()
    for name, gradient in expected[1].items():
        close(mine[1][name], gradient, relative, floor * size)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_at_once_is_the_gradient_of_the_models_own_loss(family):
    model = tiny.model(family)
    batch = tiny.batch(model, range(4), 0)
    loss, mine, _ = found(model, batch, loss=ContrastiveLoss(model.label_smoothing))
    model.zero_grad()
    expected = model.loss(model.match(model.encode(batch.pixel_values, batch.input_ids, batch.attention_mask)))
    expected.backward()
    close(loss, expected.detach(), 1e-12)
    for name, gradient in gradients(model).items():
        close(mine[name], gradient, GRADIENTS, GRADIENT_FLOOR)


def test_cached_32_times_32():
    model = tiny.model("clip", drop=0.1)
    batch = tiny.batch(model, range(32 * 32), 0)
    same(found(model, batch, micro_batch_size=32), all_graphs_kept(model, batch, 32))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_cached_it_is_the_gradient_of_the_whole(family):
    """With all that drops, GroupViT's noise, its heads' batch norm and X-CLIP's prompts; several texts a picture."""
    model, again = tiny.model(family, drop=0.2), tiny.model(family, drop=0.2)
    batch = tiny.batch(model, OWNER, 0)
    same(found(model, batch, micro_batch_size=2), all_graphs_kept(again, batch, 3))
    for name, tensor in again.state_dict().items():  # running statistics: the whole batch was seen once
        close(model.state_dict()[name], tensor, 1e-12)


@pytest.mark.parametrize("how", [{}, {"micro_batch_size": 2}])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_equal_captions_are_not_compared_as_a_plain_formula_says(family, how):
    """Captions 1, 4 and 7 are the same, and 3 and 8."""
    model, again = tiny.model(family), tiny.model(family)
    batch = tiny.with_equal_captions(tiny.batch(model, OWNER, 0))
    loss, mine, _ = found(model, batch, loss=ContrastiveLoss(equal_captions="ignored"), **how)
    again.zero_grad()
    torch.manual_seed(0)
    logits = again.match(again.encode(batch.pixel_values, batch.input_ids, batch.attention_mask)).logits_per_image
    kinds = torch.tensor([0, 1, 2, 3, 1, 4, 5, 1, 3])
    is_own = torch.nn.functional.one_hot(batch.owner).t().double()  # (B, T)
    is_equal_elsewhere = (is_own @ (kinds[:, None] == kinds).double() > 0) & (is_own == 0)
    left = logits.masked_fill(is_equal_elsewhere, -1e9)
    of_images = -(left.log_softmax(1) * is_own).sum(1) / is_own.sum(1)
    of_texts = -(left.log_softmax(0) * is_own).sum(0)
    expected = (of_images.mean() + of_texts.mean()) / 2
    expected.backward()
    close(loss, expected.detach(), 1e-12)
    size = torch.cat([gradient.flatten() for gradient in gradients(again).values()]).norm().item()
    for name, gradient in gradients(again).items():
        close(mine[name], gradient, GRADIENTS, GRADIENT_FLOOR * size)
    assert not torch.isclose(found(model, batch, loss=ContrastiveLoss())[0], loss, rtol=1e-3)


def test_cached_in_bfloat16():
    model = tiny.model("clip", drop=0.2, dtype=torch.float32)
    batch = tiny.batch(model, OWNER, 0)
    mine = found(model, batch, micro_batch_size=2, precision=torch.bfloat16)
    same(mine, all_graphs_kept(model, batch, 3, torch.bfloat16), 1e-5, 1e-5)
    assert all(gradient.dtype == torch.float32 for gradient in mine[1].values())
    plain = found(model, batch, micro_batch_size=2)
    assert not torch.equal(mine[0], plain[0])
    close(mine[0], plain[0], 0.02)


def test_cached_with_gradient_checkpointing():
    model = tiny.model("clip", drop=0.2)
    batch = tiny.batch(model, OWNER, 0)
    expected = found(model, batch, micro_batch_size=2)
    model.gradient_checkpointing_enable()
    same(found(model, batch, micro_batch_size=2), expected)


def test_cached_with_a_frozen_tower():
    model = tiny.model("clip", drop=0.2)
    model.vision_model.requires_grad_(False)
    model.visual_projection.requires_grad_(False)
    batch = tiny.batch(model, OWNER, 0)
    mine = found(model, batch, micro_batch_size=2)
    same(mine, all_graphs_kept(model, batch, 3))
    assert not any(name.startswith("vis") for name in mine[1])


class Held:
    """Bytes that graphs hold at a time, and the most that they held."""

    def __init__(self):
        self.now = self.most = 0

    def __enter__(self):
        self.hooks = saved_tensors_hooks(self.pack, lambda kept: kept.tensor)
        self.hooks.__enter__()
        return self

    def __exit__(self, *error):
        self.hooks.__exit__(*error)

    def pack(self, tensor):
        kept = type("Kept", (), {})()
        kept.tensor, size = tensor.detach(), tensor.numel() * tensor.element_size()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(kept, self.free, size)
        return kept

    def free(self, size):
        self.now -= size


def test_graphs_of_one_part_at_a_time():
    model = tiny.model("clip")
    batch = tiny.batch(model, range(64), 0)
    with Held() as one_part:
        model.encode(batch.part(0, 4).pixel_values, batch.part(0, 4).input_ids)
    with Held() as whole:
        found(model, batch)
    with Held() as cached:
        found(model, batch, micro_batch_size=4)
    embeddings = model.encode(batch.pixel_values, batch.input_ids).map(lambda x: x.detach().requires_grad_())
    with Held() as loss:
        ContrastiveLoss(0.1)(model.match(embeddings), batch)
    assert cached.now == 0
    assert whole.most > 12 * one_part.most  # 16 parts, but a weight is counted once for each graph that it is in
    assert cached.most <= max(1.01 * one_part.most, loss.most)


def test_accumulated_parts_are_batches_of_their_own():
    model = tiny.model("clip")
    batch = tiny.batch(model, [0, 1, 1, 2, 2], 0)
    loss, mine, _ = found(model, batch, grad_accum_steps=2)
    first, second = (found(model, part) for part in (batch.part(0, 1), batch.part(1, 3)))
    close(loss, first[0] / 3 + second[0] * 2 / 3, 1e-12)
    for name, gradient in mine.items():
        close(gradient, first[1][name] / 3 + second[1][name] * 2 / 3, 1e-12, 1e-15)
    both = found(model, batch, grad_accum_steps=2, micro_batch_size=1)
    close(both[0], loss, 1e-12)
    for name, gradient in mine.items():
        close(both[1][name], gradient, 1e-9, 1e-12)


def test_batch_norms_over_parts_are_refused_and_frozen_ones_are_not():
    model = tiny.model("align")
    batch = tiny.batch(model, OWNER, 0)
    model.train()
    with pytest.raises(
        UsageError, match=r"AlignModel has batch norms \(vision_model.embeddings.batchnorm, .*freeze_norms=True"
    ):
        found(model, batch, micro_batch_size=2)
    found(model, batch, grad_accum_steps=2)  # parts that are batches of their own may have their own statistics


def test_parts_that_there_are_not():
    model = tiny.model("clip")
    batch = tiny.batch(model, [0, 1], 0)
    with pytest.raises(UsageError, match=r"2 images are too few \(0 could not be read\): lower grad_accum_steps \(3\)"):
        found(model, batch, grad_accum_steps=3)
    with pytest.raises(UsageError, match="0 images are too few"):
        backward(model, batch.part(0, 0), ContrastiveLoss(), parallel=Parallel())
    with pytest.raises(UsageError, match="use micro_batch_size, not grad_accum_steps"):
        found(model, replace(batch, extras={"masks": torch.zeros(2)}), grad_accum_steps=2)
    model.requires_grad_(False).scale_parameter.requires_grad_(True)
    with pytest.raises(UsageError, match="leave micro_batch_size out"):
        found(model, batch, micro_batch_size=1)
