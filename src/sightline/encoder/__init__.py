"""From files and strings to unit vectors."""

from sightline.encoder.encoder import Encoder, load

__all__ = ["Encoder", "load"]
