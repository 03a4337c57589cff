"""Options that several commands have, and how options are written."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from sightline.cli.output import one_line
from sightline.encoder.precision import Precision
from sightline.errors import UsageError
from sightline.files import find_file


def option(metavar: str | None, help: str, *names: str, panel: str | None = None) -> Any:
    """An option whose help names its default. `metavar`: what follows the flag; None for a switch, and for choices,
    which the help then lists. `names`: its flags, if not the parameter's name. `panel`: the head under which the help
    of a command with many options lists it.
    """
    return typer.Option(*names, metavar=metavar, help=help, show_default=False, rich_help_panel=panel)


def argument(metavar: str, help: str) -> Any:
    """A positional argument; if it may be left out, its help names its default."""
    return typer.Argument(metavar=metavar, help=help, show_default=False)


IndexOption = Annotated[
    Path | None,
    option("DIR", "Use the index in this folder. Default: $SIGHTLINE_INDEX, else the library `default`.", "--index"),
]
LibraryOption = Annotated[
    str | None,
    option(
        "NAME",
        "Use the index of this name in your user data; `sightline library list` shows them. Default: as for --index.",
        "--library",
    ),
]
DeviceOption = Annotated[
    str,
    option(
        "NAME",
        "Compute on this device: cpu, cuda, cuda:1, mps or xpu; auto takes a GPU if there is one. Default: auto.",
        "--device",
    ),
]
PrecisionOption = Annotated[
    Precision,
    option(
        None,
        "Compute in this precision; auto is bfloat16 where the hardware has it, else float32; int4 has weights "
        "in 4 bits, for a quarter of the memory; fast is the quickest of this machine whose vectors keep near "
        "float32, which is checked once. Default: auto.",
        "--precision",
    ),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        min=1,
        show_default=False,
        help="Give the model this number of images at a time. Default: as many as suit the model and the device.",
    ),
]
CompileOption = Annotated[
    bool,
    option(
        None,
        "Compile the model before the first images, which can make it quicker on a GPU; that takes up to a minute, and "
        "seconds from the second time on. Default: run it as it is.",
        "--compile",
    ),
]
JsonOption = Annotated[bool, option(None, "Print one JSON object per line. Default: print text.", "--json")]
HtmlOption = Annotated[
    Path | None,
    option(
        "FILE", "Write a contact sheet as well: one HTML file with the images inside. Default: print only.", "--html"
    ),
]


def typed(words: str) -> str:
    """Words of the command line as they were typed. They are UTF-8, else in the locale's encoding, such as GBK: the
    program itself runs in UTF-8 under every locale. Raises UsageError for words that are neither.

    Two or three characters of GBK can be UTF-8 too, by chance, and are taken for that. Names of files stay bytes.
    """
    if words.isascii():
        return words
    import locale

    written, encodings = os.fsencode(words), dict.fromkeys(("UTF-8", locale.getencoding()))
    for encoding in encodings:
        with suppress(UnicodeDecodeError, LookupError):
            return written.decode(encoding)
    known = " or ".join(encodings)
    raise UsageError(f"{one_line(words)}: no text in {known}; name the encoding by the locale, or write UTF-8")


def index_folder(path: Path | None, library: str | None) -> Path:
    """The folder of the index that a command works on, by --index and --library. Raises UsageError if both are given,
    or if a file has its name."""
    from sightline.search.index import index_folder

    folder = index_folder(path, library and typed(library))
    if os.path.exists(folder) and not folder.is_dir():  # noqa: PTH110 (pathlib raises for some names)
        raise UsageError(f"{folder} is a file: --index names the folder of an index")
    return folder


def check_image(file: Path) -> Path:
    """The file, by the name that it has on disk (see `find_file`). Raises UsageError if it is missing or a folder."""
    file = find_file(file)
    if os.path.isdir(file):  # noqa: PTH112 (pathlib raises for some names)
        raise UsageError(f"{file}: that is a folder, not an image")
    if not os.path.isfile(file):  # noqa: PTH113
        raise UsageError(f"{file}: no such file or folder")
    return file
