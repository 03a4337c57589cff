"""Which parameters are trained, and how fast: frozen towers, layer-wise learning rates."""

import re
from collections.abc import Iterable
from itertools import chain

from sightline.errors import UsageError
from sightline.models.pairs import PairModel

_BLOCK = re.compile(r".*?\b(?:layers?|blocks)\.\d+\b")


def freeze(model: PairModel, towers: Iterable[str]) -> None:
    """Freezes `towers` ("image", "text") of a model in training mode, with their projections into the common space (a
    dual encoder's projections are new, and are trained): no gradient and hence no graph, batch norms by their running
    statistics, no dropout.

    With "image" it is locked-image tuning (Zhai et al., 2022), and an index of images stays valid where the projection
    is frozen too. Raises `UsageError` for a tower that the model does not have, and where nothing is left to train.
    """
    for tower in towers:
        if tower not in model.towers:
            raise UsageError(f'freeze: {tower!r} is no tower; there is "image" and "text"')
        for name in model.towers[tower]:
            model.get_submodule(name).requires_grad_(False).eval()
    if not any(parameter.requires_grad and parameter.ndim > 1 for parameter in model.parameters()):
        raise UsageError("with these towers frozen nothing is left to train; freeze one of them")


def lr_scales(model: PairModel, layer_decay: float) -> dict[str, float]:
    """The factor of the learning rate of each parameter, by its name.

    A tower's last block and all that comes after it have 1; each block before has `layer_decay` times the factor of the
    block after it, and embeddings have that of the first (Clark et al., 2020, 3.1). Outside the towers it is 1.
    """
    scales = {name: 1.0 for name, _ in model.named_parameters()}
    for tower in chain.from_iterable(model.towers.values()):
        depths: dict[str, int] = {}  # blocks begun up to and including a parameter's, in the order of computation
        blocks: set[str] = set()
        for name in scales:
            if re.search(rf"(^|\.){tower}\.", name):
                if block := _BLOCK.match(name):
                    blocks.add(block[0])
                depths[name] = len(blocks)
        scales |= {name: layer_decay ** (len(blocks) - depth) for name, depth in depths.items()}
    return scales
