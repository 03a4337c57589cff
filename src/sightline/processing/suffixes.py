"""The suffixes of the files worth opening as images or videos. What a file really is, its contents tell."""

import os

RAW_SUFFIXES = frozenset(
    [".3fr", ".arw", ".cr2", ".cr3", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef"]
) | {".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
"""Those of cameras' RAW files, in lower case."""

IMAGE_SUFFIXES = (
    frozenset(
        [
            ".jpg",
            ".jpeg",
            ".jpe",
            ".jfif",
            ".mpo",
            ".png",
            ".apng",
            ".webp",
            ".avif",
            ".avifs",
            ".gif",
            ".tif",
            ".tiff",
            ".bmp",
        ]
    )
    | {".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"}
    | RAW_SUFFIXES
)
"""In lower case. Those of HEIC, JPEG XL and RAW also where the package that reads them is missing, so that the user is
told to install it."""

VIDEO_SUFFIXES = frozenset(
    [".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".wmv", ".asf", ".flv", ".f4v"]
) | {".mpg", ".mpeg", ".vob", ".mts", ".m2ts", ".ogv", ".mxf"}
"""In lower case. Not ".ts": most files of that name are programs."""


ANIMATED_SUFFIXES = frozenset([".gif", ".png", ".apng", ".webp", ".avif", ".avifs"])
"""Those of images that may be animated."""


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether the path has an image's suffix."""
    return _suffix(path) in IMAGE_SUFFIXES


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether the path has a video's suffix."""
    return _suffix(path) in VIDEO_SUFFIXES


def can_be_animated(path: str | os.PathLike[str]) -> bool:
    """Whether the path has the suffix of an image that may be animated."""
    return _suffix(path) in ANIMATED_SUFFIXES


def _suffix(path: str | os.PathLike[str]) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 (a walk calls this for every file: `Path` is slow)
