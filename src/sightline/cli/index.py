"""`sightline index`: brings an index up to date with folders of images and videos."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.options import (
    BatchSizeOption,
    DeviceOption,
    IndexOption,
    PrecisionOption,
    argument,
    index_folder,
    option,
)
from sightline.cli.output import hub_hint, one_line, progress_bar
from sightline.encoder.options import EncoderOptions
from sightline.errors import IndexFault, Stopped

if TYPE_CHECKING:
    from sightline.index.batch import SyncReport

LISTED = 5  # files named for each reason to skip


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
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    batch_size: BatchSizeOption = None,
    index: IndexOption = None,
) -> None:
    """Index images and videos, or bring the index up to date.

    Reads files that are new or changed, follows those that were moved, and forgets those that were deleted. Videos are
    cut into moments: a search finds the file and the time. Files that cannot be read are named and left out. May be
    stopped at any time (exit status 130): the next run goes on where this one ended.

    \b
    Examples:
      sightline index ~/Pictures
      sightline index ~/Pictures /mnt/archive --index ~/everything
      sightline index holiday --model mini
    """
    from sightline.index import sync

    folder, options = index_folder(index), EncoderOptions(device, precision, batch_size)
    paths = [Path(os.path.abspath(os.path.expanduser(path))) for path in paths]  # noqa: PTH100, PTH111 (any name)
    if forget:
        typer.echo(f"{sync.forget(folder, paths):,} files taken out of the index")
        return
    try:
        with hub_hint("--model FOLDER, or --model mini"), progress_bar() as progress:
            report = sync.sync(folder, paths, model, progress, regions=regions, options=options)
    except KeyboardInterrupt:
        raise Stopped("stopped; what was done is kept, and the same command goes on from there") from None
    _print(report)
    if not report.indexed:
        raise IndexFault(
            f"nothing is indexed: no image and no video that can be read under {', '.join(map(str, paths))}"
        )


def _print(report: "SyncReport") -> None:
    counts = {name: getattr(report, name) for name in ("added", "changed", "moved", "removed", "unchanged")}
    counts["skipped"] = len(report.skipped)
    typer.echo(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    reasons: dict[str, list[Path]] = {}
    for path, reason in report.skipped:
        reasons.setdefault(reason, []).append(path)
    for reason, files in sorted(reasons.items(), key=lambda entry: -len(entry[1])):
        typer.echo(f"skipped, {one_line(reason)} ({len(files):,}):")
        for file in files[:LISTED]:
            typer.echo(f"  {one_line(str(file))}")
        if len(files) > LISTED:
            typer.echo(f"  and {len(files) - LISTED:,} more")
