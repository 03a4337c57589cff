"""How good a model is: each evaluation gives a `Result`."""

from sightline.evaluate.result import Result, Skipped

__all__ = ["Result", "Skipped"]
