"""The vectors of a list of which some items may be unreadable."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightline.encoder.image_batches import Encoded
from sightline.encoder.lists import place
from sightline.encoder.source import Vectors
from sightline.errors import ImageError, UsageError
from sightline.progress import Progress, ProgressCallback

Errors = Literal["raise", "skip"]


class Readable(NamedTuple):
    """What `encode_images` and `encode_videos` return with `errors="skip"`.

    `vectors` float32 (m, dim) of the m items that could be read; `rows` int64 (m,), ascending: their places in the list
    that was given (`paths[rows[0]]` is that of `vectors[0]`; with pandas, `table.iloc[rows]`). `skipped`: place in the
    list -> the error of reading it.
    """

    vectors: Vectors
    rows: NDArray[np.int64]
    skipped: dict[int, ImageError]


def check_errors(errors: str) -> None:
    """Raises `UsageError` for what is none of `Errors`."""
    if errors not in ("raise", "skip"):
        raise UsageError(f'errors is {errors!r}: choose "raise" or "skip"')


def collect(
    stream: Iterable[Encoded[Any, Any]], count: int, dim: int, errors: Errors, progress: ProgressCallback
) -> Vectors | Readable:
    """The vectors (`count`, `dim`) of a stream. With `errors="raise"` the first error is raised, with the item's place
    in the list."""
    vectors, rows, skipped = np.empty((count, dim), np.float32), list[int](), dict[int, ImageError]()
    for row, encoded in enumerate(stream):
        error = encoded.vector
        if not isinstance(error, ImageError):
            vectors[len(rows)] = error
            rows.append(row)
        elif errors == "raise":
            number = f"{place(row, count)}, " if count > 1 else ""
            raise type(error)(f"{number}{error.source}", error.reason) from error
        else:
            skipped[row] = error
        progress(Progress("encoding", row + 1, count, skipped=len(skipped)))
    return vectors if errors == "raise" else Readable(vectors[: len(rows)], np.array(rows, np.int64), skipped)
