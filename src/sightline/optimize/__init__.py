"""Makes models smaller and faster, and measures them: what comes out is opened by others."""

from sightline.optimize.profile import ModelProfiler

__all__ = ["ModelProfiler"]
