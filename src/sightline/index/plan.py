"""Folder against table: which files are new, changed, moved, gone, and which rows to touch for that."""

import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sightline.errors import ImageError, IndexFault
from sightline.files import open_file
from sightline.index import walk
from sightline.index.item import hash_file
from sightline.index.schema import MOMENTS
from sightline.index.table import Table
from sightline.index.uri import to_text
from sightline.processing.suffixes import is_video


class Held(NamedTuple):
    """What the table knows of a file: the ids of its rows, ascending, and whether those are all that it had."""

    ids: tuple[int, ...]
    size: int
    mtime: int
    is_whole: bool


@dataclass
class Plan:
    """`amend`: id -> (path, mtime) of rows whose contents stay, those of one file together; `remove`: files that are
    gone; `encode`: path -> the rows that it replaces, None if it is new. `unchanged` and `moved` are in files."""

    amend: dict[int, tuple[str, int]] = field(default_factory=dict)
    remove: list[Held] = field(default_factory=list)
    encode: dict[str, Held | None] = field(default_factory=dict)
    unchanged: int = 0
    moved: int = 0


def files_of(table: Table) -> dict[str, Held]:
    """All files of the table, by path."""
    uris, *facts = (column.to_pylist() for column in table.columns(["uri", "id", "size", "mtime"]).columns)
    moments = [None] * len(uris) if table.is_old else table.columns([MOMENTS]).column(MOMENTS).to_pylist()
    files: dict[str, Held] = {}
    films: defaultdict[str, list[int]] = defaultdict(list)
    counts: dict[str, int] = {}
    for path, id, size, mtime, count in zip(map(to_text, uris), *facts, moments, strict=True):
        files[path] = Held((id,), size, mtime, is_whole=True)
        if count is not None:
            films[path].append(id)
            counts[path] = count
    for path, ids in films.items():
        files[path] = files[path]._replace(ids=tuple(sorted(ids)), is_whole=len(ids) == counts[path])
    return files


def below(files: dict[str, Held], roots: Sequence[str]) -> dict[str, Held]:
    """Those at and below `roots`."""
    return {path: held for path, held in files.items() if any(walk.is_below(path, root) for root in roots)}


def compare(table: Table, roots: Sequence[str], found: walk.Listing, hashed: Callable[[int, int, Path], None]) -> Plan:
    """What to do so that the rows below `roots` are those of `found`.

    Contents are read only where size and time leave a doubt: a new file of a vanished one's size may be that one,
    moved, wherever it was; a file with another time but the same size may be the same. `hashed` hears (done, total,
    path) then. A film of which rows are missing is to be encoded. Raises IndexFault if a root lost all its files.
    """
    files = files_of(table)
    known = below(files, roots)
    for path in known.keys() - found.files.keys():
        if not walk.is_listed(path):  # once given by its own name; no walk lists it
            found.look(path)
    gone = {path: held for path, held in known.items() if path not in found.files and not found.is_blocked(path)}
    _refuse_emptied(table, roots, gone, found)

    plan = Plan()
    for path, facts in found.files.items():
        held = known.get(path)
        if held and held.is_whole and (held.size, held.mtime) == facts:
            plan.unchanged += 1
        else:
            plan.encode[path] = held
    new_sizes = {found.files[path][0] for path, held in plan.encode.items() if held is None}
    vanished = {
        path: held
        for path, held in sorted(files.items())
        if held.is_whole and held.size in new_sizes and (path in gone or (path not in known and _is_gone(path)))
    }
    for path, same in list(_same_contents(table, plan.encode, found, vanished, hashed)):
        plan.amend.update(dict.fromkeys(same.ids, (path, found.files[path][1])))
        if plan.encode.pop(path) is None:
            plan.moved += 1
        else:
            plan.unchanged += 1
    plan.remove = [held for held in gone.values() if held.ids[0] not in plan.amend]
    return plan


def _refuse_emptied(table: Table, roots: Sequence[str], gone: dict[str, Held], found: walk.Listing) -> None:
    for root in roots:
        lost = sum(walk.is_below(path, root) for path in gone)
        if lost and not any(walk.is_below(path, root) for path in found.files):
            raise IndexFault(
                f"{root} holds no picture and no film any more, but the index holds {lost} from there: is its disk "
                "mounted? "
                f"To drop them from the index: `sightline index {root} --forget --index {table.folder}`"
            )


def _is_gone(path: str) -> bool:
    """Whether there certainly is no such file."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _same_contents(
    table: Table,
    encode: dict[str, Held | None],
    found: walk.Listing,
    vanished: dict[str, Held],
    hashed: Callable[[int, int, Path], None],
) -> Iterator[tuple[str, Held]]:
    """Of the files to encode those whose contents are held: as the file's own or, once each, as a vanished file's.

    A film that is named like a picture now is none of them, nor the other way round: as a new file it is not read.
    """
    sizes = {held.size for held in vanished.values()}
    doubtful = {
        path: held
        for path, held in encode.items()
        if (found.files[path][0] in sizes if held is None else held.is_whole and found.files[path][0] == held.size)
    }
    ids = [held.ids[0] for held in (*vanished.values(), *doubtful.values()) if held is not None]
    hashes = dict(zip(ids, table.take(ids, ["hash"]).column("hash").to_pylist(), strict=True)) if ids else {}
    movers: defaultdict[tuple[str | None, bool], deque[Held]] = defaultdict(deque)
    for path, held in vanished.items():
        movers[hashes[held.ids[0]], is_video(path)].append(held)
    with ThreadPoolExecutor(4) as pool:
        for done, (path, hash) in enumerate(zip(doubtful, pool.map(_hash, doubtful), strict=True), 1):
            hashed(done, len(doubtful), Path(path))
            own = doubtful[path]
            if own is not None and hashes[own.ids[0]] == hash:
                yield path, own
            elif own is None and (moved := movers[hash, is_video(path)]):
                yield path, moved.popleft()


def _hash(path: str) -> str | None:
    try:
        with open_file(Path(path)) as file:
            return hash_file(file)
    except (OSError, ImageError):
        return None  # encoding it will say why
