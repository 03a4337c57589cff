"""A checkpoint as far as it is known without its weights, and texts to vectors without torch."""

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.checkpoint.fingerprint import fingerprint
from sightline.checkpoint.hub import resolve, weight_paths
from sightline.errors import CheckpointError, UsageError
from sightline.models import family_of
from sightline.models.regions import Shape
from sightline.processing.image.profile import PixelProfile
from sightline.processing.tokenizer import Ids, Tokenizer

Vectors = NDArray[np.float32]


class Source:
    """The files of a checkpoint: its config, tokenizer, preprocessing and fingerprint. Raises what `load` raises."""

    def __init__(
        self,
        name_or_folder: str | os.PathLike[str],
        *,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> None:
        self.path = path = resolve(name_or_folder, revision=revision, local_files_only=local_files_only)
        # An index keeps the name, and must find a folder again from any other.
        local = str(path) == os.path.expanduser(name_or_folder)  # noqa: PTH111 (which leaves the home of nobody as it is)
        self.name = str(path.absolute()) if local else str(name_or_folder)
        # The commit of a Hub repository, for opening the same weights again: the cache names a snapshot's folder by it.
        self.revision = path.name if path.parent.name == "snapshots" and not local else None
        self.folder = path if path.is_dir() else path.parent
        self.family = family_of(self.folder)
        self.config: Any = self.family.config.from_folder(self.folder)
        self.profile = PixelProfile.from_folder(self.folder)
        self.dim: int = self.config.projection_dim

    @cached_property
    def fingerprint(self) -> str:
        """A hash of weights, config and preprocessing: indexes keep it to know their model again."""
        # Settings at their defaults are left out, so that one that a later version adds changes no fingerprint.
        settings = _unlike(self.config.to_dict(), type(self.config)().to_dict())
        return fingerprint(weight_paths(self.path), settings, self.profile.to_dict())

    @property
    def size_hint(self) -> int:
        """The short side in pixels that pictures are resized to: what `open_image(short_side=)` takes."""
        return self.profile.size_hint

    @property
    def rescoring(self) -> int:
        """Rows of `dim` numbers that have to be kept beside each item's vector for exact scores (see `Rescorer`);
        0 where the vector is enough."""
        return int(self.config.rescoring_rows)

    @property
    def regions(self) -> Shape | None:
        """Regions that the model sees in a picture, and rows and columns of patches; None where it sees none."""
        regions: Shape | None = self.config.regions
        return regions

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Strings to token ids."""
        return Tokenizer.from_folder(self.folder, max_length=self.config.text_config.max_tokens)

    def tokens(self, texts: Sequence[str]) -> list[Ids]:
        """Each string's ids. Raises `CheckpointError` for one that the model has no row for, `UsageError`."""
        if isinstance(texts, str):
            raise UsageError("encode_text takes a list of strings, not one string")
        rows, most = self.tokenizer.encode(list(texts)), self.config.text_config.vocab_size
        if any(row.max() >= most for row in rows):
            raise CheckpointError(f"{self.folder}: its tokenizer knows more than the model's {most} tokens: another's?")
        return rows


class Words(Source):
    """The text side of a checkpoint in float32 without torch, quick to open: for queries, not for collections."""

    @cached_property
    def _tower(self) -> Any:
        tower = self.family.numpy_text
        return None if tower is None else tower.open(self.config, weight_paths(self.path))

    @property
    def usable(self) -> bool:
        """Whether this checkpoint's text tower is one that can be computed so; `load` opens the others."""
        return self._tower is not None

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """As `Encoder.encode_text`: n strings -> float32 (n, dim), rows of unit length."""
        vectors = self.embed_text(texts)
        for row, vector in enumerate(vectors):
            vectors[row] = vector / max(float(np.linalg.norm(vector)), 1e-12)
        return vectors

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """As `Encoder.embed_text`: what `encode_text` gives before it is brought to unit length."""
        vectors = np.empty((len(texts), self.dim), np.float32)
        for row, ids in enumerate(self.tokens(texts)):
            vectors[row] = self._tower.embed(ids)
        return vectors


def _unlike(settings: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The settings that are not as in `defaults`, dictionaries among them taken apart."""
    told: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            value = _unlike(value, defaults.get(key, {}))
        if value != defaults.get(key) and value != {}:
            told[key] = value
    return told
