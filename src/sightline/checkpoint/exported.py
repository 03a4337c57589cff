"""An exported checkpoint: a folder that other engines than torch run, and what its `export.json` says.

The note is written last, so that a folder which has it is whole.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from sightline.errors import CheckpointError
from sightline.files import read_checkpoint_json

NOTE = "export.json"
FORMAT = 1
"""Of the folder."""
ENGINES = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}
"""The engines by their names in a note: what people call them."""
_TOWERS = {"vision": "images and videos", "text": "texts"}
_OF_TOWER = "file", "sha256"


@dataclass(frozen=True)
class Exported:
    """What a note says. `fingerprint` is that of the checkpoint that was exported, `source` its name; `towers` has
    "vision", "text" or both, each with its `file` in the folder and that file's `sha256`."""

    folder: Path
    engine: str
    precision: str
    fingerprint: str
    source: str
    towers: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """The export in a folder; None where there is none. Raises `CheckpointError` for a note of a newer format, an
        unknown engine or another program's layout, and for one that is damaged."""
        path = folder / NOTE
        if not path.is_file():
            return None
        note = read_checkpoint_json(path)
        if note.get("format") != FORMAT or note.get("engine") not in ENGINES:
            raise CheckpointError(
                f"{path}: an export of format {note.get('format')!r} for the engine {note.get('engine')!r}, which this "
                f"Sightline does not know (format {FORMAT}; {', '.join(ENGINES)}): update it, or export again"
            )
        if note.get("layout", "sightline") != "sightline":
            raise CheckpointError(
                f"{folder}: an export in the layout of {note['layout']}, for that program alone: name the checkpoint "
                f"{note.get('source')}, or export it without --layout"
            )
        texts, towers = ("precision", "fingerprint", "source"), note.get("towers")
        if towers is None or not _are_towers(towers) or not all(isinstance(note.get(name), str) for name in texts):
            raise CheckpointError(f"{path}: it says no precision, fingerprint, source or towers: export again")
        return cls(folder, note["engine"], note["precision"], note["fingerprint"], note["source"], towers)

    @property
    def again(self) -> str:
        """The command that makes the folder anew."""
        precision = [] if self.precision == "float32" else ["--precision", self.precision]
        parts = ["sightline", "export", self.source, "--to", self.engine, *precision, "--out", str(self.folder)]
        return shlex.join(parts)

    def tower(self, name: str) -> Path:
        """The file of the tower "vision" or "text". Raises `CheckpointError` where it is missing."""
        if name not in self.towers:
            raise CheckpointError(
                f"{self.folder}: the tower for {_TOWERS[name]} was not exported, only that for "
                f"{' and '.join(_TOWERS[there] for there in self.towers)}: name the checkpoint {self.source}, or "
                "export it again"
            )
        path = self.folder / str(self.towers[name]["file"])
        if not path.is_file():
            raise CheckpointError(f"{path}: missing from the export: copy it there, or {self.again}")
        return path


def most_exact(name: str | os.PathLike[str]) -> Literal["auto", "float32"]:
    """The precision to compare figures in: float32, of an export its own."""
    return "float32" if Exported.of(Path(name)) is None else "auto"


def _are_towers(towers: Any) -> bool:
    return (
        isinstance(towers, dict)
        and bool(towers)
        and all(
            name in _TOWERS and isinstance(tower, dict) and all(isinstance(tower.get(key), str) for key in _OF_TOWER)
            for name, tower in towers.items()
        )
    )
