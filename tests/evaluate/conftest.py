"""The packaged models in float32."""

import pytest

import sightline


@pytest.fixture(scope="session")
def mini():
    return sightline.load("mini", dtype="float32")


@pytest.fixture(scope="session")
def mini_xclip():
    return sightline.load("mini-xclip", dtype="float32")
