"""Suffixes, in lower case, of the files that are opened as images and as videos. What a file is, its contents tell."""

import os

IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".gif", ".tif", ".tiff", ".bmp"]
) | {".heic", ".heif", ".hif"}
"""HEIC's too where no decoder for it is installed: the error then names the extra that reads it."""

VIDEO_SUFFIXES = frozenset(
    [".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".wmv", ".asf", ".flv", ".f4v"]
) | {".mpg", ".mpeg", ".vob", ".mts", ".m2ts", ".ogv", ".mxf"}
"""Not ".ts": most files of that name are programs."""


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether the suffix of a file's name is an image's."""
    return _suffix(path) in IMAGE_SUFFIXES


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether the suffix of a file's name is a video's."""
    return _suffix(path) in VIDEO_SUFFIXES


def _suffix(path: str | os.PathLike[str]) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 (which takes any name)
