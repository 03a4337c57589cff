"""`sightline index`: brings an index up to date with folders of pictures and films."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.output import IndexOption, index_folder, one_line, progress_bar
from sightline.errors import HubError, IndexFault, IndexMissing, Stopped, UsageError

if TYPE_CHECKING:
    from sightline.encoder import Encoder
    from sightline.index import Summary, Table

LISTED = 5  # files named for each reason to skip


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="Folders (with all below them) and files.", show_default=False),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_FOLDER",
            help="The model: on the Hub, in a folder, or mini, which needs no download. Else the one that built "
            "the index; for a new index openai/clip-vit-base-patch32.",
            show_default=False,
        ),
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Take what lies under PATH out of the index; files stay.")
    ] = False,
    regions: Annotated[
        bool,
        typer.Option("--regions", help="Keep each picture's regions, for search --regions; with a GroupViT."),
    ] = False,
    index: IndexOption = None,
) -> None:
    """Index pictures and films, or bring the index up to date: what is new, changed, moved or gone.

    Films are cut into moments: a search finds the file and the time. Files that cannot be read are named and left out;
    the rest goes on. May be stopped at any time: the next run goes on where this one ended.

    \b
    Examples:
      sightline index ~/Pictures
      sightline index ~/Pictures /mnt/archive --index ~/everything
      sightline index holiday --model mini
    """
    folder = index_folder(index)
    paths = [Path(os.path.abspath(os.path.expanduser(path))) for path in paths]  # noqa: PTH100, PTH111 (any name)
    if forget:
        from sightline import index as library

        typer.echo(f"{library.forget(folder, paths):,} files taken out of the index")
        return
    for path in paths:
        if not os.path.exists(path):  # noqa: PTH110
            raise UsageError(f"{path}: no such file or folder (--forget takes out what the index holds of it)")

    from sightline.index import sync

    encoder = _encoder(folder, model)
    try:
        with progress_bar() as progress:
            summary = sync(folder, paths, encoder, progress, regions=regions)
    except KeyboardInterrupt:
        raise Stopped("stopped; what was done is kept, and the same command goes on from there") from None
    _report(summary)

    table = _table(folder)
    if table is None or not table.count():
        raise IndexFault(
            f"nothing is indexed: no picture and no film that can be read under {', '.join(map(str, paths))}"
        )


def _table(folder: Path) -> "Table | None":
    from sightline.index import Table

    try:
        return Table.open(folder)
    except IndexMissing:
        return None


def _encoder(folder: Path, model: str | None) -> "Encoder":
    """The named model, else the index's own, else the default."""
    table = _table(folder)

    from sightline.encoder import load

    try:
        if model is None and table is not None:
            return load(table.model.name, revision=table.model.revision)
        return load() if model is None else load(model)
    except HubError as error:
        raise HubError(f"{error} (here: --model FOLDER, or --model mini)", error.reason) from error


def _report(summary: "Summary") -> None:
    counts = {name: getattr(summary, name) for name in ("added", "changed", "moved", "removed", "unchanged")}
    counts["skipped"] = len(summary.skipped)
    typer.echo(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    reasons: dict[str, list[Path]] = {}
    for path, reason in summary.skipped:
        reasons.setdefault(reason, []).append(path)
    for reason, files in sorted(reasons.items(), key=lambda entry: -len(entry[1])):
        typer.echo(f"skipped, {one_line(reason)} ({len(files):,}):")
        for file in files[:LISTED]:
            typer.echo(f"  {one_line(str(file))}")
        if len(files) > LISTED:
            typer.echo(f"  and {len(files) - LISTED:,} more")
