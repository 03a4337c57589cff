"""`pipeline(task)`: a model and its processing in one call, with the arguments and answers of the reference's."""

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from sightline.compat.auto import AutoModel, AutoModelForImageClassification
from sightline.compat.auto_processor import AutoImageProcessor
from sightline.compat.tokenizers import AutoTokenizer
from sightline.encoder.hardware import pick_device
from sightline.errors import UnknownArgument, UsageError
from sightline.models.image_processor import ImageProcessor
from sightline.models.pairs import PairModel
from sightline.models.pretrained import PretrainedModel
from sightline.models.suggestions import check_names
from sightline.models.text_processor import TextProcessor
from sightline.processing.image.reading import load_image
from sightline.processing.image.sources import is_image_source, is_pixels


class Pipeline:
    """The base of the pipelines. `batch_size`: how many images of a list are computed together."""

    task: ClassVar[str]
    model_class: ClassVar[Any] = AutoModel
    takes_texts: ClassVar[bool] = False

    def __init__(
        self,
        model: PretrainedModel,
        tokenizer: TextProcessor | None = None,
        image_processor: ImageProcessor | None = None,
        *,
        device: int | str | torch.device | None = None,
        batch_size: int | None = None,
        **options: Any,
    ) -> None:
        """`options` are those of each call that names no others."""
        if image_processor is None:
            raise UsageError(f"pipeline({self.task!r}) of an open model needs image_processor=, too")
        self.tokenizer, self.image_processor = tokenizer, image_processor
        self.device = model.device if device is None else _device(device)
        self.model: Any = model.to(self.device).eval()
        self.batch_size = _checked(batch_size)
        self.options = self._known(options)

    @property
    def dtype(self) -> torch.dtype:
        """The model's dtype."""
        return self.model.dtype  # type: ignore[no-any-return]

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes the model and its processing, as `pipeline(task, folder)` and the reference read them."""
        self.model.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)

    def __call__(self, images: Any = None, *, batch_size: int | None = None, **options: Any) -> Any:
        """An image (open, a path or an address) -> its answer; a list -> the list of answers; a data set or another
        iterable -> an iterator of answers. Raises ImageError, UsageError."""
        images = options.pop("images", images)
        if images is None:
            raise UsageError(f"pipeline({self.task!r}) needs an image or a list of images")
        options = self.options | self._known(options)
        size = _checked(batch_size) or self.batch_size
        if isinstance(images, list):
            return list(self._answers(images, size or 16, options))
        if isinstance(images, Image.Image) or is_pixels(images) or is_image_source(images):
            return next(self._answers([images], 1, options))
        return self._answers(images, size or 1, options)

    def _known(self, options: dict[str, Any]) -> dict[str, Any]:
        """`options`, if the pipeline has them all. Raises UnknownArgument."""
        known = inspect.signature(self.answer).parameters.keys() - {"images"}
        check_names(options, sorted(known), "argument")
        return options

    def _answers(self, images: Iterable[Any], size: int, options: dict[str, Any]) -> Iterator[Any]:
        rest = iter(images)
        while batch := list(islice(rest, size)):
            with torch.no_grad():
                yield from self.answer(batch, **options)

    def answer(self, images: list[Any], **options: Any) -> list[Any]:
        """The answers of a batch of images."""
        raise NotImplementedError

    def pixels(self, images: list[Any], timeout: float | None, **settings: Any) -> dict[str, Tensor]:
        """The model's inputs for images."""
        inputs = self.image_processor([load_image(image, timeout) for image in images], return_tensors="pt", **settings)
        return {name: value.to(self.device, self.dtype) for name, value in inputs.items()}


class ZeroShotImageClassificationPipeline(Pipeline):
    """Images to the labels that a call gives: the softmax over the labels of each image's similarities."""

    task: ClassVar[str] = "zero-shot-image-classification"
    takes_texts: ClassVar[bool] = True

    def __init__(self, model: PretrainedModel, tokenizer: TextProcessor | None = None, *args: Any, **kw: Any) -> None:
        if tokenizer is None:
            raise UsageError(f"pipeline({self.task!r}) of an open model needs tokenizer=, too")
        if not isinstance(model, PairModel) or not hasattr(model, "get_image_features"):
            raise UsageError(f"pipeline({self.task!r}) takes a model of images and texts, not a {type(model).__name__}")
        super().__init__(model, tokenizer, *args, **kw)

    def answer(  # type: ignore[override]
        self,
        images: list[Any],
        candidate_labels: Sequence[str] | str = (),
        hypothesis_template: str = "This is a photo of {}.",
        timeout: float | None = None,
        tokenizer_kwargs: dict[str, Any] | None = None,
    ) -> list[Any]:
        """For each image a list of `{"score": ..., "label": ...}`, the best first. `hypothesis_template` makes a
        label's text, in place of its `{}`."""
        labels = [candidate_labels] if isinstance(candidate_labels, str) else list(candidate_labels)
        if not labels:
            raise UnknownArgument('candidate_labels is empty: name the labels, candidate_labels=["a cat", "a dog"]')
        if hypothesis_template.format("") == hypothesis_template.format("-"):
            raise UsageError(f"hypothesis_template {hypothesis_template!r} has no {{}} where the label goes")
        assert self.tokenizer is not None
        texts = self.tokenizer(
            [hypothesis_template.format(label) for label in labels],
            return_tensors="pt",
            **{"padding": True} | (tokenizer_kwargs or {}),
        )
        out = self.model(**texts.to(self.device), **self.pixels(images, timeout))
        rows = out.logits_per_image.softmax(dim=-1)
        best = rows.argsort(dim=-1, descending=True, stable=True)
        return [
            [{"score": row[place].item(), "label": labels[place]} for place in order.tolist()]
            for row, order in zip(rows, best, strict=True)
        ]


