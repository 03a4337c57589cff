"""The settings of a training run: one readable object, usually the `recipe` of a Python file."""

import dataclasses
import math
import runpy
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from sightline.checkpoint.hub import resolve
from sightline.errors import SightlineError, UsageError
from sightline.models.families import family_of, from_towers
from sightline.models.pair_config import PairConfig
from sightline.models.pairs import PairModel
from sightline.models.preprocessing import check_preprocessing
from sightline.models.processor import Processor
from sightline.train.batch import Data
from sightline.train.lora import Lora
from sightline.train.loss import EqualCaptions, Loss

Evaluate: TypeAlias = Callable[[Path], Mapping[str, float]]
"""A saved checkpoint -> figures by name. The checkpoint with the highest first figure is the best. If it is an object
with attributes `data` and `data_fingerprint`, as a result of an evaluation has them, the best checkpoint keeps these,
so that whoever compares it on the same data is warned."""


FUNCTION = "function"
"""The key of a function's name in `Recipe.settings`."""


@dataclass(frozen=True)
class LocalRows:
    """Which rows of each batch this process computes: rank / world_size to (rank + 1) / world_size of them."""

    rank: int = 0
    world_size: int = 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run. Plain values are also options of `sightline train`, of the same names. Functions are for recipe
    files: a `loss`, an `evaluate` other than recall on captions, and `model` or `data` as functions.

    Raises `UsageError` for a value out of its range.
    """

    model: str | Path | Callable[[], tuple[PairModel, Processor]]
    """A checkpoint to start from, or a function that returns a new model and its processor."""
    text_model: str | Path | None = None
    """A checkpoint (BERT, RoBERTa, CLIP) whose text tower is paired with `model`'s image tower, by new projections."""
    data: str | Path | list[str] | Callable[["Recipe", Processor, LocalRows], Data]
    """Captions (see `sightline.data.captions`), or a function that returns the batches."""
    split: str | None = None
    """The split to train on, where the data name splits."""
    image_root: str | Path | None = None
    """The folder of the images, if not the folder of the captions."""

    steps: int | None = None
    """The length of the run in steps; either this or `epochs`."""
    epochs: float | None = None
    """The length of the run in rounds over the data; either this or `steps`."""
    batch_size: int = 256
    """Images in a step, over all processes."""
    captions_per_image: int = 1
    """Captions of each image in a step."""
    micro_batch_size: int | None = None
    """Images in memory at a time in each process; the gradient is the whole batch's (gradient caching)."""
    grad_accum_steps: int = 1
    """Into how many parts a process's batch is divided; each is a batch by itself, and their gradients are added up."""
    crop: tuple[float, float] | None = None
    """Smallest and largest fraction of an image's area in random crops; None: images as the processor prepares them."""
    flip: bool = False
    """Mirror half of the images."""
    color_jitter: float = 0.0
    """Brightness, contrast and saturation change each by a factor from 1 - color_jitter to 1 + color_jitter."""

    lr: float = 1e-4
    """The highest learning rate."""
    warmup_steps: int | None = None
    """Steps before the highest learning rate; None: a twentieth of all. After them it falls to 0 as half a cosine."""
    weight_decay: float = 0.1
    """AdamW's weight decay of matrices. Norms, biases and the logit scale have none."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's decay rates of the gradient's two moments."""
    eps: float = 1e-8
    """AdamW's epsilon."""
    layer_decay: float = 1.0
    """Each block of a tower has this fraction of the learning rate of the block after it; 1: all have the same."""
    max_grad_norm: float | None = 1.0
    """The largest norm of all gradients together; larger gradients are scaled down. None: no limit."""

    logit_scale: Literal["learned", "fixed"] = "learned"
    """Whether the logits' scale is trained or stays as the model starts with it."""
    max_logit_scale: float = 100.0
    """The largest logit scale that training may reach."""
    label_smoothing: float | None = None
    """The label smoothing of the contrastive loss; None: as the family's paper has it."""
    equal_captions: EqualCaptions = "negatives"
    """What the contrastive loss makes of equal captions of different images in a batch: "negatives", wrong answers, as
    in CLIP; or "ignored": a pair of an image and another image's equal caption is neither right nor wrong."""
    loss: Loss | None = None
    """A loss in place of the contrastive loss."""
    freeze: tuple[str, ...] = ()
    """Towers that are not trained: "image", "text"."""
    freeze_norms: bool = False
    """Batch norms keep the statistics of the checkpoint. ALIGN needs it where a batch is computed in parts."""
    lora: Lora | None = None
    """Train low-rank adapters beside the large matrices, which are not trained."""

    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Precision of matrix products; "auto" is bfloat16 where the hardware has it. Weights are always float32."""
    device: str = "auto"
    """Where to train: "cpu", "cuda", "cuda:1"; "auto" is a GPU if there is one."""
    ema_decay: float | None = None
    """Save and evaluate the exponential moving average of the weights with this decay, such as 0.999; None: the weights
    themselves."""
    grad_checkpointing: bool = False
    """Keep each block's input alone and compute the block again for its gradient: less memory, more time."""
    compile: bool = False
    """Compile the towers' blocks (`torch.compile`): the first steps take minutes, the others less."""
    fsdp: bool = False
    """Divide weights, gradients and moments among the processes (FSDP); otherwise each process has all (DDP)."""
    workers: int | None = None
    """Threads that prepare images; None: as many as there are cores."""
    seed: int = 0
    """The random seed."""

    checkpoint_every: int = 500
    """Steps between checkpoints, and between evaluations."""
    evaluate: Evaluate | None = None
    """A function that evaluates each checkpoint."""

    source: str | None = field(default=None, repr=False, compare=False)
    """The text of the recipe's file, for the model card; it is not a setting."""
    file: Path | None = field(default=None, repr=False, compare=False)
    """The recipe's file, from which a run takes its functions when it goes on; it is not a setting."""

    def __post_init__(self) -> None:
        for name, (is_valid, expected) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not is_valid(value):
                raise UsageError(f"{name} is {value!r}; it must be {expected}")
        if (self.steps is None) == (self.epochs is None):
            raise UsageError("say how long to train: either steps or epochs")
        if callable(self.model) and self.text_model is not None:
            raise UsageError("the function `model` returns both towers, so text_model has no meaning: leave it out")
        if self.loss is not None and self.equal_captions != "negatives":
            raise UsageError("equal_captions belongs to the contrastive loss: leave it or `loss` out")

    def start(self) -> tuple[PairModel, Processor]:
        """The model in float32 and its processor. Raises `CheckpointError`, and `UsageError` for quantised weights."""
        model, processor = self._open()
        if not callable(self.data):  # else the processor need not make the batches
            profile, name = processor.image_processor.profile, str(self.settings()["model"])
            check_preprocessing(profile, cast(PairConfig, model.config), name)
        return model, processor

    def _open(self) -> tuple[PairModel, Processor]:
        if callable(self.model):
            model, processor = self.model()
            return model.float(), processor
        if self.text_model is not None:
            return from_towers(self.model, self.text_model)
        path = resolve(self.model)
        family = family_of(path if path.is_dir() else path.parent)
        model = family.model.from_pretrained(path, dtype="float32").check_plain(self.model)
        return model, family.processor.from_pretrained(path)

    def settings(self) -> dict[str, Any]:
        """All settings as values of JSON. A function is {"function": its name}, one that is a dataclass with its values
        beside the name; `describe` shows them."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self) if f.compare}


def _between(low: float, high: float, expected: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: low < value < high, expected


def _among(*choices: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in choices, " or ".join(f'"{choice}"' for choice in choices)


_POSITIVE = _between(0, math.inf, "above 0")
_NOT_NEGATIVE: tuple[Callable[[Any], bool], str] = (lambda value: value >= 0, "0 or more")

# Setting -> whether a value other than None is valid, and what is expected.
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "steps": _POSITIVE,
    "epochs": _POSITIVE,
    "batch_size": (lambda value: value >= 2, "2 or more, since the contrastive loss compares the pairs of a batch"),
    "captions_per_image": _POSITIVE,
    "micro_batch_size": _POSITIVE,
    "grad_accum_steps": _POSITIVE,
    "crop": (
        lambda value: 0 < value[0] <= value[1] <= 1,
        "two fractions of the area, the smaller first, above 0 and at most 1",
    ),
    "lr": _POSITIVE,
    "warmup_steps": _NOT_NEGATIVE,
    "weight_decay": _NOT_NEGATIVE,
    "betas": (lambda value: all(0 <= beta < 1 for beta in value), "two decay rates from 0 to below 1"),
    "eps": _POSITIVE,
    "layer_decay": (lambda value: 0 < value <= 1, "above 0 and at most 1, such as 0.8"),
    "max_grad_norm": _POSITIVE,
    "logit_scale": _among("learned", "fixed"),
    "equal_captions": _among("negatives", "ignored"),
    "max_logit_scale": _POSITIVE,
    "label_smoothing": (lambda value: 0 <= value < 1, "from 0 to below 1, such as 0.1"),
    "freeze": (lambda value: set(value) <= {"image", "text"}, 'towers: "image", "text"'),
    "precision": _among("auto", "bfloat16", "float32"),
    "ema_decay": _between(0, 1, "between 0 and 1, such as 0.999"),
    "checkpoint_every": _POSITIVE,
}


def open_recipe(path: Path, **changes: Any) -> Recipe:
    """The `recipe` of a Python file, with `changes` in place of its values. The file is run as a script would be, and
    may import files beside it.

    Raises `UsageError` for a file that does not end in .py, fails or has no `recipe`.
    """
    if path.suffix.lower() != ".py":
        raise UsageError(
            f"{path} is no recipe, which ends in .py; several sources of data need --data once for each (--data A.tar "
            "--data B.tar), or a pattern in quotes (--data '*.tar')"
        )
    if not path.is_file():
        raise UsageError(f"{path}: no such file or folder")
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        recipe = runpy.run_path(str(path), run_name="recipe").get("recipe")
    except SightlineError as error:
        raise UsageError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = f", line {lines[-1]}" if lines else ""
        raise UsageError(f"{path}{line}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    if not isinstance(recipe, Recipe):
        problem = "it has no `recipe`" if recipe is None else f"its `recipe` is of type {type(recipe).__name__}"
        raise UsageError(f"{path}: {problem}; it must say `recipe = Recipe(...)`")
    return dataclasses.replace(recipe, source=path.read_text(encoding="utf-8"), file=path.resolve(), **changes)


def describe(value: Any) -> str:
    """A value of `Recipe.settings` in a line."""
    if isinstance(value, dict) and FUNCTION in value:
        settings = ", ".join(f"{name}={setting!r}" for name, setting in sorted(value.items()) if name != FUNCTION)
        return f"{value[FUNCTION]}({settings})" if settings else str(value[FUNCTION])
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, Path):
        return str(value)
    settings = {}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        settings = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if callable(value):
        return {FUNCTION: getattr(value, "__qualname__", type(value).__qualname__), **settings}
    return settings or repr(value)
