"""X-CLIP's text tower in numpy."""

import numpy as np
from numpy.typing import NDArray

from sightline.models.numpy_text import NumpyTextTower


class XCLIPNumpyTextTower(NumpyTextTower):
    """`XCLIPTextTower.embed` for one text at a time."""

    def _end(self, ids: NDArray[np.int64]) -> int:
        return int(ids.argmax())
