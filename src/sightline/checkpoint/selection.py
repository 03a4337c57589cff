"""By which data a checkpoint was chosen: `selection.json` in the folder of a run's best checkpoint.

    {"data": "val.csv", "data_fingerprint": "9f...", "metric": "mean_recall", "checkpoints": 11}

`data` and `data_fingerprint` are those of a result of an evaluation on the same data. The figures of a chosen
checkpoint on these data are too good: it is the best of several there, by chance as well. A checkpoint that was not
chosen has no such file.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from sightline.errors import CheckpointError, JsonError
from sightline.files import read_json, write_json

_FILE = "selection.json"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The data by which a checkpoint was chosen. `data`: their name, for people; `data_fingerprint`: a hash of their
    captions, `Captions.fingerprint`, None where a function of a recipe evaluated; `metric`: the figure that was the
    highest; `checkpoints`: of how many."""

    data: str
    data_fingerprint: str | None
    metric: str
    checkpoints: int


def write_selection(folder: Path, selection: Selection) -> None:
    """Writes the record into a checkpoint's folder, in place of an older one."""
    write_json(folder / _FILE, dataclasses.asdict(selection))


def read_selection(folder: Path) -> Selection | None:
    """The record in a checkpoint's folder; None if it has none. Raises `CheckpointError` for a damaged one."""
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        return Selection(**read_json(path))
    except (OSError, JsonError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); put back a copy of it, or delete it") from error
