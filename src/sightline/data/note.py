"""What a file says of the image or video beside it: captions in KEY.json, KEY.txt, KEY.caption, a class in KEY.cls."""

import json
from typing import Any

from sightline.data.left_out import LeftOut
from sightline.data.sample import plain_texts
from sightline.data.texts import decode

NOTE_SUFFIXES = (".json", ".txt", ".caption")
"""In the order in which they are tried."""
MOST_BYTES = 1 << 24
"""The largest such file that is read."""


class UnreadableNote(ValueError):
    """Why a file has no captions; `left_out` counts by these words."""


def captions_in(name: str, content: bytes, left_out: LeftOut, *, by_line: bool) -> tuple[str, ...]:
    """The captions in the file `name`: JSON's "captions" or "caption", or "text"; of other files the text, which is one
    caption, or one a line if `by_line`. Raises `UnreadableNote` where there is none."""
    if len(content) > MOST_BYTES:
        raise UnreadableNote(f"with a file of captions above {MOST_BYTES >> 20} MiB")
    try:
        text = decode(content)
    except ValueError as error:
        raise UnreadableNote("with captions that are not in UTF-8: save them so") from error
    if name.lower().endswith(".json"):
        texts = _in_json(name, text, left_out)
    elif "\0" in text:
        raise UnreadableNote("with a NUL character in their captions")
    else:
        texts = plain_texts(text.splitlines() if by_line else [text], name, left_out)
    if not texts:
        raise UnreadableNote("with no caption in their file")
    return texts


def class_in(content: bytes) -> str:
    """The class, a number or a name, in the file KEY.cls. Raises `UnreadableNote` where there is none."""
    try:
        label = decode(content).strip()
    except ValueError as error:
        raise UnreadableNote("with a class that is not in UTF-8") from error
    if not label or "\0" in label or "\n" in label:
        raise UnreadableNote("with no class in their file")
    return label


def _in_json(name: str, text: str, left_out: LeftOut) -> tuple[str, ...]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableNote("with captions in broken JSON") from error
    if not isinstance(data, dict):
        return _texts(data, name, left_out)
    return next(filter(None, (_texts(data.get(key), name, left_out) for key in ("captions", "caption", "text"))), ())


def _texts(value: Any, name: str, left_out: LeftOut) -> tuple[str, ...]:
    """The texts in a string or a list."""
    return plain_texts(value if isinstance(value, list) else [value], name, left_out)
