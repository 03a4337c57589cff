"""Several models on several data sets: a table of what each gained over the first model, and of what it lost."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from sightline.errors import UsageError
from sightline.evaluate.compare import TASK, CompareRow, compare
from sightline.evaluate.intervals import DRAWS
from sightline.evaluate.published import PublishedRow, published
from sightline.evaluate.result import Result


class OtherModel(TypedDict):
    """A figure of a model with its interval, its difference to the first model with its interval, and the `verdict`:
    "better", "worse", "unclear" (the interval holds 0) or "same"."""

    model: str
    value: float
    value_interval: list[float]
    difference: float
    interval: list[float]
    verdict: str


class TableRow(TypedDict):
    """A figure of the first model with its interval, and of the others."""

    figure: str
    base: float
    base_interval: list[float]
    others: list[OtherModel]


class TaskTable(TypedDict):
    """The results of one kind on one data set (or task): a row for each figure; `warnings` are those of `compare`."""

    kind: str
    data: str
    data_fingerprint: str
    samples: int
    models: list[str]
    rows: list[TableRow]
    warnings: list[str]


class TableDetails(TypedDict):
    """A table for each data set (or task); `published` figures beside ours, None if they were not asked for."""

    tables: list[TaskTable]
    published: list[PublishedRow] | None


def table(results: Sequence[Result], *, draws: int = DRAWS, seed: int = 0, with_published: bool = False) -> Result:
    """Results of each model on each data set, compared with the first result's model. Details: `TableDetails`.

    Differences come from `compare`, with its paired bootstrap. `with_published`: figures that others have published of
    these models on these data as well; then one result is enough.

    Raises `UsageError` if no two models were evaluated on the same data, if a result comes twice, and what `compare`
    raises.
    """
    by_task: dict[tuple[str, ...], dict[str, Result]] = {}
    for result in results:
        task = (result.kind, result.data_fingerprint, *(str(result.settings.get(name)) for name in TASK))
        if result.model_fingerprint in by_task.setdefault(task, {}):
            raise UsageError(f"two results of {result.kind} for {result.model} on {result.data}: give one of them")
        by_task[task][result.model_fingerprint] = result
    base = results[0].model_fingerprint if results else ""
    tables = [
        _table_of(by_model, base, draws, seed)
        for by_model in by_task.values()
        if base in by_model and len(by_model) > 1
    ]
    if not tables and not (with_published and results):
        if len(results) > 1 and {result.model_fingerprint for result in results} == {base}:
            raise UsageError(
                f"all results are of {results[0].model}, and a table compares models: for two results of one model "
                "there is `sightline eval compare`"
            )
        raise UsageError(
            "no two models were evaluated on the same data: give results of the first model and of others over one "
            "data set, as `sightline eval retrieval ... --json` writes them"
        )
    names = {result.model_fingerprint: result.model for result in results}
    return Result(
        kind="table",
        figures={
            f"{row['figure']} difference of {other['model']} on {task_table['data']}": other["difference"]
            for task_table in tables
            for row in task_table["rows"][:1]
            for other in row["others"]
        },
        model=", ".join(names.values()),
        model_fingerprint=", ".join(names),
        data=", ".join(task_table["data"] for task_table in tables) or ", ".join(result.data for result in results),
        data_fingerprint=", ".join(task_table["data_fingerprint"] for task_table in tables),
        precision=", ".join(dict.fromkeys(result.precision for result in results)),
        seed=seed,
        settings={"base": results[0].model, "draws": draws},
        details=TableDetails(tables=tables, published=published(results) if with_published else None),
    )


def _table_of(by_model: Mapping[str, Result], base: str, draws: int, seed: int) -> TaskTable:
    first = by_model[base]
    others = [result for fingerprint, result in by_model.items() if fingerprint != base]
    compared = [compare(first, other, draws=draws, seed=seed).details for other in others]
    rows: list[TableRow] = [
        {
            "figure": of_figure[0]["figure"],
            "base": of_figure[0]["a"],
            "base_interval": of_figure[0]["a_interval"],
            "others": [_against_base(other.model, row) for other, row in zip(others, of_figure, strict=True)],
        }
        for of_figure in zip(*(details["rows"] for details in compared), strict=True)
    ]
    return {
        "kind": first.kind,
        "data": first.data,
        "data_fingerprint": first.data_fingerprint,
        "samples": compared[0]["samples"],
        "models": [first.model, *(other.model for other in others)],
        "rows": rows,
        "warnings": list(dict.fromkeys(one for details in compared for one in details["warnings"])),
    }


def _against_base(model: str, row: CompareRow) -> OtherModel:
    return {
        "model": model,
        "value": row["b"],
        "value_interval": row["b_interval"],
        "difference": row["difference"],
        "interval": row["interval"],
        "verdict": _verdict(row),
    }


def _verdict(row: CompareRow) -> str:
    """Of ranks the lower are better, of all other figures the higher."""
    low, high = row["interval"]
    if low == high == 0:
        return "same"
    if low <= 0 <= high:
        return "unclear"
    return "better" if (low > 0) != ("rank" in row["figure"]) else "worse"
