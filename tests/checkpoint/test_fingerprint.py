"""The hash of a checkpoint's file, and the note of it in the user's cache."""

import hashlib
import os

import pytest

from sightline.checkpoint.fingerprint import file_hash

pwd = pytest.importorskip("pwd")


def test_no_home_folder_is_needed(tmp_path, monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    for name in [name for name in os.environ if name == "HOME" or name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    (tmp_path / "weights").write_bytes(b"numbers")
    assert file_hash(tmp_path / "weights") == hashlib.sha256(b"numbers").hexdigest()
