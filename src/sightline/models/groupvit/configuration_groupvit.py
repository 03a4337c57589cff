"""GroupViT's configs in the place that the reference gives them."""

from sightline.models.groupvit.config import GroupViTConfig, GroupViTTextConfig, GroupViTVisionConfig

__all__ = [
    "GroupViTConfig",
    "GroupViTTextConfig",
    "GroupViTVisionConfig",
]
