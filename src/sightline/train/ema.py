"""The moving average of a model's weights: often better than the weights of any one step."""

import copy
from collections.abc import Mapping

from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sightline.models.pairs import PairModel


class Average:
    """`model`: the exponential moving average of another model's weights and of its batch norms' statistics.

    After step t from 1 it is d * itself + (1 - d) * the model, d = min(decay, t / (t + 9)): early on, where the model
    moves fast, the average is of few steps. A pure function of the weights at each step, and so resumed bit for bit.
    Source: tf.train.ExponentialMovingAverage, `num_updates`.
    """

    def __init__(self, model: PairModel, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    def update(self, model: PairModel, step: int) -> None:
        """Takes in the weights after step `step`, numbered from 1."""
        decay = min(self.decay, step / (step + 9))
        own, new = self.model.state_dict(), model.state_dict()
        numbers = [name for name, tensor in own.items() if tensor.is_floating_point()]
        take_in = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        take_in([own[name] for name in numbers], [new[name] for name in numbers], step)
        for name in own.keys() - set(numbers):  # how many batches the norms have seen
            own[name].copy_(new[name])

    def state(self) -> dict[str, Tensor]:
        """What `restore` takes."""
        return self.model.state_dict()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what `state` gave."""
        self.model.load_state_dict(dict(state), strict=True)
