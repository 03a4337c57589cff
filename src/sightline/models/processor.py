"""Text and pictures to a model's inputs, called as `transformers` calls its processors."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.checkpoint.names import resolve
from sightline.errors import ImageError, UsageError
from sightline.files import read_json, write_json
from sightline.models.features import BatchFeature, tensors
from sightline.processing.image.color import array_to_rgb, array_to_uint8
from sightline.processing.image.profile import PixelProfile
from sightline.processing.image.reading import load_image
from sightline.processing.tokenizer import Ids, Tokenizer

Text: TypeAlias = str | list[str] | tuple[str, ...]

_OPTIONS = ("padding", "truncation", "max_length", "return_tensors")
_FIXED: dict[str, tuple[Any, ...]] = {
    "return_attention_mask": (None, True),
    "add_special_tokens": (True,),
    "padding_side": (None, "right"),
}
"""Arguments of the reference's tokenizer that scripts spell out, with the values for which it does what we do."""


class TextProcessor:
    """A tokenizer as a function."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.model_max_length = tokenizer.max_length
        self.bos_token_id, self.bos_token = tokenizer.bos_id, tokenizer.token(tokenizer.bos_id)
        self.eos_token_id, self.eos_token = tokenizer.eos_id, tokenizer.token(tokenizer.eos_id)
        self.pad_token_id, self.pad_token = tokenizer.pad_id, tokenizer.token(tokenizer.pad_id)
        self.vocab_size = tokenizer.vocab_size

    def __len__(self) -> int:
        """The number of tokens; `vocab_size` is without those that were added to the trained ones."""
        return len(self.tokenizer)

    def __call__(
        self,
        text: Text,
        *,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        return_tensors: str | None = None,
        **fixed: Any,
    ) -> BatchFeature:
        """A string or a list of n to `input_ids` and `attention_mask`: lists, or int64 (n, length).

        `padding`: True or "longest", "max_length", or False. `truncation`: True cuts to `max_length`, by default the
        model's; left out, text is cut where `max_length` is given without padding. `fixed` are further arguments of
        the reference's, taken at the values that are always so here: `padding_side="right"`, say. Raises UsageError.
        """
        _without_fixed(fixed)
        if not isinstance(text, (str, list, tuple)):
            raise UsageError(f"text is a string or a list of strings, not {type(text).__name__}")
        texts = [text] if isinstance(text, str) else list(text)
        limit = self.model_max_length if max_length is None else max_length
        if limit < 2:
            raise UsageError(f"max_length={limit} leaves no room for the start and the end of a text")
        if padding not in (False, True, "longest", "max_length", "do_not_pad"):
            raise UsageError(f'padding={padding!r} is not known; there is True, "max_length" and False')
        if truncation not in (None, False, True, "longest_first", "only_first", "do_not_truncate"):
            raise UsageError(f"truncation={truncation!r} is not known; there is True and False")
        pads = padding not in (False, "do_not_pad")
        cuts = truncation in (True, "longest_first", "only_first") or (
            truncation is None and not pads and max_length is not None
        )
        rows = self.tokenizer.token_ids(texts)
        if cuts:
            rows = [self.tokenizer.truncate(row, limit) for row in rows]
        width = (limit if padding == "max_length" else max(map(len, rows), default=0)) if pads else 0
        if return_tensors:
            if len({max(len(row), width) for row in rows}) > 1:
                raise UsageError("texts of different lengths make no tensor; pass padding=True, truncation=True")
            return tensors(self._named(*self.tokenizer.pad(rows, width)), return_tensors)
        padded = [self._named(*self.tokenizer.pad([row], width)) for row in rows]
        lists = {key: [row[key][0].tolist() for row in padded] for key in self.model_input_names}
        return BatchFeature({key: value[0] if isinstance(text, str) else value for key, value in lists.items()})

    @property
    def model_input_names(self) -> list[str]:
        """What a model is given of a text."""
        return ["input_ids", *["token_type_ids"] * self.tokenizer.has_token_types, "attention_mask"]

    def _named(self, ids: Ids, mask: Ids) -> dict[str, Ids]:
        named = {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": mask}
        return {name: named[name] for name in self.model_input_names}

    def encode(self, text: str) -> list[int]:
        """The ids of one string, start and end among them, however long."""
        return [int(i) for i in self.tokenizer.token_ids([text])[0]]

    def tokenize(self, text: str) -> list[str]:
        """The tokens of one string as the vocabulary has them, without start and end."""
        return self.tokenizer.tokens(text)

    def convert_ids_to_tokens(self, ids: Any) -> str | list[str]:
        """One id's token, or the tokens of a sequence of ids. Raises UsageError for an id that there isn't."""
        return self.tokenizer.token(ids) if isinstance(ids, int) else [self.tokenizer.token(i) for i in _plain(ids)]

    def get_vocab(self) -> dict[str, int]:
        """Every token's id."""
        return self.tokenizer.vocabulary()

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> str:
        """The text of a sequence of ids (list, array or tensor)."""
        return self.tokenizer.decode(_plain(ids), skip_special_tokens)

    def batch_decode(self, ids: Any, skip_special_tokens: bool = False) -> list[str]:
        """The texts of several sequences of ids."""
        return [self.decode(row, skip_special_tokens) for row in ids]


