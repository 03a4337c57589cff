"""What scripts written for `transformers` do with any model: a mixin of every model's base."""

from sightline.nn.aliases import Aliased


class Reference(Aliased):
    """The reference's names for a model's parts and settings."""
