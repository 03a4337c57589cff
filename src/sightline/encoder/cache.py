"""Files in the user's cache, each named by a hash of all that decides what is in it."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import platformdirs


def cache_file(room: str, parts: Sequence[str | int], suffix: str) -> Path | None:
    """The file in the folder `room` of the cache; None where the user has no folder for a cache."""
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    try:
        return platformdirs.user_cache_path("sightline") / room / f"{key}{suffix}"
    except RuntimeError:  # no home folder
        return None
