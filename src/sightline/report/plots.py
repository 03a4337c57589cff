"""Plots as SVG that stands inside a page and takes its colors from it, by light and by dark. Drawn by matplotlib.

Each function returns one `<svg>` element.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from sightline.distribution import install
from sightline.errors import UsageError
from sightline.report.page import render

if TYPE_CHECKING:
    from markupsafe import Markup

WIDE, HIGH = 5.6, 3.3  # inches

# Each of these colors of a plot becomes the page's color of that name.
_COLORS = {"ink": "#010203", "soft": "#040506", "line": "#070809", "paper": "#0a0b0c"}
SERIES = tuple(f"#0000{i:02x}" for i in range(16, 22))
_COLORS |= {f"series-{i}": color for i, color in enumerate(SERIES)}
_STYLE = {
    "svg.fonttype": "none",  # text stays text
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.edgecolor": _COLORS["soft"],
    "axes.labelcolor": _COLORS["soft"],
    "axes.titlecolor": _COLORS["ink"],
    "text.color": _COLORS["ink"],
    "xtick.color": _COLORS["soft"],
    "ytick.color": _COLORS["soft"],
    "grid.color": _COLORS["line"],
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.figsize": (WIDE, HIGH),
    "figure.constrained_layout.use": True,
}

Lines = Mapping[str, tuple[ArrayLike, ArrayLike]]


def check_installed() -> None:
    """Raises `UsageError` if matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UsageError(f"plots need matplotlib: {install('report')}") from error


class Plot:
    """A figure with one pair of axes, `axes`."""

    def __init__(self, title: str, x: str, y: str) -> None:
        from matplotlib.figure import Figure

        self.title, self.figure = title, Figure()
        self.axes = self.figure.add_subplot(title=_plain(title), xlabel=_plain(x), ylabel=_plain(y))
        self.svg: Markup  # once the block of `plot` has ended

    def _finish(self) -> None:
        from markupsafe import Markup

        buffer = io.StringIO()
        self.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        text = buffer.getvalue().partition("<svg ")[2]
        text = re.sub(r"<(metadata|style).*?</\1>", "", text, flags=re.DOTALL)
        text = re.sub(r'<g id="[^"]*"', "<g", text)
        text = re.sub(r'\b(d|x|y|transform|width|height)="[^"]*"', _shortened, text)
        text = re.sub(r'style="[^"]*"', _of_the_page, text)
        self.svg = render("plot.html.j2", title=self.title, rest=Markup(text))


@contextmanager
def plot(title: str, x: str, y: str) -> Iterator[Plot]:
    """For drawing with matplotlib in `plot.axes`; `plot.svg` is ready when the block ends."""
    check_installed()
    import matplotlib

    # The salt makes ids equal in each run, and different in each plot of a page.
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": title}), warnings.catch_warnings():
        # Text stays text in the SVG: the browser's font shows it, whatever matplotlib's font lacks.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        drawn = Plot(title, x, y)
        yield drawn
        drawn._finish()


def grid(*plots: "Markup") -> "Markup":
    """Plots side by side, as one element of a page."""
    return render("plots.html.j2", plots=plots)


