"""What a report shows of each kind of result: the parts of its section, top to bottom."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.evaluate.result import Result
from sightline.evaluate.text_tables import accuracy_rows, text_tables
from sightline.format import between, distinct_names, in_order, label, shown
from sightline.report import plots
from sightline.report.page import render
from sightline.report.tables import DIRECTIONS, figures_table, table

if TYPE_CHECKING:
    from markupsafe import Markup

Parts = list["Markup"]


def _retrieval(result: Result) -> Parts:
    ranks = {}
    for direction, name in DIRECTIONS.items():
        of_samples = result.samples[direction]
        nested = len(of_samples) > 0 and isinstance(of_samples[0], Sequence)
        ranks[name] = list(chain.from_iterable(of_samples)) if nested else of_samples
    return [
        figures_table(result.figures, result.intervals),
        plots.grid(plots.recall_curve("Recall@K", ranks), plots.rank_histogram("Ranks of the right answers", ranks)),
        *([render("examples.html.j2", **examples)] if (examples := result.details.get("examples")) else []),
    ]


def _classes(result: Result) -> Parts:
    """Zero-shot classification of images or videos."""
    return [figures_table(result.figures, result.intervals), *_accuracies(result.details["classes"])]


def _accuracies(classes: Mapping[str, Mapping[str, Any]]) -> Parts:
    head, lines = accuracy_rows(classes)
    top1 = [accuracy["top-1"] for accuracy in classes.values()]
    bars = plots.bars("Accuracy of the classes (of many the best and the worst)", "top-1", list(classes), top1)
    every_class = table(head, lines)
    return [
        plots.grid(bars),
        render("folded.html.j2", summary=f"All {len(lines):,} classes", content=every_class),
    ]


def _segmentation(result: Result) -> Parts:
    classes = result.details["classes"]
    bars = plots.bars("Intersection over union of the classes", "IoU", list(classes), list(classes.values()))
    return [figures_table(result.figures, result.intervals), plots.grid(bars)]


def _temperature(result: Result) -> Parts:
    curves, figures = result.details, result.figures
    marks = {"its own": figures["scale"], "least loss": figures["best_scale"]}

    def curve(title: str, y: str, name: str, **options: Any) -> "Markup":
        series = {DIRECTIONS[way]: (curves[way]["scales"], curves[way][name]) for way in DIRECTIONS}
        return plots.lines(title, "scale of the logits", y, series, marks=marks, log_x=True, **options)

    lines = [["scale", *(shown("scale", figures[name]) for name in ("scale", "best_scale"))],
             ["loss", *(shown("loss", figures[name]) for name in ("loss", "best_scale_loss"))]]  # fmt: skip
    for direction, words in DIRECTIONS.items():
        for name in ("confidence", "calibration_error", "entropy"):
            values = (figures[f"{prefix}{direction}_{name}"] for prefix in ("", "best_scale_"))
            lines.append([f"{label(name)}, {words}", *(shown(name, value) for value in values)])
        lines.append([f"accuracy, {words}", *[shown("accuracy", figures[f"{direction}_accuracy"])] * 2])
    changes, changes_float32 = (shown(name, figures[name]) for name in ("rank_changes", "rank_changes_float32"))
    least, at_own_scale = figures["best_scale_loss"], figures["loss"]
    note = (
        f"The ranking is the same at each of {len(curves['text_to_image']['scales'])} scales: {changes} ranks moved "
        f"with logits in float64, {changes_float32} in float32, where neighbouring logits may round to one number."
    )
    return [
        table(["", "its own", "of least loss"], lines),
        plots.grid(
            curve("Contrastive loss", "nats", "loss", limits=(0.9 * least, 2 * at_own_scale or None)),
            curve("Expected calibration error", "", "error", percent=True),
            curve("Mean confidence", "", "confidence", percent=True),
            curve("Mean entropy", "nats", "entropy"),
        ),
        render("note.html.j2", text=note),
    ]


def _projection(result: Result) -> Parts:
    original, *others = rows = result.details["rows"]
    names = in_order(name for name in original if "recall" in name or "R@" in name)
    lines = [[row["method"], str(row["dimension"]), *(shown(name, row[name]) for name in names)] for row in rows]
    methods = list(dict.fromkeys(row["method"] for row in others))
    dims = sorted({row["dimension"] for row in others})

    def curves(name: str) -> "Markup":
        series = {}
        for method in methods:
            of_method = [row for row in others if row["method"] == method]
            series[method] = [row["dimension"] for row in of_method], [row[name] for row in of_method]
        levels = {f"original, {original['dimension']}": original[name]}
        return plots.lines(
            label(name), "dimension", "", series, levels=levels, log_x=True, percent=True, limits=(0, None), ticks=dims
        )

    note = (
        f"{result.figures['effective_dimension']:.0f} principal axes hold 99% of the vectors’ squared length. "
        f"Heads were trained on {result.settings['train']}."
    )
    return [
        render("note.html.j2", text=note),
        table(["", "dimension", *map(label, names)], lines, wide=True),
        plots.grid(*map(curves, ("mean_recall", "text_to_image_R@10", "image_to_text_R@10"))),
    ]


def _table(result: Result) -> Parts:
    parts = [part for task_table in result.details["tables"] for part in _task_table(task_table)]
    of_others = text_tables(result)[len(result.details["tables"]) :]
    return [*parts, *(table(of.head, of.lines, heading=of.title, wide=True) for of in of_others)]


def _task_table(task_table: Mapping[str, Any]) -> Parts:
    base, *others = names = distinct_names(task_table["models"])
    head = ["", base, *(cell for name in others for cell in (name, "difference", ""))]
    lines = []
    for row in task_table["rows"]:
        line = [label(row["figure"]), _with_ends(row["figure"], row["base"], row["base_interval"])]
        for other in row["others"]:
            line += [
                _with_ends(row["figure"], other["value"], other["value_interval"]),
                _with_ends(row["figure"], other["difference"], other["interval"], "+"),
                other["verdict"],
            ]
        lines.append(line)
    heading = f"{label(task_table['kind'])} on {task_table['samples']:,} samples of {task_table['data']}"
    values = [
        [(row["base"], row["base_interval"]), *((other["value"], other["value_interval"]) for other in row["others"])]
        for row in task_table["rows"]
    ]
    figures = [row["figure"] for row in task_table["rows"]]
    title = f"{label(task_table['kind'])} on {task_table['data']}"
    return [table(head, lines, heading=heading, wide=True), _side_by_side(title, figures, names, values)]


def _compare(result: Result) -> Parts:
    rows, names = result.details["rows"], result.details["models"]
    lines = [
        [
            label(row["figure"]),
            _with_ends(row["figure"], row["a"], row["a_interval"]),
            _with_ends(row["figure"], row["b"], row["b_interval"]),
            _with_ends(row["figure"], row["difference"], row["interval"], "+"),
            "clear" if row["interval"][0] > 0 or row["interval"][1] < 0 else "",
        ]
        for row in rows
    ]
    heading = f"{result.details['samples']:,} samples"
    values = [[(row["a"], row["a_interval"]), (row["b"], row["b_interval"])] for row in rows]
    return [
        table(["", *names, "difference", ""], lines, heading=heading, wide=True),
        _side_by_side(f"{names[1]} against {names[0]}", [row["figure"] for row in rows], names, values),
    ]


def _with_ends(name: str, value: float, interval: Sequence[float], sign: str = "") -> str:
    return f"{shown(name, value, sign)} ({between(name, interval, sign)})"


def _side_by_side(
    title: str, figures: Sequence[str], names: Sequence[str], values: Sequence[Sequence[Any]]
) -> "Markup":
    """Bars of the figures that are shares: of each a value with its interval for each of the models' names."""
    shares = [row for row, name in enumerate(figures) if "rank" not in name]
    series = {name: [values[row][model] for row in shares] for model, name in enumerate(names)}
    return plots.grid(plots.groups(title, [label(figures[row]) for row in shares], series))


