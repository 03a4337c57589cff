"""Names, figures and times as people read them."""

import re
from collections.abc import Iterable, Sequence

_PLAIN = ("rank_changes", "rank_changes_float32", "scale", "loss", "entropy", "dimension")


def label(name: str) -> str:
    """ "text_to_image_R@1" -> "text to image R@1"."""
    return name.replace("_", " ")


def counted(number: int, noun: str) -> str:
    """ "1 file", "2,000 files"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shown(name: str, value: float, sign: str = "") -> str:
    """A figure as text: shares in percent, ranks and numbers as they are. `sign` "+" writes the sign of all numbers."""
    if name.endswith("rank"):
        return f"{round(value, 1) + 0.0:{sign},.1f}"  # no "-0.0"
    if name.endswith(_PLAIN):
        return f"{value:{sign},.4g}"
    return f"{100 * value:{sign}.2f}%"


def in_order(names: Iterable[str]) -> list[str]:
    """As words are sorted, but numbers by their size: R@5 before R@10."""
    return sorted(names, key=lambda name: [(part.isdigit(), part.zfill(9)) for part in re.split(r"(\d+)", name)])


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names of models as heads of columns: the last parts of their paths by which they differ, or else their
    last parts, numbered."""
    parts = [re.split(r"[/\\\\]", name.rstrip("/\\")) for name in names]
    for length in range(1, max(map(len, parts), default=0) + 1):
        short = ["/".join(part[-length:]) for part in parts]
        if len(set(short)) == len(short):
            return short
    return [f"{part[-1]} ({number})" for number, part in enumerate(parts, 1)]


def between(name: str, ends: Sequence[float], sign: str = "") -> str:
    """The interval of a figure: "2.06% to 2.40%"."""
    return " to ".join(shown(name, end, sign) for end in ends)


def clock(seconds: float) -> str:
    """A time in a video: 0:07, 12:03, 1:00:00."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
