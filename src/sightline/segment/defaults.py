"""The defaults and modes of segmentation. Without torch: the command line reads them."""

from typing import Literal

DEFAULT_MODEL = "nvidia/groupvit-gcc-yfcc"
Mode = Literal["paper", "transformers"]
""" "paper": the protocol of Xu et al. (2022), section 4.1; "transformers": the reference's `segmentation_logits`."""
