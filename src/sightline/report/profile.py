"""A profile as one HTML page: tables, and a flame graph of each tower."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sightline.optimize.profile_places import pieces
from sightline.optimize.profile_record import Profile, Side
from sightline.optimize.profile_tables import Table, facts, parts_table, pipeline_table, summary
from sightline.report.page import write_page
from sightline.report.tables import table

if TYPE_CHECKING:
    from markupsafe import Markup

LEAST = 0.002
"""Share of a pass below which a bar would be too narrow to see: it is left out of the graph, not of the tables."""


@dataclass
class Bar:
    """A bar of a flame graph: what it stands for, its seconds with those of the bars below it, and these bars."""

    name: str
    path: str
    seconds: float = 0.0
    is_operation: bool = False
    below: dict[str, "Bar"] = field(default_factory=dict)

    def shown(self, whole: float) -> "list[Bar]":
        """The bars below it that can be seen, the widest first."""
        return sorted(
            (bar for bar in self.below.values() if bar.seconds >= LEAST * whole), key=lambda bar: -bar.seconds
        )


def flame(side: Side) -> Bar:
    """All parts of a tower as bars: of parts that are numbered one for all, operations at the bottom."""
    root = Bar(side.reads, "", side.seconds)
    for part in side.parts:
        names = pieces(part.path)
        for operation, seconds in part.operations.items():
            bar = root
            for depth, name in enumerate(names, 1):
                bar = bar.below.setdefault(name, Bar(name, ".".join(names[:depth])))
                bar.seconds += seconds
            leaf = bar.below.setdefault(f"{operation}()", Bar(operation, bar.path, is_operation=True))
            leaf.seconds += seconds
    # Parts that were measured one by one can take longer than the whole: the graph is as wide as the longer.
    root.seconds = max(root.seconds, sum(bar.seconds for bar in root.below.values()))
    return root


@dataclass(frozen=True)
class Section:
    """A tower on the page."""

    heading: str
    note: str
    flame: Bar
    tables: "Sequence[Markup]"
    modules: "Markup"


def write_profile(file: str | os.PathLike[str], profile: Profile, earlier: Profile | None = None) -> None:
    """Writes the page, whole or not at all; `earlier`: a profile to compare with. Raises `UsageError` if it cannot be
    written."""
    sections = [_section(side, None if earlier is None else earlier.side(side.reads)) for side in profile.sides]
    about: Mapping[str, str] = facts(profile) | {
        "date": profile.date,
        "fingerprint": profile.fingerprint,
        "versions": ", ".join(f"{name} {value}" for name, value in profile.versions.items()),
        **({} if earlier is None else {"compared with": f"{earlier.model} in {earlier.precision}, {earlier.date}"}),
    }
    write_page(
        file,
        "profile.html.j2",
        title=f"Profile of {profile.model}",
        style="profile.css",
        sections=sections,
        facts=about,
        footer="Sightline profile.",
    )


def _section(side: Side, earlier: Side | None) -> Section:
    kinds, pipeline = parts_table(side, earlier, False), pipeline_table(side.reads, side.pipeline)
    heading, _, note = summary(side).partition(": ")
    peak = f"Large matrix products reach {side.peak / 1e9:,.1f} x 10^9 multiplications a second here."
    memory = f"The most memory held was {side.peak_memory / 1e6:,.0f} MB."
    tables = [_markup("Parts", kinds), _markup(pipeline.title.capitalize(), pipeline)]
    return Section(
        heading.capitalize(),
        f"{note}. {peak} {memory}",
        flame(side),
        tables,
        _markup("", parts_table(side, earlier, True)),
    )


def _markup(heading: str, shown: Table) -> "Markup":
    return table(shown.head, shown.rows, heading=heading, wide=True)
