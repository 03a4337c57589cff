"""Why a picture can't be read, in words for people."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from sightline.errors import ImageError


@contextmanager
def reasons(name: str, kind: str | None) -> Iterator[None]:
    """Pillow and its libraries raise nearly anything on broken files: all of it becomes a reason."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(name, reason(error, kind)) from error


def reason(error: Exception, kind: str | None) -> str:
    """`kind`: the format, if it is known."""
    kind = kind or "picture"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "too many pixels"
    if isinstance(error, OSError) and error.errno:
        return f"can't be read ({error.strerror})"
    text = re.sub(r" for \w+\.\w+$", "", str(error).strip().split("\n")[0].rstrip("."))
    if re.search("truncated|end of|unexpected eof|too short|insufficient", text, re.IGNORECASE):
        return f"{kind} cut short"
    # What is no sentence for people (a key, a code, a repr) is left out.
    speaks = isinstance(error, OSError | SyntaxError | ValueError | RuntimeError) and " " in text
    return f"broken or unusual {kind}" + (f" ({text[:100]})" if speaks and not re.search(r"b'|[<{]", text) else "")
