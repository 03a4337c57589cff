"""`sightline info`: what an index holds, and which model built it."""

from sightline.cli.options import IndexOption, index_folder
from sightline.cli.output import one_line


def command(index: IndexOption = None) -> None:
    """Show what the index holds and which model built it.

    It lists the columns that --where of `sightline search` may name.

    \b
    Example:
      sightline info
    """
    from sightline.index import Table
    from sightline.index.folder import IVF_FILE
    from sightline.index.schema import VERSION, item_schema
    from sightline.index.settings import read_settings

    folder = index_folder(index)
    table, settings = Table.open(folder), read_settings(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    videos = table.columns(["uri"], "kind = 'moment'").column("uri").to_pylist()
    model, schema = table.model, item_schema(table.model)
    old = "" if table.version == VERSION else f", which the next `sightline index` brings up to {VERSION}"
    extras = f", and {model.extra_rows} such rows " + ("for exact scores" if model.rescoring else "for regions")
    lines = {
        "index": one_line(str(folder.absolute())),
        "folders": one_line(", ".join(settings.folders)) or "unknown",
        "excluded": one_line(", ".join(settings.patterns)),
        "images": f"{table.count() - len(videos):,}",
        "videos": f"{len(set(videos)):,}" + (f", cut into {len(videos):,} moments" if videos else ""),
        "size": f"{size / 1e6:,.1f} MB on disk",
        "model": one_line(model.name) + (f" at {model.revision}" if model.revision else ""),
        "fingerprint": model.fingerprint,
        "vectors": f"{model.dim} numbers each" + (extras if model.extra_rows else ""),
        "table": f"{table.path.name}, format {table.version}{old}",
        "columns": ", ".join(f"{name} {schema.field(name).type}" for name in table.condition_columns()),
        "first pass": f"{IVF_FILE}, for programs that ask often" if (folder / IVF_FILE).is_file() else "",
    }
    for name, value in lines.items():
        if value:
            print(f"{name:<12} {value}")
