"""GroupViT's losses against loops that spell the equations out, and a training that learns where things are."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sightline import CLIPProcessor, GroupViTConfig, GroupViTModel, scenes
from sightline.errors import UsageError
from sightline.models.groupvit.masked import MaskedGroupViT
from sightline.models.pairs import Similarities
from sightline.nn.loss import contrastive_loss
from sightline.train import Batch, Recipe, train
from sightline.train.groupvit import BACKGROUND, UNKNOWN, NounsAndMasks, multi_label, segmentation
from sightline.train.nouns import CAPTION, number
from sightline.train.parallel import Parallel
from sightline.train.step import backward
from support.weights import randomise

SIZE = 32
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
CONFIG = {
    "text_config": TOWER | {"vocab_size": 600, "max_position_embeddings": 64, "num_hidden_layers": 1},
    "vision_config": TOWER
    | {
        "depths": [1, 1],
        "num_hidden_layers": 2,
        "num_group_tokens": [6, 0],
        "num_output_groups": [6, 0],
        "image_size": SIZE,
        "patch_size": 4,
    },
    "projection_dim": 24,
    "projection_intermediate_dim": 48,
}


def similarities_of(pictures, texts, scale):
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    return Similarities(scale * pictures @ texts.t(), pictures, texts)


@pytest.mark.parametrize("nouns", [[3, 3, 3, 3], [1, 0, 3, 2], [0, 0, 0, 5]])
def test_the_papers_multi_label_loss_word_for_word(nouns):
    torch.manual_seed(0)
    count, tau = len(nouns), 0.3
    owner = torch.tensor([i for i, n in enumerate(nouns) for _ in range(1 + n)])
    is_noun = torch.tensor([k > 0 for n in nouns for k in range(1 + n)])
    similarities = similarities_of(torch.randn(count, 5).double(), torch.randn(len(owner), 5).double(), 1 / tau)
    found = multi_label(similarities, owner, is_noun)

    z_image = similarities.image_embeds
    z_text = {
        i: [similarities.text_embeds[t] for t in range(len(owner)) if is_noun[t] and owner[t] == i]
        for i in range(count)
    }
    to_text, to_image = [], []
    for i in range(count):
        whole = sum(math.exp(z_image[i] @ z / tau) for j in range(count) for z in z_text[j])
        if z_text[i]:
            to_text.append(-math.log(sum(math.exp(z_image[i] @ z / tau) for z in z_text[i]) / whole))
        for z in z_text[i]:
            among = sum(math.exp(z @ z_image[j] / tau) for j in range(count))
            to_image.append(-math.log(math.exp(z @ z_image[i] / tau) / among))
    expected = (sum(to_text) / len(to_text) + sum(to_image) / len(to_image)) / 2
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_one_noun_each_is_the_contrastive_loss_and_none_is_nothing():
    torch.manual_seed(0)
    logits = torch.randn(5, 5, requires_grad=True)
    similarities, owner = Similarities(logits, torch.zeros(5, 2), torch.zeros(5, 2)), torch.arange(5)
    torch.testing.assert_close(
        multi_label(similarities, owner, torch.ones(5).bool()), contrastive_loss(similarities.logits_per_image, owner)
    )
    nothing = multi_label(similarities, owner, torch.zeros(5).bool())
    nothing.backward()
    assert nothing.item() == 0
    assert not logits.grad.any()


def model_and_batch(seed=0, masks=SIZE):
    """A model of random numbers in float64, in evaluation; four pictures with captions, nouns and masks."""
    torch.manual_seed(seed)
    model = randomise(MaskedGroupViT(GroupViTConfig.from_dict(CONFIG)), seed).double().eval()
    nouns = torch.tensor([CAPTION, 30, 10, CAPTION, 10, CAPTION, CAPTION, 20])
    owner = torch.tensor([0, 0, 0, 1, 1, 2, 3, 3])
    ids = torch.randint(5, 500, (8, 6))
    pixels = torch.randn(4, 3, SIZE, SIZE, dtype=torch.float64)
    shown = torch.tensor([10, 20, 30, 40, UNKNOWN, BACKGROUND])[torch.randint(0, 6, (4, masks, masks))]
    return model, Batch(pixels, ids, torch.ones_like(ids), owner, {"nouns": nouns, "masks": shown})


def test_the_loss_of_masks_is_that_of_the_models_segmentation_logits():
    model, batch = model_and_batch()
    nouns, masks = batch.extras["nouns"], batch.extras["masks"]
    similarities = model.match(model.encode(batch.pixel_values, batch.input_ids))
    out = GroupViTModel.forward(model, batch.input_ids, batch.pixel_values, output_segmentation=True)
    torch.testing.assert_close(similarities.logits_per_image, out.logits_per_image)
    scores, scale = (out.segmentation_logits / model.scale).detach(), model.scale.detach()
    total, counted = 0.0, 0
    for picture in range(4):
        # The noun 10 has two prompts, whose vectors are added up and brought to unit length.
        both = out.text_embeds[[2, 4]].sum(0).norm().detach()
        answers = {10: scores[picture, [2, 4]].sum(0) / both, 20: scores[picture, 7], 30: scores[picture, 1]}
        for y in range(0, SIZE, 5):
            for x in range(0, SIZE, 3):
                shown = masks[picture, y, x].item()
                options = {noun: logits[y, x] for noun, logits in answers.items()} | {BACKGROUND: 0.2 * scale}
                if shown in options:
                    total -= float(
                        torch.log_softmax(torch.stack(list(options.values())), 0)[list(options).index(shown)]
                    )
                    counted += 1
    sparse = torch.full_like(masks, UNKNOWN)
    sparse[:, ::5, ::3] = masks[:, ::5, ::3]
    assert segmentation(similarities, nouns, sparse, background=0.2).item() == pytest.approx(total / counted, rel=1e-9)
    assert segmentation(similarities, nouns, torch.full_like(masks, 40)).item() == 0  # a noun that no text prompts
    assert segmentation(similarities, torch.full_like(nouns, CAPTION), masks).item() == 0  # background alone


def test_masks_teach_the_grouping_itself():
    model, batch = model_and_batch()
    similarities = model.match(model.encode(batch.pixel_values, batch.input_ids))
    loss = segmentation(similarities, batch.extras["nouns"], batch.extras["masks"])
    (through_weights,) = torch.autograd.grad(loss, similarities.shares, retain_graph=True)
    assert through_weights.abs().max() > 0
    keys = model.vision_model.encoder.stages[0].downsample.assign.q_proj.weight
    (gradient,) = torch.autograd.grad(similarities.shares, keys, through_weights)
    assert gradient.abs().max() > 0


def test_in_parts_it_has_the_gradient_of_the_whole():
    gradients = []
    for micro_batch in (None, 3):
        model, batch = model_and_batch()
        done = backward(model, batch, NounsAndMasks(), micro_batch_size=micro_batch, parallel=Parallel())
        gradients.append((done.loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


def test_weights_count_and_what_is_missing_is_named():
    model, batch = model_and_batch()
    similarities = model.match(model.encode(batch.pixel_values, batch.input_ids))
    captions = batch.extras["nouns"] == CAPTION
    parts = [
        contrastive_loss(similarities.logits_per_image[:, captions], batch.owner[captions]),
        multi_label(similarities, batch.owner, ~captions),
        segmentation(similarities, batch.extras["nouns"], batch.extras["masks"], 0.1),
    ]
    found = NounsAndMasks(nouns=2.0, masks=3.0, background=0.1)(similarities, batch)
    torch.testing.assert_close(found, parts[0] + 2 * parts[1] + 3 * parts[2])
    with pytest.raises(UsageError, match=r'no extras\["nouns"\]'):
        NounsAndMasks()(similarities, Batch(batch.pixel_values, batch.input_ids, batch.attention_mask, batch.owner))
    with pytest.raises(UsageError, match="MaskedGroupViT"):
        NounsAndMasks()(
            Similarities(similarities.logits_per_image, similarities.image_embeds, similarities.text_embeds), batch
        )


# --- a training on drawn scenes


class Scenes:
    """64 drawn scenes with captions, their colors as nouns, and masks."""

    def __init__(self, recipe, processor, local_rows):
        self.batch, self.processor = recipe.batch_size, processor
        drawn = [scenes.sample(5, i) for i in range(64)]
        self.pixels = processor(images=[one.draw(64) for one in drawn], return_tensors="pt").pixel_values
        self.texts = [
            [(one.caption, CAPTION), *((f"something {thing.color}", number(thing.color)) for thing in one.things)]
            for one in drawn
        ]
        shown = [np.array([BACKGROUND, *(number(thing.color) for thing in one.things)]) for one in drawn]
        side = self.pixels.shape[-1]
        self.masks = torch.stack(
            [torch.from_numpy(numbers[one.mask(side)]) for numbers, one in zip(shown, drawn, strict=True)]
        )

    def read(self, texts):
        return self.processor(text=texts, padding=True, return_tensors="pt")

    def stream(self, start, stop):
        for step in range(start, stop):
            rows = torch.randperm(64, generator=torch.Generator().manual_seed(step))[: self.batch].tolist()
            texts = [(owner, *text) for owner, row in enumerate(rows) for text in self.texts[row]]
            read = self.read([text for _, text, _ in texts])
            extras = {"nouns": torch.tensor([noun for _, _, noun in texts]), "masks": self.masks[rows]}
            owner = torch.tensor([owner for owner, _, _ in texts])
            yield Batch(self.pixels[rows], read.input_ids, read.attention_mask, owner, extras)

    def told_apart(self, model):
        """The share of all things' pixels in which the model says the right one of the picture's colors."""
        right = among = 0
        for row in range(24):
            nouns = list({noun: text for text, noun in self.texts[row] if noun != CAPTION}.items())
            ids = self.read([text for _, text in nouns]).input_ids
            with torch.no_grad():
                scores = model(ids, self.pixels[row][None], output_segmentation=True).segmentation_logits[0]
            said, thing = torch.tensor([noun for noun, _ in nouns])[scores.argmax(0)], self.masks[row] >= 0
            right += (said == self.masks[row])[thing].sum().item()
            among += thing.sum().item()
        return right / among


def start():
    model = MaskedGroupViT.from_pretrained("mini-groupvit", dtype="float32")
    return model, CLIPProcessor.from_pretrained("mini-groupvit")


@pytest.mark.system
def test_a_training_with_masks_learns_where_things_are(tmp_path):
    losses = []

    def objective(similarities, batch):
        losses.append(segmentation(similarities, batch.extras["nouns"], batch.extras["masks"], 0.3).item())
        return NounsAndMasks(nouns=0.3, background=0.3)(similarities, batch)

    told = Recipe(
        model=start,
        data=Scenes,
        loss=objective,
        freeze=("text",),
        steps=20,
        batch_size=16,
        lr=1e-3,
        warmup_steps=3,
        precision="float32",
    )
    outcome = train(told, tmp_path / "run")
    assert sum(losses[-3:]) < 0.6 * sum(losses[:3])
    assert '"GroupViTModel"' in (outcome.path / "config.json").read_text()
    before, after = (GroupViTModel.from_pretrained(name, dtype="float32") for name in ("mini-groupvit", outcome.path))
    data = Scenes(told, start()[1], None)
    assert data.told_apart(after) > data.told_apart(before) + 0.03
