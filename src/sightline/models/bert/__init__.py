"""BERT in the place that the reference gives it; see `sightline.models.dual`."""