class ImageFeatureExtractionPipeline(Pipeline):
    """Images to a vision tower's states. Of a whole model its vision tower is taken."""

    task: ClassVar[str] = "image-feature-extraction"

    def answer(  # type: ignore[override]
        self,
        images: list[Any],
        pool: bool = False,
        return_tensors: bool = False,
        timeout: float | None = None,
        image_processor_kwargs: dict[str, Any] | None = None,
    ) -> list[Any]:
        """For each image its states (1, L, W), or with `pool` the pooled state (1, W), as lists or tensors."""
        tower: Any = self.model.vision_model if isinstance(self.model, PairModel) else self.model
        out = tower(**self.pixels(images, timeout, **image_processor_kwargs or {}))
        states = out["pooler_output"] if pool else out[0]
        return [state if return_tensors else state.tolist() for state in states.split(1)]


class ImageClassificationPipeline(Pipeline):
    """Images to the labels that a classifier was trained on."""

    task: ClassVar[str] = "image-classification"
    model_class: ClassVar[Any] = AutoModelForImageClassification

    def answer(  # type: ignore[override]
        self,
        images: list[Any],
        top_k: int | None = 5,
        function_to_apply: str | None = None,
        timeout: float | None = None,
    ) -> list[Any]:
        """For each image the `top_k` labels `{"label": ..., "score": ...}`, the best first (None: all)."""
        config: Any = self.model.config
        kinds: dict[str, Callable[[Tensor], Tensor]] = {
            "softmax": lambda x: x.softmax(-1),
            "sigmoid": torch.sigmoid,
            "none": lambda x: x,
        }
        single = config.problem_type == "multi_label_classification" or config.num_labels == 1
        name = function_to_apply or ("sigmoid" if single else "softmax")
        if name not in kinds:
            raise UsageError(f"function_to_apply={name!r} is not known; there is {', '.join(kinds)}")
        rows = kinds[name](self.model(**self.pixels(images, timeout)).logits)
        best = rows.argsort(dim=-1, descending=True, stable=True)[:, :top_k]
        return [
            [{"label": config.id2label[place], "score": row[place].item()} for place in order.tolist()]
            for row, order in zip(rows, best, strict=True)
        ]


TASKS: dict[str, type[Pipeline]] = {
    kind.task: kind
    for kind in (ZeroShotImageClassificationPipeline, ImageFeatureExtractionPipeline, ImageClassificationPipeline)
}


def pipeline(
    task: str | None = None,
    model: str | os.PathLike[str] | PretrainedModel | None = None,
    *,
    config: Any = None,
    tokenizer: TextProcessor | str | os.PathLike[str] | None = None,
    image_processor: ImageProcessor | str | os.PathLike[str] | None = None,
    processor: Any = None,
    device: int | str | torch.device | None = None,
    device_map: Any = None,
    dtype: torch.dtype | str | None = None,
    torch_dtype: torch.dtype | str | None = None,
    batch_size: int | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    model_kwargs: dict[str, Any] | None = None,
    use_fast: bool = True,
    trust_remote_code: bool | None = None,
    framework: str | None = "pt",
    **options: Any,
) -> Pipeline:
    """A pipeline of the `task`: "zero-shot-image-classification", "image-feature-extraction" or "image-classification".

    `model`: a folder, a packaged model, a Hub name, or an open model with its `tokenizer` and `image_processor` (or its
    `processor`). Without `device`: a GPU if there is one. `model_kwargs` are `from_pretrained`'s, `options` those of
    all calls. `use_fast`, `trust_remote_code` and `framework`, which choose among the reference's implementations, have
    no effect. Raises CheckpointError, UsageError.
    """
    if framework not in (None, "pt"):
        raise UsageError(f'framework={framework!r}: the models are PyTorch\'s ("pt")')
    if task not in TASKS:
        raise UsageError(f"pipeline({task!r}) is not known; there is {', '.join(TASKS)}")
    if model is None:
        raise UsageError(f"pipeline({task!r}) needs model=: a folder, a Hub name, or a packaged model")
    kind = TASKS[task]
    name, open_model = (None, model) if isinstance(model, PretrainedModel) else (model, None)
    place = {"revision": revision, "token": token}
    if open_model is None:
        loading = place | {"config": config, "device_map": device_map, "dtype": torch_dtype or dtype}
        given = {key: value for key, value in loading.items() if value is not None}
        open_model = kind.model_class.from_pretrained(name, **(model_kwargs or {}), **given)
        if device is None and device_map is None:
            device = pick_device("auto")
    if processor is not None:
        tokenizer = processor.tokenizer if tokenizer is None else tokenizer
        image_processor = processor.image_processor if image_processor is None else image_processor
    return kind(
        open_model,
        _opened(AutoTokenizer, tokenizer, name, place) if kind.takes_texts else None,
        _opened(AutoImageProcessor, image_processor, name, place),
        device=device,
        batch_size=batch_size,
        **options,
    )


def _opened(kind: Any, given: Any, name: str | os.PathLike[str] | None, place: dict[str, Any]) -> Any:
    """What is given, opened if it is a name; by default that of the checkpoint `name`, if there is one."""
    source = name if given is None else given
    return kind.from_pretrained(source, **place) if isinstance(source, str | os.PathLike) else source


def _device(device: int | str | torch.device) -> torch.device:
    if isinstance(device, int):
        device = "cpu" if device < 0 else f"cuda:{device}"
    return pick_device(device)


def _checked(batch_size: int | None) -> int | None:
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}, expected 1 or more")
    return batch_size
