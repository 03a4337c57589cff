"""Paths as text that a table can hold.

A path is almost always valid text and is kept as it is: its bytes read as UTF-8, whatever the locale says that they
are, so that an index means the same files under every locale. On POSIX a name may also be bytes that are not UTF-8;
those become `file://` and percent-encoded bytes (RFC 8089), so that every file has one uri and every uri one file.
"""

import os
import sys
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

_SCHEME = "file://"
_IS_UTF8 = sys.getfilesystemencoding().lower().replace("-", "") == "utf8"


def to_uri(path: str | os.PathLike[str]) -> str:
    """The uri of an absolute path: the path itself, or `file://` + percent-encoded bytes if it is not text."""
    text = os.fspath(path)
    try:
        if _IS_UTF8:
            text.encode()
            return text
        return os.fsencode(text).decode()
    except UnicodeError:
        return as_file_uri(text)


def as_file_uri(path: str) -> str:
    """`file://` and the path's bytes, percent-encoded: the beginning, for a folder, of the uris of names below it that
    are not text."""
    return _SCHEME + quote_from_bytes(os.fsencode(path))


def to_path(uri: str) -> Path:
    """The path that `to_uri` was given."""
    return Path(to_text(uri))


def to_text(uri: str) -> str:
    """`to_path` as the string that `os` functions take; bytes that are not UTF-8 are surrogates in it."""
    if uri.startswith(_SCHEME):
        return os.fsdecode(unquote_to_bytes(uri[len(_SCHEME) :]))
    return uri if _IS_UTF8 else os.fsdecode(uri.encode())
