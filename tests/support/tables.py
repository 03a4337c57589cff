"""Rows made by hand, and an encoder that knows a few words: an index without a model."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from sightline.index.schema import ModelRecord, item_schema
from sightline.index.uri import to_uri

DIM = 16


def unit(rows: Any) -> NDArray[np.float32]:
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class Words:
    """An encoder with the contract of the real one: each word and each picture name has its own fixed direction."""

    name, fingerprint, dim, size_hint = "words", "f00d", DIM, 32

    def __init__(self) -> None:
        self.asked: list[str] = []

    def _row(self, item: Any) -> NDArray[np.float32]:
        self.asked.append(str(item))
        return unit(np.random.default_rng(list(str(item).encode())).normal(size=DIM))

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self._row(text) for text in texts])

    def encode_images(self, images: Sequence[Any]) -> NDArray[np.float32]:
        assert not any(Path(image).suffix == ".mp4" for image in images)
        return np.stack([self._row(Path(image).name) for image in images])

    def encode_videos(self, films: Sequence[Any]) -> NDArray[np.float32]:
        assert all(Path(film).suffix.lower() == ".mp4" for film in films)
        return np.stack([self._row(Path(film).name) for film in films])


def rows_of(
    vectors: NDArray[Any],
    first: int = 0,
    folder: Path = Path("/pictures"),
    facts: Callable[[int], dict[str, Any]] = lambda i: {},
) -> pa.Table:
    """Whole rows for the table: ids from `first`, files 00000.jpg, ..., and what `facts` says otherwise."""
    dim = vectors.shape[1]
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), "teal").save(buffer, "JPEG")
    plain = {
        "kind": "image", "start": None, "end": None, "size": 1000, "mtime": 0, "width": 600, "height": 400,
        "taken": None, "caption": None, "thumbnail": buffer.getvalue(),
    }  # fmt: skip
    rows = [
        {
            "id": first + i,
            "uri": to_uri(folder / f"{first + i:05}.jpg"),
            "hash": f"{first + i:032x}",
            "vector": vector.astype(np.float16),
            **plain,
            **facts(first + i),
        }
        for i, vector in enumerate(vectors)
    ]
    return pa.Table.from_pylist(rows, schema=item_schema(ModelRecord("words", "f00d", dim)))
