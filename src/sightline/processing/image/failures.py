"""Why a picture can't be read, in words for people."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from sightline.errors import ImageError


@contextmanager
def failures_as_image_errors(name: str, format_name: str | None) -> Iterator[None]:
    """Turns every exception into an ImageError: Pillow and its libraries raise nearly anything on broken files.

    `name` is the error's source, `format_name` the picture's format if it is known.
    """
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(name, failure_reason(error, format_name)) from error


def failure_reason(error: Exception, format_name: str | None) -> str:
    """What the exception says about a picture of this format (None: unknown), without the picture's name."""
    what = format_name or "picture"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "too many pixels"
    if isinstance(error, OSError) and error.errno:
        return f"can't be read ({error.strerror})"
    text = re.sub(r" for \w+\.\w+$", "", str(error).strip().split("\n")[0].rstrip("."))
    if re.search("truncated|end of|unexpected eof|too short|insufficient", text, re.IGNORECASE):
        return f"{what} cut short"
    # Only sentences are for people: a key, a code or a repr is left out.
    is_sentence = isinstance(error, OSError | SyntaxError | ValueError | RuntimeError) and " " in text
    is_sentence = is_sentence and not re.search(r"b'|[<{]", text)
    return f"broken or unusual {what}" + (f" ({text[:100]})" if is_sentence else "")
