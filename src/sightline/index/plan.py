"""Folder against table: which files are new, changed, moved, gone, and which rows to touch for that."""

import os
import shlex
import unicodedata
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
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
    gone; `encode`: path -> the rows that it replaces, None if it is new. `unchanged` and `moved` count files, and of
    those to remove `removed_links` the links of files that are listed, `removed_excluded` what patterns leave out."""

    amend: dict[int, tuple[str, int]] = field(default_factory=dict)
    remove: list[IndexedFile] = field(default_factory=list)
    encode: dict[str, IndexedFile | None] = field(default_factory=dict)
    unchanged: int = 0
    moved: int = 0
    removed_links: int = 0
    removed_excluded: int = 0


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
    """The files of the table at and below `roots`; if there are none, those that are in another Unicode form."""
    files = files_of(table)
    return below(files, roots) or {
        path: file for path, file in files.items() if any(walk.is_below(_nfc(path), _nfc(root)) for root in roots)
    }


def _nfc(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def below(files: dict[str, IndexedFile], roots: Sequence[str]) -> dict[str, IndexedFile]:
    """Those of the files that are at and below `roots`; these may be many files by name."""
    exact = set(roots)
    inside = tuple(root.rstrip(os.sep) + os.sep for root in exact - files.keys())  # nothing is below a file
    return {path: file for path, file in files.items() if path in exact or path.startswith(inside)}


def compare(
    table: Table,
    files: dict[str, IndexedFile],
    roots: Sequence[str],
    listing: walk.Listing,
    progress: ProgressCallback,
) -> Plan:
    """What to do so that the rows below `roots` are those of the listed files. `files`: all of the table.

    Contents are read only where size and time leave a doubt: a new file of a vanished one's size may be that one,
    moved, wherever it was; a file with another time but the same size may be the same. A video of which rows are
    missing is to be encoded. A listed file that the index holds by another name, which is not below `roots`, is set
    aside if it is the link, and takes over the rows if the other is. Raises IndexFault if a root lost all its files.
    """
    known = below(files, roots)
    relinked = _match_links(files, known, listing)
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
        if file.is_whole
        and file.size in new_sizes
        and (path in gone or path in relinked or (path not in known and _is_gone(path)))
    }
    for path, same in list(_same_contents(table, plan.encode, listing, vanished, progress)):
        plan.amend.update(dict.fromkeys(same.ids, (path, listing.files[path][1])))
        if plan.encode.pop(path) is None:
            plan.moved += 1
        else:
            plan.unchanged += 1
    removed = {path: file for path, file in (gone | relinked).items() if file.ids[0] not in plan.amend}
    plan.remove = list(removed.values())
    plan.removed_excluded = sum(listing.patterns.match_above(path) is not None for path in removed)
    plan.removed_links = sum(path in listing.links or os.path.realpath(path) in listing.files for path in removed)
    return plan


def _match_links(
    files: dict[str, IndexedFile], known: dict[str, IndexedFile], listing: walk.Listing
) -> dict[str, IndexedFile]:
    """Set aside the listed names of files that the index holds by a name not below the roots, and return those of its
    files there that are links of files that are listed without one."""
    for path, real in list(listing.real.items()):
        if path in listing.files and real in files and real not in known:
            listing.set_aside(path, real)
    new = defaultdict[tuple[int, int], list[str]](list)
    for path in listing.files.keys() - known.keys():
        new[listing.files[path]].append(path)
    relinked = {}
    for other, file in files.items():
        for path in new.get((file.size, file.mtime), ()) if other not in known else ():
            if path not in listing.files or not listing.is_same_file(path, other):
                continue
            if os.path.realpath(other) != other and path not in listing.real:
                relinked[other] = file
            else:
                listing.set_aside(path, other)
    return relinked


def _refuse_emptied(table: Table, roots: Sequence[str], gone: dict[str, IndexedFile], listing: walk.Listing) -> None:
    """Raises IndexFault for a root that lost all its files, and is not made of links or of what patterns leave out."""
    for root in roots:
        lost = [path for path in gone if walk.is_below(path, root)]
        if not lost or any(walk.is_below(path, root) for path in chain(listing.files, listing.links)):
            continue
        if all(listing.patterns.match_above(path) for path in lost):
            raise IndexFault(
                f"{root}: the patterns would leave nothing of it in the index, which holds {len(lost)} from there; to "
                f"take all of it out: `sightline index {shlex.quote(root)} --forget --index "
                f"{shlex.quote(str(table.folder))}`"
            )
        raise IndexFault(
            f"{root} holds no image and no video any more, but the index holds {len(lost)} from there: is its disk "
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
