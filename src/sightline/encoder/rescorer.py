"""The second step of a search where a text reads differently for each film: exact scores of a few candidates."""

from typing import Any

import torch
from numpy.typing import NDArray

from sightline.encoder.source import Source, Vectors
from sightline.errors import UsageError


class Rescorer:
    """Scores texts against films as the whole model does, from what was kept of both. X-CLIP: Ni et al. (2022), 3.3."""

    def __init__(self, source: Source) -> None:
        """Raises `UsageError` for a model whose vectors tell all, `CheckpointError`."""
        if source.family.rescorer is None:
            raise UsageError(f"{source.name}: its vectors' cosines are exact already; there is nothing to score again")
        self._model: Any = source.family.rescorer.from_pretrained(source.path, dtype=torch.float32)

    def cosines(self, texts: Vectors, vectors: NDArray[Any], summaries: NDArray[Any]) -> Vectors:
        """`texts` (t, dim) as `embed_text` gives them, `vectors` (n, dim) and `summaries` (n, summary, dim) as
        `Encoder.stream` does -> float32 (n, t)."""
        with torch.inference_mode():
            given = (torch.tensor(array) for array in (texts, vectors, summaries))
            logits: Vectors = (self._model(*given) / self._model.logit_scale.exp()).numpy()
        return logits
