"""Texts to unit vectors in numpy: a query of a few words is answered sooner than torch is imported."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from sightline.checkpoint.weight_files import weight_paths
from sightline.encoder.source import EncoderSource, Vectors


class TextEncoder(EncoderSource):
    """The text tower of a checkpoint in float32, one text at a time: for queries, not for collections of texts."""

    def __getstate__(self) -> dict[str, Any]:
        """For `pickle` and `copy`: without the weights' open file, which is opened again when it is needed."""
        return {name: value for name, value in self.__dict__.items() if name != "_tower"}

    def __repr__(self) -> str:
        return f'TextEncoder("{self.name}", dim={self.dim}, device="cpu", precision="float32")'

    @cached_property
    def _tower(self) -> Any:
        tower = self.family.numpy_text
        return None if tower is None or self.exported is not None else tower.open(self.config, weight_paths(self.path))

    @property
    def usable(self) -> bool:
        """Whether numpy can compute this checkpoint's text tower; `load` opens the others, and exports."""
        return self._tower is not None

    def encode_text(self, texts: Iterable[str]) -> Vectors:
        """As `Encoder.encode_text`: n strings -> float32 (n, dim), rows of unit length."""
        vectors = self.embed_text(texts)
        for row, vector in enumerate(vectors):
            vectors[row] = vector / max(float(np.linalg.norm(vector)), 1e-12)
        return vectors

    def embed_text(self, texts: Iterable[str]) -> Vectors:
        """As `Encoder.embed_text`: float32 (n, dim), before `encode_text` scales the rows to unit length."""
        rows = self.tokens(texts)
        vectors = np.empty((len(rows), self.dim), np.float32)
        for row, ids in enumerate(rows):
            vectors[row] = self._tower.embed(ids)
        return self.check_finite(vectors, "float32")
