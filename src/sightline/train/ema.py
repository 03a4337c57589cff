"""The exponential moving average (EMA) of a model's weights: often better than the weights of any single step."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from sightline.models.pairs import PairModel
from sightline.train.parallel import full, shared_like


class ExponentialMovingAverage:
    """The exponential moving average of a model's weights and of its batch norms' statistics.

    After step t from 1 it is d * itself + (1 - d) * the model, d = min(decay, t / (t + 9)): early on, where the model
    moves fast, the average is of few steps. It depends on the weights of each step alone, so a run that was stopped
    goes on with the same bits. Where processes divide the weights (FSDP), each averages its part.
    Source: tf.train.ExponentialMovingAverage, `num_updates`.
    """

    def __init__(self, model: PairModel, decay: float) -> None:
        """`model`: as it is before processes divide its weights. `start` takes the first weights."""
        self.decay = decay
        self._empty = copy.deepcopy(model).to("meta")
        self.tensors: dict[str, Tensor] = {}

    def start(self, model: PairModel) -> None:
        """Begins with the weights of the model that is trained."""
        self.tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: PairModel, step: int) -> None:
        """Adds the weights after step `step`, numbered from 1."""
        decay = min(self.decay, step / (step + 9))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.tensors[name].lerp_(tensor, 1 - decay)
            else:  # the number of batches that a norm has seen
                self.tensors[name].copy_(tensor)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from a copy of `tensors` that is whole, not divided among processes."""
        self.tensors = {name: shared_like(state[name], tensor) for name, tensor in self.tensors.items()}

    def whole(self) -> PairModel:
        """A model with the averaged weights, all of them in this process, to be saved. All processes call it."""
        model = copy.deepcopy(self._empty)
        model.load_state_dict({name: full(tensor).cpu() for name, tensor in self.tensors.items()}, assign=True)
        return model.eval()
