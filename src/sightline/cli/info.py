"""`sightline info`: what an index holds, and which model built it."""

from sightline.cli.output import IndexOption, index_folder, one_line


def command(index: IndexOption = None) -> None:
    """Show what the index holds, which model built it, and the columns that --where may name.

    \b
    Example:
      sightline info
    """
    from sightline.index import Table
    from sightline.index.folder import LISTS
    from sightline.index.schema import MOMENTS, SUMMARY, item_schema

    folder = index_folder(index)
    table = Table.open(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    films = table.columns(["uri"], "kind = 'moment'").column("uri").to_pylist()
    hidden = ("vector", SUMMARY, *[MOMENTS] * table.is_old)
    columns = [f"{field.name} {field.type}" for field in item_schema(table.model) if field.name not in hidden]
    kept = "to score again" if table.model.regions is None else "for regions"
    lines = {
        "index": one_line(str(folder.absolute())),
        "pictures": f"{table.count() - len(films):,}",
        "films": f"{len(set(films)):,}" + (f", cut into {len(films):,} moments" if films else ""),
        "size": f"{size / 1e6:,.1f} MB on disk",
        "model": one_line(table.model.name) + (f" at {table.model.revision}" if table.model.revision else ""),
        "fingerprint": table.model.fingerprint,
        "vectors": f"{table.model.dim} numbers each"
        + (f", and {table.model.summary} such rows {kept}" if table.model.summary else ""),
        "format": str(table.version),
        "columns": ", ".join(columns),
    }
    if (folder / LISTS).is_file():
        lines["first pass"] = f"{LISTS}, for programs that ask often"
    for name, value in lines.items():
        print(f"{name:<12} {value}")
