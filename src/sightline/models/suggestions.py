"""What a misspelled name may have meant."""

from collections.abc import Iterable

from sightline.errors import UnknownArgument


def check_names(given: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raises UnknownArgument for names that are not known, with the near ones, or all where none is near. `what`: what
    a name stands for, such as "argument"."""
    known = list(known)
    for name in given:
        if name not in known:
            from difflib import get_close_matches  # here: a search does without it

            near = get_close_matches(name, known, 3)
            meant = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(known)}"
            raise UnknownArgument(f"{name}: no such {what}; {meant}")
