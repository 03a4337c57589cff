"""How much the logger "sightline" says, by the names of the reference's module `logging`."""

import logging
from logging import DEBUG, ERROR, INFO, WARNING

from sightline.logger import LOGGER

__all__ = ["DEBUG", "ERROR", "INFO", "WARNING"]


def get_logger(name: str | None = None) -> logging.Logger:
    """The logger "sightline", or another by its name."""
    return LOGGER if name is None else logging.getLogger(name)


def get_verbosity() -> int:
    """The level below which the logger "sightline" says nothing."""
    return LOGGER.getEffectiveLevel()


def set_verbosity(verbosity: int) -> None:
    """Sets this level. Warnings of Python, by which models are told about, are `warnings.simplefilter`'s."""
    LOGGER.setLevel(verbosity)


def set_verbosity_debug() -> None:
    """All is said."""
    set_verbosity(DEBUG)


def set_verbosity_info() -> None:
    """What was opened is said, and what is more important."""
    set_verbosity(INFO)


def set_verbosity_warning() -> None:
    """What was done otherwise than asked is said, and errors."""
    set_verbosity(WARNING)


def set_verbosity_error() -> None:
    """Errors alone are said."""
    set_verbosity(ERROR)
