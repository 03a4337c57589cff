"""From a name to files: a folder, a file, a model in the package, or a repository on the Hugging Face Hub."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sightline.checkpoint.names import PACKAGED, check_no_slip, hub_name, inner_folder, packaged
from sightline.checkpoint.weight_files import WEIGHT_FILES, is_index, shard_pattern
from sightline.errors import CheckpointError, CheckpointMissing, HubError, UsageError

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

WHERE = ("revision", "local_files_only", "cache_dir", "force_download", "token", "subfolder")
"""The arguments of `resolve` that say, with a name, where a checkpoint lies."""
_CONFIGS = ("config.json", "open_clip_config.json")
SIDE_FILES = (
    *_CONFIGS,
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
    force_download: bool = False,
    token: str | bool | None = None,
    subfolder: str = "",
    weights: bool = True,
    weight_files: Sequence[str] = WEIGHT_FILES,
) -> Path:
    """The local folder (or single weight file) that `name` stands for; Hub repositories are fetched into the cache.

    A name of a model in the package ("mini") comes first, then a path, then the Hub. A Hub name may be written as
    `hub_name` understands it, a path with "local-dir:" before it as open_clip does, and it may be a folder of the Hub's
    cache or of sentence-transformers. `subfolder`: the checkpoint's place in there.
    `weights=False` leaves the weights out; `weight_files` are those to look for, in order. `force_download` fetches
    files that the cache has, too. `token`: that of an account on the Hub; None and True: of the one that is logged in;
    False: none. Raises `CheckpointError`, for Hub names `HubError` with its `reason`.
    """
    if not isinstance(name, str | os.PathLike) or name == "":
        raise UsageError(f"a model is named by a name or a folder, not by {name!r:.60}")
    subfolder = _inside(subfolder)
    if str(name) in packaged():
        return _below(PACKAGED / str(name), subfolder)
    if "\0" in str(name):
        raise CheckpointMissing(f"{str(name)!r}: no such file or folder")
    text = str(name).removeprefix("local-dir:")
    path = Path(os.path.expanduser(text))  # noqa: PTH111 (which leaves the home of nobody as it is)
    if os.path.exists(path):  # noqa: PTH110 (which takes any name)
        return _below(inner_folder(path, revision), subfolder)
    repository, named_revision = hub_name(str(name))
    if repository is None:
        raise CheckpointMissing(f"{text}: no such file or folder")
    if revision is not None and named_revision not in (None, revision):
        raise CheckpointError(f"{name}: names the revision {named_revision}, but revision={revision!r} is asked for")
    if force_download and local_files_only:
        raise UsageError("force_download fetches files again, local_files_only forbids it: leave one of them out")
    return _fetch(
        Repository(
            repository, revision or named_revision, cache_dir, token, subfolder, tuple(weight_files) if weights else ()
        ),
        path if repository == str(name) else None,
        local_files_only,
        force_download,
    )


def _inside(subfolder: str | os.PathLike[str] | None) -> str:
    """A folder in a checkpoint, as the Hub writes it. Raises `UsageError` for one that lies elsewhere."""
    parts = PurePosixPath(os.fspath(subfolder or "")).parts
    if ".." in parts or "/" in parts:
        raise UsageError(f"subfolder={str(subfolder)!r} does not lie in the checkpoint's folder")
    return "/".join(parts)


def _below(path: Path, subfolder: str) -> Path:
    if subfolder and not (path / subfolder).is_dir():
        raise CheckpointMissing(f"{path}: there is no folder {subfolder} in it")
    return path / subfolder


def is_here(name: str) -> bool:
    """Whether the name stands for a model in the package, or for a path at which there is something."""
    return name in packaged() or ("\0" not in name and os.path.exists(os.path.expanduser(name)))  # noqa: PTH110, PTH111


@dataclass(frozen=True)
class Repository:
    """A repository on the Hub, at a revision (None: the main one), and what of it is wanted."""

    name: str
    revision: str | None
    cache_dir: str | Path | None
    token: str | bool | None
    subfolder: str
    weight_files: tuple[str, ...]
    """The names of weights to look for, in order; none where no weights are wanted."""

    def path(self, file: str) -> str:
        """A file's name in the repository."""
        return f"{self.subfolder}/{file}" if self.subfolder else file

    def get(self, path: str, revision: str | None, **options: Any) -> Path:
        """A file in the cache, fetched if it is not there. `path`: in the repository."""
        from huggingface_hub import hf_hub_download

        return Path(
            hf_hub_download(self.name, path, revision=revision, cache_dir=self.cache_dir, token=self.token, **options)
        )

    def kept(self, path: str, revision: str | None) -> Path | None:
        """A file that the cache has."""
        from huggingface_hub import try_to_load_from_cache

        hit = try_to_load_from_cache(self.name, path, cache_dir=self.cache_dir, revision=revision)
        return Path(hit) if isinstance(hit, str) else None

    def cached(self) -> Path | None:
        """The folder of the checkpoint in the cache, if all is there that is wanted."""
        kept = {file: self.kept(self.path(file), self.revision) for file in (*_CONFIGS, *self.weight_files)}
        config = next(filter(None, (kept[file] for file in _CONFIGS)), None)
        if config is None or (self.weight_files and not any(kept[file] for file in self.weight_files)):
            return None
        return config.parent


