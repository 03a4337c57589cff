"""The kinds of tensors that a processor gives, as an enumeration."""

from enum import StrEnum


class TensorType(StrEnum):
    """What `return_tensors` may be, instead of the text itself."""

    PYTORCH = "pt"
    NUMPY = "np"
