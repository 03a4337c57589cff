"""A processor's arguments, sorted into those of its tokenizer and those of its image processor."""

from collections.abc import Iterable, Mapping
from typing import Any

from sightline.errors import UsageError
from sightline.models.suggestions import check_names
from sightline.models.text_options import DEFAULTS

TEXT_ARGUMENTS = ("text_pair", "text_target", "text_pair_target", *DEFAULTS)
"""What a tokenizer is called with, beside the texts; of some of it, it says what to write instead."""
_ABSENT = ("videos", "audio", "videos_kwargs", "audio_kwargs")
"""Arguments for inputs that a processor of texts and images has none of: taken while they are empty."""


def sorted_arguments(
    options: Mapping[str, Any], text_defaults: Mapping[str, Any], image_names: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the tokenizer's, the image processor's). An argument counts for both if both know it, and more than
    `common_kwargs`, which count more than `text_defaults`; `text_kwargs` and `images_kwargs` count as much as those
    for themselves. The texts' `return_tensors` holds for the images where these name none.

    Raises UsageError for what neither knows, and for what is given twice.
    """
    flat = {name: value for name, value in options.items() if name not in _ABSENT or value}
    groups = {name: flat.pop(name, None) or {} for name in ("text_kwargs", "images_kwargs", "common_kwargs")}
    known = {"text_kwargs": TEXT_ARGUMENTS, "images_kwargs": tuple(image_names)}
    for name, values in groups.items():
        if not isinstance(values, Mapping):
            raise UsageError(f"{name} is {values!r:.60}, expected a dictionary of arguments")
        if twice := values.keys() & flat.keys() if name in known else None:
            raise UsageError(f"{', '.join(sorted(twice))}: given twice, in {name} and beside it")
        check_names(values, known.get(name) or dict.fromkeys([*TEXT_ARGUMENTS, *image_names]), "argument")
    check_names(flat, dict.fromkeys([*TEXT_ARGUMENTS, *image_names]), "argument")
    text, images = (
        {key: value for key, value in (groups["common_kwargs"] | flat).items() if key in names} | groups[group]
        for group, names in known.items()
    )
    text = {**text_defaults, **{name: value for name, value in text.items() if value is not None}}
    if images.get("return_tensors") is None or text.get("return_tensors") is not None:
        images["return_tensors"] = text.get("return_tensors")
    return text, images
