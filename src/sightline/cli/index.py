"""`sightline index`: brings an index up to date with folders of images and videos."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli import watching
from sightline.cli.options import (
    BatchSizeOption,
    CompileOption,
    DeviceOption,
    IndexOption,
    LibraryOption,
    PrecisionOption,
    argument,
    index_folder,
    option,
)
from sightline.cli.output import hub_hint, one_line, progress_bar
from sightline.encoder.options import EncoderOptions
from sightline.errors import IndexFault, Stopped, UsageError
from sightline.files import check_writable, expand_home, write_text

if TYPE_CHECKING:
    from sightline.index.batch import SyncReport
    from sightline.index.watch import Watch

LISTED = 5  # files named for each reason to skip
_SKIPPED = "# skipped by sightline index: file, tab, reason"


def command(
    paths: Annotated[list[Path], argument("PATH", "Index these folders, with everything below them, and these files.")],
    model: Annotated[
        str | None,
        option(
            "NAME_OR_FOLDER",
            "Use this model: a name on the Hub, a folder, or mini, which needs no download. Default: the model that "
            "built the index, and for a new index openai/clip-vit-base-patch32.",
        ),
    ] = None,
    forget: Annotated[
        bool,
        option(
            None,
            "Take what lies under PATH out of the index; the files stay. Default: index what lies there.",
            "--forget",
        ),
    ] = False,
    regions: Annotated[
        bool,
        option(
            None,
            "Keep the regions of each image, which search --regions needs; only a GroupViT model sees them. "
            "Default: no regions in a new index; an existing index stays as it is.",
            "--regions",
        ),
    ] = False,
    exclude: Annotated[
        list[str] | None,
        option(
            "PATTERN",
            "Leave out what has this name (@eaDir, *.png) or this path (2024/drafts, /mnt/private), now and in later "
            "runs; * and ? stand for characters of a name, ** for folders. May be repeated. Default: leave out what "
            "`sightline info` lists.",
            "--exclude",
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        option(
            "PATTERN",
            "Take back this pattern, by which files are left out. May be repeated. Default: keep all patterns.",
            "--include",
        ),
    ] = None,
    skipped: Annotated[
        Path | None,
        option(
            "FILE",
            "Write all skipped files and the reasons to this file. Default: print the first five of each reason.",
            "--skipped",
        ),
    ] = None,
    watch: Annotated[
        bool,
        option(
            None,
            "Stay, and bring the index up to date whenever something changes below PATH, until Ctrl-C. Default: end "
            "when the index is up to date.",
            "--watch",
        ),
    ] = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    batch_size: BatchSizeOption = None,
    compile: CompileOption = False,
    index: IndexOption = None,
    library: LibraryOption = None,
) -> None:
    """Index images and videos, or bring the index up to date.

    Reads files that are new or changed, follows those that were moved, and forgets those that were deleted. Videos are
    cut into moments: a search finds the file and the time. Files that cannot be read are named and left out, and so are
    names that begin with a dot. A file that goes by several names, by links, is indexed once. May be
    stopped at any time (exit status 130): the next run goes on where this one ended.

    \b
    Examples:
      sightline index ~/Pictures
      sightline index ~/Pictures /mnt/archive --index ~/everything
      sightline index ~/Pictures --watch
      sightline index holiday --model mini --library holiday
    """
    from sightline.index import sync
    from sightline.index.folder import exists

    folder, options = index_folder(index, library), EncoderOptions(device, precision, batch_size, compile)
    paths = [Path(os.path.abspath(expand_home(path))) for path in paths]  # noqa: PTH100 (any name)
    if watch and (forget or skipped):
        raise UsageError("--watch goes on and on: give --forget and --skipped in a run without it")
    if skipped is not None:
        skipped = expand_home(skipped)
        check_writable(skipped, "list", _SKIPPED.encode())
    if forget:
        forgotten = sync.forget(folder, paths)
        typer.echo(f"{forgotten.files:,} files taken out of the index")
        for pattern in forgotten.patterns:
            typer.echo(f"left out from now on: {one_line(pattern)} (to take it back: --include {one_line(pattern)!r})")
        return
    instead = "--model FOLDER" if exists(folder) else "--model FOLDER, or --model mini"
    if watch:
        from sightline.index.watch import Watch

        how = {"regions": regions, "options": options}
        watched = Watch(folder, paths, model, exclude=exclude or (), include=include or (), **how)
        _watch(watched, instead, exclude or ())
        return
    try:
        with hub_hint(instead), progress_bar() as progress:
            report = sync.sync(
                folder,
                paths,
                model,
                progress,
                regions=regions,
                exclude=exclude or (),
                include=include or (),
                options=options,
            )
    except KeyboardInterrupt:
        raise Stopped("stopped; what was done is kept, and the same command goes on from there") from None
    _print(report)
    _name_unused(exclude or (), report)
    if skipped is not None:
        lines = [f"{one_line(str(path))}\t{one_line(reason)}\n" for path, reason in report.skipped]
        write_text(skipped, f"{_SKIPPED}\n{''.join(lines)}")
        typer.echo(f"skipped files, all with their reasons: {one_line(str(skipped))}")
    if not report.indexed:
        raise IndexFault(
            f"nothing is indexed: no image and no video that can be read under {', '.join(map(str, paths))}"
        )


def _watch(watch: "Watch", instead: str, exclude: Sequence[str]) -> None:
    """Prints all that the first look did, and a line for each later one that did something."""
    with watching.stopping():
        looks = watching.reports(watch, instead)
        first = next(looks)
        _print(first)
        _name_unused(exclude, first)
        watching.say_watched(watch)
        lines = watching.Lines(first)
        for report in looks:
            lines.say(report)


def _print(report: "SyncReport") -> None:
    counts = {name: getattr(report, name) for name in ("added", "changed", "moved", "removed", "unchanged")}
    counts["skipped"] = len(report.skipped)
    typer.echo(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    if report.removed_links or report.removed_excluded:
        typer.echo(f"of the removed {report.removed_links:,} are links, {report.removed_excluded:,} excluded now")
    if report.precision:
        typer.echo(f"vectors computed in {report.precision}, the quickest of this machine that keeps near float32")
    for disk in report.unmounted:
        typer.echo(f"{one_line(disk)} is not mounted: what the index holds of it stays, until --forget takes it out")
    if report.links:
        typer.echo(f"links, of which the files are indexed by another name: {report.links:,}")
    if report.excluded:
        typer.echo(f"files and folders excluded by patterns: {_counts(report.excluded)}")
    if report.others:
        typer.echo(f"files of other kinds left aside: {_counts(report.others)}")
    reasons: dict[str, list[Path]] = {}
    for path, reason in report.skipped:
        reasons.setdefault(reason, []).append(path)
    for reason, files in sorted(reasons.items(), key=lambda entry: -len(entry[1])):
        typer.echo(f"skipped, {one_line(reason)} ({len(files):,}):")
        for file in files[:LISTED]:
            typer.echo(f"  {one_line(str(file))}")
        if len(files) > LISTED:
            typer.echo(f"  and {len(files) - LISTED:,} more (--skipped FILE writes all)")


def _name_unused(patterns: Sequence[str], report: "SyncReport") -> None:
    """Names the patterns that left nothing out. A path from the current folder, as the shell completes it, is looked
    for below the indexed folders: the pattern that means it is said."""
    from sightline.index.exclude import clean_pattern, pattern_of

    for pattern in patterns:
        if report.excluded.get(clean_pattern(pattern)):
            continue
        meant = os.path.abspath(pattern)  # noqa: PTH100 (any name)
        advice = ""
        if "/" in pattern and os.path.lexists(meant) and pattern_of(meant) != clean_pattern(pattern):
            advice = f" (if {one_line(pattern_of(meant))} is meant, write that)"
        typer.echo(f"nothing there fulfils --exclude {one_line(pattern)}; it is kept{advice}")


def _counts(counts: Mapping[str, int]) -> str:
    """ "9: .psd 6, .ico 2, no suffix 1": the sum, and the parts of it, most first."""
    parts = sorted(counts.items(), key=lambda part: (-part[1], part[0]))
    return f"{sum(counts.values()):,}: " + ", ".join(f"{one_line(name) or 'no suffix'} {n:,}" for name, n in parts)
