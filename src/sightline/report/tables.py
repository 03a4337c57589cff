"""What reports are put together from: tables of figures, plots side by side, and how a page of them looks."""

from collections.abc import Mapping, Sequence

from sightline.format import in_order, label, shown
from sightline.report.page import escaped

WAYS = {"text_to_image": "pictures by texts", "image_to_text": "texts by pictures"}


def figures_table(figures: Mapping[str, float]) -> str:
    """Names and values; where names differ in their direction alone, a column for each direction."""
    rows: dict[str, dict[str, float]] = {}
    for name in in_order(figures):
        way = next((way for way in WAYS if way in name), "")
        rows.setdefault(name.replace(f"{way}_", "", 1) if way else name, {})[way] = figures[name]
    ways = [way for way in (*WAYS, "") if any(way in row for row in rows.values())]
    both = "both" if len(ways) > 1 else ""
    head = "".join(f"<th>{escaped(WAYS.get(way, both))}</th>" for way in ways)
    lines = [
        f"<tr><th>{escaped(label(name))}</th>"
        + "".join(f"<td>{shown(name, row[way]) if way in row else ''}</td>" for way in ways)
        + "</tr>"
        for name, row in rows.items()
    ]
    return f'<table class="figures"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>\n'


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Plain text in, a table out; the first column names the rows."""
    top = "".join(f"<th>{escaped(cell)}</th>" for cell in head)
    rows = "".join(
        f"<tr><th>{escaped(line[0])}</th>" + "".join(f"<td>{escaped(cell)}</td>" for cell in line[1:]) + "</tr>"
        for line in lines
    )
    return f'<table class="figures"><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>\n'


def grid(*drawn: str) -> str:
    """Plots side by side."""
    return '<div class="plots">' + "".join(f"<figure>{each}</figure>" for each in drawn) + "</div>\n"


def between(name: str, ends: Sequence[float], sign: str = "") -> str:
    """An interval of a figure."""
    return " to ".join(shown(name, end, sign) for end in ends)


STYLE = """
:root { --line: #dcd8d0; --series-0: #2f6db5; --series-1: #c2571a; --series-2: #3f8f4f; --series-3: #8a4fa8;
  --series-4: #a8791a; --series-5: #b0355e; }
@media (prefers-color-scheme: dark) {
  :root { --line: #34322f; --series-0: #6ea8ea; --series-1: #f0955c; --series-2: #79c487; --series-3: #c493de;
    --series-4: #d9b25a; --series-5: #ec7fa2; }
}
main { max-width: 76rem; }
section + section { margin-top: 3.5rem; padding-top: 2rem; border-top: 1px solid var(--line); }
h1 + section { margin-top: 2rem; }
header p, .soft { margin: .3rem 0 0; color: var(--soft); overflow-wrap: anywhere; }
header b { color: var(--ink); font-weight: 600; }
h3 { margin: 2rem 0 .5rem; font-size: 1.1rem; font-weight: 600; }
.figures { border-collapse: collapse; margin: 1.25rem 0; font-variant-numeric: tabular-nums; }
.figures th { font-weight: 400; text-align: left; padding: .2rem 1.5rem .2rem 0; }
.figures thead th { color: var(--soft); font-size: .85rem; text-align: right; padding-right: 0; padding-left: 1.5rem; }
.figures thead th:first-child { text-align: left; padding-left: 0; }
.figures tbody th { white-space: nowrap; }
.figures td { text-align: right; padding: .2rem 0 .2rem 1.5rem; }
.figures tbody tr { border-top: 1px solid var(--line); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1.5rem;
  margin: 1.25rem 0; }
.plots figure, .pair figure { margin: 0; max-width: 44rem; }
.plots svg { width: 100%; height: auto; font-family: inherit; }
svg * { stroke-linejoin: round; }
.confusions { list-style: none; margin: 0; padding: 0; display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); }
.confusions li { break-inside: avoid; display: flex; flex-direction: column; justify-content: space-between; }
.confusions p { margin: 0 0 .4rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; }
.row { display: grid; grid-template-columns: repeat(4, 1fr); gap: .4rem; }
.pair img, .row img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 6px; }
figcaption { font-size: .8rem; color: var(--soft); margin-top: .2rem; }
.wide { overflow-x: auto; }
.matrix { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; }
.matrix th { font-weight: 400; text-align: left; padding: .2rem .8rem .2rem 0; min-width: 14rem; max-width: 24rem; }
.matrix thead th { min-width: 0; padding: .1rem; }
.matrix img { display: block; width: 4rem; height: 4rem; object-fit: cover; border-radius: 4px; }
.matrix td { text-align: center; padding: .35rem; border: 2px solid var(--paper); print-color-adjust: exact;
  background: color-mix(in srgb, var(--series-0) calc(var(--share) * 70%), transparent); }
.matrix td.own { outline: 2px solid var(--mark); outline-offset: -2px; }
details { margin-top: 1.5rem; color: var(--soft); font-size: .85rem; }
summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0 0; }
dd { margin: 0; overflow-wrap: anywhere; }
@media print { .plots figure, tr { break-inside: avoid; } footer { display: none; } }
"""
