"""Figures for people."""

import re
from collections.abc import Iterable

_PLAIN = ("ranks_moved", "ranks_moved_float32", "scale", "loss", "entropy", "dimension")


def label(name: str) -> str:
    """ "text_to_image_R@1" -> "text to image R@1"."""
    return name.replace("_", " ")


def shown(name: str, value: float, sign: str = "") -> str:
    """A figure for people: shares in percent, ranks and numbers as they are."""
    if name.endswith("rank"):
        return f"{round(value, 1) + 0.0:{sign},.1f}"  # no "-0.0"
    if name.endswith(_PLAIN):
        return f"{value:{sign},.4g}"
    return f"{100 * value:{sign}.2f}%"


def in_order(names: Iterable[str]) -> list[str]:
    """As words are sorted, but numbers by their size: R@5 before R@10."""
    return sorted(names, key=lambda name: [(part.isdigit(), part.zfill(9)) for part in re.split(r"(\d+)", name)])
