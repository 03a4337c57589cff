"""From a name to files: a folder, a file, a model in the package, or a repository on the Hugging Face Hub."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.checkpoint.names import PACKAGED, check_no_slip, hub_name, inner_folder, packaged
from sightline.errors import CheckpointError, CheckpointMissing, HubError, UsageError
from sightline.files import read_checkpoint_json, unfinished

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

# Weight files in the order of preference. An index file lists the shards.
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
)
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_FOREIGN = (".h5", ".msgpack", ".gguf", ".onnx", ".ot", ".tflite")
"""Ends of the names of weights that can be opened, and of those that cannot."""
SIDE_FILES = (
    "config.json",
    "open_clip_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
)


def resolve(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    cache_dir: str | Path | None = None,
    weights: bool = True,
) -> Path:
    """The local folder (or single weight file) that `name` stands for; Hub repositories are fetched into the cache.

    A name of a model in the package ("mini") comes first, then a path, then the Hub. A Hub name may be written as
    `hub_name` understands it, and a path may be a folder of the Hub's cache or of sentence-transformers.
    `weights=False` leaves the weights out. Raises `CheckpointError`, for Hub names `HubError` with its `reason`.
    """
    if not isinstance(name, str | os.PathLike):
        raise UsageError(f"a model is named by a name or a folder, not by {name!r:.60}")
    if str(name) in packaged():
        return PACKAGED / str(name)
    if "\0" in str(name):
        raise CheckpointMissing(f"{str(name)!r}: no such file or folder")
    path = Path(os.path.expanduser(name))  # noqa: PTH111 (which leaves the home of nobody as it is)
    if os.path.exists(path):  # noqa: PTH110 (which takes any name)
        return inner_folder(path, revision)
    repository, named_revision = hub_name(str(name))
    if repository is None:
        raise CheckpointMissing(f"{name}: no such file or folder")
    if revision is not None and named_revision not in (None, revision):
        raise CheckpointError(f"{name}: names the revision {named_revision}, but revision={revision!r} is asked for")
    path_like = path if repository == str(name) else None
    return _fetch(repository, revision or named_revision, local_files_only, cache_dir, weights, path_like)


def is_here(name: str) -> bool:
    """Whether the name stands for a model in the package, or for a path at which there is something."""
    return name in packaged() or ("\0" not in name and os.path.exists(os.path.expanduser(name)))  # noqa: PTH110, PTH111


def weight_paths(folder: Path) -> list[Path]:
    """The files that hold a folder's weights, or the file itself that is named.

    Raises `CheckpointError` if there are none or a shard is missing.
    """
    if folder.is_file():
        return [folder]
    for name in WEIGHT_FILES:
        path = folder / name
        if path.is_symlink() and not path.exists():
            raise CheckpointError(f"{path}: a link to nothing: fetch the checkpoint again, or copy the file there")
        if not path.is_file():
            continue
        if not name.endswith(".index.json"):
            return [path]
        shards = read_checkpoint_json(path).get("weight_map")
        if not isinstance(shards, dict) or not shards or not all(isinstance(shard, str) for shard in shards.values()):
            raise CheckpointError(f"{path}: no weight_map, so the shards cannot be found")
        paths = [folder / Path(shard).name for shard in sorted(set(shards.values()))]
        files = set(folder.iterdir())
        for shard in paths:
            if shard not in files:
                raise CheckpointError(f"{folder}: the shard {shard.name} is missing; copy it there")
        return paths
    if half := unfinished(folder, WEIGHT_FILES):
        raise CheckpointError(f"{half}: a download that did not come to its end: fetch it again")
    others = sorted(path.name for path in folder.iterdir() if path.suffix in (*_WEIGHTS, *_FOREIGN))
    if own := [name for name in others if name.endswith(_WEIGHTS)]:
        raise CheckpointError(
            f"{folder}: no {' and no '.join(WEIGHT_FILES[::3])} in it; if {own[0]} holds the weights, name that file: "
            f"{folder / own[0]}"
        )
    foreign = f", and {', '.join(others)} is written for other libraries" if others else ""
    raise CheckpointError(f"{folder}: no weights in it; expected one of {', '.join(WEIGHT_FILES)}{foreign}")


def _fetch(
    name: str,
    revision: str | None,
    local_files_only: bool,
    cache_dir: str | Path | None,
    weights: bool,
    path_like: Path | None,
) -> Path:
    """The cache's folder of a Hub repository: fetched or, without network, as the cache holds it. `path_like`: the name
    as a path, where it may be meant as one."""
    # Imported here: most runs open a folder and never need the Hub's client.
    from huggingface_hub import constants, errors
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except errors.HFValidationError as error:
        raise CheckpointMissing(f"{name}: no such file or folder, and no name that the Hub could have") from error
    if path_like is not None and not _cached(name, revision, cache_dir, weights):
        check_no_slip(name, path_like)
    # A commit never changes: a cached commit needs no network.
    if re.fullmatch("[0-9a-f]{40}", revision or "") and (folder := _cached(name, revision, cache_dir, weights)):
        return folder
    problem, cause = "the Hub is not to be asked", None
    if not (local_files_only or constants.HF_HUB_OFFLINE):
        try:
            with _hub_errors(name, revision):
                return _download(name, revision, cache_dir, weights)
        except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
            problem, cause = f"no network to the Hub ({error})", error
    if folder := _cached(name, revision, cache_dir, weights):
        return folder
    raise HubError(
        f"{name}: no such folder, not in the cache, and {problem}. To go on offline, name a folder that holds the "
        f"checkpoint, or a model in the package: {', '.join(packaged())}.",
        "offline",
    ) from cause


@contextmanager
def _hub_errors(name: str, revision: str | None) -> Iterator[None]:
    """The Hub's answers as `HubError`; errors of the network stay as they are."""
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise HubError(
            f"{name}: gated. Ask for access on its page at {constants.ENDPOINT}/{name}, then `hf auth login`", "gated"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{name}: has no revision {revision!r}", "unknown") from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"{name}: no such folder here, and no such model on the Hub (or a private one: `hf auth login`)", "unknown"
        ) from error


