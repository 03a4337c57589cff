"""Folder against table: which files are new, changed, moved, gone, and which rows to touch for that."""

import os
import shlex
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sightline.errors import ImageError, IndexFault
from sightline.files import open_file
from sightline.index import walk
from sightline.index.item import hash_file
from sightline.index.table import Table
from sightline.index.uri import to_text
from sightline.processing.suffixes import is_video
from sightline.progress import Progress, ProgressCallback


class IndexedFile(NamedTuple):
    """What the table knows of a file: the ids of its rows, ascending, and whether all the rows that it had are left."""

    ids: tuple[int, ...]
    size: int
    mtime: int
    is_whole: bool


@dataclass
class Plan:
    """`amend`: id -> (path, mtime) of rows whose contents stay, those of one file together; `remove`: files that are
    gone; `encode`: path -> the rows that it replaces, None if it is new. `unchanged` and `moved` count files."""

    amend: dict[int, tuple[str, int]] = field(default_factory=dict)
    remove: list[IndexedFile] = field(default_factory=list)
    encode: dict[str, IndexedFile | None] = field(default_factory=dict)
    unchanged: int = 0
    moved: int = 0


def files_of(table: Table) -> dict[str, IndexedFile]:
    """All files of the table, by path."""
    columns = table.columns(["uri", "id", "size", "mtime", "moments"])
    uris, *facts = (column.to_pylist() for column in columns.columns)
    files: dict[str, IndexedFile] = {}
    videos: defaultdict[str, list[int]] = defaultdict(list)
    counts: dict[str, int] = {}
    for path, id, size, mtime, count in zip(map(to_text, uris), *facts, strict=True):
        files[path] = IndexedFile((id,), size, mtime, is_whole=True)
        if count is not None:
            videos[path].append(id)
            counts[path] = count
    for path, ids in videos.items():
        files[path] = files[path]._replace(ids=tuple(sorted(ids)), is_whole=len(ids) == counts[path])
    return files


def files_below(table: Table, roots: Sequence[str]) -> dict[str, IndexedFile]:
    """The files of the table at and below `roots`."""
    return _below(files_of(table), roots)


def _below(files: dict[str, IndexedFile], roots: Sequence[str]) -> dict[str, IndexedFile]:
    return {path: file for path, file in files.items() if any(walk.is_below(path, root) for root in roots)}


def compare(table: Table, roots: Sequence[str], listing: walk.Listing, progress: ProgressCallback) -> Plan:
    """What to do so that the rows below `roots` are those of the listed files.

    Contents are read only where size and time leave a doubt: a new file of a vanished one's size may be that one,
    moved, wherever it was; a file with another time but the same size may be the same. A video of which rows are
    missing is to be encoded. Raises IndexFault if a root lost all its files.
    """
    files = files_of(table)
    known = _below(files, roots)
    for path in known.keys() - listing.files.keys():
        if not walk.is_listed(path):  # once given by its own name; no walk lists it
            listing.add(path)
    gone = {path: file for path, file in known.items() if path not in listing.files and not listing.is_blocked(path)}
    _refuse_emptied(table, roots, gone, listing)

    plan = Plan()
    for path, size_and_mtime in listing.files.items():
        file = known.get(path)
        if file and file.is_whole and (file.size, file.mtime) == size_and_mtime:
            plan.unchanged += 1
        else:
            plan.encode[path] = file
    new_sizes = {listing.files[path][0] for path, file in plan.encode.items() if file is None}
    vanished = {
        path: file
        for path, file in sorted(files.items())
        if file.is_whole and file.size in new_sizes and (path in gone or (path not in known and _is_gone(path)))
    }
    for path, same in list(_same_contents(table, plan.encode, listing, vanished, progress)):
        plan.amend.update(dict.fromkeys(same.ids, (path, listing.files[path][1])))
        if plan.encode.pop(path) is None:
            plan.moved += 1
        else:
            plan.unchanged += 1
    plan.remove = [file for file in gone.values() if file.ids[0] not in plan.amend]
    return plan


def _refuse_emptied(table: Table, roots: Sequence[str], gone: dict[str, IndexedFile], listing: walk.Listing) -> None:
    for root in roots:
        lost = sum(walk.is_below(path, root) for path in gone)
        if lost and not any(walk.is_below(path, root) for path in listing.files):
            raise IndexFault(
                f"{root} holds no image and no video any more, but the index holds {lost} from there: is its disk "
                f"mounted? To drop them from the index: `sightline index {shlex.quote(root)} --forget --index "
                f"{shlex.quote(str(table.folder))}`"
            )


def _is_gone(path: str) -> bool:
    """Whether there certainly is no such file."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _same_contents(
    table: Table,
    encode: dict[str, IndexedFile | None],
    listing: walk.Listing,
    vanished: dict[str, IndexedFile],
    progress: ProgressCallback,
) -> Iterator[tuple[str, IndexedFile]]:
    """Of the files to encode those whose contents are indexed: as the same file's or, once each, as a vanished file's.

    A video that is named like an image now is left out, and the other way round: as a new file it will not be read.
    """
    sizes = {file.size for file in vanished.values()}
    doubtful = {
        path: file
        for path, file in encode.items()
        if (listing.files[path][0] in sizes if file is None else file.is_whole and listing.files[path][0] == file.size)
    }
    ids = [file.ids[0] for file in (*vanished.values(), *doubtful.values()) if file is not None]
    hashes = dict(zip(ids, table.take(ids, ["hash"]).column("hash").to_pylist(), strict=True)) if ids else {}
    movers: defaultdict[tuple[str | None, bool], deque[IndexedFile]] = defaultdict(deque)
    for path, file in vanished.items():
        movers[hashes[file.ids[0]], is_video(path)].append(file)
    with ThreadPoolExecutor(4) as pool:
        for done, (path, hash) in enumerate(zip(doubtful, pool.map(_hash, doubtful), strict=True), 1):
            progress(Progress("scanning", done, len(doubtful), path=Path(path)))
            indexed = doubtful[path]
            if indexed is not None and hashes[indexed.ids[0]] == hash:
                yield path, indexed
            elif indexed is None and (moved := movers[hash, is_video(path)]):
                yield path, moved.popleft()


def _hash(path: str) -> str | None:
    try:
        with open_file(Path(path)) as file:
            return hash_file(file)
    except (OSError, ImageError):
        return None  # encoding it will say why
