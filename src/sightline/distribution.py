"""The package's name and version as it is installed.

The import name is `sightline`. On the package index that name belongs to another project, so the distribution has a
name of its own.
"""

NAME = "sightline-search"
VERSION = "0.1.0"
CLASHING = "sightline"
"""The other project's distribution; its package has our import name."""


def install(extra: str | None = None) -> str:
    """The command that installs the package, or one of its extras: `pip install "sightline-search[train]"`."""
    return f"pip install {NAME}" if extra is None else f'pip install "{NAME}[{extra}]"'


def clash() -> str | None:
    """What to say if the other project's package is installed too: its files and ours overwrite each other."""
    from importlib.metadata import PackageNotFoundError, version  # 10 ms, which a search does not need

    try:
        other = version(CLASHING)
    except PackageNotFoundError:
        return None
    return (
        f"the package {CLASHING} {other}, another project, is installed beside {NAME} and shares its import name: "
        f"`pip uninstall {CLASHING}`, then `pip install --force-reinstall {NAME}`"
    )
