"""Suffixes, in lower case, of the files worth opening. What a file is, its contents tell."""

IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".gif", ".tif", ".tiff", ".bmp"]
) | {".heic", ".heif", ".hif"}
"""HEIC's too where nothing reads it, so that somebody hears of it."""

VIDEO_SUFFIXES = frozenset(
    [".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".wmv", ".asf", ".flv", ".f4v"]
) | {".mpg", ".mpeg", ".vob", ".mts", ".m2ts", ".ogv", ".mxf"}
"""Not ".ts": most files of that name are programs."""
