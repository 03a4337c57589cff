"""One HTML file that needs nothing else, neither network nor script: how it is put together and written."""

import base64
import os
from html import escape
from pathlib import Path

from sightline.errors import UsageError
from sightline.files import write_text


def check_place(file: str | os.PathLike[str]) -> None:
    """Raises UsageError if the file's folder does not exist, or if `file` is a folder or a file that is no page: a slip
    of the pen must not cost a photo."""
    try:
        there = Path(file).absolute().parent.is_dir()
        folder, start = Path(file).is_dir(), b""
        if not folder and Path(file).exists():
            with Path(file).open("rb") as old:
                start = old.read(14).lower()
    except OSError as error:  # a name that is too long, a file that is not ours to read
        raise UsageError(f"{file}: the page cannot be written there ({error.strerror})") from error
    if not there:
        raise UsageError(f"{file}: there is no folder to write this file into")
    if folder:
        raise UsageError(f"{file} is a folder: name a file for the page")
    if start not in (b"", b"<!doctype html"):
        raise UsageError(f"{file} is no page and would be lost: choose another name")


def write_page(file: str | os.PathLike[str], title: str, body: str, style: str, footer: str) -> None:
    """Write the page, whole or not at all. `body`, `style` and `footer` are put in as they are.

    Raises what `check_place` raises, and UsageError if the file cannot be written.
    """
    check_place(file)
    html = PAGE.format(title=escaped(title), style=STYLE + style, body=body, footer=footer)
    try:
        write_text(Path(file), html)
    except OSError as error:
        raise UsageError(f"{file}: the page cannot be written there ({error.strerror or error})") from error


def escaped(text: str) -> str:
    """For HTML: escaped, and what HTML cannot hold (stray bytes of file names, control characters) replaced."""
    whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in whole))


def data_uri(data: bytes) -> str:
    """A JPEG, PNG or WebP as what stands for its address."""
    kind = "png" if data.startswith(b"\x89PNG") else "webp" if data[8:12] == b"WEBP" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}</main>
<footer>{footer}</footer>
</body>
</html>
"""

STYLE = """
:root { --paper: #f7f6f3; --ink: #1d1c1a; --soft: #6d6a64; --tile: #e7e4de; --mark: #b4521e; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #161615; --ink: #eceae6; --soft: #9b978f; --tile: #262523; --mark: #f0955c; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.4 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 110rem; margin: 0 auto; padding: clamp(1rem, 3vw, 2.5rem); }
h1, h2 { margin: 0; font-weight: 600; letter-spacing: -.015em; line-height: 1.2; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.5rem, 3.5vw, 2.25rem); }
h2 { font-size: 1.4rem; }
footer { padding: 1rem 1rem 2.5rem; text-align: center; font-size: .8rem; color: var(--soft); }
"""
