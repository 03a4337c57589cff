"""What stands around each text: the start and the end that a model was trained with."""

from sightline.errors import UsageError
from sightline.models.token_names import TokenNames


class TextEnds(TokenNames):
    """A tokenizer whose texts stand between a start and an end."""

    @property
    def add_bos_token(self) -> bool:
        """Whether a text begins with the token that is named so. Another value raises UsageError."""
        return self._stands("bos_token", 0)

    @add_bos_token.setter
    def add_bos_token(self, value: bool) -> None:
        self._check_end("add_bos_token", value)

    @property
    def add_eos_token(self) -> bool:
        """Whether a text ends with the token that is named so. Another value raises UsageError."""
        return self._stands("eos_token", -1)

    @add_eos_token.setter
    def add_eos_token(self, value: bool) -> None:
        self._check_end("add_eos_token", value)

    def _stands(self, name: str, place: int) -> bool:
        tokens = self._pipeline.encode("").tokens
        return bool(tokens) and tokens[place] == self.special_tokens_map.get(name)

    def _check_end(self, name: str, value: bool) -> None:
        if bool(value) != getattr(self, name):
            raise UsageError(
                f"{name}={value!r}: a text stands between {' and '.join(self._pipeline.encode('').tokens)}, as the "
                "model was trained; leave both out by add_special_tokens=False in the call"
            )
