"""The seam between index and encoder."""

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.errors import SightlineError
from sightline.index.item import Facts, Item
from sightline.models.regions import Shape


class Encoded(Protocol):
    """What an encoder's stream yields."""

    @property
    def item(self) -> Item: ...
    @property
    def facts(self) -> Facts | None: ...
    @property
    def vector(self) -> NDArray[np.float32] | SightlineError: ...
    @property
    def extras(self) -> NDArray[np.float16] | None: ...


class IndexEncoder(Protocol):
    """All of `sightline.encoder.Encoder` that `sync` uses."""

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def dim(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def size_hint(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def rescoring(self) -> int: ...
    @property
    def regions(self) -> Shape | None: ...
    def stream(
        self,
        items: Iterable[Item],
        read: Callable[[Item], tuple[Image.Image | Sequence[Image.Image], Facts]],
        is_video: Callable[[Item], bool],
        /,
        *,
        extras: bool,
    ) -> Generator[Encoded]: ...
