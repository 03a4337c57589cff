"""What is known of a checkpoint without reading its weights."""

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sightline.checkpoint.exported import ENGINES, Exported
from sightline.checkpoint.fingerprint import export_fingerprint, fingerprint
from sightline.checkpoint.hub import resolve
from sightline.checkpoint.names import hub_name
from sightline.checkpoint.weight_files import weight_paths
from sightline.encoder.lists import check_texts
from sightline.errors import CheckpointError, SightlineError, UsageError
from sightline.logger import LOGGER
from sightline.models import family_of
from sightline.models.preprocessing import check_preprocessing
from sightline.models.regions import Shape
from sightline.models.vocabulary import check_tokenizer
from sightline.processing.image.profile import PixelProfile
from sightline.processing.text_counts import TextCounts
from sightline.processing.tokenizer import Ids, Tokenizer
from sightline.processing.tokenizer_files import has_tokenizer

Vectors = NDArray[np.float32]
Noun = Literal["images", "texts"]
"""What a tower is for. Images' also takes videos."""


class EncoderSource:
    """A checkpoint's files, or those of an export: config, tokenizer, preprocessing and fingerprint. Raises what `load`
    raises."""

    def __init__(
        self, name_or_folder: str | os.PathLike[str], *, revision: str | None = None, local_files_only: bool = False
    ) -> None:
        self.path = path = resolve(name_or_folder, revision=revision, local_files_only=local_files_only)
        # An index keeps the name: that of a folder is absolute, so that it holds from every working directory.
        is_local = path.is_relative_to(os.path.expanduser(name_or_folder))  # noqa: PTH111 (keeps an unknown "~user")
        self.name = str(path.absolute()) if is_local else hub_name(str(name_or_folder))[0] or str(name_or_folder)
        # The commit of a Hub repository, for opening the same weights again: the cache names a snapshot's folder by it.
        self.revision = path.name if path.parent.name == "snapshots" and not is_local else None
        self.folder = path if path.is_dir() else path.parent
        self.exported = Exported.of(path) if path.is_dir() else None
        self.family = family_of(self.folder)
        self.config: Any = self.family.config.from_folder(self.folder)
        self.profile = PixelProfile.from_folder(self.folder)
        check_preprocessing(self.profile, self.config, self.folder)
        self.dim: int = self.config.projection_dim
        self.is_quiet = False  # then the logger is told of no texts
        self._spelling_said = False  # to the logger, once
        if has_tokenizer(self.folder):
            _ = self.tokenizer  # another model's is refused now, before a collection is indexed in vain

    @cached_property
    def fingerprint(self) -> str:
        """A hash of weights, config and preprocessing, by which an index recognizes its model. An export has that of
        its checkpoint. Raises `CheckpointError` where the export's files are not those that were exported."""
        if self.exported is not None:
            return export_fingerprint(self.exported)
        # Settings at their defaults are left out: a setting that a later version adds then changes no fingerprint.
        settings = _changed(self.config.settings(), type(self.config)().settings())
        return fingerprint([*weight_paths(self.path), *self.grids.values()], settings, self.profile.to_dict())

    @cached_property
    def grids(self) -> dict[Noun, Path]:
        """Of a checkpoint that was made for int8, the file of each tower's grids."""
        files: dict[Noun, Path] = {noun: self.folder / f"int8_{noun}.safetensors" for noun in get_args(Noun)}
        return {noun: file for noun, file in files.items() if file.is_file()}

    @property
    def size_hint(self) -> int:
        """The short side in pixels that images are resized to: what `open_image(short_side=)` takes."""
        return self.profile.size_hint

    @property
    def rescoring(self) -> int:
        """Rows of `dim` numbers that are kept beside each item's vector for exact scores (see `Rescorer`); 0 for a
        model whose cosines are exact, and for an export, which gives vectors alone."""
        return int(self.config.rescoring_rows) if self.exported is None else 0

    @property
    def regions(self) -> Shape | None:
        """How many regions the model divides an image into, and rows and columns of patches; None for a model that
        divides none, and for an export, which gives vectors alone."""
        regions: Shape | None = self.config.regions if self.exported is None else None
        return regions

    def vectors_only(self, what: str) -> UsageError:
        """Why an export does not give `what`, and the way out."""
        assert self.exported is not None
        return UsageError(
            f"{self.name}: an export for {ENGINES[self.exported.engine]}, which gives vectors alone; {what} the "
            f"checkpoint that it was made of: {self.exported.source}"
        )

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Strings to token ids. Raises `CheckpointError` for another model's tokenizer."""
        tokenizer = Tokenizer.from_folder(self.folder, max_length=self.config.text_config.max_tokens)
        check_tokenizer(self.config.text_config, tokenizer, self.folder)
        return tokenizer

    def tokens(self, texts: Iterable[str]) -> list[Ids]:
        """The token ids of each string, int64 (length,). The logger is told of strings that are cut at the model's
        length, and once of strings that are mostly spelled because the vocabulary lacks their words.

        Raises `CheckpointError` for an id beyond the model's vocabulary, `UsageError` for anything but several strings.
        """
        listed = check_texts(texts)
        counts, size = TextCounts(), self.config.text_config.vocab_size
        rows = self.tokenizer.encode(listed, counts)
        if any(row.max() >= size for row in rows):
            raise CheckpointError(
                f"{self.folder}: its tokenizer knows more than the model's {size} tokens: is it another model's?"
            )
        if not self.is_quiet:
            for warning in counts.cut_warning():
                LOGGER.warning(warning)
        if not (self.is_quiet or self._spelling_said):
            for warning in counts.spelled_warning(self.name):
                self._spelling_said = True
                LOGGER.warning(warning)
        return rows

    def check_finite(self, vectors: Vectors, precision: str) -> Vectors:
        """The vectors. Raises `SightlineError` where some are no numbers."""
        if not np.isfinite(vectors).all():
            other = "are its weights broken?" if precision == "float32" else "take --precision float32 (precision=)"
            raise SightlineError(
                f"{self.name}: computed in {precision}, it gives vectors with values that are no numbers: {other}"
            )
        return vectors


def _changed(settings: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ from `defaults`; of a dictionary among them, its entries that differ."""
    changed: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            value = _changed(value, defaults.get(key, {}))
        if value != defaults.get(key) and value != {}:
            changed[key] = value
    return changed
