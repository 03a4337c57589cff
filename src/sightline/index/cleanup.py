"""What keeps a table small and its folder clean. All of it but `leftovers` needs the writer's lock held."""

import shutil
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import lance

from sightline.index import lance_errors
from sightline.index.folder import POINTER, live_table, manifests, number_of, tables, upgrade_target
from sightline.index.table import Table


def tidy(table: Table) -> None:
    """Merge small fragments when there are many, and drop versions that no reader can still be using."""
    limits = table.limits
    fragments = table.dataset.get_fragments()
    large = [f.fragment_id for f in fragments if f.physical_rows - f.num_deletions >= limits.fragment_rows // 2]
    with table.writing():
        if len(fragments) - len(large) >= limits.small_fragments:
            table.dataset.optimize.compact_files(
                target_rows_per_fragment=limits.fragment_rows,
                excluded_fragment_ids=large,
                batch_size=1024,  # rows with regions are large
                compaction_mode="try_binary_copy",  # a tenth of the memory, where no row was removed
            )
        if outdated := _outdated_versions(table):
            table.dataset.cleanup_old_versions(versions=outdated, error_if_tagged_old_versions=False)


def _outdated_versions(table: Table) -> list[int]:
    """The versions that were replaced too long ago to have readers; none until there is twice that time's worth.

    What counts is when a version was replaced, not when it was made: a reader may have opened it just before.
    """
    keep = table.limits.keep.total_seconds()
    versions = sorted(manifests(table.path).items())[: 1 - table.limits.keep_last]
    outdated: list[int] = []
    for (version, _), (_, later) in pairwise(versions):
        age = time.time() - later.stat().st_mtime
        if age <= (keep if outdated else 2 * keep):
            break  # those after it were replaced even later
        outdated.append(version)
    return outdated


def drop_outdated_tables(table: Table) -> None:
    """Delete the tables whose place this one took, if that is too long ago for them to have readers."""
    if table.path != live_table(table.folder):
        return
    earlier = [path for number, path in tables(table.folder).items() if number < number_of(table.path)]
    with table.writing():
        for path in earlier:
            if time.time() - (table.folder / POINTER).stat().st_mtime > table.limits.keep.total_seconds():
                shutil.rmtree(path)


def leftovers(table: Table) -> list[Path]:
    """What a killed or failed writer left behind: files to which no version of the table refers, and tables that never
    became the live one. A table that is being upgraded is not among them."""
    with lance_errors.reading(table.folder):
        known = set(table.dataset.tracked_files().read_all().column("path").to_pylist())
    left = [
        file
        for part in ("data", "_deletions", "_transactions")
        for file in (table.path / part).glob("*")
        if f"{part}/{file.name}" not in known
    ]
    left += [file for file in (table.path / "_versions").glob("*") if file.suffix not in (".manifest", ".json")]
    later = [path for number, path in tables(table.folder).items() if number > number_of(table.path)]
    return left + [path for path in later if path != upgrade_target(table.folder)]


def sweep(table: Table) -> None:
    """Delete the leftovers. Only the writer may: another's half-written files would be among them."""
    with table.writing():
        for path in leftovers(table):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def drop(table: Table, fragments: Sequence[int], addresses: Sequence[int]) -> None:
    """Take out whole fragments, unread, and rows by their addresses: what `fsck` found broken."""
    with table.writing():
        if fragments:
            delete = lance.LanceOperation.Delete([], fragments, "false")
            table.dataset = lance.LanceDataset.commit(table.dataset, delete, read_version=table.dataset.version)
        for start in range(0, len(addresses), 1000):
            listed = ", ".join(map(str, addresses[start : start + 1000]))
            table.dataset.delete(f"_rowid IN ({listed})")
