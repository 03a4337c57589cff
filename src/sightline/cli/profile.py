"""`sightline profile`: where a model's time goes, part by part, and where an encoder's."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sightline.cli.options import BatchSizeOption, DeviceOption, PrecisionOption, argument, check_image, option
from sightline.cli.output import hub_hint, one_line, progress_bar
from sightline.encoder.options import EncoderOptions
from sightline.errors import UsageError
from sightline.files import check_writable, expand_home, find_file

if TYPE_CHECKING:
    from sightline.optimize.profile_record import Profile
    from sightline.optimize.profile_tables import Table

ITERATIONS = 10
DRAWN, SIDE, SEED, MOST = 16, 448, 14, 256
"""How many images are drawn, of how many pixels a side, by which seed; and how many of a folder are taken."""
WIDTH = 160
"""Characters in a line where the output is no terminal."""
TRACE_STARTS = b'{"schemaVersion"'
"""How the file of a trace begins, as torch writes it."""


def command(
    model: Annotated[str, argument("MODEL", "Measure this model: a folder, a name on the Hub, or mini.")],
    images: Annotated[
        Path | None,
        option(
            "PATH",
            "Measure with this image, or with the images below this folder (at most 256). Default: 16 drawn images.",
            "--images",
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        option(
            "FILE", "Measure with the texts of this file, a line each. Default: captions of drawn images.", "--texts"
        ),
    ] = None,
    iterations: Annotated[
        int,
        typer.Option(
            "--iterations",
            metavar="N",
            min=1,
            show_default=False,
            help=f"Take the median of this number of passes. Default: {ITERATIONS}.",
        ),
    ] = ITERATIONS,
    deep: Annotated[
        bool, option(None, "Print a line for each module. Default: one for all modules of a kind.", "--deep")
    ] = False,
    against: Annotated[
        Path | None,
        option(
            "FILE.json",
            "Compare with this earlier profile, which --json wrote. Default: compare with none.",
            "--against",
        ),
    ] = None,
    json: Annotated[
        Path | None, option("FILE", "Write the profile to this file. Default: print only.", "--json")
    ] = None,
    html: Annotated[
        Path | None,
        option("FILE", "Write a page with flame graphs as well: one HTML file. Default: print only.", "--html"),
    ] = None,
    trace: Annotated[
        Path | None,
        option(
            "FILE",
            "Write the operations of one pass as a trace, which ui.perfetto.dev and chrome://tracing open. Default: "
            "print only.",
            "--trace",
        ),
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    batch_size: BatchSizeOption = None,
) -> None:
    """Measure where a model's time goes.

    For both towers, and for a batch of inputs as `sightline index` makes them: the time, the memory and the
    multiplications of each part, and the share of the rate at which this machine multiplies large matrices, measured in
    the same run. What no part has is a line of its own. Below that, what the threads of `sightline index` do between
    file and vector.

    \b
    Examples:
      sightline profile mini
      sightline profile openai/clip-vit-base-patch32 --images ~/Pictures --html profile.html
      sightline profile run/last --precision float32 --json before.json
      sightline profile run/last --against before.json
    """
    _check_files(json, html, trace, against)
    # Read when torch is imported: its library for traces would tell on standard error that it begins and ends.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from tempfile import TemporaryDirectory

    from sightline.encoder import load
    from sightline.optimize.profile_record import Profile

    earlier = None if against is None else Profile.open(against)
    with TemporaryDirectory(prefix="sightline-profile-") as folder:
        paths, about_images = _images(images, Path(folder))
        lines, about_texts = _texts(texts)
        with hub_hint("MODEL a folder, or mini"):
            encoder = load(model, **vars(EncoderOptions(device, precision, batch_size)))
        from sightline.optimize.profile_encoder import batches, profile_encoder

        with progress_bar() as progress:
            about = f"{about_images}; {about_texts}"
            profile = profile_encoder(encoder, paths, lines, iterations, about=about, progress=progress)
        _print(profile, earlier, deep)
        if trace is not None:
            from sightline.optimize.profile_trace import write_trace

            write_trace(trace, list(batches(encoder, paths, lines)))
            typer.echo(f"trace: {one_line(str(trace))}", err=True)
    if json is not None:
        profile.save(json)
        typer.echo(f"profile: {one_line(str(json))}", err=True)
    if html is not None:
        from sightline.report.profile import write_profile

        write_profile(html, profile, earlier)
        typer.echo(f"page: {one_line(str(html))}", err=True)


def _check_files(json: Path | None, html: Path | None, trace: Path | None, against: Path | None) -> None:
    """Raises `UsageError`, before anything is measured, for a file that could not be written."""
    files = [file for file in (json, html, trace, against) if file is not None]
    if twice := {str(file) for file in files if files.count(file) > 1}:
        raise UsageError(f"{twice.pop()} is named twice: name a file for each option")
    if json is not None:
        check_writable(json, "profile", b'{"profile"')
    if html is not None:
        from sightline.report.page import check_page

        check_page(html)
    if trace is not None:
        check_writable(trace, "trace", TRACE_STARTS)


def _images(path: Path | None, folder: Path) -> tuple[list[Path], str]:
    """The images to measure with, and what they are. Drawn ones are written to `folder`."""
    from sightline.processing.suffixes import is_image

    if path is None:
        from sightline.scenes import sample

        files = [folder / f"{number}.jpg" for number in range(DRAWN)]
        for number, file in enumerate(files):
            sample(SEED, number).draw(SIDE).save(file, quality=90)
        return files, f"{DRAWN} drawn images of {SIDE} x {SIDE}"
    path = expand_home(path)
    if not path.is_dir():
        return [check_image(path)], str(path)
    found = sorted(file for file in path.rglob("*") if is_image(file) and file.is_file())
    if not found:
        raise UsageError(f"{path}: there is no image below this folder")
    about = f"images below {path}: " + (f"{MOST} of {len(found):,}" if len(found) > MOST else f"{len(found):,}")
    return found[:MOST], about


def _texts(file: Path | None) -> tuple[list[str], str]:
    """The texts to measure with, and what they are."""
    if file is None:
        from sightline.scenes import sample

        captions = [caption for number in range(4 * DRAWN) for caption in sample(SEED, number).captions]
        return captions, f"{len(captions)} captions of drawn images"
    file = find_file(expand_home(file))
    try:
        lines = [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except FileNotFoundError as error:
        raise UsageError(f"{file}: no such file or folder") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: no file of texts in UTF-8, a line each") from error
    if not lines:
        raise UsageError(f"{file}: there is no text in it")
    return lines, f"{len(lines):,} texts of {file}"


def _print(profile: "Profile", earlier: "Profile | None", deep: bool) -> None:
    from sightline.optimize.profile_tables import facts, side_tables

    for name, value in facts(profile).items():
        print(f"{name:<9} {one_line(value)}")
    for side in profile.sides:
        before = None if earlier is None else earlier.side(side.reads)
        for table in side_tables(side, before, deep):
            print(f"\n{one_line(table.title)}")
            _print_table(table)


def _print_table(table: "Table") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, head in enumerate(table.head):
        side: Literal["left", "right"] = "right" if number else "left"
        drawn.add_column(head, justify=side, overflow="fold", no_wrap=number > 0)
    for row in table.rows[: len(table.rows) - table.sums]:
        drawn.add_row(*(Text(one_line(cell)) for cell in row))
    drawn.add_section()
    for row in table.rows[len(table.rows) - table.sums :]:
        drawn.add_row(*map(Text, row))
    console.print(drawn)
