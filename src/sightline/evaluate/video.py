"""Zero-shot classification of videos: a video belongs to the class whose words come nearest."""

from collections.abc import Sequence

from sightline.data import Labelled
from sightline.data.classes import Classes
from sightline.encoder.encoder import Encoder
from sightline.errors import UsageError
from sightline.evaluate.kept import KeptVectors
from sightline.evaluate.result import Result, Settings
from sightline.evaluate.zeroshot import ClassTask, classify
from sightline.progress import ProgressCallback, no_progress
from sightline.templates import VIDEO_TEMPLATE


def video(
    encoder: Encoder,
    data: Labelled,
    classes: Classes | None = None,
    templates: Sequence[str] = (),
    progress: ProgressCallback = no_progress,
    *,
    settings: Settings | None = None,
    kept: KeptVectors | None = None,
) -> Result:
    """The figures of `zeroshot` for videos; the last resort among templates is `VIDEO_TEMPLATE`.

    A model for images encodes a video as the mean of its frames. Raises `UsageError` for images.
    """
    if image := next((sample for sample in data.samples if not sample.is_video), None):
        raise UsageError(f"{image.media} is an image: `sightline eval zeroshot` is for these")
    task = ClassTask.of(data, classes, templates, VIDEO_TEMPLATE)
    return classify("video", encoder, data, task, progress, settings, kept)
