"""What a checkpoint is, as a hash: two with the same fingerprint give the same vectors."""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from sightline.checkpoint.exported import NOTE, Exported
from sightline.checkpoint.hub import sha256
from sightline.errors import CheckpointError
from sightline.files import write_text


def fingerprint(weights: list[Path], *settings: Mapping[str, Any]) -> str:
    """A hash over the weight files' bytes and the settings (config, preprocessing profile): 32 hexadecimal digits."""
    parts = [sorted(file_hash(path) for path in weights), list(settings)]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def export_fingerprint(exported: Exported) -> str:
    """The fingerprint of the checkpoint that was exported. Raises `CheckpointError` where a tower's file is another
    than the one that was written then."""
    for name, tower in exported.towers.items():
        path = exported.tower(name)
        if tower_hash(path) != tower["sha256"]:
            raise CheckpointError(
                f"{path}: damaged, or changed since the export (its SHA-256 is not that in {NOTE}): {exported.again}"
            )
    return exported.fingerprint


def tower_hash(path: Path) -> str:
    """SHA-256 of an exported tower: of its file, or of the hashes of the file and of those beside it that hold its
    weights."""
    beside = (path.with_name(f"{path.name}.data"), path.with_suffix(".bin"))
    hashes = [file_hash(file) for file in (path, *beside) if file.is_file()]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file. Hashing gigabytes takes seconds, so what is known is kept: the Hub's cache names a blob by
    its hash, and for other files the user's cache remembers path, size and time of change."""
    real = path.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", real.name):
        return real.name
    stat = real.stat()
    # Not by the inode number: some network mounts give another one at each look.
    key = hashlib.sha256(repr((str(real), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)).encode()).hexdigest()
    try:
        note = platformdirs.user_cache_path("sightline") / "hashes" / key
    except RuntimeError:  # no home folder, and so no cache
        return sha256(real)
    with suppress(OSError):
        if re.fullmatch(r"[0-9a-f]{64}", known := note.read_text()):
            return known
    digest = sha256(real)
    if stat.st_size > 1 << 24:
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            write_text(note, digest)
    return digest
