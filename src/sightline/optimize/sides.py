"""The two sides of a checkpoint as graphs: what goes in, what comes out.

Shapes: B inputs, T frames, C channels, L tokens.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sightline.encoder.source import EncoderSource
from sightline.errors import UsageError
from sightline.models.tower import Tower
from sightline.optimize.traced import traced

Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Side:
    """A tower with the names and shapes of its graph. A side's length is a number, or the name of one that varies."""

    name: str
    tower: Tower
    inputs: Mapping[str, Shape]
    output: str
    longest: int = 0
    """Tokens of the longest text; 0 for images and videos."""
    vocabulary: int = 0

    def example(self, batch: int, length: int) -> dict[str, Tensor]:
        """Random inputs, always the same, in the order of `inputs`; `length` is that of texts."""
        generator = torch.Generator().manual_seed(0)
        sizes = {"batch": batch, "length": length}
        shapes = {name: [sizes[n] if isinstance(n, str) else n for n in shape] for name, shape in self.inputs.items()}
        if not self.longest:
            return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        ids = torch.randint(0, self.vocabulary, shapes["input_ids"], generator=generator)
        words = torch.randint(1, length + 1, (batch, 1), generator=generator)
        return {"input_ids": ids, "attention_mask": (torch.arange(length) < words).long()}

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What torch gives for the inputs."""
        with torch.inference_mode():
            return self.tower.embed(*inputs.values())


class Graph(nn.Module):
    """The module that is traced: a side's tower as a function of its inputs."""

    def __init__(self, side: Side) -> None:
        super().__init__()
        self.tower = traced(side.tower)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The embeddings (B, P), not of unit length."""
        return self.tower.embed(*inputs)


def open_source(model: str | os.PathLike[str]) -> EncoderSource:
    """The checkpoint's files. Raises `UsageError` for a folder that is an export itself."""
    source = EncoderSource(model)
    if source.exported is not None:
        raise UsageError(
            f"{model} is an export itself, without weights: name the checkpoint that it was made of, "
            f"{source.exported.source}"
        )
    return source


def open_sides(source: EncoderSource, names: tuple[str, ...]) -> Iterator[Side]:
    """The sides of these names ("vision", "text"), each opened when it is its turn."""
    for name in names:
        kind = source.family.image if name == "vision" else source.family.text
        tower = kind.for_encoding(source.path, torch.float32).check_plain(source.name).eval().requires_grad_(False)
        yield _vision(tower, source) if name == "vision" else _text(tower, source)


def _vision(tower: Tower, source: EncoderSource) -> Side:
    frames = (source.config.frames,) if source.config.takes_videos else ()
    assert source.profile.output_size is not None  # which opening the source has checked
    shape: Shape = ("batch", *frames, 3, *source.profile.output_size)
    return Side("vision", tower, {"pixel_values": shape}, "image_embeds")


def _text(tower: Tower, source: EncoderSource) -> Side:
    text: Any = source.config.text_config
    inputs: dict[str, Shape] = {"input_ids": ("batch", "length"), "attention_mask": ("batch", "length")}
    return Side("text", tower, inputs, "text_embeds", text.max_tokens, text.vocab_size)
