"""The features of images or videos to train on and to test on, for evaluations that need no words.

Shapes: N images or videos, W width of the tower's pooled states.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightline.data import Labelled, LabelledSample
from sightline.data.classes import Classes
from sightline.encoder.encoder import Encoder
from sightline.errors import UsageError
from sightline.evaluate.encode import EncodedData, encode
from sightline.evaluate.kept import KeptVectors
from sightline.evaluate.result import Settings
from sightline.progress import ProgressCallback


@dataclass(frozen=True)
class Features:
    """Data to `train` on and to `test` on: the pooled states of the image tower before its projection, of unit length,
    and the class (N,) of each by its position in `names`."""

    names: tuple[str, ...]
    train: EncodedData[LabelledSample]
    train_labels: NDArray[np.int64]
    test: EncodedData[LabelledSample]
    test_labels: NDArray[np.int64]

    @classmethod
    def of(
        cls, encoder: Encoder, train: Labelled, test: Labelled, progress: ProgressCallback, kept: KeptVectors | None
    ) -> "Features":
        """The classes are those of `train`. Raises `UsageError` for a class of `test` that is not among them, and for
        files that are in both."""
        names = Classes.of(train.classes).names
        position = np.array(Classes.of(train.classes).find(test.classes))
        both = {str(sample.media) for sample in train.samples} & {str(sample.media) for sample in test.samples}
        if both:
            raise UsageError(
                f"{len(both):,} files of {test.name} are also in {train.name}, such as {min(both)}: what was trained "
                "on tells nothing; give other data"
            )
        of_train = encode(encoder, train.samples, progress, project=False, kept=kept)
        of_test = encode(encoder, test.samples, progress, project=False, kept=kept)
        train_labels = np.array([sample.label for sample in of_train.samples])
        return cls(names, of_train, train_labels, of_test, position[[sample.label for sample in of_test.samples]])

    def settings(self, train: Labelled) -> Settings:
        """What a result keeps of the task."""
        return {
            "classes": list(self.names),
            "train": train.name,
            "train_fingerprint": train.fingerprint,
            "features": "pooled states before the projection, of unit length",
            "train_samples": len(self.train.samples),
            "train_skipped": len(self.train.skipped),
        }
