"""One seed for all random numbers of a program."""

import random

import numpy as np
import torch


def set_seed(seed: int, deterministic: bool = False) -> None:
    """Seeds Python's, numpy's and torch's random numbers. `deterministic`: torch takes only algorithms that give the
    same numbers each time."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if deterministic:
        torch.use_deterministic_algorithms(True)