def lines(
    title: str,
    x: str,
    y: str,
    series: Lines,
    *,
    marks: Mapping[str, float] | None = None,
    levels: Mapping[str, float] | None = None,
    log_x: bool = False,
    percent: bool = False,
    limits: tuple[float, float | None] | None = None,
    ticks: Sequence[int] = (),
) -> "Markup":
    """Curves by name, each (x values, y values); `marks` are upright lines with a name, `levels` level ones. `limits`
    of y cut what is beyond, `ticks` name places of x."""
    with plot(title, x, y) as drawn:
        axes = drawn.axes
        for (name, (at, values)), color in zip(series.items(), cycle(SERIES), strict=False):
            few = len(np.asarray(at)) < 16
            axes.plot(at, values, color=color, label=_plain(name), marker="o" if few else None, markersize=3.5)
        if log_x:
            _log_x(axes)
        if percent:
            _percent(axes.yaxis)
        if ticks:
            axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
            axes.minorticks_off()
        for name, value in (levels or {}).items():
            axes.axhline(value, color=_COLORS["soft"], linewidth=1, linestyle=(0, (2, 2)), label=_plain(name))
        if limits is not None:
            axes.set_ylim(*limits)
        for name, at in (marks or {}).items():
            axes.axvline(at, color=_COLORS["soft"], linewidth=1, linestyle=(0, (2, 2)))
            axes.annotate(
                _plain(name), (at, 1), xycoords=("data", "axes fraction"), xytext=(3, -2),
                textcoords="offset points", va="top", color=_COLORS["soft"], rotation=90, size=8,
            )  # fmt: skip
        if len(series) + len(levels or {}) > 1:
            axes.legend()
    return drawn.svg


def recall_curve(title: str, ranks: Mapping[str, ArrayLike]) -> "Markup":
    """Recall@K over K, of ranks from 1 by direction or by model."""
    series = {}
    for name, of in ranks.items():
        at, counts = np.unique(np.asarray(of), return_counts=True)
        steps = np.unique(np.geomspace(1, max(int(at[-1]), 2), 60).round())
        series[name] = steps, np.concatenate([[0], counts.cumsum()])[np.searchsorted(at, steps, "right")] / counts.sum()
    return lines(title, "K", "recall", series, log_x=True, percent=True)


def rank_histogram(title: str, ranks: Mapping[str, ArrayLike]) -> "Markup":
    """The number of right answers by rank (from 1), ranks in equal ratios."""
    most = max(int(np.max(np.asarray(of))) for of in ranks.values())
    edges = np.unique(np.geomspace(1, most + 1, 25).round())
    counts = {name: np.histogram(of, edges)[0] for name, of in ranks.items()}
    return stairs(title, "rank of the right answer", counts, edges, log_x=True)


def stairs(
    title: str,
    x: str,
    counts: Mapping[str, ArrayLike],
    edges: ArrayLike,
    *,
    log_x: bool = False,
    percent_x: bool = False,
) -> "Markup":
    """Histograms, one outline for each name: counts by bin, shown as shares. Empty bins at the end are cut."""
    bounds, of = np.asarray(edges, np.float64), {name: np.asarray(values) for name, values in counts.items()}
    last = max((int(np.flatnonzero(values)[-1]) + 1 for values in of.values() if values.any()), default=1)
    with plot(title, x, "share") as drawn:
        for (name, values), color in zip(of.items(), cycle(SERIES), strict=False):
            shares = values[:last] / max(1, values.sum())
            drawn.axes.stairs(shares, bounds[: last + 1], color=color, label=_plain(name), linewidth=1.4)
            drawn.axes.stairs(shares, bounds[: last + 1], color=color, fill=True, alpha=0.16)
        if log_x:
            _log_x(drawn.axes)
        if percent_x:
            _percent(drawn.axes.xaxis)
        _percent(drawn.axes.yaxis)
        drawn.axes.set_ylim(bottom=0)
        if len(of) > 1:
            drawn.axes.legend()
    return drawn.svg


def groups(title: str, names: Sequence[str], series: Mapping[str, Sequence[tuple[float, Sequence[float]]]]) -> "Markup":
    """For each name a share of each series, with its interval, as bars side by side."""
    with plot(title, "", "") as drawn:
        axes, width = drawn.axes, 0.8 / len(series)
        for number, ((name, values), color) in enumerate(zip(series.items(), cycle(SERIES), strict=False)):
            heights = np.array([value for value, _ in values])
            errors = np.abs(np.array([interval for _, interval in values]).T - heights)
            places = np.arange(len(names)) + (number - (len(series) - 1) / 2) * width
            style = {"ecolor": _COLORS["soft"], "elinewidth": 1}
            axes.bar(
                places, heights, width * 0.92, color=color, alpha=0.8, label=_plain(name), yerr=errors, error_kw=style
            )
        ticks = [_plain(name).replace(" to ", " to\n").replace(" R@", "\nR@") for name in names]
        axes.set_xticks(range(len(names)), ticks, size=7.5)
        axes.set_yticks([tick for tick in axes.get_yticks() if tick <= 1])
        axes.set_ylim(0, axes.get_ylim()[1] * (1.05 + 0.1 * len(series)))  # room for the legend
        axes.grid(axis="x", visible=False)
        _percent(axes.yaxis)
        axes.legend()
    return drawn.svg


