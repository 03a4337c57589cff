"""Which parts of a model are trained, and how fast: frozen towers, slower blocks."""

import re
from collections.abc import Iterable

from sightline.errors import UsageError
from sightline.models.pairs import PairModel

_BLOCK = re.compile(r".*?\bblocks\.\d+\b")


def freeze(model: PairModel, towers: Iterable[str]) -> None:
    """`towers` ("image", "text") stay as they are, with what maps them into the common space (a dual encoder's
    projections are trained): no gradient and hence no graph, batch norms by their running statistics, no dropout. Of a
    model in training mode.

    With "image" it is locked-image tuning (Zhai et al., 2022), and an index of pictures stays valid where the
    projection is locked too. Raises `UsageError` where nothing is left to be trained, or for a tower that there isn't.
    """
    for tower in towers:
        if tower not in model.towers:
            raise UsageError(f'freeze: {tower!r} is no tower; there is "image" and "text"')
        for name in model.towers[tower]:
            model.get_submodule(name).requires_grad_(False).eval()
    if not any(parameter.requires_grad and parameter.ndim > 1 for parameter in model.parameters()):
        raise UsageError("with these towers frozen nothing is left to train; freeze one of them")


def shares(model: PairModel, layer_rate: float) -> dict[str, float]:
    """The share of the learning rate that each parameter has, by name.

    A tower's last block and all that comes after it have 1; each block before has `layer_rate` times the share of the
    next one, and embeddings that of the first (Clark et al., 2020, 3.1). What is in no tower has 1.
    """
    found = {name: 1.0 for name, _ in model.named_parameters()}
    for tower in ("vision_model", "text_model"):
        begun: dict[str, int] = {}  # how many blocks have begun where a parameter stands, in the order of computation
        blocks: set[str] = set()
        for name in found:
            if re.search(rf"(^|\.){tower}\.", name):
                if block := _BLOCK.match(name):
                    blocks.add(block[0])
                begun[name] = len(blocks)
        found |= {name: layer_rate ** (len(blocks) - at) for name, at in begun.items()}
    return found
