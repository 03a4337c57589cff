"""A check of a checkpoint and its outcome."""

from dataclasses import dataclass

FLOAT32 = 1e-5
"""Relative: what float32 leaves of a sum of a few thousand terms in another order."""


@dataclass(frozen=True)
class Check:
    """`what` was compared `against` ("golden values ..." or "itself"), with this `result` in words."""

    what: str
    against: str
    result: str
    passed: bool
