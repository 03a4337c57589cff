"""Small drawn pictures, and what an index says of them."""

import numpy as np
from PIL import Image

from sightline.index import Table, to_path


def draw(path, seed, size=(48, 32), **options):
    """A picture of 4 x 3 random colors, its own for each seed."""
    colors = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colors).resize(size, Image.Resampling.NEAREST).save(path, **options)
    return path


def contents(folder):
    """What the index holds, by path: all columns but the id."""
    rows = Table.open(folder).columns(["uri", "hash", "size", "mtime", "width", "height", "vector"]).to_pylist()
    held = {to_path(row.pop("uri")): row for row in rows}
    assert len(held) == len(rows), "a uri is there twice"
    return held


def ids(folder):
    """The id of each path's row."""
    rows = Table.open(folder).columns(["uri", "id"]).to_pylist()
    return {to_path(row["uri"]): row["id"] for row in rows}
