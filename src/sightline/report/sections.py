"""What a report shows of each kind of result."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from sightline.evaluate.result import Result
from sightline.format import in_order, label, shown
from sightline.report import plots
from sightline.report.page import escaped
from sightline.report.tables import WAYS, between, figures_table, grid, table


def _retrieval(result: Result) -> str:
    ranks = {}
    for way, name in WAYS.items():
        of = result.samples[way]
        ranks[name] = list(chain.from_iterable(of)) if of and isinstance(of[0], Sequence) else of
    return figures_table(result.figures) + grid(
        plots.recall_curve("Recall@K", ranks), plots.rank_histogram("Ranks of the right answers", ranks)
    )


def _classes(result: Result) -> str:
    """Zero-shot classification of pictures or films."""
    return figures_table(result.figures) + _accuracies(result.details["classes"])


def _accuracies(classes: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        [name, f"{of['samples']:,}", *(f"{of[top]:.1%}" for top in ("top-1", "top-5"))] for name, of in classes.items()
    ]
    of = [each["top-1"] for each in classes.values()]
    return (
        grid(plots.bars("Accuracy of the classes (of many the best and the worst)", "top-1", list(classes), of))
        + f"<details><summary>All {len(lines):,} classes</summary>"
        + table(["", "samples", "top-1", "top-5"], lines)
        + "</details>\n"
    )


def _segmentation(result: Result) -> str:
    classes = result.details["classes"]
    bars = plots.bars("Intersection over union of the classes", "IoU", list(classes), list(classes.values()))
    return figures_table(result.figures) + grid(bars)


def _temperature(result: Result) -> str:
    curves, figures = result.details, result.figures
    marks = {"its own": figures["scale"], "least loss": figures["best_scale"]}

    def drawn(title: str, y: str, name: str, **how: Any) -> str:
        series = {WAYS[way]: (curves[way]["scales"], curves[way][name]) for way in WAYS}
        return plots.lines(title, "scale of the logits", y, series, marks=marks, log_x=True, **how)

    lines = [["scale", *(shown("scale", figures[name]) for name in ("scale", "best_scale"))],
             ["loss", *(shown("loss", figures[name]) for name in ("loss", "best_scale_loss"))]]  # fmt: skip
    for way, said in WAYS.items():
        for name in ("confidence", "calibration_error", "entropy"):
            values = (figures[f"{before}{way}_{name}"] for before in ("", "best_scale_"))
            lines.append([f"{label(name)}, {said}", *(shown(name, value) for value in values)])
        lines.append([f"accuracy, {said}", *[shown("accuracy", figures[f"{way}_accuracy"])] * 2])
    moved, merged = (shown(name, figures[name]) for name in ("ranks_moved", "ranks_moved_float32"))
    loss = [figures[name] for name in ("best_scale_loss", "loss")]
    return (
        table(["", "its own", "of least loss"], lines)
        + grid(
            drawn("Contrastive loss", "nats", "loss", limits=(0.9 * loss[0], 2 * loss[1])),
            drawn("Expected calibration error", "", "error", percent=True),
            drawn("Mean confidence", "", "confidence", percent=True),
            drawn("Mean entropy", "nats", "entropy"),
        )
        + f"<p>The ranking is the same at each of {len(curves['text_to_image']['scales'])} scales: {moved} ranks moved "
        f"with logits in float64, {merged} in float32, where neighbouring logits may round to one number.</p>\n"
    )


def _projection(result: Result) -> str:
    own, *others = rows = result.details["rows"]
    names = in_order(name for name in own if "recall" in name or "R@" in name)
    lines = [[row["way"], str(row["dimension"]), *(shown(name, row[name]) for name in names)] for row in rows]
    ways = list(dict.fromkeys(row["way"] for row in others))
    dims = sorted({row["dimension"] for row in others})

    def drawn(name: str) -> str:
        series = {}
        for way in ways:
            of = [row for row in others if row["way"] == way]
            series[way] = [row["dimension"] for row in of], [row[name] for row in of]
        levels = {f"own, {own['dimension']}": own[name]}
        return plots.lines(
            label(name), "dimension", "", series, levels=levels, log_x=True, percent=True, limits=(0, None), ticks=dims
        )

    told = f"{result.figures['effective_dimension']:.0f} principal axes hold 99% of the vectors’ squared length."
    return (
        f"<p>{told} Heads were trained on {escaped(result.settings['train'])}.</p>\n"
        + f'<div class="wide">{table(["", "dimension", *map(label, names)], lines)}</div>'
        + grid(*map(drawn, ("mean_recall", "text_to_image_R@10", "image_to_text_R@10")))
    )


def _side_by_side(result: Result) -> str:
    body = ""
    for one in result.details["tables"]:
        head = ["", one["models"][0], *(part for model in one["models"][1:] for part in (model, "difference", ""))]
        lines = []
        for row in one["rows"]:
            name = row["figure"]
            line = [label(name), f"{shown(name, row['base'])} ({between(name, row['base_interval'])})"]
            for other in row["others"]:
                line += [
                    f"{shown(name, other['value'])} ({between(name, other['value_interval'])})",
                    f"{shown(name, other['difference'], '+')} ({between(name, other['interval'], '+')})",
                    other["verdict"],
                ]
            lines.append(line)
        names = [row["figure"] for row in one["rows"] if "rank" not in row["figure"]]
        shares = {row["figure"]: row for row in one["rows"]}
        series = {one["models"][0]: [(shares[name]["base"], shares[name]["base_interval"]) for name in names]}
        for place, model in enumerate(one["models"][1:]):
            of = [shares[name]["others"][place] for name in names]
            # Two models may have one name: a folder whose weights were trained on.
            name = model if model not in series else f"{model} ({place + 1})"
            series[name] = [(each["value"], each["value_interval"]) for each in of]
        body += (
            f"<h3>{escaped(label(one['kind']))} on {one['samples']:,} samples of {escaped(one['data'])}</h3>\n"
            f'<div class="wide">{table(head, lines)}</div>'
        ) + grid(plots.groups(f"{label(one['kind'])} on {one['data']}", [label(name) for name in names], series))
    return (
        body + "<p>In brackets 95% intervals. A difference whose interval holds 0 is unclear: it may be chance.</p>\n"
    )


def _compare(result: Result) -> str:
    rows = result.details["rows"]
    head = ["", "A", "95%", "B", "95%", "B - A", "95%"]
    lines = [
        [
            label(row["figure"]),
            *(
                part
                for value, interval, sign in (
                    ("a", "a_interval", ""),
                    ("b", "b_interval", ""),
                    ("difference", "interval", "+"),
                )
                for part in (shown(row["figure"], row[value], sign), between(row["figure"], row[interval], sign))
            ),
        ]
        for row in rows
    ]
    return table(head, lines)


def _diagnosis(result: Result) -> str:
    details = result.details
    return figures_table(result.figures) + _calibration(details) + _mistakes(details) + _similarities(details)


def _confusions(result: Result) -> str:
    details = result.details
    items = "".join(
        f"<li><p><b>{escaped(one['right'])}</b> taken for <b>{escaped(one['found'])}</b>: {one['count']:,} "
        f"({one['share']:.0%} of the class), confidence {one['confidence']:.1%}</p>"
        f'<div class="row">{"".join(_picture(details, key) for key in one["keys"])}</div></li>\n'
        for one in details["pairs"]
    )
    body = f'<h3>What is confused most often</h3><ol class="confusions">{items}</ol>\n' if items else ""
    return figures_table(result.figures) + _calibration(details) + body + _accuracies(details["classes"])


def _calibration(details: Mapping[str, Any]) -> str:
    bins, bars = details["reliability"], details["histogram"]
    counts = {name: bars[name] for name in ("right", "wrong") if any(bars[name])}
    return grid(
        plots.reliability_diagram("Reliability", bins["edges"], bins["confidence"], bins["accuracy"], bins["counts"]),
        plots.stairs("Confidence of right and of wrong answers", "confidence", counts, bars["edges"], percent_x=True),
    )


def _picture(details: Mapping[str, Any], key: str) -> str:
    source = details["pictures"].get(key)
    return f'<img src="{escaped(source)}" alt="{escaped(key)}">' if source else f"<code>{escaped(key)}</code>"


def _mistakes(details: Mapping[str, Any]) -> str:
    cards = "".join(
        f'<li><p>“{escaped(one["text"])}”</p><div class="pair">'
        f"<figure>{_picture(details, one['found'])}<figcaption>found, {one['confidence']:.1%}</figcaption></figure>"
        f"<figure>{_picture(details, one['right'])}<figcaption>right, {one['of_right']:.1%}</figcaption></figure>"
        "</div></li>\n"
        for one in details["confusions"]
    )
    return f'<h3>The wrong answers that it is surest of</h3><ol class="confusions">{cards}</ol>\n' if cards else ""


def _similarities(details: Mapping[str, Any]) -> str:
    """A table of cosines with the pictures as its head: rows are texts, their own picture on the diagonal."""
    matrix = details["matrix"]
    values = np.asarray(matrix["cosines"])
    low, high = float(values.min()), float(values.max())
    head = "".join(
        f'<th><img src="{escaped(details["pictures"].get(key, ""))}" alt="{escaped(key)}"></th>'
        for key in matrix["keys"]
    )
    rows = ""
    for i, (text, row) in enumerate(zip(matrix["texts"], values, strict=True)):
        cells = "".join(
            f'<td{" class=own" if i == j else ""} style="--share:{(value - low) / max(high - low, 1e-9):.3f}">'
            f"{value:.2f}</td>"
            for j, value in enumerate(row)
        )
        rows += f"<tr><th>{escaped(text)}</th>{cells}</tr>\n"
    return (
        "<h3>Similarities</h3><p>Cosines of some texts (rows) and pictures (columns); a text’s own picture is framed."
        f'</p><div class="wide"><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>\n"
    )


SHOWN: dict[str, Callable[[Result], str]] = {
    "retrieval": _retrieval,
    "zeroshot": _classes,
    "video": _classes,
    "segmentation": _segmentation,
    "temperature": _temperature,
    "projection": _projection,
    "diagnosis": _diagnosis,
    "confusions": _confusions,
    "compare": _compare,
    "side by side": _side_by_side,
}