def _cached(name: str, revision: str | None, cache_dir: str | Path | None, weights: bool) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    def find(file: str) -> Path | None:
        hit = try_to_load_from_cache(name, file, cache_dir=cache_dir, revision=revision)
        return Path(hit) if isinstance(hit, str) else None

    config = find("config.json") or find("open_clip_config.json")
    if config is None or (weights and not any(find(file) for file in WEIGHT_FILES)):
        return None
    return config.parent


def _download(name: str, revision: str | None, cache_dir: str | Path | None, weights: bool) -> Path:
    """Fetches the files of one commit; each new file is checked against the size and the hash that the Hub states.

    `huggingface_hub.snapshot_download` checks neither, and notes the commit of a revision before its files are there.
    """
    from huggingface_hub import HfApi, errors, hf_hub_download

    info = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=10)
    files = {sibling.rfilename: sibling for sibling in info.siblings or []}
    wanted = _wanted(name, files, weights)
    try:
        for file in wanted:
            _download_file(name, files[file], info.sha, cache_dir)
        # Last, when all files are there: the cache notes which commit the revision is, for runs without network.
        return Path(hf_hub_download(name, wanted[0], revision=revision, cache_dir=cache_dir)).parent
    except errors.RepositoryNotFoundError:
        raise
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        raise HubError(f"{name}: the download broke off ({error}); run again to go on with it", "partial") from error


def _wanted(name: str, files: Iterable[str], weights: bool) -> list[str]:
    """The names of the files to fetch. Raises `HubError` for a repository without config or weights."""
    files = set(files)
    wanted = [file for file in SIDE_FILES if file in files]
    if not {"config.json", "open_clip_config.json"} & set(wanted):
        raise HubError(f"{name}: holds no config.json, so it is no checkpoint that can be opened", "unknown")
    if weights:
        first = next((file for file in WEIGHT_FILES if file in files), None)
        if first is None:
            raise HubError(f"{name}: holds none of {', '.join(WEIGHT_FILES)}", "unknown")
        wanted.append(first)
        if first.endswith(".index.json"):
            stem, suffix = first.removesuffix(".index.json").rsplit(".", 1)
            wanted += sorted(file for file in files if re.fullmatch(rf"{stem}-\d+-of-\d+\.{suffix}", file))
    return wanted


def _download_file(name: str, sibling: "RepoSibling", commit: str | None, cache_dir: str | Path | None) -> None:
    """A file of a commit into the cache, twice if the first is damaged. Raises `HubError` if the second is, too."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    file = sibling.rfilename
    is_new = not isinstance(try_to_load_from_cache(name, file, cache_dir=cache_dir, revision=commit), str)
    path = Path(hf_hub_download(name, file, revision=commit, cache_dir=cache_dir))
    if not _problem(path, sibling, is_new):
        return
    path = Path(hf_hub_download(name, file, revision=commit, cache_dir=cache_dir, force_download=True))
    if problem := _problem(path, sibling, True):
        path.unlink(missing_ok=True)
        path.resolve().unlink(missing_ok=True)
        raise HubError(f"{name}: {file} {problem}, twice; try later or name another revision", "corrupt")


def _problem(path: Path, sibling: "RepoSibling", check_hash: bool) -> str | None:
    """How a file differs from the size and the hash that the Hub states."""
    size: Any = sibling.size
    if size is not None and path.stat().st_size != size:
        return f"came as {path.stat().st_size} bytes of {size}"
    lfs: Any = sibling.lfs
    if check_hash and lfs is not None and sha256(path) != lfs["sha256"]:
        return "fails its hash"
    return None


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