class ImageProcessor:
    """A pixel profile as a function. The profile's settings are its attributes, named as in the checkpoint's file."""

    def __init__(self, profile: PixelProfile) -> None:
        self.profile = profile

    def __getattr__(self, name: str) -> Any:
        settings = self.to_dict() if name != "profile" else {}  # "profile" is missing while being unpickled
        if name not in settings:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return settings[name]

    def to_dict(self) -> dict[str, Any]:
        """The settings as a checkpoint's file holds them."""
        return self.profile.to_dict()

    def __call__(self, images: Any, *, return_tensors: str | None = None, **changes: Any) -> BatchFeature:
        """Pictures to `pixel_values`: a list of float32 (3, height, width), or one (n, 3, height, width).

        `images`: a PIL picture, an array or a tensor (channels first or last, 0..255 or 0.0..1.0), a path or an
        address, or a list of these. EXIF orientation is not looked at in pictures that are already open (`load_image`
        does that). `changes` replace settings for this call: `do_rescale=False` for arrays in 0.0..1.0, say, which
        the reference divides by 255 all the same. Raises ImageError, UsageError.
        """
        settings = self.profile.to_dict()
        if unknown := changes.keys() - settings:
            raise UsageError(f"{', '.join(sorted(unknown))}: no such setting; there is {', '.join(settings)}")
        profile = PixelProfile.from_dict(settings | changes) if changes else self.profile
        values = []
        for number, picture in enumerate(_flat(images)):
            try:
                values.append(profile.normalize(_pixels(picture, profile)[None])[0])
            except (OSError, ValueError, SyntaxError) as error:
                raise ImageError(f"picture {number}", str(error)) from error
        if not return_tensors:
            return BatchFeature(pixel_values=values)
        if len({value.shape for value in values}) != 1:
            raise UsageError("pictures of different sizes (or none) make no tensor; leave do_center_crop on")
        return tensors({"pixel_values": np.stack(values)}, return_tensors)

    preprocess = __call__


