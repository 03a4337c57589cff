"""A checkpoint that segments."""

import pytest

from support.checkpoints import groupvit_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return groupvit_checkpoint(tmp_path_factory.mktemp("groupvit"))
