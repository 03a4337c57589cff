"""A picture before it is drawn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.scenes.captions import describe
from sightline.scenes.drawing import draw, mask
from sightline.scenes.layout import Layout


@dataclass(frozen=True)
class Scene(Layout):
    """A layout that can be drawn, masked and described."""

    @property
    def caption(self) -> str:
        """The full description: each thing with all its attributes and its place, the background and the light."""
        return self.captions[0]

    @property
    def captions(self) -> tuple[str, ...]:
        """The full description, then twelve others, all true: synonyms, another order, or parts of it."""
        return describe(self)

    def draw(self, size: int) -> Image.Image:
        """The picture, `size` pixels square, "RGB". The same scene looks the same at every size."""
        return draw(self, size)

    def mask(self, size: int) -> NDArray[np.uint8]:
        """What `draw(size)` shows at each pixel's center, (size, size): 0 the background, i + 1 `things[i]`."""
        return mask(self, size)