def _diagnosis(result: Result) -> Parts:
    details, parts = result.details, [figures_table(result.figures, result.intervals)]
    for direction, words in DIRECTIONS.items():
        parts.append(_calibration(details[direction], f", {words}"))
        if mistakes := details[direction]["mistakes"]:
            template = f"{direction}_mistakes.html.j2"
            parts.append(render(template, mistakes=mistakes, images=details["images"]))
    return [*parts, _similarities(details["matrix"], details["images"])]


def _confusions(result: Result) -> Parts:
    details = result.details
    parts = [figures_table(result.figures, result.intervals), _calibration(details)]
    if details["pairs"]:
        parts.append(render("confusions.html.j2", pairs=details["pairs"], images=details["images"]))
    return [*parts, *_accuracies(details["classes"])]


def _calibration(details: Mapping[str, Any], of: str = "") -> "Markup":
    bins, histogram = details["reliability"], details["histogram"]
    counts = {name: histogram[name] for name in ("right", "wrong")}
    title = f"Confidence of right and of wrong answers{of}"
    columns = (bins[name] for name in ("edges", "confidence", "accuracy", "counts"))
    return plots.grid(
        plots.reliability_diagram(f"Reliability{of}, and how many answers", *columns),
        plots.stairs(title, "confidence", counts, histogram["edges"], percent_x=True),
    )


def _similarities(matrix: Mapping[str, Any], images: Mapping[str, str]) -> "Markup":
    """A table of cosines with the images as its head: rows are texts, the text's own image on the diagonal."""
    cosines = np.asarray(matrix["cosines"])
    shares = (cosines - cosines.min()) / max(float(cosines.max() - cosines.min()), 1e-9)
    cells = [list(zip(*row, strict=True)) for row in zip(cosines.tolist(), shares.tolist(), strict=True)]
    rows = list(zip(matrix["texts"], cells, strict=True))
    return render("similarities.html.j2", keys=matrix["keys"], rows=rows, images=images)


SECTIONS: dict[str, Callable[[Result], Parts]] = {
    "retrieval": _retrieval,
    "zeroshot": _classes,
    "video": _classes,
    "linear_probe": _classes,
    "knn": _classes,
    "segmentation": _segmentation,
    "temperature": _temperature,
    "projection": _projection,
    "diagnosis": _diagnosis,
    "confusions": _confusions,
    "compare": _compare,
    "table": _table,
}
