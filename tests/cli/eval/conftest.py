"""Evaluations want real models: the packaged ones are small enough."""

import pytest

from evaluate.conftest import drawn, shard  # noqa: F401 (fixtures)


@pytest.fixture(autouse=True)
def colors() -> None:
    """In place of the encoder that sees colors alone."""
