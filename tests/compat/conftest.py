"""Checkpoints that both libraries open."""

import logging

import pytest

from support.reference_checkpoints import write_all


@pytest.fixture(scope="package")
def checkpoints(tmp_path_factory, one_thread):
    """Small checkpoints by name; what the reference says while it works stays out of the way."""
    import transformers

    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    return write_all(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module", autouse=True)
def quiet_log():
    """Ours is quiet too; and what scripts set for the whole process ends with their tests."""
    log = logging.getLogger("sightline")
    level = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(level)
