"""Where the model of an index lies: its folder may be moved, and an index may be carried to another computer.

The table says where the model lay when the index was built. A note beside the table has the places at which it was
found since then. All of them hold the same model, which its fingerprint tells.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from sightline.checkpoint.hub import is_here
from sightline.errors import CheckpointError, HubError, IndexDamaged, IndexFault
from sightline.index.folder import MODEL_PLACES, read_note, write_note
from sightline.index.schema import ModelRecord

KEPT = 8
"""Places that are remembered."""

Place = tuple[str, str | None]
"""The name of a model, and its revision on the Hub."""


def find_model(folder: Path, built: ModelRecord) -> ModelRecord:
    """The record with the name and the revision under which the model can be opened on this computer: the place noted
    last at which there is something, else a name on the Hub, else that of the latest."""
    places = _places(folder)
    if not places:
        return built
    places.append((built.name, built.revision))
    on_hub = [place for place in places if not Path(place[0]).is_absolute()]
    name, revision = next((place for place in places if is_here(place[0])), (on_hub or places)[0])
    return replace(built, name=name, revision=revision)


def note_place(folder: Path, model: ModelRecord) -> None:
    """Note where the model lies. Needs the writer's lock."""
    place = model.name, model.revision
    others = [other for other in _places(folder) if other != place]
    write_note(folder / MODEL_PLACES, {"places": [place, *others][:KEPT]})


def _places(folder: Path) -> list[Place]:
    """The noted places, the latest first. The note only helps: a damaged one is as none."""
    note = None
    with suppress(IndexDamaged, IndexFault):
        note = read_note(folder / MODEL_PLACES)
    places = (note or {}).get("places")
    return [tuple(place) for place in places if _is_place(place)] if isinstance(places, list) else []


def _is_place(place: object) -> bool:
    match place:
        case [str(), str() | None]:
            return True
    return False


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Adds the ways out to the error of a model, named by the index alone, that cannot be opened."""
    ways_out = (
        f"It built the index {folder}. If it lies elsewhere now, name it once with --model (of `sightline search` or "
        "`sightline index`; in Python `open_index(folder, model=...)`), and the index remembers the place. If it is "
        "gone, index the files into another folder with another model"
    )
    try:
        yield
    except HubError as error:
        raise HubError(f"{str(error).rstrip('.')}. {ways_out}", error.reason) from error
    except CheckpointError as error:
        raise CheckpointError(f"{str(error).rstrip('.')}. {ways_out}") from error
