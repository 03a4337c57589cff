"""Tables of vectors made by hand, and an encoder that knows names alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.index.schema import ModelRecord
from sightline.index.table import Table
from support.encoders import NameEncoder
from support.tables import rows_of


@pytest.fixture
def words() -> NameEncoder:
    return NameEncoder()


@pytest.fixture
def make_table(tmp_path: Path) -> Callable[..., Table]:
    """A table of these vectors, one row each, in an index folder of its own."""

    def make(vectors: Any, **more: Any) -> Table:
        vectors = np.asarray(vectors, np.float32).reshape(-1, np.shape(vectors)[-1])
        folder = tmp_path / f"index-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        table = Table.create(folder, ModelRecord("names", "f00d", vectors.shape[1]))
        if len(vectors):
            table.append(rows_of(vectors, **more))
        return table

    return make
