"""Evaluations want real models: the packaged ones are small enough."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def colors() -> None:
    """In place of the encoder that sees colors alone."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user's, in which vectors are kept."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache"
