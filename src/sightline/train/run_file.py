"""`run.json` in a run's folder: what the run was begun with, and what was changed on the way.

{"settings": {"lr": 0.0001, ...},              `Recipe.settings`, names of files as absolute paths
 "recipe": "/home/me/recipe.py",               the file that holds the settings' functions, or null
 "fingerprints": {"data": "9f...", ...},       of data and models, by which they are known wherever they lie
 "total_steps": 500,
 "changes": [{"after_step": 500, "total_steps": 1000}]}
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sightline.checkpoint.fingerprint import fingerprint
from sightline.checkpoint.hub import resolve
from sightline.checkpoint.names import packaged
from sightline.checkpoint.weight_files import weight_paths
from sightline.data.paths import resolve_paths
from sightline.errors import CheckpointError, JsonError, SightlineError, UsageError
from sightline.files import read_json, write_json
from sightline.train.lora import Lora
from sightline.train.recipe import FUNCTION, Recipe, describe, open_recipe

NAME = "run.json"

ADJUSTABLE = ("micro_batch_size", "grad_checkpointing", "precision", "compile", "checkpoint_every", "device")
"""Settings that a run may go on with changed: they decide memory, time and rounding, not what is learned."""
_LENGTH = ("steps", "epochs")
_UNSEEN = ("workers",)  # changes nothing at all
_NAMES = {"model": "model", "text_model": "text model", "data": "data", "evaluate": "data of the evaluation"}
_PLACES = {
    "model": ("model",),
    "text_model": ("text_model",),
    "data": ("data", "split", "image_root"),
    "evaluate": ("evaluate",),
}
"""What has a fingerprint -> the settings that only say where it lies."""
_SOURCES = ("source", "image_root")
"""The values of an evaluation on captions that are files or folders."""


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """What `run.json` holds."""

    settings: Mapping[str, Any]
    recipe: str | None
    fingerprints: Mapping[str, str]
    total_steps: int
    changes: tuple[Mapping[str, Any], ...] = field(default=())

    @classmethod
    def of(cls, recipe: Recipe, total_steps: int, data: str | None, evaluate: str | None) -> Self:
        """That of a new run. `data`, `evaluate`: the fingerprints of the data that it learns from and is chosen by."""
        prints = {"data": data, "evaluate": evaluate}
        for name in ("model", "text_model"):
            place = getattr(recipe, name)
            if isinstance(place, str | Path):
                prints[name] = fingerprint(weight_paths(resolve(place)))
        return cls(
            settings=_absolute(recipe.settings()),
            recipe=None if recipe.file is None else str(recipe.file),
            fingerprints={name: value for name, value in prints.items() if value is not None},
            total_steps=total_steps,
        )

    @classmethod
    def open(cls, folder: Path) -> Self:
        """That of the run in `folder`. Raises `CheckpointError`."""
        path = folder / NAME
        try:
            read = read_json(path)
            return cls(**(read | {"changes": tuple(read["changes"])}))
        except (OSError, JsonError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{path} is damaged or of an earlier version ({error}); put back a copy of the file, or train into "
                "another folder"
            ) from error

    def save(self, folder: Path) -> None:
        """Writes the file, whole or not at all."""
        write_json(folder / NAME, dataclasses.asdict(self))

    def continued(self, now: "RunFile", step: int, folder: Path) -> "RunFile":
        """The file of a run that has done `step` steps and goes on as `now` says.

        Its length and `ADJUSTABLE` settings may differ, and where data and models lie. Raises `UsageError` that names
        all other settings that differ.
        """
        same = {name for name, value in self.fingerprints.items() if now.fingerprints.get(name) == value}
        free = {setting for name in same for setting in _PLACES[name]} | {*ADJUSTABLE, *_LENGTH, *_UNSEEN}
        names = sorted(self.settings.keys() | now.settings.keys())
        differ = [name for name in names if self.settings.get(name) != now.settings.get(name)]
        wrong = [
            f"{name}: {describe(self.settings.get(name))}, now {describe(now.settings.get(name))}"
            for name in differ
            if name not in free
        ]
        changed = [
            f"fingerprint of the {_NAMES[name]}: {value[:12]}, now {now.fingerprints.get(name, 'none')[:12]}"
            for name, value in sorted(self.fingerprints.items())
            if name not in same
        ]
        if changed and not wrong:
            raise UsageError(
                f"{folder}: files that this run learns from have changed since it began ({'; '.join(changed)}). Put "
                f"them back as they were; or train in another folder, where --model {folder}/last begins with the "
                "weights of this run"
            )
        wrong += changed
        if wrong:
            raise UsageError(
                f"{folder} holds a run with other settings ({'; '.join(wrong)}). To go on with those of the run: "
                f"sightline train --out {folder}. To train with these: choose another folder; --model {folder}/last "
                "begins with the weights of this run"
            )
        if now.total_steps < step:
            raise UsageError(
                f"{folder}: the run has done {step:,} steps, more than {now.total_steps:,}: ask for a longer one"
            )
        change = {name: now.settings[name] for name in differ if name in ADJUSTABLE and name in self.settings}
        if now.total_steps != self.total_steps:
            change["total_steps"] = now.total_steps
        changes = (*self.changes, {"after_step": step, **change}) if change else self.changes
        return dataclasses.replace(now, changes=changes)

    def said_since(self, old: "RunFile") -> list[str]:
        """What people are told of the changes after those in `old`."""
        said = []
        for change in self.changes[len(old.changes) :]:
            names = [f"{name} {describe(change[name])}" for name in ADJUSTABLE if name in change]
            if names:
                said.append(
                    f"after step {change['after_step']:,} with {', '.join(names)}; the weights' last digits may "
                    "differ from those of a run that had this from the beginning"
                )
            if "total_steps" in change:
                said.append(
                    f"a run of {self.total_steps:,} steps now, not {old.total_steps:,}: after step "
                    f"{change['after_step']:,} the learning rate is that of a run of this length. The weights will not "
                    "be those of a run that had this length from the beginning"
                )
        return said


def changes_shown(changes: tuple[Mapping[str, Any], ...]) -> str:
    """The changes of a run for people: "after step 500: total_steps 1000"."""
    return "; ".join(
        f"after step {change['after_step']:,}: "
        + ", ".join(f"{name} {describe(value)}" for name, value in change.items() if name != "after_step")
        for change in changes
    )


def open_run(folder: Path, known: Sequence[type] = (), **changes: Any) -> Recipe:
    """The recipe of the run in `folder`, with `changes` in place of its values.

    Its functions come from the recipe's file; those that are of a dataclass in `known` are made again from their
    values. Raises `UsageError` for other functions, and where the model, the data or the recipe's file is not where it
    was: all are named, with the options that take the new place.
    """
    run = RunFile.open(folder)
    settings = {name: value for name, value in run.settings.items() if name not in changes}
    _check_places(run, settings, folder)
    plain = {name: _restored(name, value, known) for name, value in settings.items()}
    functions = [name for name, value in plain.items() if _is_function(value)]
    plain = {name: value for name, value in plain.items() if name not in functions} | changes
    if run.recipe is not None:
        return open_recipe(Path(run.recipe), **plain)
    if functions:
        raise UsageError(
            f"{folder}: {' and '.join(sorted(functions))} of this run are functions of the program that began it: go "
            "on with that program"
        )
    return Recipe(**plain)


def _is_function(value: Any) -> bool:
    return isinstance(value, dict) and FUNCTION in value


def _check_places(run: RunFile, settings: Mapping[str, Any], folder: Path) -> None:
    moved = [
        f"{name} {_place(settings[name])} (--{name.replace('_', '-')})"
        for name in ("model", "text_model", "data", "image_root", "evaluate")
        if settings.get(name) is not None and _is_gone(name, settings[name])
    ]
    if run.recipe is not None and not Path(run.recipe).is_file():
        moved.append(f"recipe {run.recipe} (sightline train RECIPE.py --out {folder})")
    if moved:
        raise UsageError(
            f"{folder}: not there any more: {'; '.join(moved)}. Where one has been moved, give its new place by the "
            "option in brackets"
        )


def _place(value: Any) -> str:
    """Where data or a model lie, of an evaluation too, for people."""
    value = value.get("source", value) if isinstance(value, dict) else value
    return ", ".join(map(str, value)) if isinstance(value, list) else describe(value)


def _is_gone(name: str, place: Any) -> bool:
    if _is_function(place):
        return any(_is_gone("data", place[key]) for key in _SOURCES if place.get(key) is not None)
    if name in ("model", "text_model"):
        return Path(place).is_absolute() and not Path(place).exists()
    try:
        return not all(os.path.lexists(path) for path in resolve_paths(place))
    except SightlineError:
        return True


def _restored(name: str, value: Any, known: Sequence[type]) -> Any:
    """A value as a recipe has it; of a function that is not known, what `run.json` has."""
    if _is_function(value):
        values = {key: item for key, item in value.items() if key != FUNCTION}
        for kind in known:
            if kind.__qualname__ == value[FUNCTION] and values.keys() <= kind.__annotations__.keys():
                return kind(**values)
        return value
    if name == "lora" and value is not None:
        settings: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        return Lora(**settings)
    return tuple(value) if name != "data" and isinstance(value, list) else value


def _absolute(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with absolute paths in place of names that depend on the working directory."""
    absolute = dict(settings)
    for name in ("model", "text_model"):
        if isinstance(place := settings[name], str) and place not in packaged():
            path = os.path.expanduser(place)  # noqa: PTH111
            absolute[name] = os.path.abspath(path) if os.path.exists(path) else place  # noqa: PTH100, PTH110
    for name in ("data", "image_root"):
        absolute[name] = _absolute_source(settings[name])
    if isinstance(evaluate := settings["evaluate"], dict):
        places = {name: _absolute_source(evaluate[name]) for name in _SOURCES if name in evaluate}
        absolute["evaluate"] = evaluate | places
    return absolute


def _absolute_source(source: Any) -> Any:
    """A data set's name, or a list of names, with wildcards and braces as they are; other values as they are."""
    if isinstance(source, list):
        return [_absolute_source(one) for one in source]
    if isinstance(source, str) and "::" in source and not os.path.lexists(source):
        return "::".join(map(_absolute_source, filter(None, source.split("::"))))
    return os.path.abspath(os.path.expanduser(source)) if isinstance(source, str) else source  # noqa: PTH100, PTH111
