"""Small models, in one thread."""

import pytest


@pytest.fixture(scope="package", autouse=True)
def alone(one_thread):
    """In one thread."""
