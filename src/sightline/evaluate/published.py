"""Figures that others have published, beside ours: `published.csv`, each with its source."""

import csv
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import TypedDict

from sightline.evaluate.result import Result


class PublishedRow(TypedDict):
    """A figure of a result, `value`, and what was `published` of the model on these data, and in which `source`."""

    model: str
    data: str
    figure: str
    value: float
    published: float
    source: str


def published(results: Sequence[Result]) -> list[PublishedRow]:
    """What is known of the results' models on their data.

    A model is known by its name on the Hub, or by a folder of that name; data by a word in their name ("coco") and by
    how many samples and classes there are, as in the published protocol. So a model that was trained on in a folder of
    the old name, or other data of the same size, are not told apart: the reader must look.
    """
    return [
        {
            "model": result.model,
            "data": row["data"],
            "figure": row["figure"],
            "value": result.figures[row["figure"]],
            "published": float(row["percent"]) / 100,
            "source": row["source"],
        }
        for result in results
        for row in _rows()
        if _is_of(row, result)
    ]


def _is_of(row: dict[str, str], result: Result) -> bool:
    return (
        row["kind"] == result.kind
        and row["figure"] in result.figures
        and PurePath(result.model).name == PurePath(row["model"]).name
        and row["word"] in result.data.casefold()
        and row["samples"] in ("", str(len(result.samples.get("key", ()))))
        and row["classes"] in ("", str(len(result.settings.get("classes", ()))))
    )


@cache
def _rows() -> list[dict[str, str]]:
    text = files("sightline.evaluate").joinpath("published.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
