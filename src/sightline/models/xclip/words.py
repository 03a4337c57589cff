"""X-CLIP's text tower in numpy."""

import numpy as np
from numpy.typing import NDArray

from sightline.models.words import TextWords


class XCLIPWords(TextWords):
    """`XCLIPTextTower.embed` for one text at a time."""

    def _end(self, ids: NDArray[np.int64]) -> int:
        return int(ids.argmax())
