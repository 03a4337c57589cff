"""What is saved in a folder, sent to the Hugging Face Hub."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sightline.errors import HubError, UsageError
from sightline.files import write_text

PUBLISHING = (
    "repo_id", "commit_message", "commit_description", "private", "token", "revision", "create_pr", "tags",
)  # fmt: skip
"""The arguments of `push_to_hub`, which `save_pretrained(push_to_hub=True)` takes, too."""


class Published:
    """What `save_pretrained` writes can be sent to the Hub. A mixin of models, configs, processors and their parts."""

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str | None = None,
        commit_description: str | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        tags: Iterable[str] | None = None,
        **saving: Any,
    ) -> Any:
        """Saves into a folder that is deleted afterwards, and sends it to the Hub: the commit that the client returns.

        The repository is made if it is not there. `token`: that of an account, by default the one that is logged in.
        `tags` are added to those of the repository's card. `saving` are `save_pretrained`'s arguments. Raises
        `HubError`.
        """
        import tempfile  # here: a search does without it

        with tempfile.TemporaryDirectory() as folder:
            what: Any = self
            what.save_pretrained(folder, **saving)
            return upload(
                Path(folder),
                repo_id,
                f"Upload {type(self).__name__}" if commit_message is None else commit_message,
                private=private,
                token=token,
                tags=tags,
                commit_description=commit_description,
                revision=revision,
                create_pr=create_pr,
            )


def new_folder(name: str | os.PathLike[str]) -> Path:
    """The folder of this name, made if it is not there. Raises `UsageError` for a file's name."""
    folder = Path(name)
    if folder.is_file():
        raise UsageError(f"{folder} is a file: name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_publishing(options: Mapping[str, Any]) -> None:
    """Raises `UnknownArgument` for what is no argument of `push_to_hub`."""
    from sightline.models.suggestions import check_names  # here: a search does without it

    check_names(options, PUBLISHING, "argument")


def send_saved(what: str, folder: Path, push_to_hub: bool, options: Mapping[str, Any]) -> None:
    """The end of a `save_pretrained(folder, push_to_hub, **options)`: sends the folder, by its name if no `repo_id` is
    given. `what`: the name of the class that is saved. Raises `HubError`, `UsageError` for unknown options."""
    check_publishing(options)
    if push_to_hub:
        given = dict(options)
        name = given.pop("repo_id", None) or folder.absolute().name
        upload(folder, name, given.pop("commit_message", None) or f"Upload {what}", **given)


def upload(
    folder: Path,
    repo_id: str,
    commit_message: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    tags: Iterable[str] | None = None,
    **commit: Any,
) -> Any:
    """The files of a folder as a commit to a repository, which is made if it is not there. Raises `HubError`."""
    from huggingface_hub import HfApi, errors

    api = HfApi(token=token)
    try:
        name = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if tags:
            _tag(folder / "README.md", name, tags, token)
        return api.upload_folder(repo_id=name, folder_path=folder, commit_message=commit_message, **commit)
    except errors.HFValidationError as error:
        raise HubError(f"{repo_id}: {str(error).splitlines()[0]}", "unknown") from error
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        status = getattr(getattr(error, "response", None), "status_code", None)
        hint = "; log in with `hf auth login`, or pass token=" if status in (401, 403) else ""
        raise HubError(
            f"{repo_id}: could not be sent to the Hub ({str(error).splitlines()[0]}){hint}",
            "offline" if status is None else "unknown",
        ) from error


def _tag(path: Path, name: str, tags: Iterable[str], token: str | bool | None) -> None:
    """Adds tags to the card at `path`, else to that of the repository, else to a new one, and writes it to `path`."""
    from huggingface_hub import ModelCard, errors

    card: Any = ModelCard("---\nlibrary_name: sightline\n---\n")
    if path.is_file():
        card = ModelCard.load(path)
    else:
        with suppress(errors.EntryNotFoundError):
            card = ModelCard.load(name, token=token)  # type: ignore[arg-type]
    card.data.tags = sorted({*(card.data.tags or ()), *tags})
    write_text(path, str(card))
