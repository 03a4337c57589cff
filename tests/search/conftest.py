"""An encoder that knows names alone."""

import pytest

from support.encoders import NameEncoder


@pytest.fixture
def words():
    return NameEncoder()
