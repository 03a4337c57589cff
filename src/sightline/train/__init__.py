"""Training: a recipe, a loop that can be stopped anywhere, checkpoints that any program opens."""

from sightline.train.batch import Batch, Data
from sightline.train.lora import Lora
from sightline.train.recipe import Recipe, Share, open_recipe
from sightline.train.trainer import Outcome, train

__all__ = ["Batch", "Data", "Lora", "Outcome", "Recipe", "Share", "open_recipe", "train"]
