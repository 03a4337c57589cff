"""What a training run is told: one readable object, usually the `recipe` of a Python file."""

import dataclasses
import runpy
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from sightline.checkpoint.names import resolve
from sightline.errors import SightlineError, UsageError
from sightline.models import family_of
from sightline.models.dual.model import VisionTextDualEncoderModel
from sightline.models.dual.processor import VisionTextDualEncoderProcessor
from sightline.models.pairs import PairModel
from sightline.models.processor import Processor
from sightline.train.batch import Data
from sightline.train.lora import Lora
from sightline.train.loss import Objective

Evaluate: TypeAlias = Callable[[Path], Mapping[str, float]]
"""A saved checkpoint -> figures by name. Of the first one, higher is better: it tells the best checkpoint."""


@dataclass(frozen=True)
class Share:
    """Which part of each batch this process computes: rows rank / world to (rank + 1) / world."""

    rank: int = 0
    world: int = 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run. Plain values are also options of `sightline train`; functions are for recipe files."""

    model: str | Path | Callable[[], tuple[PairModel, Processor]]
    """A checkpoint to start from, or a function that makes a new model and its processor."""
    text_model: str | Path | None = None
    """A checkpoint (BERT, RoBERTa, CLIP) whose text tower joins `model`'s picture tower, by new projections."""
    data: str | Path | list[str] | Callable[["Recipe", Processor, Share], Data]
    """Captions (see `sightline.data.captions`), or a function that makes the batches."""
    split: str | None = None
    """Of data that names splits."""
    image_root: str | Path | None = None
    """Where the pictures are, if not beside the captions."""

    steps: int | None = None
    epochs: float | None = None
    """How long: one of the two."""
    batch: int = 256
    """Pictures in a step, over all processes."""
    texts: int = 1
    """Captions of each picture in a step."""
    micro_batch: int | None = None
    """Pictures at a time in each process, for the gradient of the whole batch (gradient caching)."""
    accumulate: int = 1
    """Parts of a process's batch that are batches of their own, their gradients added up."""
    crop: tuple[float, float] | None = None
    """Smallest and largest share of a picture's area in random crops; None: as the model's files prepare pictures."""
    flip: bool = False
    """Mirror half of the pictures."""
    color: float = 0.0
    """How far brightness, contrast and saturation may move, each by a factor of 1 - color to 1 + color."""

    rate: float = 1e-4
    """The highest learning rate."""
    warm_up: int | None = None
    """Steps to it, a twentieth of all if left out; from there it falls to 0 as half a cosine."""
    decay: float = 0.1
    """AdamW's weight decay: of matrices, not of norms, biases and the scale."""
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    layer_rate: float = 1.0
    """Below 1, a tower's blocks are slower the further down they are: each has this share of the next one's rate."""
    clip: float | None = 1.0
    """The largest norm that all gradients together may have."""

    scale: str = "learned"
    """The logits' scale: "learned" or "fixed" at what the model starts with."""
    max_scale: float = 100.0
    label_smoothing: float | None = None
    """None: as the family's paper has it."""
    objective: Objective | None = None
    """A loss of one's own in place of the contrastive one."""
    freeze: tuple[str, ...] = ()
    """Towers that stay as they are: "image", "text"."""
    freeze_norms: bool = False
    """Batch norms keep the statistics that they came with, as ALIGN's must where a batch is computed in parts."""
    lora: Lora | None = None
    """Train small matrices beside the large ones, which stay as they are."""

    precision: str = "auto"
    """"auto" (bfloat16 where the hardware has it), "bfloat16" or "float32". Weights are float32 in any case."""
    average: float | None = None
    """Such as 0.999: the model that is saved and evaluated is the moving average of the weights, with this decay."""
    checkpoint_gradients: bool = False
    """Compute each block twice instead of keeping what is in it."""
    compile: bool = False
    """Compile the towers' blocks (`torch.compile`): the first steps take minutes, the others less."""
    shard: bool = False
    """Of several processes each keeps its share of weights, gradients and moments (FSDP), not all of them (DDP)."""
    workers: int | None = None
    """Threads that prepare pictures; None: as many as there are cores."""
    seed: int = 0

    every: int = 500
    """Steps between checkpoints, and between evaluations."""
    evaluate: Evaluate | None = None

    source: str | None = field(default=None, repr=False, compare=False)
    """The text of the file that it was read from, for the model's card; no setting."""

    def __post_init__(self) -> None:
        for name in (
            "batch",
            "texts",
            "every",
            "micro_batch",
            "accumulate",
            "steps",
            "epochs",
            "rate",
            "max_scale",
            "eps",
            "clip",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is {value}; it must be above 0")
        if (self.steps is None) == (self.epochs is None):
            raise UsageError("say how long to train: either steps or epochs")
        if self.batch < 2:
            raise UsageError("a batch of one has nothing to be told from: the contrastive loss needs batch=2 or more")
        if not 0 < self.layer_rate <= 1:
            raise UsageError(f"layer_rate is {self.layer_rate}; it is above 0 and at most 1, such as 0.8")
        if self.average is not None and not 0 < self.average < 1:
            raise UsageError(f"average is {self.average}; a decay lies between 0 and 1, such as 0.999")
        if callable(self.model) and self.text_model is not None:
            raise UsageError("a function makes the model whole: leave text_model away")
        for name in ("warm_up", "decay"):
            if (getattr(self, name) or 0) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must not be below 0")
        if self.scale not in ("learned", "fixed"):
            raise UsageError(f'scale is {self.scale!r}; there is "learned" and "fixed"')
        if unknown := set(self.freeze) - {"image", "text"}:
            raise UsageError(f'freeze: {", ".join(sorted(unknown))} is no tower; there is "image" and "text"')
        if self.precision not in ("auto", "bfloat16", "float32"):
            raise UsageError(f'precision is {self.precision!r}; there is "auto", "bfloat16" and "float32"')
        if self.crop is not None and not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise UsageError(f"crop is {self.crop}; shares of the area rise from above 0 to at most 1")

    def start(self) -> tuple[PairModel, Processor]:
        """The model in float32 and its processor. Raises `CheckpointError`."""
        if callable(self.model):
            model, processor = self.model()
            return model.float(), processor
        if self.text_model is not None:
            towers = self.model, self.text_model
            return VisionTextDualEncoderModel.from_towers(*towers), VisionTextDualEncoderProcessor.from_towers(*towers)
        path = resolve(self.model)
        family = family_of(path if path.is_dir() else path.parent)
        return family.model.from_pretrained(path, dtype="float32"), family.processor.from_pretrained(path)

    def settings(self) -> dict[str, Any]:
        """All settings as plain values; functions by their names."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self) if f.compare}


def open_recipe(path: Path, **changes: Any) -> Recipe:
    """The `recipe` of a Python file, with `changes` in place of its values. The file is run, as a script would be: it
    may import what lies beside it.

    Raises `UsageError` for a file without one.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such recipe")
    beside = str(path.resolve().parent)
    sys.path.insert(0, beside)
    try:
        found = runpy.run_path(str(path), run_name="recipe").get("recipe")
    except SightlineError as error:
        raise UsageError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:
        where = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = f", line {where[-1]}" if where else ""
        raise UsageError(f"{path}{line}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(beside)
    if not isinstance(found, Recipe):
        found = "there is none" if found is None else f"recipe is of type {type(found).__name__}"
        raise UsageError(f"{path}: it is to say `recipe = Recipe(...)`, but {found}")
    return dataclasses.replace(found, source=path.read_text(encoding="utf-8"), **changes)


def _plain(value: Any) -> Any:
    if callable(value) and dataclasses.is_dataclass(value) and not isinstance(value, type):
        return repr(value)  # with what it was made of
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    if isinstance(value, Lora):
        return {name: _plain(one) for name, one in dataclasses.asdict(value).items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
