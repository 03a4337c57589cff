"""HTML from the templates in `templates/`, escaped by Jinja2, and pages of it.

A page is one file that needs nothing else, neither network nor script.
"""

import base64
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.errors import UsageError
from sightline.files import check_writable, write_text

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def check_page(file: str | os.PathLike[str]) -> None:
    """Raises `UsageError` if a page cannot be written to `file`, or would take the place of another kind of file."""
    check_writable(file, "page", b"<!doctype html")


def write_page(file: str | os.PathLike[str], template: str, **values: Any) -> None:
    """Writes a page, whole or not at all. `template` is "page.html.j2", which takes `title`, `style` (a CSS file among
    the templates), `body` and `footer`, or a template that extends it.

    Raises `UsageError` if the file cannot be written.
    """
    check_page(file)
    html = render(template, **values)
    try:
        write_text(Path(file), html)
    except OSError as error:
        raise UsageError(f"{file}: the page cannot be written there ({error.strerror or error})") from error


def render(template: str, **values: Any) -> "Markup":
    """HTML from a template. Values are escaped unless they are `Markup`, as what this function returns.

    Raises `ValueError` for a value that the template lacks.
    """
    from jinja2 import UndefinedError
    from markupsafe import Markup

    try:
        return Markup(_environment().get_template(template).render(values))
    except UndefinedError as error:
        raise ValueError(str(error)) from error


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"data_uri": data_uri, "percent": lambda share: f"{share:.1%}"}
    return environment


def _printable(value: Any) -> Any:
    """Text with what HTML cannot hold (stray bytes of file names, control characters) replaced; markup as it is."""
    if hasattr(value, "__html__"):
        return value
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def data_uri(data: bytes) -> str:
    """A JPEG, PNG or WebP as the address of an image that is inside the page."""
    kind = "png" if data.startswith(b"\x89PNG") else "webp" if data[8:12] == b"WEBP" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
