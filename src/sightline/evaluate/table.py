"""Several models on several data sets: one table of what was gained, and of what was forgotten for it."""

from collections.abc import Sequence
from typing import Any

from sightline.errors import UsageError
from sightline.evaluate.compare import DRAWS, TASK, compare
from sightline.evaluate.result import Result


def side_by_side(results: Sequence[Result], *, draws: int = DRAWS, seed: int = 0) -> Result:
    """Results of each model on each data set; the first result's model is what the others are compared with.

    Differences come from `compare`, with its paired bootstrap. One whose interval holds 0 is "unclear" ("same" if it
    is 0), else it is "better" or "worse". `details` has a table for each data set (or task) with a row for each figure.

    Raises `UsageError` if no two models were evaluated on the same, if a result is there twice, and what `compare`
    raises.
    """
    tables: dict[tuple[str, ...], dict[str, Result]] = {}
    for result in results:
        task = (result.kind, result.data_fingerprint, *(str(result.settings.get(name)) for name in TASK))
        if result.model_fingerprint in tables.setdefault(task, {}):
            raise UsageError(f"two results of {result.kind} for {result.model} on {result.data}: give one of them")
        tables[task][result.model_fingerprint] = result
    base = results[0].model_fingerprint if results else ""
    found = [_table(of, base, draws, seed) for of in tables.values() if base in of and len(of) > 1]
    if not found:
        raise UsageError(
            "no two models were evaluated on the same data: give results of the first model and of others over one "
            "data set, as `sightline eval retrieval ... --json` writes them"
        )
    names = {one.model_fingerprint: one.model for one in results}
    first = results[0]
    return Result(
        kind="side by side",
        figures={
            f"{row['figure']} difference of {other['model']} on {table['data']}": other["difference"]
            for table in found
            for row in table["rows"][:1]
            for other in row["others"]
        },
        model=", ".join(names.values()),
        model_fingerprint=", ".join(names),
        data=", ".join(table["data"] for table in found),
        data_fingerprint=", ".join(table["data_fingerprint"] for table in found),
        precision=", ".join(dict.fromkeys(one.precision for one in results)),
        seed=seed,
        settings={"base": first.model, "draws": draws},
        details={"tables": found},
    )


def _table(of: dict[str, Result], base: str, draws: int, seed: int) -> dict[str, Any]:
    first = of[base]
    others = {key: result for key, result in of.items() if key != base}
    compared = [compare(first, other, draws=draws, seed=seed).details for other in others.values()]
    rows = []
    for of_figure in zip(*(details["rows"] for details in compared), strict=True):
        rows.append(
            {
                "figure": of_figure[0]["figure"],
                "base": of_figure[0]["a"],
                "base_interval": of_figure[0]["a_interval"],
                "others": [
                    {
                        "model": other.model,
                        "value": row["b"],
                        "value_interval": row["b_interval"],
                        "difference": row["difference"],
                        "interval": row["interval"],
                        "verdict": _verdict(row),
                    }
                    for other, row in zip(others.values(), of_figure, strict=True)
                ],
            }
        )
    return {
        "kind": first.kind,
        "data": first.data,
        "data_fingerprint": first.data_fingerprint,
        "samples": compared[0]["samples"],
        "models": [first.model, *(other.model for other in others.values())],
        "rows": rows,
    }


def _verdict(row: dict[str, Any]) -> str:
    """Of ranks the lower are better, of all else the higher."""
    low, high = row["interval"]
    if low == high == 0:
        return "same"
    if low <= 0 <= high:
        return "unclear"
    return "better" if (low > 0) != ("rank" in row["figure"]) else "worse"
