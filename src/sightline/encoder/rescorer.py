"""Exact scores of texts against a few videos, for models (X-CLIP) whose text vector depends on the video."""

from typing import Any

import torch
from numpy.typing import NDArray

from sightline.encoder.source import EncoderSource, Vectors
from sightline.errors import UsageError


class Rescorer:
    """Scores texts against videos as the whole model does, from what both towers gave: Ni et al. (2022), 3.3."""

    def __init__(self, source: EncoderSource) -> None:
        """Raises `UsageError` for a model whose cosines are exact, `CheckpointError`."""
        if source.exported is not None:
            raise source.vectors_only("exact scores need")
        if source.family.rescorer is None:
            raise UsageError(f"{source.name}: its vectors' cosines are exact already: leave rescoring out")
        self.name, self.dim = source.name, source.dim
        self._model: Any = source.family.rescorer.from_pretrained(source.path, dtype=torch.float32)

    def __repr__(self) -> str:
        return f'Rescorer("{self.name}", dim={self.dim}, device="cpu", precision="float32")'

    def cosines(self, texts: Vectors, vectors: NDArray[Any], rescoring: NDArray[Any]) -> Vectors:
        """`texts` (t, dim) as `embed_text` gives them, `vectors` (n, dim) and their `rescoring` rows (n, rows, dim) as
        `Encoder.stream` yields them -> float32 (n, t)."""
        with torch.inference_mode():
            tensors = (torch.tensor(array) for array in (texts, vectors, rescoring))
            logits: Vectors = (self._model(*tensors) / self._model.logit_scale.exp()).numpy()
        return logits
