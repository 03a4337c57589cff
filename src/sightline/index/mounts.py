"""Which disks are mounted at and below folders, and which of them are on another computer. Linux tells; other systems
are taken to have local disks alone."""

import os
import re
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from sightline.index import walk

TABLE = Path("/proc/self/mounts")
NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|ncpfs|afs|coda|ceph|glusterfs|lustre|beegfs|ocfs2|gfs2|orangefs|davfs\d?|9p|virtiofs|vboxsf|"
    r"prl_fs|vmhgfs|drvfs|fuse(\..*)?"
)
"""Kinds of file systems whose files may change without a word to this computer."""


def mounts() -> dict[str, str]:
    """The folders at which disks are mounted, and the kind of file system of each."""
    try:
        lines = os.fsdecode(TABLE.read_bytes()).splitlines()
    except OSError:
        return {}
    fields = [line.split(" ") for line in lines]
    return {_unescaped(field[1]): field[2] for field in fields if len(field) > 2}


def mounts_below(folders: Sequence[str], mounted: Iterable[str]) -> set[str]:
    """Of the mounted disks those at and below the folders."""
    return {place for place in mounted if any(walk.is_below(place, folder) for folder in folders)}


def lost_disks(known: Iterable[str], mounted: Container[str], files: Iterable[str], listed: Iterable[str]) -> list[str]:
    """Of the known disks those that are not mounted, and of which the index holds files and nothing is listed."""
    gone = [disk for disk in known if disk not in mounted]
    return [
        disk
        for disk in gone
        if any(walk.is_below(path, disk) for path in files) and not any(walk.is_below(path, disk) for path in listed)
    ]


def is_remote(folder: str, mounted: dict[str, str]) -> bool:
    """Whether the folder, or one below it, is on another computer, or on a file system of which that is not known."""
    above = max((place for place in mounted if walk.is_below(folder, place)), key=len, default="")
    kinds = [mounted.get(above, ""), *(mounted[place] for place in mounts_below([folder], mounted))]
    return any(NETWORK.fullmatch(kind) for kind in kinds)


def _unescaped(path: str) -> str:
    """Blanks and the like are written there in octal: `\\040`."""
    raw = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), os.fsencode(path))
    return os.fsdecode(raw)
