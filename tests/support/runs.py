"""A tiny run: a CLIP of a few thousand numbers, batches that are drawn from the step's number, dropout on."""

from collections.abc import Iterator
from pathlib import Path

import torch

from sightline import CLIPConfig, CLIPModel, CLIPProcessor
from sightline.train import Batch, LocalRows, Recipe

SIZE, END, WORDS = 16, 99, 64
PATTERNS = torch.randn(WORDS, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def model(**changes):
    """A new CLIP with dropout, and mini's processor for smaller pictures; its tokens nobody looks at here."""
    tower = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "attention_dropout": 0.1,
    }
    config = CLIPConfig(
        text_config=tower | {"vocab_size": 100, "max_position_embeddings": 12, "eos_token_id": END},
        vision_config=tower | {"image_size": SIZE, "patch_size": 8},
        projection_dim=24,
        **changes,
    )
    processor = CLIPProcessor.from_pretrained("mini")
    processor.image_processor.size = processor.image_processor.crop_size = SIZE
    return CLIPModel(config), processor


class Numbers:
    """Batches out of random numbers, of words and the patterns that they mean."""

    def __init__(self, recipe: Recipe, processor: CLIPProcessor, local_rows: LocalRows) -> None:
        self.batch_size, self.local_rows = recipe.batch_size, local_rows

    def stream(self, start: int, stop: int) -> Iterator[Batch]:
        for step in range(start, stop):
            yield self.at(step)

    def at(self, step: int) -> Batch:
        own = torch.Generator().manual_seed(step)
        words = torch.randperm(WORDS, generator=own)[: self.batch_size]
        ids = words[:, None].repeat(1, 8)
        ids[:, -1] = END
        pixels = PATTERNS[words] + 0.3 * torch.randn(self.batch_size, 3, SIZE, SIZE, generator=own)
        first, last = (
            self.batch_size * r // self.local_rows.world_size for r in (self.local_rows.rank, self.local_rows.rank + 1)
        )
        ids = ids[first:last]
        return Batch(pixels[first:last], ids, torch.ones_like(ids), torch.arange(last - first))


def recipe(**changes) -> Recipe:
    return Recipe(
        **{
            "model": model,
            "data": Numbers,
            "steps": 40,
            "batch_size": 16,
            "checkpoint_every": 7,
            "warmup_steps": 5,
            "lr": 3e-3,
        }
        | changes
    )


def trained(folder: Path, **changes) -> dict[str, torch.Tensor]:
    """Trains to the end; the weights."""
    from sightline.train import train

    outcome = train(recipe(**changes), folder)
    return CLIPModel.from_pretrained(outcome.path).state_dict()
