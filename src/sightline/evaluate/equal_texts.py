"""Equal texts: those that a model cannot tell apart, of which each is as right as the other.

Shapes: T texts, D different ones among them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sightline.data.texts import words_of
from sightline.encoder.encoder import Encoder
from sightline.encoder.source import Vectors
from sightline.evaluate.encode import encode_texts
from sightline.progress import ProgressCallback, no_progress


def equal_texts(texts: Sequence[str]) -> NDArray[np.int64]:
    """Which of the different texts each one is, (T,), numbered as they first appear.

    Texts are equal if they are the same words (`words_of`). So what is equal depends on the data, never on the model.
    """
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(words_of(text), len(numbers)) for text in texts], np.int64)


def encode_different(
    encoder: Encoder,
    texts: Sequence[str],
    text: NDArray[np.int64],
    progress: ProgressCallback = no_progress,
    *,
    project: bool = True,
) -> Vectors:
    """The different texts (D, ...) as `encode_texts` encodes them, each once, so that equal ones have the same bits.
    `text` is from `equal_texts`; of texts that differ in capitals alone the first is encoded."""
    first = np.unique(text, return_index=True)[1]
    return encode_texts(encoder, [texts[i] for i in first], progress, project=project)
