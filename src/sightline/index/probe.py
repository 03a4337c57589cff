"""`python -m sightline.index.probe TABLE SKIP`: reads all of a table and says what is broken, one JSON list a line.

A process of its own, because a damaged file can make Lance panic or ask for more memory than there is, and that ends
the process. "at" is said before each step that could; the listener then knows which step it was and leaves it out of
the next attempt, in SKIP (JSON: the list of what "at" named).

    ["at", "manifest", version]  ["at", "fragment", id]   what is read next
    ["holds", id, rows]                                   so many rows are in a fragment, broken or not
    ["broken", reason]                                    it cannot be
    ["denied", reason]                                    it may be whole, but the system does not let us read it
    ["newer", message]                                    a newer Sightline wrote it
    ["table", version]                                    the newest version that can be read; its fragments follow
    ["row", address, id, reason]                          a row that cannot be right
    ["done"]                                              nothing is left to read
"""

import io
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lance
import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.errors import IndexTooNew, SightlineError
from sightline.index import lance_errors
from sightline.index.folder import lance_path, manifests
from sightline.index.schema import VERSION, ModelRecord, stored_names, version_of
from sightline.index.table import NEXT_ID, Table
from sightline.index.uri import to_path

_RANGES = {
    "latitude": (-90, 90), "longitude": (-180, 180), "altitude": (-1e5, 1e6), "orientation": (1, 8), "rating": (-1, 5),
    "taken_offset": (-1440, 1440), "iso": (1, math.inf), "f_number": (0, math.inf), "exposure": (0, math.inf),
    "focal_length": (0, math.inf), "duration": (0, math.inf), "fps": (0, math.inf), "frames": (1, math.inf),
}  # fmt: skip
_LARGE = ("thumbnail", "vector", "rescoring", "regions", "summary")
_UNIT = 0.01
"""So far from 1 may a vector's length be; float16 rounds each of its numbers by at most 2^-11 of it."""


def main() -> None:
    table, skip = Path(sys.argv[1]), json.loads(sys.argv[2])
    newest = None
    for version, file in sorted(manifests(table).items(), reverse=True):
        if ["manifest", version] in skip:
            continue
        say("at", "manifest", version)
        try:
            dataset = lance.dataset(lance_path(table), version=version)
            Table(table, dataset).count()
        except IndexTooNew as error:
            say("newer", str(error))
        except BaseException as error:
            if file.exists():  # a writer may have dropped this version just now
                complain(error, [file])
        else:
            newest = dataset if newest is None else newest  # an empty dataset is false
    if newest is not None:
        say("at", "manifest", newest.version)
        say("table", newest.version)
        look_at_rows(table, newest, skip)
    say("done")


def look_at_rows(table: Path, dataset: Any, skip: list[list[Any]]) -> None:
    seen: dict[int | tuple[str, float | None], int] = {}
    for fragment in dataset.get_fragments():
        if ["fragment", fragment.fragment_id] in skip:
            continue
        say("holds", fragment.fragment_id, fragment.physical_rows - fragment.num_deletions)
        say("at", "fragment", fragment.fragment_id)
        try:
            rows = list(read(dataset, fragment))
            if len(rows) != fragment.count_rows():
                raise ValueError(f"it has {len(rows)} rows where there should be {fragment.count_rows()}")
        except BaseException as error:
            complain(error, [table / "data" / file.path for file in fragment.data_files()])
            continue
        for address, row_id, item, reason in rows:
            if reason:
                say("row", address, row_id, reason)
            for key in (row_id, item):
                if key in seen:  # rows that are replaced go to the end: the later one is the one that counts
                    say("row", seen[key], row_id, "a later row has the same id, or the same uri and start")
                seen[key] = address


