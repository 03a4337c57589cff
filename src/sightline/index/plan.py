"""Folder against table: which files are new, changed, moved, gone, and which rows to touch for that."""

import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sightline.errors import ImageError, IndexFault
from sightline.index import walk
from sightline.index.item import hash_file, open_file
from sightline.index.table import Table
from sightline.index.uri import to_text


class Row(NamedTuple):
    """What the table knows of a file."""

    id: int
    size: int
    mtime: int


@dataclass
class Plan:
    """`amend`: id -> (path, mtime) of rows whose contents stay; `remove`: ids of rows whose files are gone;
    `encode`: path -> the row that it replaces, None if it is new."""

    amend: dict[int, tuple[str, int]] = field(default_factory=dict)
    remove: list[int] = field(default_factory=list)
    encode: dict[str, Row | None] = field(default_factory=dict)
    unchanged: int = 0
    moved: int = 0


def rows_by_path(table: Table) -> dict[str, Row]:
    """All rows of the table."""
    uris, *facts = (column.to_pylist() for column in table.columns(["uri", *Row._fields]).columns)
    return dict(zip(map(to_text, uris), map(Row, *facts), strict=True))


def below(rows: dict[str, Row], roots: Sequence[str]) -> dict[str, Row]:
    """Those at and below `roots`."""
    return {path: row for path, row in rows.items() if any(walk.is_below(path, root) for root in roots)}


def compare(table: Table, roots: Sequence[str], found: walk.Listing, hashed: Callable[[int, int, Path], None]) -> Plan:
    """What to do so that the rows below `roots` are those of `found`.

    Contents are read only where size and time leave a doubt: a new file of a vanished one's size may be that one,
    moved, wherever it was; a file with another time but the same size may be the same. `hashed` hears (done, total,
    path) then. Raises IndexFault if a root lost all its pictures.
    """
    rows = rows_by_path(table)
    known = below(rows, roots)
    for path in known.keys() - found.files.keys():
        if not walk.is_listed(path):  # once given by its own name; no walk lists it
            found.look(path)
    gone = {path: row for path, row in known.items() if path not in found.files and not found.is_blocked(path)}
    _refuse_emptied(table, roots, gone, found)

    plan = Plan()
    for path, facts in found.files.items():
        held = known.get(path)
        if held and (held.size, held.mtime) == facts:
            plan.unchanged += 1
        else:
            plan.encode[path] = held
    new_sizes = {found.files[path][0] for path, held in plan.encode.items() if held is None}
    vanished = [
        row
        for path, row in sorted(rows.items())
        if row.size in new_sizes and (path in gone or (path not in known and _is_gone(path)))
    ]
    for path, row in list(_same_contents(table, plan.encode, found, vanished, hashed)):
        plan.amend[row.id] = path, found.files[path][1]
        if plan.encode.pop(path) is None:
            plan.moved += 1
        else:
            plan.unchanged += 1
    plan.remove = [row.id for row in gone.values() if row.id not in plan.amend]
    return plan


def _refuse_emptied(table: Table, roots: Sequence[str], gone: dict[str, Row], found: walk.Listing) -> None:
    for root in roots:
        lost = sum(walk.is_below(path, root) for path in gone)
        if lost and not any(walk.is_below(path, root) for path in found.files):
            raise IndexFault(
                f"{root} holds no picture any more, but the index holds {lost} from there: is its disk mounted? "
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
    encode: dict[str, Row | None],
    found: walk.Listing,
    vanished: list[Row],
    hashed: Callable[[int, int, Path], None],
) -> Iterator[tuple[str, Row]]:
    """Of the files to encode those whose contents a row has: the file's own row or, once each, a vanished file's."""
    sizes = {row.size for row in vanished}
    doubtful = {
        path: held
        for path, held in encode.items()
        if (found.files[path][0] in sizes if held is None else found.files[path][0] == held.size)
    }
    ids = [row.id for row in (*vanished, *doubtful.values()) if row is not None]
    hashes = dict(zip(ids, table.take(ids, ["hash"]).column("hash").to_pylist(), strict=True)) if ids else {}
    movers: defaultdict[str | None, deque[Row]] = defaultdict(deque)
    for row in vanished:
        movers[hashes[row.id]].append(row)
    with ThreadPoolExecutor(4) as pool:
        for done, (path, hash) in enumerate(zip(doubtful, pool.map(_hash, doubtful), strict=True), 1):
            hashed(done, len(doubtful), Path(path))
            held = doubtful[path]
            if held is not None and hashes[held.id] == hash:
                yield path, held
            elif held is None and movers[hash]:
                yield path, movers[hash].popleft()


def _hash(path: str) -> str | None:
    try:
        with open_file(Path(path)) as file:
            return hash_file(file)
    except (OSError, ImageError):
        return None  # encoding it will say why
