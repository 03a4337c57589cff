"""A tokenizer's tokens by name, text and id, and the adding of further ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tokenizers
from tokenizers import AddedToken

from sightline.errors import UsageError
from sightline.processing.pipelines import copied
from sightline.processing.special_tokens import TOKEN_NAMES, special_token


class _Name:
    """A special token's text by its name; None for none. Assigned, it names another token, and adds none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tokenizer: Any, owner: Any = None) -> Any:
        return self if tokenizer is None else tokenizer.special_tokens_map.get(self._name)

    def __set__(self, tokenizer: "TokenNames", token: Any) -> None:
        if token is not None and not isinstance(token, str | AddedToken):
            raise UsageError(f"{self._name} is the text of a token, not {token!r:.60}")
        tokenizer._special_tokens_map[self._name] = token


class _Number:
    """A special token's id by its name; None for none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name.removesuffix("_id")

    def __get__(self, tokenizer: Any, owner: Any = None) -> Any:
        if tokenizer is None:
            return self
        token = getattr(tokenizer, self._name)
        return None if token is None else tokenizer.convert_tokens_to_ids(token)

    def __set__(self, tokenizer: "TokenNames", number: int | None) -> None:
        setattr(tokenizer, self._name, None if number is None else tokenizer.convert_ids_to_tokens(int(number)))


class TokenNames:
    """The tokens of a pipeline of the `tokenizers` library, which is this object's own."""

    SPECIAL_TOKENS_ATTRIBUTES: Sequence[str] = TOKEN_NAMES
    """The names of the special tokens: those below and the model's own."""
    bos_token, bos_token_id = _Name(), _Number()
    eos_token, eos_token_id = _Name(), _Number()
    unk_token, unk_token_id = _Name(), _Number()
    sep_token, sep_token_id = _Name(), _Number()
    pad_token, pad_token_id = _Name(), _Number()
    cls_token, cls_token_id = _Name(), _Number()
    mask_token, mask_token_id = _Name(), _Number()

    def __init__(self, pipeline: tokenizers.Tokenizer, named: Mapping[str, Any], extra: Sequence[Any] = ()) -> None:
        """`named`: special tokens by name, as text or with flags, also under names of the model's own; `extra`: those
        without a name."""
        self._pipeline = pipeline
        self._special_tokens_map: dict[str, Any] = dict.fromkeys(TOKEN_NAMES) | dict(named)
        self._extra = list(extra)
        self.SPECIAL_TOKENS_ATTRIBUTES = list(self._special_tokens_map)

    def __getattr__(self, name: str) -> Any:
        """A special token under a name of the model's own, `image_token`, or its id, `image_token_id`."""
        named = self.__dict__.get("_special_tokens_map", {})
        if name in named:
            return self.special_tokens_map.get(name)
        if name.endswith("_id") and name.removesuffix("_id") in named:
            token = self.special_tokens_map.get(name.removesuffix("_id"))
            return None if token is None else self.convert_tokens_to_ids(token)
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_special_tokens_map", {}) and name not in TOKEN_NAMES:
            self._special_tokens_map[name] = value
        else:
            super().__setattr__(name, value)

    def __len__(self) -> int:
        """The number of tokens; `vocab_size` is without those that were added to the trained ones."""
        return self._pipeline.get_vocab_size(with_added_tokens=True)

    def __bool__(self) -> bool:
        return True

    @property
    def vocab_size(self) -> int:
        """The number of trained tokens."""
        return self._pipeline.get_vocab_size(with_added_tokens=False)

    @property
    def vocab(self) -> dict[str, int]:
        """Every token's id."""
        return self.get_vocab()

    def get_vocab(self) -> dict[str, int]:
        """Every token's id."""
        return self._pipeline.get_vocab(with_added_tokens=True)

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The tokens that are found before a text is cut into words, by their ids."""
        return self._pipeline.get_added_tokens_decoder()

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """The ids of those tokens by their texts."""
        return self.get_added_vocab()

    def get_added_vocab(self) -> dict[str, int]:
        """The ids of those tokens by their texts."""
        return {token.content: number for number, token in sorted(self.added_tokens_decoder.items())}

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The named special tokens' texts."""
        return {name: str(token) for name, token in self._special_tokens_map.items() if token is not None}

    @property
    def extra_special_tokens(self) -> list[str]:
        """The special tokens without a name."""
        return [str(token) for token in self._extra]

    @extra_special_tokens.setter
    def extra_special_tokens(self, tokens: Sequence[Any] | None) -> None:
        if not isinstance(tokens, list | tuple | None) or not all(
            isinstance(t, str | AddedToken) for t in tokens or ()
        ):
            raise UsageError(f"extra_special_tokens is a list of tokens, not {tokens!r:.60}")
        self._extra = list(tokens or ())

    @property
    def extra_special_tokens_ids(self) -> list[int]:
        """The ids of the special tokens without a name."""
        ids: list[int] = self.convert_tokens_to_ids(self.extra_special_tokens)
        return ids

    @extra_special_tokens_ids.setter
    def extra_special_tokens_ids(self, ids: Sequence[int] | None) -> None:
        self.extra_special_tokens = self.convert_ids_to_tokens(list(ids or ()))

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens' texts, each once."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self.extra_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """The special tokens' ids."""
        ids: list[int] = self.convert_tokens_to_ids(self.all_special_tokens)
        return ids

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """One token's id, or the ids of a list of tokens; for a text that is no token, that of the unknown one."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(str(token)) for token in tokens]
        number = self._pipeline.token_to_id(tokens)
        if number is None and (unknown := self._special_tokens_map["unk_token"]) is not None:
            number = self._pipeline.token_to_id(str(unknown))
        return number

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """One id's token, or the tokens of a sequence of ids. Raises UsageError for an unknown id."""
        if isinstance(ids, int):
            token = self._pipeline.id_to_token(ids) if 0 <= ids < 1 << 32 else None
            if token is None:
                raise UsageError(f"no token has the id {ids}")
            return token
        skipped = set(self.all_special_ids) if skip_special_tokens else set()
        return [self.convert_ids_to_tokens(number) for number in plain_ids(ids) if number not in skipped]

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        """Adds tokens, given as text or as `tokenizers.AddedToken`, and says how many were new.

        A model needs as many embeddings: `model.resize_token_embeddings(len(tokenizer))`. Raises UsageError.
        """
        tokens = list(new_tokens) if isinstance(new_tokens, list | tuple) else [new_tokens] if new_tokens else []
        if wrong := [token for token in tokens if not isinstance(token, str | AddedToken)]:
            raise UsageError(f"a token is a text or a tokenizers.AddedToken, not {wrong[0]!r:.60}")
        # A copy takes the place of the pipeline: another thread may be using it.
        pipeline = copied(self._pipeline)
        added = pipeline.add_special_tokens(tokens) if special_tokens else pipeline.add_tokens(tokens)
        self._pipeline = pipeline
        return added

    def add_special_tokens(
        self, special_tokens_dict: Mapping[str, Any], replace_extra_special_tokens: bool = True
    ) -> int:
        """Names special tokens ({"pad_token": "<pad>"}, "extra_special_tokens": [...]), adds those that are new, and
        says how many were. Raises UsageError."""
        tokens = []
        for name, value in special_tokens_dict.items():
            if name in self._special_tokens_map:
                if not isinstance(value, str | AddedToken):
                    raise UsageError(f"{name} is the text of a token, not {value!r:.60}")
                setattr(self, name, _as_special(value))
                tokens.append(_as_special(value))
            elif name in ("extra_special_tokens", "additional_special_tokens"):
                kept = [] if replace_extra_special_tokens else self._extra
                have = set(map(str, kept))
                new = [_as_special(token) for token in value if str(token) not in have]
                self.extra_special_tokens = [*kept, *new]
                tokens += new
            else:
                raise UsageError(f"{name}: no such special token; there is {', '.join(self._special_tokens_map)}")
        return self.add_tokens(tokens, special_tokens=True)

    def get_special_tokens_mask(
        self, token_ids_0: Any, token_ids_1: Any = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """1 for each special token of a row, 0 for the others. Raises UsageError for ids without start and end."""
        if not already_has_special_tokens or token_ids_1 is not None:
            raise UsageError(
                "the mask is for a whole row: pass already_has_special_tokens=True, or call the tokenizer with "
                "return_special_tokens_mask=True"
            )
        special = set(self.all_special_ids)
        return [int(number in special) for number in plain_ids(token_ids_0)]


def _as_special(token: Any) -> AddedToken:
    return token if isinstance(token, AddedToken) else special_token(token)


def plain_ids(ids: Any) -> list[int]:
    """The ids of one row: a number, a list, an array or a tensor."""
    ids = np.asarray(ids.cpu() if hasattr(ids, "cpu") else ids)
    return [int(number) for number in ids.reshape(-1)]
