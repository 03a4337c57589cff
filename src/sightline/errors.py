"""Every error that a user can meet. The message names the file, model or option and says what to do next."""

from collections.abc import Callable
from typing import Any


class SightlineError(Exception):
    """An error that a user can act on. The command line prints it as one line and exits with `exit_code`."""

    exit_code = 1

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """For `pickle` and `copy`, so that an error in another process arrives in this one. By default the class would
        be called with the message alone, which some subclasses are not made of."""
        return _rebuilt, (type(self), self.args, self.__dict__)


class UsageError(SightlineError, ValueError):
    """The call itself is wrong: a bad option, an empty query, a filter that does not parse."""

    exit_code = 2


class UnknownArgument(UsageError, TypeError):
    """A function has no argument of this name."""


class NoWeights(UsageError, RuntimeError):
    """Weights are asked for where tensors have no values."""


class Stopped(SightlineError):
    """The user stopped the command (Ctrl-C). The message says what was kept and how to go on."""

    exit_code = 130

    def __init__(self, message: str = "stopped") -> None:
        super().__init__(message)


class CheckpointError(SightlineError, OSError):
    """A checkpoint, its config or its tokenizer cannot be opened as asked. An `OSError` without a number: a handler of
    the system's errors around code that opens checkpoints must let it pass."""


class OtherFamily(CheckpointError, ValueError):
    """There is no class for a model of this kind here."""


class CheckpointMissing(CheckpointError):
    """Where the caller says that a checkpoint lies, there is nothing: to name it so was wrong use."""

    exit_code = 2


class JsonError(SightlineError):
    """A file is not a JSON object. The caller says what kind of file it is and what to do."""


class HubError(CheckpointError):
    """A model cannot be fetched from the Hub. `reason`: "offline", "unknown", "gated", "partial" or "corrupt"."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ImageError(SightlineError):
    """An image cannot be read. `source` names it, `reason` says why (without repeating the source)."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


class VideoError(ImageError):
    """A video cannot be read. `source` and `reason` as for images."""


class DataError(SightlineError):
    """A data set for training or evaluation cannot be read as asked."""


class DataMissing(DataError):
    """Where the caller says that a data set lies, there is nothing: to name it so was wrong use."""

    exit_code = 2


class IndexFault(SightlineError):
    """An index folder cannot be used. The subclasses say why."""


class IndexMissing(IndexFault):
    """The folder holds no index."""


class IndexLocked(IndexFault):
    """Another process is writing to the index."""


class IndexDamaged(IndexFault):
    """Files of the index are missing or broken; `sightline fsck --repair` keeps what is whole."""


class IndexTooNew(IndexFault):
    """The index was written by a newer version of Sightline."""


class ModelMismatch(IndexFault):
    """The index was built by another model than the one asked for."""


def _rebuilt(kind: type[SightlineError], args: tuple[Any, ...], attributes: dict[str, Any]) -> SightlineError:
    error = kind.__new__(kind, *args)
    error.args = args  # which `OSError` sets only when it is called
    error.__dict__.update(attributes)
    return error
