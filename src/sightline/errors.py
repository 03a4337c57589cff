"""Every error a user can meet. The message names the thing and says what to do next."""


class SightlineError(Exception):
    """Something a user can act on. The command line prints it as one line and exits with `exit_code`."""

    exit_code = 1


class UsageError(SightlineError):
    """The call itself is wrong: a bad option, an empty query, a filter that does not parse."""

    exit_code = 2


class CheckpointError(SightlineError):
    """A checkpoint, its config or its tokenizer cannot be opened as asked."""


class JsonError(SightlineError):
    """A file is not a JSON object. The caller says what kind of file it is and what to do."""


class HubError(CheckpointError):
    """A Hub name cannot be opened. `reason`: "offline", "unknown", "gated", "partial" or "corrupt"."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ImageError(SightlineError):
    """A picture cannot be read. `source` says which, `reason` says why (without repeating the source)."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


class VideoError(ImageError):
    """A film cannot be read."""


class DataError(SightlineError):
    """A data set to train on or to evaluate with cannot be read as asked."""


class IndexFault(SightlineError):
    """An index folder cannot be used. The subclasses say why."""


class IndexMissing(IndexFault):
    """There is no index at this place."""


class IndexLocked(IndexFault):
    """Another process is writing to this index."""


class IndexDamaged(IndexFault):
    """Files of the index are missing or broken; `sightline fsck --repair` keeps what is whole."""


class IndexTooNew(IndexFault):
    """The index was written by a newer Sightline."""


class ModelMismatch(IndexFault):
    """The index was built by another model than the one asked for."""