class Processor:
    """A checkpoint's text and image processing together. The base of `CLIPProcessor` and its like."""

    max_positions: ClassVar[int]
    """The text tower's length where no file names one."""
    padding: ClassVar[bool | str] = False
    """How texts are padded if a call does not say."""
    max_length: ClassVar[int | None] = None
    """To which length, or cut to which one, if a call does not say; None: the model's."""

    def __init__(self, image_processor: ImageProcessor, tokenizer: TextProcessor) -> None:
        self.image_processor = image_processor
        self.tokenizer = tokenizer

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike[str],
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        cache_dir: str | Path | None = None,
        use_fast: bool | None = None,
    ) -> Self:
        """Opens a folder, a packaged model or a Hub name; weights are not fetched.

        `use_fast`, which picks among the reference's implementations, changes nothing: there is one here.
        Raises CheckpointError, UsageError.
        """
        if use_fast not in (None, True, False):
            raise UsageError(f"use_fast={use_fast!r} is not known; there is True and False")
        path = resolve(
            name_or_folder,
            revision=revision,
            local_files_only=local_files_only,
            cache_dir=cache_dir,
            weights=False,
        )
        folder = path if path.is_dir() else path.parent
        texts = cls.texts(folder)
        return cls(cls.images(folder), texts)

    @classmethod
    def images(cls, folder: Path) -> ImageProcessor:
        """The checkpoint's image processing. Raises CheckpointError."""
        return ImageProcessor(PixelProfile.from_folder(folder))

    @classmethod
    def texts(cls, folder: Path) -> TextProcessor:
        """The checkpoint's tokenizer. Raises CheckpointError."""
        return TextProcessor(Tokenizer.from_folder(folder, _positions(folder) or cls.max_positions))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes what `from_pretrained` and `transformers` read: the settings and the tokenizer, no weights."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = self.image_processor.to_dict()
        nested = {"image_processor": settings, "processor_class": type(self).__name__}
        write_json(folder / "processor_config.json", nested)
        write_json(folder / "preprocessor_config.json", settings)  # for release 4 and for other tools
        self.tokenizer.tokenizer.save(folder)

    def __call__(
        self,
        images: Any = None,
        text: Text | None = None,
        *,
        return_tensors: str | None = None,
        padding: bool | str | None = None,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        **changes: Any,
    ) -> BatchFeature:
        """Text, pictures or both to a model's inputs. Arguments as `tokenizer`'s and `image_processor`'s.

        `padding` and `max_length` that are left out are the class's own.

        Raises ImageError, UsageError (for an argument that neither has, too).
        """
        if images is None and text is None:
            raise UsageError(f"{type(self).__name__} needs text, images or both")
        changes = _without_fixed(changes, self.image_processor.to_dict())
        inputs = BatchFeature()
        if text is not None:
            inputs |= self.tokenizer(
                text,
                padding=self.padding if padding is None else padding,
                truncation=truncation,
                max_length=self.max_length if max_length is None else max_length,
                return_tensors=return_tensors,
            )
        if images is not None:
            inputs |= self.image_processor(images, return_tensors=return_tensors, **changes)
        return inputs

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> str:
        """The text of a sequence of ids."""
        return self.tokenizer.decode(ids, skip_special_tokens)

    def batch_decode(self, ids: Any, skip_special_tokens: bool = False) -> list[str]:
        """The texts of several sequences of ids."""
        return self.tokenizer.batch_decode(ids, skip_special_tokens)


def _without_fixed(given: Mapping[str, Any], settings: Iterable[str] = ()) -> dict[str, Any]:
    """Those of `given` that are among `settings`; the others are checked to be of _FIXED. Raises UsageError."""
    known = [*_OPTIONS, *_FIXED, *settings]
    if unknown := given.keys() - set(known):
        raise UsageError(f"{', '.join(sorted(unknown))}: no such argument; there is {', '.join(known)}")
    for name, value in given.items():
        if name in _FIXED and value not in _FIXED[name]:
            raise UsageError(f"{name}={value!r} is not supported; it is always {_FIXED[name][-1]!r}")
    return {name: value for name, value in given.items() if name not in _FIXED}


def _flat(images: Any) -> Iterator[Any]:
    """One picture, a list of them or a batch in an array, as single pictures: PIL or arrays."""
    if hasattr(images, "detach"):  # a tensor: torch itself need not be imported
        images = images.detach().cpu()
        images = (images.float() if images.is_floating_point() else images).numpy()
    if isinstance(images, (list, tuple)) or (isinstance(images, np.ndarray) and images.ndim == 4):
        for image in images:
            yield from _flat(image)
    elif isinstance(images, (str, os.PathLike)):
        yield load_image(images)
    elif isinstance(images, (Image.Image, np.ndarray)):
        yield images
    else:
        raise UsageError(f"pictures are PIL pictures, arrays, tensors or paths, not {type(images).__name__}")


def _pixels(picture: Image.Image | NDArray[Any], profile: PixelProfile) -> NDArray[Any]:
    """Resized and cropped, (height, width, 3). Fractions come back as fractions, of whole 255ths once resized."""
    if isinstance(picture, Image.Image):
        return profile.resize_and_crop(picture)
    rgb = array_to_rgb(picture)
    if not profile.do_resize:
        return profile.center_crop(rgb)
    levels, fractions = array_to_uint8(rgb)
    pixels = profile.resize_and_crop(Image.fromarray(levels))
    return (pixels * (1 / 255)).astype(np.float32) if fractions else pixels


def _plain(ids: Any) -> list[int]:
    ids = np.asarray(ids.cpu() if hasattr(ids, "cpu") else ids)
    return [int(i) for i in ids.reshape(-1)]


def _positions(folder: Path) -> int | None:
    """The text tower's length as the model's config, of any age, has it."""
    path = folder / "config.json"
    config = read_json(path) if path.is_file() else {}
    towers = (config.get("text_config_dict"), config.get("text_config"))
    lengths = (tower.get("max_position_embeddings") for tower in towers if isinstance(tower, Mapping))
    return next((length for length in lengths if isinstance(length, int)), None)