def reliability_diagram(
    title: str, edges: ArrayLike, confidence: ArrayLike, accuracy: ArrayLike, counts: ArrayLike
) -> "Markup":
    """Accuracy of each bin of confidence with the number of its answers, and the diagonal where both are equal. Of an
    empty bin (NaN) there is nothing, and the curve is broken there."""
    low, mean, right = np.asarray(edges)[:-1], np.asarray(confidence, np.float64), np.asarray(accuracy, np.float64)
    with plot(title, "confidence", "accuracy") as drawn:
        axes, filled = drawn.axes, np.asarray(counts) > 0
        width = np.diff(edges)
        axes.bar(low[filled], right[filled], width[filled], align="edge", color=SERIES[0], alpha=0.35, linewidth=0)
        axes.plot([0, 1], [0, 1], color=_COLORS["soft"], linewidth=1, linestyle=(0, (2, 2)), label="as it should be")
        axes.plot(mean, right, color=SERIES[0], marker="o", markersize=3.5, label="measured")
        for at, height, count in zip((low + width / 2)[filled], right[filled], np.asarray(counts)[filled], strict=True):
            axes.annotate(
                f"{count:,}", (at, height), xytext=(0, 2), textcoords="offset points", ha="center", size=6.5,
                color=_COLORS["soft"],
            )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1))
        _percent(axes.xaxis)
        _percent(axes.yaxis)
        axes.legend(loc="upper left")
    return drawn.svg


def bars(title: str, x: str, names: Sequence[str], values: ArrayLike, limit: int = 40) -> "Markup":
    """Shares by name, the largest on top; of many the highest and the lowest."""
    of = np.asarray(values, np.float64)
    order = [int(i) for i in np.argsort(-of, kind="stable") if not np.isnan(of[i])]
    if len(order) > limit:
        order = order[: limit // 2] + order[-(limit // 2) :]
    with plot(title, x, "") as drawn:
        axes, rows = drawn.axes, np.arange(len(order))
        drawn.figure.set_figheight(max(HIGH * 0.6, 0.9 + 0.17 * len(order)))
        axes.barh(rows, of[order], 0.7, color=SERIES[0], alpha=0.75)
        axes.set_yticks(rows, [_plain(names[i][:32]) for i in order])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        _percent(axes.xaxis)
    return drawn.svg


def _shortened(attribute: re.Match[str]) -> str:
    """The attribute's numbers rounded to hundredths of a pixel: longer ones make pages long."""
    return re.sub(r"-?\d+\.\d{3,}", lambda n: f"{float(n[0]):.2f}".rstrip("0").rstrip("."), attribute[0])


def _of_the_page(style: re.Match[str]) -> str:
    """The style with the page's font and colors."""
    text = re.sub(r"font-family: [^;\"]*;?", "", style[0])
    for name, color in _COLORS.items():
        text = text.replace(color, f"var(--{name})")
    return text


def _percent(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=None, symbol="%"))


def _log_x(axes: Any) -> None:
    """A logarithmic x axis with plain numbers, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high < 30 * low:  # powers of ten alone would be one tick or two
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _plain(text: str) -> str:
    """The text with dollars escaped, which would begin mathematics, and control characters replaced by spaces.
    A space of no width stands before an underscore, with which legends leave a name out."""
    plain = "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")
    return f"\u200b{plain}" if plain.startswith("_") else plain
