"""What must be said beside the figures of a result, a sentence or two each: on the terminal and on the page."""

from collections.abc import Iterator
from typing import Any

from sightline.evaluate.result import Result
from sightline.format import label, shown

_NAMED = 3
"""How many names are listed of classes."""


def notes(result: Result) -> list[str]:
    """In the order in which they are shown."""
    return [*_equal_captions(result), *_classes(result), *_candidates(result), *_selection(result), *_warnings(result)]


def _equal_captions(result: Result) -> Iterator[str]:
    texts, different = (result.details.get(name) for name in ("texts", "different_texts"))
    if texts is None or different is None or texts == different:
        return
    yield (
        f"{texts:,} captions, {different:,} different: of equal captions (capitals and white space aside) each is as "
        "right as the other."
    )
    of_pairs = {name: shown(name, value) for name, value in result.details.get("pairs_only", {}).items()}
    differing = [name for name, text in of_pairs.items() if text != shown(name, result.figures[name])]
    if differing:
        figures = ", ".join(f"{label(name)} {of_pairs[name]}" for name in differing)
        yield f"If only an image's own were right, as published figures are often counted: {figures}."


def _classes(result: Result) -> Iterator[str]:
    if missing := result.details.get("without_samples"):
        yield f"{len(missing):,} classes have no image and count only as wrong answers: {_some(missing)}."
    if equal := result.details.get("equal_names"):
        yield f"{len(equal):,} names are those of several classes, each as right as the other: {_some(equal)}."


def _candidates(result: Result) -> Iterator[str]:
    """Accuracy of pairs beside recall."""
    if result.kind in ("temperature", "diagnosis"):
        yield (
            "As in training, a question has one caption of each image as its candidates, round by round: accuracy is "
            "not the recall@1 of `eval retrieval`, which ranks all captions at once."
        )


def _selection(result: Result) -> Iterator[str]:
    chosen = result.selection
    if chosen and chosen.get("data_fingerprint") == result.data_fingerprint:
        yield (
            f"{result.model} was chosen by these very data, as the best of {chosen['checkpoints']:,} checkpoints: its "
            "figures here are too good. Evaluate on data that chose nothing."
        )


def _warnings(result: Result) -> Iterator[str]:
    """Of comparisons."""
    tables: list[Any] = result.details.get("tables", [])
    found = [*result.details.get("warnings", ()), *(one for table in tables for one in table.get("warnings", ()))]
    if result.details.get("published") == []:
        yield "No published figures are known of these models on these data."
    yield from dict.fromkeys(f"Warning: {one}." for one in found)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