def _fetch(repository: Repository, path_like: Path | None, local_files_only: bool, force: bool) -> Path:
    """The cache's folder of a Hub repository: fetched or, without network, as the cache holds it. `path_like`: the name
    as a path, where it may be meant as one."""
    # Imported here: most runs open a folder and never need the Hub's client.
    from huggingface_hub import constants, errors
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    name = repository.name
    try:
        validate_repo_id(name)
    except errors.HFValidationError as error:
        raise CheckpointMissing(f"{name}: no such file or folder, and no name that the Hub could have") from error
    if path_like is not None and not repository.cached():
        check_no_slip(name, path_like)
    # A commit never changes: a cached commit needs no network.
    is_commit = re.fullmatch("[0-9a-f]{40}", repository.revision or "") is not None
    if is_commit and not force and (folder := repository.cached()):
        return folder
    problem, cause = "the Hub is not to be asked", None
    if not (local_files_only or constants.HF_HUB_OFFLINE):
        try:
            with hub_errors(name, repository.revision):
                return _download(repository, force)
        except HubError:  # an OSError, too
            raise
        except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
            problem, cause = f"no network to the Hub ({error})", error
    if not force and (folder := repository.cached()):
        return folder
    missing = f"cannot be fetched again: {problem}" if force else f"no such folder, not in the cache, and {problem}"
    raise HubError(
        f"{name}: {missing}. To go on offline, name a folder that holds the "
        f"checkpoint, or a model in the package: {', '.join(packaged())}.",
        "offline",
    ) from cause


@contextmanager
def hub_errors(name: str, revision: str | None) -> Iterator[None]:
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


def _download(repository: Repository, force: bool) -> Path:
    """Fetches the files of one commit; each new file is checked against the size and the hash that the Hub states.

    `huggingface_hub.snapshot_download` checks neither, and notes the commit of a revision before its files are there.
    """
    from huggingface_hub import HfApi, errors

    name = repository.name
    info = HfApi().model_info(
        name, revision=repository.revision, files_metadata=True, timeout=10, token=repository.token
    )
    files = {sibling.rfilename: sibling for sibling in info.siblings or []}
    wanted = _wanted(repository, files)
    try:
        for file in wanted:
            _download_file(repository, files[file], info.sha, force)
        # Last, when all files are there: the cache notes which commit the revision is, for runs without network.
        return repository.get(wanted[0], repository.revision).parent
    except (errors.RepositoryNotFoundError, HubError):
        raise
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        raise HubError(f"{name}: the download broke off ({error}); run again to go on with it", "partial") from error


def _wanted(repository: Repository, files: Iterable[str]) -> list[str]:
    """The paths of the files to fetch. Raises `HubError` for a repository without config or weights."""
    files, name = set(files), repository.path("").rstrip("/")
    place = f"{repository.name}, {name}" if name else repository.name
    wanted = [path for file in SIDE_FILES if (path := repository.path(file)) in files]
    if not {repository.path(file) for file in _CONFIGS} & set(wanted):
        raise HubError(f"{place}: holds no config.json, so it is no checkpoint that can be opened", "unknown")
    if repository.weight_files:
        first = next((file for file in repository.weight_files if repository.path(file) in files), None)
        if first is None:
            raise HubError(f"{place}: holds none of {', '.join(repository.weight_files)}", "unknown")
        wanted.append(repository.path(first))
        if is_index(first):
            shard = re.escape(repository.path("")) + shard_pattern(first)
            wanted += sorted(file for file in files if re.fullmatch(shard, file))
    return wanted


def _download_file(repository: Repository, sibling: "RepoSibling", commit: str | None, force: bool) -> None:
    """A file of a commit into the cache, twice if the first is damaged. Raises `HubError` if the second is, too."""
    file = sibling.rfilename
    is_new = force or repository.kept(file, commit) is None
    path = repository.get(file, commit, force_download=force)
    if not _problem(path, sibling, is_new):
        return
    path = repository.get(file, commit, force_download=True)
    if problem := _problem(path, sibling, True):
        path.unlink(missing_ok=True)
        path.resolve().unlink(missing_ok=True)
        raise HubError(f"{repository.name}: {file} {problem}, twice; try later or name another revision", "corrupt")


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
