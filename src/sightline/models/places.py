"""The arguments of `from_pretrained` that say where a checkpoint lies, and those that change nothing here."""

from collections.abc import Mapping
from typing import Any

from sightline.checkpoint.hub import WHERE
from sightline.errors import UsageError

_SWITCHES = ("use_fast", "trust_remote_code")
_IMPLEMENTATIONS = (None, "auto", "pil", "torchvision")


def take_place(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(where to look, the other options). `use_fast` and `backend`, which choose between the reference's
    implementations, and `trust_remote_code`, for which there is no use, have no effect. Raises UsageError."""
    for name in _SWITCHES:
        if options.get(name) not in (None, True, False):
            raise UsageError(f"{name}={options[name]!r} is not known; there is True and False")
    if options.get("backend") not in _IMPLEMENTATIONS:
        raise UsageError(f'backend={options["backend"]!r} is not known; there is "pil" and "torchvision"')
    where = {name: value for name, value in options.items() if name in WHERE and value is not None}
    return where, {name: value for name, value in options.items() if name not in (*WHERE, *_SWITCHES, "backend")}
