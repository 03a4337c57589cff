"""`sightline info`: what an index holds, and which model built it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.cli.options import IndexOption, JsonOption, LibraryOption, index_folder
from sightline.cli.output import one_line, write_json

if TYPE_CHECKING:
    from sightline.index import Table

UNKNOWN = "unknown"


def command(as_json: JsonOption = False, index: IndexOption = None, library: LibraryOption = None) -> None:
    """Show what the index holds and which model built it.

    The table lists the columns that --where of `sightline search` may name, and in how many rows each has a value.

    \b
    Examples:
      sightline info
      sightline info --library holiday --json
    """
    show_info(index_folder(index, library), as_json)


def show_info(folder: Path, as_json: bool) -> None:
    """Prints what the index in this folder holds."""
    from sightline.index import Table

    table = Table.open(folder)
    facts, columns = _facts(table), _columns(table)
    if as_json:
        write_json([facts | {"columns": columns}])
        return
    for name, value in _lines(facts, table).items():
        if value:
            print(f"{name:<12} {one_line(value)}")
    print(f"\n{'column':<14} {'kind':<13} {'rows':>11}  what it is")
    for column in columns:
        if column["rows"]:
            print(f"{column['name']:<14} {column['kind']:<13} {column['rows']:>11,}  {column['meaning']}")
    if empty := [f"{column['name']} ({column['kind']})" for column in columns if not column["rows"]]:
        print(f"no values in: {', '.join(empty)}")


def _facts(table: "Table") -> dict[str, Any]:
    from sightline.index.folder import IVF_FILE
    from sightline.index.settings import read_settings

    settings = read_settings(table.folder)
    videos = table.columns(["uri"], "kind = 'moment'").column("uri").to_pylist()
    return {
        "index": str(table.folder),
        "folders": list(settings.folders),
        "excluded": list(settings.patterns),
        "images": table.count() - len(videos),
        "videos": len(set(videos)),
        "moments": len(videos),
        "bytes": sum(file.stat().st_size for file in table.folder.rglob("*") if file.is_file()),
        "model": table.model.name,
        "engine": _engine(table.model.name),
        "revision": table.model.revision,
        "fingerprint": table.model.fingerprint,
        "dim": table.model.dim,
        "precisions": {precision or UNKNOWN: rows for precision, rows in table.precisions().items()},
        "table": table.path.name,
        "format": table.version,
        "first_pass": IVF_FILE if (table.folder / IVF_FILE).is_file() else None,
    }


def _engine(name: str) -> str | None:
    """What runs a model by this name; None if it is not here, or if it is not to be opened."""
    from sightline.checkpoint.exported import ENGINES, Exported
    from sightline.checkpoint.hub import is_here
    from sightline.errors import CheckpointError

    if not is_here(name):
        return None
    try:
        exported = Exported.of(Path(name))
    except CheckpointError:
        return None
    return "torch" if exported is None else f"{ENGINES[exported.engine]}, {exported.precision}"


def _columns(table: "Table") -> list[dict[str, Any]]:
    rows = table.value_counts()
    return [
        {"name": column.name, "kind": column.kind, "rows": rows[column.name], "meaning": column.meaning}
        for column in table.condition_columns().values()
    ]


def _lines(facts: dict[str, Any], table: "Table") -> dict[str, str]:
    from sightline.index.schema import VERSION

    model = table.model
    old = "" if table.version == VERSION else f", which the next `sightline index` brings up to {VERSION}"
    extras = f", and {model.extra_rows} such rows " + ("for exact scores" if model.rescoring else "for regions")
    return {
        "index": facts["index"],
        "folders": ", ".join(facts["folders"]) or "unknown",
        "excluded": ", ".join(facts["excluded"]),
        "images": f"{facts['images']:,}",
        "videos": f"{facts['videos']:,}" + (f", cut into {facts['moments']:,} moments" if facts["videos"] else ""),
        "size": f"{facts['bytes'] / 1e6:,.1f} MB on disk",
        "model": model.name + (f" at {model.revision}" if model.revision else ""),
        "engine": facts["engine"],
        "fingerprint": model.fingerprint,
        "vectors": f"{model.dim} numbers each" + (extras if model.extra_rows else ""),
        "precision": ", ".join(f"{rows:,} {precision}" for precision, rows in facts["precisions"].items()),
        "table": f"{facts['table']}, format {facts['format']}{old}",
        "first pass": f"{facts['first_pass']}, for programs that ask often" if facts["first_pass"] else "",
    }
