"""Where a recipe's batches come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from sightline.data import Captions, captions
from sightline.models.processor import Processor
from sightline.train.advice import remarks
from sightline.train.batch import Data
from sightline.train.loader import Loader
from sightline.train.recipe import LocalRows, Recipe, describe


@dataclass(frozen=True)
class Source:
    """The batches, the name of the data that they are of, its fingerprint if it has one, and what is to be said of it
    before the first step."""

    name: str
    fingerprint: str | None
    data: Data
    remarks: Sequence[str] = ()


def open_source(recipe: Recipe, processor: Processor, rows: LocalRows) -> Source:
    """A recipe's data. Raises `DataError`, `UsageError`."""
    if callable(recipe.data):
        data = recipe.data(recipe, processor, rows)
        return Source(describe(recipe.settings()["data"]), getattr(data, "fingerprint", None), data)
    dataset = captions(recipe.data, split=recipe.split, image_root=recipe.image_root)
    loader = open_loader(dataset, recipe, processor, rows)
    said = remarks(dataset, processor.tokenizer.tokenizer, recipe) if rows.rank == 0 else []
    return Source(f"{dataset.name}: {len(dataset.samples):,} images or videos", dataset.fingerprint, loader, said)


def open_loader(dataset: Captions, recipe: Recipe, processor: Processor, rows: LocalRows) -> Loader:
    """A data set's samples in the batches, and with the changes, that the recipe asks for."""
    return Loader(
        dataset.samples,
        processor,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        captions_per_image=recipe.captions_per_image,
        crop=recipe.crop,
        flip=recipe.flip,
        color_jitter=recipe.color_jitter,
        workers=recipe.workers,
        rank=rows.rank,
        world_size=rows.world_size,
    )
