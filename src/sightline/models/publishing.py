"""What is saved in a folder, sent to the Hugging Face Hub."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sightline.errors import HubError

PUBLISHING = frozenset(
    "repo_id commit_message commit_description private token revision create_pr tags".split()  # noqa: SIM905
)
"""The arguments of `push_to_hub`, which `save_pretrained(push_to_hub=True)` takes, too."""


class Published:
    """What `save_pretrained` writes can be sent to the Hub. A mixin of models, configs, processors and their parts."""

    def save_pretrained(self, save_directory: str | os.PathLike[str], **options: Any) -> Any:
        """Writes the files into a folder."""
        raise NotImplementedError

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
            self.save_pretrained(folder, **saving)
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
    from huggingface_hub import HfApi, errors, metadata_update

    api = HfApi(token=token)
    try:
        name = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        sent = api.upload_folder(repo_id=name, folder_path=folder, commit_message=commit_message, **commit)
        if tags:
            metadata_update(name, {"tags": sorted(tags)}, token=token)  # type: ignore[arg-type]
        return sent
    except errors.HFValidationError as error:
        raise HubError(f"{repo_id}: {str(error).splitlines()[0]}", "unknown") from error
    except (errors.HTTPError, errors.LocalTokenNotFoundError) as error:  # type: ignore[attr-defined]
        status = getattr(getattr(error, "response", None), "status_code", None)
        hint = "; log in with `hf auth login`, or pass token=" if status in (401, 403, None) else ""
        reason = str(error).splitlines()[0]
        raise HubError(f"{repo_id}: could not be sent to the Hub ({reason}){hint}", "unknown") from error
