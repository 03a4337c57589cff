"""Whether a checkpoint's preprocessing gives what its model takes. Without torch: a search asks it too."""

from collections.abc import Iterator
from pathlib import Path

from sightline.errors import CheckpointError
from sightline.models.pair_config import PairConfig
from sightline.processing.image.profile import PixelProfile

_FARTHEST = 100.0
"""Standard deviations from the mean that a normalized value may lie away; of real checkpoints none exceeds 3."""
_NARROWEST = 0.01
"""The least difference of black and white."""

_FILE = "processor_config.json (in preprocessor_config.json if it has no other)"
"""The file that decides, as `PixelProfile.from_folder` looks for it."""

_SMALLEST_PART = 0.25
"""The part of a picture's area that a center crop may leave; real checkpoints leave 0.77 or more of a square."""


def oddities(profile: PixelProfile) -> Iterator[str]:
    """What can be computed, but is hardly meant: a crop that is larger than the picture, or much smaller."""
    size, (height, width) = profile.size, profile.crop_size
    if not (profile.do_resize and profile.do_center_crop):
        return
    rows, columns = (size, size) if isinstance(size, int) else size  # of a square picture
    if rows < height or columns < width:
        yield (
            f"its preprocessing makes images {columns} x {rows} pixels and puts black borders around them, up to "
            f"{width} x {height}: is size in its {_FILE} too small?"
        )
    elif height * width < _SMALLEST_PART * rows * columns:
        part = height * width / (rows * columns)
        yield (
            f"its preprocessing makes images {columns} x {rows} pixels and keeps {width} x {height} of them: the model "
            f"sees {part:.0%} of a picture; is size in its {_FILE} too large?"
        )


def check_preprocessing(profile: PixelProfile, config: PairConfig, where: str | Path) -> None:
    """Raises CheckpointError, with the way out, where images keep their shapes, have another size than the model's, or
    get values that no model is trained on. `where` names the checkpoint."""
    side, size = config.image_side, profile.output_size
    if size is None:
        crop = profile.crop_size[0] if side is None else side
        raise CheckpointError(
            f"{where}: its preprocessing leaves images their shapes (do_center_crop is false), but the model takes "
            f"{'one shape' if side is None else f'{side} x {side} pixels'}: set do_center_crop to true and crop_size "
            f"to {crop} in its {_FILE}"
        )
    if side is not None and size != (side, side):
        raise CheckpointError(
            f"{where}: its preprocessing gives images of {size[1]} x {size[0]} pixels, but the model takes {side} x "
            f"{side} (image_size in config.json): set {'crop_size' if profile.do_center_crop else 'size'} to {side} in "
            f"its {_FILE}, or copy that of the checkpoint that the model was trained from"
        )
    low, high = profile.value_range
    if profile.do_normalize and (high - low < _NARROWEST or max(-low, high) > _FARTHEST):
        raise CheckpointError(
            f"{where}: its preprocessing gives values from {low:.3g} to {high:.3g}, where models take about -2 to 2: "
            f"look at do_rescale, rescale_factor, image_mean and image_std in its {_FILE}"
        )
