"""What people write for `transformers`, each use run in both libraries; the uses are in `uses/`, a file for each kind.

A use that the reference itself ends with an error counts only among the `errors`, where that error is the answer."""

from functools import cache
from pathlib import Path

import pytest
import transformers

import sightline
from support.both import Outcome, run, short, verdict
from support.uses import given, listed

USES = listed(Path(__file__).parent / "uses")
KINDS = sorted({name.split(":")[0] for name in USES})
SHARE = 0.97

# What we refuse on purpose, with a part of the message, which says what to write instead.
REFUSED: dict[str, str] = {}

# Where ours differs, with the reason.
KNOWN: dict[str, str] = {}


@pytest.fixture(scope="module")
def outcomes(checkpoints, tmp_path_factory):
    """Of a kind's uses that count: name, ours, the reference's."""
    names = given(checkpoints, tmp_path_factory.mktemp("uses"))

    @cache
    def of(kind: str) -> list[tuple[str, Outcome, Outcome]]:
        found = []
        for name, code in USES.items():
            if name.startswith(f"{kind}:"):
                theirs = run(code, transformers, names)
                if (theirs.error is None) == (kind != "errors"):
                    found.append((name, run(code, sightline, names), theirs))
        return found

    return of


def test_there_are_many_uses():
    assert len(USES) >= 300
    assert USES.keys() >= REFUSED.keys() | KNOWN.keys()
    assert not REFUSED.keys() & KNOWN.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_use_agrees_or_its_difference_is_known(kind, outcomes):
    misses = {name: found for name, ours, theirs in outcomes(kind) if (found := verdict(ours, theirs))}
    assert {name: found for name, found in misses.items() if name not in REFUSED.keys() | KNOWN.keys()} == {}
    stale = {name for name in REFUSED.keys() | KNOWN.keys() if name.startswith(f"{kind}:")} - misses.keys()
    assert not stale, "these agree by now"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_what_to_write(name, outcomes):
    (ours,) = (ours for found, ours, _ in outcomes(name.split(":")[0]) if found == name)
    assert REFUSED[name] in short(ours.error)


def test_nearly_all_uses_agree(outcomes):
    every = [each for kind in KINDS for each in outcomes(kind)]
    agree = sum(verdict(ours, theirs) is None for _, ours, theirs in every)
    assert len(every) >= 300
    assert agree >= SHARE * len(every), f"{agree} of {len(every)}"
