"""The model families."""

from sightline.models.families import FAMILIES, TOWERS, Family, TowerKind, family_of, model_type

__all__ = ["FAMILIES", "TOWERS", "Family", "TowerKind", "family_of", "model_type"]
