"""The table brought up to date with folders, in commits small enough that a killed run loses little."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sightline.encoder.options import DEFAULTS, EncoderOptions
from sightline.errors import ModelMismatch, SightlineError, UsageError
from sightline.index import cleanup, ivf, lock, walk
from sightline.index.batch import PendingRows, SyncReport
from sightline.index.exclude import Patterns, clean_pattern, pattern_of
from sightline.index.folder import claim, exists
from sightline.index.item import ImageItem, Item
from sightline.index.limits import DEFAULT, Limits
from sightline.index.model_places import note_place, opening
from sightline.index.mounts import lost_disks, mounts, mounts_below
from sightline.index.plan import Plan, below, compare, files_below, files_of
from sightline.index.rows import Content, with_column, with_headers
from sightline.index.schema import ModelRecord
from sightline.index.settings import Settings, read_settings, write_settings
from sightline.index.table import Table
from sightline.index.upgrade import upgrade
from sightline.index.uri import to_uri
from sightline.logger import LOGGER
from sightline.processing.image.formats import is_animation
from sightline.processing.suffixes import can_be_animated, is_video
from sightline.progress import Progress, ProgressCallback, no_progress

if TYPE_CHECKING:
    from sightline.encoder import Encoder


def sync(
    folder: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    model: Encoder | str | os.PathLike[str] | None = None,
    progress: ProgressCallback = no_progress,
    *,
    wait: float = 0.0,
    regions: bool = False,
    exclude: Sequence[str] = (),
    include: Sequence[str] = (),
    leave: Sequence[str] = (),
    options: EncoderOptions = DEFAULTS,
    limits: Limits = DEFAULT,
) -> SyncReport:
    """Bring the index in `folder` up to date with the images and videos at and below `paths`.

    `model` is an encoder or what `sightline.load` takes, which opens it by the `options`; by default the model that
    built the index, for a new index the default of `load`. Only rows at and below `paths` are touched, and those of
    files that moved there. Files whose size and time are those in the table are not read. A killed run loses at most
    the last few seconds of work and the video that it was at; the next one goes on. All moments of a video are in the
    index or none. `wait`: seconds to wait for another writer. `regions`: a new index keeps the regions of each image;
    later runs then go on to.

    A file that goes by several names, by links, is one item. What patterns of names and paths leave out is not looked
    at: `exclude` adds some for this run and all later ones, `include` takes some back (see `exclude.Patterns`). What
    lies at and below the absolute paths `leave` stays in the index as it is, and is not read, in this run; and so does
    what was on a disk below `paths` that was mounted in an earlier run and is not now.

    Progress comes in the stages "scanning", "upgrading" (an index of an older format), "encoding" and "finishing".

    Raises IndexLocked, ModelMismatch, UsageError for a path that does not exist or is left out, for a pattern that is
    none and for regions that the model cannot see, IndexFault if a folder lost all its files at once or the index
    cannot be written, and what `load` raises.
    """
    folder, roots = Path(folder).absolute(), walk.roots_of(paths)
    changes = tuple(map(clean_pattern, exclude)), tuple(map(clean_pattern, include))
    table = Table.open(folder, limits) if exists(folder) else None
    _check_roots(roots, table, _settings(folder, roots, *changes), changes[0])
    encoder = _open_encoder(model, table, options)
    if table is not None and table.model.extra_rows and encoder.exported is not None:
        raise encoder.vectors_only(f"{folder} keeps more of each item, and that takes")
    record = ModelRecord.of(encoder, regions)
    is_new = not folder.exists()
    claim(folder)
    with lock.writer(folder, wait) as finished:
        progress(Progress("scanning"))
        settings = _settings(folder, roots, *changes)
        if exists(folder):
            table = Table.open(folder, limits) if table is None else table.newest()
            table = _checked(table, record)
        files = {} if table is None else files_of(table)
        named = [path for path in below(files, roots) if not walk.is_listed(path)]  # roots of earlier runs
        mounted = mounts_below(roots, mounts())
        listing = walk.list_files(roots, folder, Patterns(settings.patterns, settings.folders), named)
        mounted &= mounts_below(roots, mounts())  # none that came or went during the walk
        unmounted = lost_disks(mounts_below(roots, settings.disks) - {*roots}, mounted, files, listing.files)
        settings = settings.with_disks(roots, {*mounted, *unmounted} - {*roots})
        listing.leave([*leave, *unmounted])
        report = SyncReport(
            skipped=listing.skipped, excluded=listing.excluded, others=listing.others, unmounted=unmounted
        )
        if table is None and listing.files:
            table = Table.create(folder, record, limits)
        if table is None:
            lock.leave_nothing(folder, is_new)
            return report
        if not finished:
            cleanup.sweep(table)
        plan = compare(table, files, roots, listing, progress)  # first: a disk that is not mounted stops the run here
        write_settings(folder, settings)
        if (table.model.name, table.model.revision) != (record.name, record.revision):
            note_place(folder, record)
        table = upgrade(table, progress)
        report.unchanged, report.moved, report.removed = plan.unchanged, plan.moved, len(plan.remove)
        report.links, report.removed_links = len(listing.links), plan.removed_links
        report.removed_excluded = plan.removed_excluded
        _amend(table, plan)
        _encode(table, plan, encoder, report, progress)
        progress(Progress("finishing"))
        cleanup.tidy(table)
        cleanup.drop_outdated_tables(table)
        ivf.refresh(table)
        report.indexed = table.count()
    return report


class Forgotten(NamedTuple):
    """How many files were dropped, and the patterns by which later runs leave them out."""

    files: int
    patterns: list[str]


def forget(folder: str | os.PathLike[str], paths: Sequence[str | os.PathLike[str]], *, wait: float = 0.0) -> Forgotten:
    """Drop what the index holds at and below `paths`, whether or not it still exists. What lies in a folder that stays
    indexed is left out by later runs."""
    folder, roots = Path(folder).absolute(), walk.roots_of(paths)
    table = Table.open(folder)
    with lock.writer(folder, wait) as finished:
        table = table.newest()
        if not finished:
            cleanup.sweep(table)
        settings = read_settings(folder).without_folders(roots)
        patterns = Patterns(settings.patterns, settings.folders)
        inside = [root for root in roots if patterns.base(root) and not patterns.match_above(root)]
        new = [pattern_of(root) for root in inside if os.path.lexists(root) or files_below(table, [root])]
        write_settings(folder, settings.with_patterns(new, ()))
        files = files_below(table, roots).values()
        if files:
            table.remove([id for file in files for id in file.ids])
            cleanup.tidy(table)
    return Forgotten(len(files), new)


def _settings(folder: Path, roots: Sequence[str], exclude: Sequence[str], include: Sequence[str]) -> Settings:
    return read_settings(folder).with_patterns(exclude, include).with_folders(roots)


def _check_roots(roots: Sequence[str], table: Table | None, settings: Settings, exclude: Sequence[str]) -> None:
    """`exclude`: the patterns that come with this run."""
    patterns = Patterns(settings.patterns, settings.folders)
    for root in roots:
        if pattern := patterns.match_above(root):
            if pattern in exclude:
                raise UsageError(f"{root} is to be indexed, and left out by --exclude {pattern!r}: choose one")
            raise UsageError(f"{root} is left out by the pattern {pattern}: take that back with --include {pattern!r}")
        if not os.path.lexists(root) and not (table and files_below(table, [root])):
            raise UsageError(f"{root}: no such file or folder")


def _open_encoder(
    model: Encoder | str | os.PathLike[str] | None, table: Table | None, options: EncoderOptions
) -> Encoder:
    if model is not None and not isinstance(model, str | os.PathLike):
        return model
    from sightline.encoder import load

    how = asdict(options)
    if model is not None:
        return load(model, **how)
    if table is None:
        return load(**how)
    with opening(table.folder):
        return load(table.model.name, revision=table.model.revision, **how)


def _checked(table: Table, record: ModelRecord) -> Table:
    """The table, if this model's vectors can go into it. An empty table is made anew for any model: it was left by a
    run whose model turned out to be broken, say."""
    folder, built = table.folder, table.model
    if built.fingerprint == record.fingerprint and (built.regions or not record.regions):
        return table
    if not table.count():
        return Table.create(folder, record, table.limits)
    if built.fingerprint == record.fingerprint:
        raise UsageError(
            f"{folder} was made without regions and cannot take them in: index into another folder with --index, or "
            f"delete {folder} first"
        )
    if built.name == record.name:
        raise ModelMismatch(
            f"{folder} was built by {record.name} as it was then; its weights, config or preprocessing are others "
            f"now: index into another folder with --index, or delete {folder} first"
        )
    raise ModelMismatch(
        f"{folder} was built by {built.name} ({built.fingerprint[:12]}), not by {record.name} "
        f"({record.fingerprint[:12]}): use --model {built.name}, or another folder with --index"
    )


def _amend(table: Table, plan: Plan) -> None:
    """Write new names, times and metadata, those of one file in one commit; then take out files that are gone."""
    ids, step = list(plan.amend), table.limits.copied(table.model)
    start = 0
    while start < len(ids):
        stop = min(start + step, len(ids))
        while stop < len(ids) and plan.amend[ids[stop]] == plan.amend[ids[stop - 1]]:
            stop += 1
        paths, times = zip(*(plan.amend[id] for id in ids[start:stop]), strict=True)
        rows = with_headers(table.take(ids[start:stop]), [Path(path) for path in paths])
        rows = with_column(rows, "uri", [to_uri(path) for path in paths])
        table.replace(with_column(rows, "mtime", times))
        start = stop
    if plan.remove:
        table.remove([id for file in plan.remove for id in file.ids])


def _encode(table: Table, plan: Plan, encoder: Encoder, report: SyncReport, progress: ProgressCallback) -> None:
    if not plan.encode:
        return
    items = _items(plan.encode, encoder)
    if encoder.is_fast:
        items = _fast(table, items, encoder, progress)
        report.precision = encoder.precision
    _note_precision(table, encoder)
    pending = PendingRows(table, plan.encode, report)
    done, contents, error = 0, list[Content](), None
    stream = encoder.stream(
        items, lambda item: item.read(encoder), lambda item: item.is_video, extras=table.model.extra_rows > 0
    )
    with closing(stream):  # whatever happens: its threads would go on reading files
        try:
            for item, facts, vector, rows in stream:
                if isinstance(vector, SightlineError):
                    error = vector
                elif facts is not None:
                    contents.append(Content(facts, vector, rows, encoder.precision))
                if item.is_last:
                    if error is None:
                        pending.add(item.path, contents)
                    else:
                        pending.skip(item.path, error)
                    done, contents, error = done + 1, [], None
                pending.flush_in_time()
                counts = done, len(plan.encode), report.added, len(report.skipped)
                progress(Progress("encoding", *counts, item.path, item.end))
        except KeyboardInterrupt:
            pending.flush()
            raise
    pending.flush()


def _fast(table: Table, items: Iterator[Item], encoder: Encoder, progress: ProgressCallback) -> Iterator[Item]:
    """The items. Where the index holds no vectors in the precision that "fast" chose, it is checked on the first."""
    from sightline.encoder.fast import confirmed

    progress(Progress("choosing a precision"))
    if encoder.precision in table.precisions():
        return items
    return confirmed(encoder, items, lambda item: item.read(encoder), lambda item: item.is_video)


def _note_precision(table: Table, encoder: Encoder) -> None:
    """Tells the logger where new vectors are computed in another precision than those in the table. They can be
    compared (docs/decisions/0042-fast.md)."""
    others = [precision for precision in table.precisions() if precision not in (None, encoder.precision)]
    if others:
        LOGGER.warning(
            f"new vectors are computed in {encoder.precision}; those in the index stay in {' and '.join(others)}: they "
            f"differ a little, and --precision keeps to one"
        )


def _items(paths: Iterable[str], encoder: Encoder) -> Iterator[Item]:
    """One by one, never all at once: videos' items hold frames."""
    for path in paths:
        if is_video(path):
            from sightline.index.video_items import video_items

            yield from video_items(Path(path), encoder)
        elif can_be_animated(path) and is_animation(Path(path)):
            from sightline.index.video_items import animation_items

            yield from animation_items(Path(path), encoder)
        else:
            yield ImageItem(Path(path))
