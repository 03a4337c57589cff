"""What a model is asked about a data set: which of the candidates belongs to this? One of them does.

Shapes: N pictures or films, T texts, C classes; a block has the cosines of q questions with all candidates.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.data import Sample
from sightline.encoder.encoder import Encoder
from sightline.evaluate.encode import Report, Seen, quiet, read_texts, score_pairs
from sightline.metrics.pairs import Scores

BLOCK = 1 << 22  # cosines in memory at a time
ROWS = 512  # pictures that are compared with classes at a time

Block = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Questions:
    """Blocks of cosines (q, candidates), each with the right candidates' positions (q,); made anew for each reader."""

    blocks: Callable[[], Iterator[Block]]

    def __iter__(self) -> Iterator[Block]:
        return self.blocks()


def pair_questions(encoder: Encoder, seen: Seen[Sample], report: Report = quiet) -> dict[str, Questions]:
    """Each text asks for its picture ("text_to_image"), each picture for its text ("image_to_text").

    As in training, one text of each picture stands among the candidates: the first of all pictures, then the second
    of all, as far as every picture has one. So the mean loss is that of all N pairs, averaged over these rounds.
    """
    texts = rounds([sample.captions for sample in seen.samples])
    scores, tile = score_pairs(encoder, seen, read_texts(encoder, texts, report))
    return _both_ways(scores, tile, len(seen.samples), len(texts))


def class_questions(scores: Scores, labels: NDArray[np.int64], classes: int) -> Questions:
    """Each picture asks for its class: `scores` (a range of N, a range of C), `labels` (N,)."""
    step = max(1, min(ROWS, BLOCK // classes))

    def of_pictures() -> Iterator[Block]:
        for start in range(0, len(labels), step):
            rows = slice(start, min(start + step, len(labels)))
            yield scores(rows, slice(0, classes)).astype(np.float32), labels[rows]

    return Questions(of_pictures)


def rounds(captions: Sequence[Sequence[str]]) -> list[str]:
    """Everybody's first caption, then everybody's second, as far as all have one."""
    return [own[i] for i in range(min(map(len, captions))) for own in captions]


def learned_scale(encoder: Encoder) -> float:
    """What the model multiplies its cosines with."""
    model: Any = encoder.family.model.from_pretrained(encoder.path)
    model.scale_parameter.data = model.scale_parameter.data.double()
    return float(model.scale.detach())


def _both_ways(scores: Scores, tile: tuple[int, int], pictures: int, texts: int) -> dict[str, Questions]:
    step = max(1, BLOCK // pictures)

    def of_texts() -> Iterator[Block]:
        for start in range(0, texts, step):
            some = range(start, min(start + step, texts))
            yield _block(scores, tile, range(pictures), some).T, np.arange(some.start, some.stop) % pictures

    def of_pictures() -> Iterator[Block]:
        for first in range(0, texts, pictures):
            for start in range(0, pictures, step):
                some = range(start, min(start + step, pictures))
                yield (
                    _block(scores, tile, some, range(first, first + pictures)),
                    np.arange(some.start, some.stop),
                )

    return {"text_to_image": Questions(of_texts), "image_to_text": Questions(of_pictures)}


def _block(scores: Scores, tile: tuple[int, int], rows: range, columns: range) -> NDArray[np.float32]:
    """The cosines of a range of pictures with a range of texts, in float32, asked for in tiles."""
    found = np.empty((len(rows), len(columns)), np.float32)
    for top in range(0, len(rows), tile[0]):
        for left in range(0, len(columns), tile[1]):
            r, c = rows[top : top + tile[0]], columns[left : left + tile[1]]
            found[top : top + len(r), left : left + len(c)] = scores(slice(r.start, r.stop), slice(c.start, c.stop))
    return found
