"""Thirty steps of AdamW against `transformers` models in a plain loop: the same weights, batches and Gumbel noise, the
same loss at every step."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

import sightline as ours
from parity import test_align as align
from parity import test_clip as clip
from parity import test_groupvit as groupvit
from parity import test_xclip as xclip
from parity.randomise import randomise
from sightline.models.groupvit import grouping
from sightline.models.pairs import PairModel

STEPS, RATE, DECAY = 30, 1e-4, 0.2
CLOSE = 1e-4


def without_chance(config: Any) -> Any:
    """The config with no dropout, drop-connect or drop-path of any name."""
    for part in (config, config.text_config, config.vision_config):
        for name, value in vars(part).items():
            if isinstance(value, float) and ("drop" in name):
                setattr(part, name, 0.0)
    return config


def pictures(config: Any, generator: torch.Generator, count: int) -> Tensor:
    vision = config.vision_config
    return torch.randn(count, vision.num_channels, vision.image_size, vision.image_size, generator=generator)


def clip_inputs(config: Any, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return clip.tokens(config, 0, generator) | {"pixel_values": pictures(config, generator, 4)}


def align_inputs(config: Any, seed: int) -> dict[str, Tensor]:
    inputs = align.random_inputs(config, seed)
    return {name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}


def groupvit_inputs(config: Any, seed: int) -> dict[str, Tensor]:
    return groupvit.inputs_of(config, torch.Generator().manual_seed(seed), batch=6)


FAMILIES: dict[str, tuple[Any, Any, Callable[[int], Any], Callable[[Any, int], dict[str, Tensor]]]] = {
    "clip": (transformers.CLIPModel, ours.CLIPModel, clip.random_config, clip_inputs),
    "align": (transformers.AlignModel, ours.AlignModel, align.random_config, align_inputs),
    "groupvit": (transformers.GroupViTModel, ours.GroupViTModel, groupvit.random_config, groupvit_inputs),
    "xclip": (transformers.XCLIPModel, ours.XCLIPModel, xclip.random_config, xclip.random_inputs),
}


def groups(model: nn.Module) -> list[dict[str, Any]]:
    """Decay for matrices, none for what has one dimension or none: norms, biases, the scale."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def plain_loop(model: nn.Module, loss: Callable[[dict[str, Tensor]], Tensor], batches: Iterator[Any]) -> list[float]:
    optimizer = torch.optim.AdamW(groups(model), lr=RATE)
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        value = loss(batch)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", FAMILIES)
def test_thirty_steps(family: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, mine, config_of, inputs_of = FAMILIES[family]
    config = without_chance(config_of(seed))
    randomise(theirs(config), seed).save_pretrained(tmp_path)
    reference = theirs.from_pretrained(tmp_path).train()
    model: PairModel = mine.from_pretrained(tmp_path).train()

    noise = torch.Generator()

    def gumbel(shape: torch.Size) -> Tensor:
        return -(-torch.rand(shape, generator=noise).clamp_min(1e-30).log()).log()

    monkeypatch.setattr(grouping, "gumbel", lambda like: gumbel(like.shape))
    monkeypatch.setattr(torch.distributions.gumbel.Gumbel, "sample", lambda self, shape: gumbel(shape))

    def our_loss(batch: dict[str, Tensor]) -> Tensor:
        return model.loss(model.meet(model.halves(**batch)))

    def batches() -> Iterator[dict[str, Tensor]]:
        noise.manual_seed(seed)
        return (inputs_of(config, 1000 * seed + step) for step in range(STEPS))

    found = plain_loop(model, our_loss, batches())
    wanted = plain_loop(reference, lambda batch: reference(**batch, return_loss=True).loss, batches())
    assert len(set(wanted)) == STEPS
    print(family, seed, max(abs(a - b) / abs(b) for a, b in zip(found, wanted)), wanted[0], wanted[-1])
    assert found == pytest.approx(wanted, rel=CLOSE)
