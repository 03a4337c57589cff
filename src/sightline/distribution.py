"""The name under which the package is installed. The import name is `sightline`; on the package index that name belongs
to another project, so the distribution has one of its own."""

from importlib.metadata import PackageNotFoundError, version

NAME = "sightline-search"
CLASHING = "sightline"
"""Another project's distribution, which installs a package of the same import name."""


def release() -> str:
    """The installed version, "0.1.0" say."""
    return version(NAME)


def install(extra: str | None = None) -> str:
    """The command that installs the package, or one of its extras: `pip install "sightline-search[train]"`."""
    return f"pip install {NAME}" if extra is None else f'pip install "{NAME}[{extra}]"'


def clash() -> str | None:
    """What to say where the other project's package is installed too: its files and ours overwrite each other."""
    try:
        other = version(CLASHING)
    except PackageNotFoundError:
        return None
    return (
        f"the package {CLASHING} {other}, another project, is installed beside {NAME} and shares its import name: "
        f"`pip uninstall {CLASHING}`, then `pip install --force-reinstall {NAME}`"
    )
