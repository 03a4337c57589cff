"""Distillation: the loss, the teacher's vectors beside each batch, and a run that goes on from its folder."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from sightline import CLIPModel
from sightline.errors import UsageError
from sightline.models.pairs import Similarities
from sightline.train import Batch, Distillation, LocalRows, Recipe, Teacher, open_run, train


def vectors(count, seed):
    return F.normalize(
        torch.randn(count, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1
    )


def batch(images, texts, scale=10.0):
    extras = {"teacher_images": images, "teacher_texts": texts, "teacher_scale": torch.full((len(images),), scale)}
    ids = torch.ones(len(texts), 3, dtype=torch.long)
    owner = torch.arange(len(texts)) // 2
    return Batch(torch.empty(len(images), 0), ids, ids, owner, {k: v.double() for k, v in extras.items()})


def similarities(images, texts, scale=10.0):
    return Similarities(scale * images @ texts.t(), images, texts)


def test_the_loss_is_zero_where_the_vectors_are_the_teachers_and_grows_with_the_distance():
    images, texts = vectors(4, 1), vectors(8, 2)
    told = batch(images, texts)
    assert Distillation()(similarities(images, texts), told).abs() < 1e-12
    near = F.normalize(images + 0.1 * vectors(4, 3), dim=-1)
    far = F.normalize(images + 0.5 * vectors(4, 3), dim=-1)
    assert 0 < Distillation()(similarities(near, texts), told) < Distillation()(similarities(far, texts), told)


def test_the_loss_is_that_of_the_definition():
    images, texts, own = vectors(4, 1), vectors(8, 2), vectors(4, 3)
    found, told = similarities(own, texts), batch(images, texts)
    assert Distillation(similarities=0)(found, told).item() == pytest.approx((1 - (own * images).sum(1)).mean().item())
    p, q = (10 * images @ texts.t()).softmax(1), (10 * own @ texts.t()).softmax(1)
    rows = (p * (p / q).log()).sum(1).mean()
    p, q = (10 * texts @ images.t()).softmax(1), (10 * texts @ own.t()).softmax(1)
    columns = (p * (p / q).log()).sum(1).mean()
    assert Distillation(vectors=0)(found, told).item() == pytest.approx((rows + columns).item() / 2)


def test_what_the_loss_needs_is_said_in_a_line():
    found = similarities(vectors(4, 1), vectors(8, 2))
    with pytest.raises(UsageError, match=r"give the recipe data=Teacher"):
        Distillation()(found, replace(batch(vectors(4, 1), vectors(8, 2)), extras={}))
    with pytest.raises(UsageError, match="vectors of one width"):
        Distillation()(found, batch(vectors(4, 1)[:, :5], vectors(8, 2)[:, :5]))


def recipe(shard, **changes):
    given = {"model": "mini", "steps": 4, "batch_size": 4, "checkpoint_every": 2, "precision": "float32", "lr": 3e-4}
    teacher = Teacher(teacher="mini", source=str(shard))
    return Recipe(**{**given, "data": teacher, "loss": Distillation(), "logit_scale": "fixed", **changes})


@pytest.mark.system
def test_a_batch_has_the_teachers_vectors(shard, mini):
    made = recipe(shard)
    model, processor = made.start()
    taught = made.data(made, processor, LocalRows())
    told = next(taught.stream(0, 1))
    with torch.no_grad():
        own = model.eval().match(model.encode(told.pixel_values, told.input_ids, told.attention_mask))
    torch.testing.assert_close(told.extras["teacher_images"], own.image_embeds)
    torch.testing.assert_close(told.extras["teacher_texts"], own.text_embeds)
    assert made.loss(own, told).abs() < 1e-5
    assert taught.steps_per_epoch == 3


@pytest.mark.system
def test_a_run_goes_on_from_its_folder_and_comes_nearer_to_the_teacher(shard, tmp_path):
    from sightline.optimize import prune_structured

    made = recipe(shard, steps=12, batch_size=8)
    model, processor = made.start()
    loader = made.data(made, processor, LocalRows())
    told = next(loader.stream(0, 1))
    given = {"pixel_values": told.pixel_values, "input_ids": told.input_ids, "attention_mask": told.attention_mask}
    pruned = prune_structured(model.eval(), 0.5, given).model
    pruned.save_pretrained(tmp_path / "start")
    processor.save_pretrained(tmp_path / "start")

    def loss(folder):
        small = CLIPModel.from_pretrained(folder)
        with torch.no_grad():
            return float(Distillation()(small.match(small.encode(*given.values())), told))

    made = recipe(shard, steps=12, batch_size=8, model=str(tmp_path / "start"), checkpoint_every=6)
    whole = train(made, tmp_path / "whole").path
    assert loss(whole) < 0.8 * loss(tmp_path / "start")
    train(replace(made, steps=6), tmp_path / "short")
    again = open_run(tmp_path / "short", known=[Distillation, Teacher])
    assert (again.loss, again.data) == (made.loss, made.data)
    assert train(replace(again, steps=12), tmp_path / "short").step == 12


def test_a_teacher_whose_texts_depend_on_the_video_is_refused(shard):
    made = recipe(shard, data=Teacher(teacher="mini-xclip", source=str(shard)))
    with pytest.raises(UsageError, match="X-CLIP's texts depend on the video"):
        made.data(made, None, LocalRows())
