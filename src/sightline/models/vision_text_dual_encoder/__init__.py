"""Pairs of towers in the place that the reference gives them; see `sightline.models.dual`."""
