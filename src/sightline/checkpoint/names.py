"""What people write for a checkpoint: a Hub name in the forms of other tools, a folder around the one that is meant."""

import re
from pathlib import Path

from sightline.errors import CheckpointError, CheckpointMissing

PACKAGED = Path(__file__).parent.parent / "pretrained"

_HUB = r"(?:hf-hub:|hf_hub:|hf://|(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|hf-mirror\.com)/(?:models/)?)"
_NAME = r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?"


def packaged() -> list[str]:
    """The names of the models that ship in the package."""
    return sorted(p.name for p in PACKAGED.iterdir() if (p / "config.json").is_file()) if PACKAGED.is_dir() else []


def hub_name(text: str) -> tuple[str | None, str | None]:
    """The repository that a text names, and its revision if it is written with it.

    "owner/model", "hf-hub:owner/model" (open_clip), "hf://owner/model", the address of its page, also of one of its
    revisions or files (".../tree/REVISION"), "owner/model@REVISION", "models--owner--model" (the cache). (None, None)
    for what can be none of these.
    """
    if cached := re.fullmatch(r"models--([\w.-]+?)--([\w.-]+)", text):
        return "/".join(cached.groups()), None
    address = re.fullmatch(
        rf"({_HUB})?({_NAME})(?:@([\w./-]+)|/(?:tree|blob|resolve)/([^/?#]+)[^?#]*)?/?(?:[?#].*)?", text
    )
    if address is None or (address[1] is None and (address[4] or text.endswith("/"))):
        return None, None
    return address[2], address[3] or address[4]


def inner_folder(path: Path, revision: str | None) -> Path:
    """The folder of the checkpoint that lies in `path`: a snapshot in a repository's folder of the Hub's cache, the
    CLIP among the modules of sentence-transformers. Else `path` itself. Raises `CheckpointError`."""
    if (path / "snapshots").is_dir() and path.name.startswith("models--"):
        reference = path / "refs" / (revision or "main")
        commit = reference.read_text().strip() if reference.is_file() else revision or ""
        if commit and (path / "snapshots" / commit).is_dir():
            return path / "snapshots" / commit
        there = ", ".join(sorted(p.name for p in (path / "snapshots").iterdir())) or "nothing"
        raise CheckpointError(
            f"{path}: no snapshot of {revision or 'main'} in it; name one of those in snapshots: {there}"
        )
    if (path / "modules.json").is_file() and not (path / "config.json").is_file():
        if (path / "0_CLIPModel/config.json").is_file():
            return path / "0_CLIPModel"
        raise CheckpointError(
            f"{path}: a model of sentence-transformers without a CLIP; name the folder of a checkpoint"
        )
    return path


def check_no_slip(name: str, path: Path) -> None:
    """Raises `CheckpointError` for a name that is rather a slip of the pen than a repository on the Hub: almost that of
    a packaged model, or a path in a folder that is there ("run/best" before there is a best)."""
    import difflib  # here: a search does without it

    if "/" not in name and (near := difflib.get_close_matches(name, packaged(), n=1, cutoff=0.75)):
        raise CheckpointMissing(
            f"{name}: no such model; did you mean {near[0]}? For one of this name on the Hub: hf-hub:{name}"
        )
    if "/" in name and path.parent.is_dir():
        listed = sorted(p.name for p in path.parent.iterdir() if p.is_dir() and not p.name.startswith("."))
        inside = f"it holds {', '.join(listed[:5])}" if listed else "there are no folders in it"
        raise CheckpointMissing(
            f"{name}: no such file or folder in {path.parent.absolute()} ({inside}); for a model of this name on "
            f"the Hub: hf-hub:{name}"
        )
