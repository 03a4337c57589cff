"""A profile as tables of text, for the terminal and for a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from sightline.format import counted
from sightline.optimize.profile_parts import Part
from sightline.optimize.profile_record import Profile, Side, by_kind, longest_first
from sightline.optimize.profile_stages import Stages

WHOLE = "(the model itself)"
_HEAD = ("part", "calls", "ms", "share", "weights MB", "written MB", "10^9 mult.", "10^9/s", "of peak")
_COMPARED = ("before", "ratio")


@dataclass(frozen=True)
class Table:
    """A table of text; the first column names the rows, and the last `sums` rows are sums."""

    title: str
    head: Sequence[str]
    rows: list[list[str]]
    sums: int = 0


def facts(profile: Profile) -> dict[str, str]:
    """How it was measured."""
    return {
        "model": profile.model,
        "computes": f"in {profile.precision} on {profile.device}, {counted(profile.threads, 'thread')}",
        "machine": profile.machine,
        "inputs": profile.inputs,
    }


def side_tables(side: Side, earlier: Side | None, deep: bool) -> list[Table]:
    """Of a tower: its parts, and its pipeline. `earlier`: what to compare with; `deep`: a row for each module."""
    return [parts_table(side, earlier, deep), pipeline_table(side.reads, side.pipeline)]


def summary(side: Side) -> str:
    """What a tower's pass is, in a line."""
    shape = " x ".join(map(str, side.shape))
    return (
        f"{side.reads}: {shape} in {side.dtype}, {side.seconds * 1e3:,.1f} ms a pass, "
        f"{side.count / side.seconds:,.1f} {side.reads}/s"
    )


def parts_table(side: Side, earlier: Side | None, deep: bool) -> Table:
    """The parts that take longest first; what no part has; and the whole, measured without looking at parts."""
    parts = longest_first(side.parts) if deep else by_kind(side.parts)
    old = {} if earlier is None else {part.path: part for part in _of(earlier, deep)}
    rows = []
    for part in parts:
        row = [part.path or WHOLE, f"{part.calls:,}", *_time(part.seconds, side), *_work(part, part.seconds, side)]
        before = old.get(part.path)
        rows.append(row + _compared(part.seconds, None if before is None else before.seconds, earlier))
    total = Part(path="", seconds=side.seconds)
    for name in ("multiplications", "weights", "written"):
        setattr(total, name, sum(getattr(part, name) for part in side.parts))
    between = ["between the parts", "", *_time(side.between, side), *[""] * 5]
    whole = ["the whole, by itself", "1", *_time(side.seconds, side), *_work(total, side.seconds, side)]
    rows.append(between + _compared(side.between, None if earlier is None else earlier.between, earlier))
    rows.append(whole + _compared(side.seconds, None if earlier is None else earlier.seconds, earlier))
    head = [*_HEAD, *(_COMPARED if earlier is not None else ())]
    return Table(f"{summary(side)}; peak {side.peak / 1e9:,.1f} x 10^9 multiplications/s", head, rows, 2)


def pipeline_table(reads: str, pipeline: Stages) -> Table:
    """What the threads do between a file or a string and its vector."""
    rows = [[stage.name, f"{stage.seconds * 1e3:,.3f}", f"{stage.share:.1%}"] for stage in pipeline.stages]
    whole = pipeline.seconds * pipeline.threads / pipeline.items
    rows.append(["all threads", f"{whole * 1e3:,.3f}", "100.0%"])
    source = "string" if reads == "texts" else "file"
    rate = pipeline.items / pipeline.seconds
    title = f"from {source} to vector, {counted(pipeline.threads, 'thread')}: {rate:,.1f} {_made(reads)}/s"
    return Table(title, ["stage", "ms each", "share"], rows, 1)


def _made(reads: str) -> str:
    return "images (as still videos)" if reads == "videos" else reads


def _of(side: Side, deep: bool) -> list[Part]:
    return side.parts if deep else by_kind(side.parts)


def _time(seconds: float, side: Side) -> list[str]:
    return [f"{seconds * 1e3:,.2f}", f"{seconds / side.seconds:.1%}"]


def _work(part: Part, seconds: float, side: Side) -> list[str]:
    """Memory, multiplications, their rate and its share of the peak; nothing where nothing is multiplied."""
    memory = [f"{part.weights / 1e6:,.1f}", f"{part.written / 1e6:,.1f}"]
    if not part.multiplications or not seconds:
        return [*memory, "", "", ""]
    rate = part.multiplications / seconds
    return [*memory, f"{part.multiplications / 1e9:,.3f}", f"{rate / 1e9:,.1f}", f"{rate / side.peak:.0%}"]


def _compared(seconds: float, before: float | None, earlier: Side | None) -> list[str]:
    """The time before, in ms, and by how much it is now longer or shorter."""
    if earlier is None:
        return []
    if before is None:
        return ["none", ""]
    ratio = f"{seconds / before:.2f}" if before > 0 and seconds > 0 else ""
    return [f"{before * 1e3:,.2f}", ratio]
