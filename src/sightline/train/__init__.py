"""Training: a recipe, a loop that can be stopped at any step, checkpoints that any program opens."""

from sightline.train.batch import Batch, Data
from sightline.train.distillation import Distillation, Teacher
from sightline.train.lora import Lora
from sightline.train.recipe import LocalRows, Recipe, open_recipe
from sightline.train.run_file import open_run
from sightline.train.trainer import Outcome, train

__all__ = [
    "Batch",
    "Data",
    "Distillation",
    "LocalRows",
    "Lora",
    "Outcome",
    "Recipe",
    "Teacher",
    "open_recipe",
    "open_run",
    "train",
]