def read(dataset: Any, fragment: Any) -> Iterator[tuple[int, int, tuple[str, float | None], str]]:
    """Read all columns of a fragment; for each row its address, id, uri with start, and what is wrong, if anything."""
    noted = dataset.config().get(NEXT_ID, "")
    next_id = int(noted) if re.fullmatch("[0-9]{1,18}", noted) else math.inf  # unless the note was damaged
    version, model = version_of(dataset.schema_metadata), ModelRecord.from_metadata(dataset.schema_metadata)
    for batch in dataset.scanner(fragments=[fragment], with_row_id=True, batch_size=256).to_batches():
        batch.validate(full=True)
        matrix = batch.column("vector").flatten().to_numpy().astype(np.float32).reshape(len(batch), -1)
        unit = np.abs(np.linalg.norm(matrix, axis=1) - 1) <= _UNIT  # false where a number is not finite
        extras = are_extras(batch, stored_names(version, model), model)
        thumbnails = batch.column("thumbnail").to_pylist()
        small = batch.select([name for name in batch.schema.names if name not in _LARGE])
        for is_unit, has_extras, thumbnail, row in zip(unit, extras, thumbnails, small.to_pylist(), strict=True):
            reason = (
                "its vector is not of unit length" if not is_unit
                else "its rescoring or regions cannot be a model's" if not has_extras
                else "its uri is not an absolute path" if not is_path(row["uri"])
                else "its hash is not one" if not re.fullmatch("[0-9a-f]{32}", row["hash"])
                else "its sizes are impossible" if min(row["size"], row["width"], row["height"]) < 1
                else "its id is impossible" if not 0 <= row["id"] < next_id
                else "its thumbnail is no JPEG" if not is_jpeg(thumbnail)
                else "its times are impossible" if not are_times(row["kind"], row["start"], row["end"])
                else "its metadata is impossible" if version >= VERSION and not is_metadata(row)
                else ""
            )  # fmt: skip
            yield row["_rowid"], row["id"], (row["uri"], row["start"]), reason


def are_extras(batch: Any, stored: dict[str, str], model: ModelRecord) -> npt.NDArray[np.bool_]:
    """Of each row whether what is kept beside its vector is all numbers, and names no region that does not exist."""
    if not model.extra_rows:
        return np.ones(len(batch), bool)
    column = batch.column(stored["rescoring" if model.regions is None else "regions"])
    rows = column.flatten().to_numpy().reshape(len(batch), -1)
    possible: npt.NDArray[np.bool_] = np.isfinite(rows).all(axis=1)
    if model.regions is not None:
        owners = rows[:, model.regions[0] * model.dim :]
        possible &= ((owners >= 0) & (owners < model.regions[0])).all(axis=1)
    return possible


def are_times(kind: str, start: float | None, end: float | None) -> bool:
    if start is None or end is None:
        return kind == "image" and start is end
    return kind == "moment" and 0 <= start <= end


def is_metadata(row: dict[str, Any]) -> bool:
    """Whether all numbers of the metadata are null or in their range."""
    return all(row[name] is None or low <= row[name] <= high for name, (low, high) in _RANGES.items())


def is_jpeg(thumbnail: bytes | None) -> bool:
    """Whether it begins and ends as JPEG does, and its header can be read; true for none."""
    try:
        return thumbnail is None or (
            thumbnail[:2] == b"\xff\xd8"
            and thumbnail[-2:] == b"\xff\xd9"
            and min(Image.open(io.BytesIO(thumbnail), formats=["JPEG"]).size) > 0
        )
    except Exception:  # Pillow raises anything on broken data
        return False


def is_path(uri: str) -> bool:
    try:
        return "\0" not in uri and to_path(uri).is_absolute()
    except ValueError:
        return False


def complain(error: BaseException, files: list[Path]) -> None:
    """Say that something cannot be read: whether it is broken, or kept from us by the system."""
    if not lance_errors.is_failure(error) and not isinstance(error, SightlineError):
        raise error
    for file in files:
        try:
            with file.open("rb"):
                pass
        except FileNotFoundError:
            pass
        except OSError as denied:
            say("denied", f"{file}: {denied.strerror}")
            return
    say("broken", lance_errors.reason(error))


def say(*words: object) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    main()
