"""Torch in a forked child: the parent's threads are not there, and torch would wait for them for ever.

With one thread, in which a child computes all by itself, nothing is waited for.
"""

import os

import torch

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
