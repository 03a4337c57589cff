"""The reference's names of the classes above all configs and all models."""

from sightline.models.config import Config as PreTrainedConfig
from sightline.models.pretrained import PretrainedModel as PreTrainedModel

PretrainedConfig = PreTrainedConfig

__all__ = ["PreTrainedConfig", "PreTrainedModel", "PretrainedConfig"]
