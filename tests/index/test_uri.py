"""Paths as URIs and back."""

import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from sightline.errors import IndexFault
from sightline.index.sync import sync
from sightline.index.uri import to_path, to_uri

posix = pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")


@posix
@given(st.lists(st.binary(min_size=1).filter(lambda name: not {0, 47} & set(name)), min_size=1))
def test_every_path_has_one_uri_that_is_text_and_leads_back(names):
    path = os.fsdecode(b"/" + b"/".join(names))
    uri = to_uri(path)
    uri.encode()
    assert os.fspath(to_path(uri)) == os.fspath(Path(path))


@posix
@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/a/b.jpg", "/a/b.jpg"),
        ("/照片/线\n换.jpg", "/照片/线\n换.jpg"),
        ("/-rf/50%20.jpg", "/-rf/50%20.jpg"),
        ("/file:/x.jpg", "/file:/x.jpg"),
        (os.fsdecode(b"/caf\xe9/\xff 1.jpg"), "file:///caf%E9/%FF%201.jpg"),
    ],
)
def test_text_stays_as_it_is_and_bytes_are_escaped(path, uri):
    assert to_uri(path) == to_uri(Path(path)) == uri


@posix
def test_an_index_whose_path_is_not_utf8_is_refused_in_these_words(photos, tmp_path, encoder):
    index = tmp_path / os.fsdecode(b"ind\xe9x")
    with pytest.raises(IndexFault, match="must be UTF-8"):
        sync(index, [photos], encoder)
    assert not index.exists()
