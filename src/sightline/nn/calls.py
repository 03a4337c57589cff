"""What a model's call may leave to its config, and the form in which its outcome comes back."""

from typing import TypeVar

from torch import Tensor

from sightline.errors import UsageError
from sightline.nn.outputs import ModelOutput

Outcome = TypeVar("Outcome", bound=ModelOutput)


def given(value: Tensor | None, name: str) -> Tensor:
    """An input that the call cannot do without. Raises `UsageError` where it is missing."""
    if value is None:
        raise UsageError(f"no {name}: the model needs them")
    return value


def asked(value: bool | None, config: object, name: str) -> bool:
    """An option of the call; None: as the config says, and if it says nothing False."""
    return bool(getattr(config, name, False) if value is None else value)


def answer(outcome: Outcome, return_dict: bool | None, config: object) -> Outcome:
    """The outcome, or where the call (or, if that is None, the config) says `return_dict=False` its `to_tuple()`."""
    structured = getattr(config, "return_dict", True) if return_dict is None else return_dict
    return outcome if structured else outcome.to_tuple()  # type: ignore[return-value]


def padding_mask(attention_mask: Tensor | None, inputs: Tensor) -> Tensor | None:
    """A mask of the shape of `inputs` (B, L), of any dtype, 0 for padding -> (B, 1, 1, L), bool; None stays None.

    Raises `UsageError` for another shape, as a mask of queries and keys (B, 1, L, L) has.
    """
    if attention_mask is None:
        return None
    if attention_mask.shape != inputs.shape:
        raise UsageError(
            f"attention_mask has the shape {tuple(attention_mask.shape)}, the tokens {tuple(inputs.shape)}; "
            "give one number a token, 0 for padding"
        )
    return attention_mask.view(-1, 1, 1, inputs.shape[-1]).bool()
