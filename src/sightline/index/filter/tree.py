"""What a condition is made of, as it is written: the types of its columns are not looked at yet. `start`: its place."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Sign = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Name:
    """A column. `is_bare`: written without quotes."""

    text: str
    start: int
    is_bare: bool = True


@dataclass(frozen=True)
class Number:
    """`unit`: what is written behind it ("MB", "s"); "clock" for minutes and seconds, 1:30; "/" for 1/100."""

    value: Decimal
    unit: str
    start: int


@dataclass(frozen=True)
class Text:
    """In single quotes. `keyword`: the word before it, TIMESTAMP or DATE, or nothing."""

    value: str
    keyword: str
    start: int


@dataclass(frozen=True)
class Truth:
    """TRUE or FALSE."""

    value: bool
    start: int


Value = Number | Text | Truth
Operand = Name | Value


@dataclass(frozen=True)
class Compare:
    """At least one of the two is a column."""

    left: Operand
    sign: Sign
    right: Operand


@dataclass(frozen=True)
class In:
    column: Name
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Like:
    """`escape`: the character that makes the % or _ behind it an ordinary one; None: there is none."""

    column: Name
    pattern: Text
    escape: str | None
    any_case: bool


@dataclass(frozen=True)
class IsNull:
    column: Name


@dataclass(frozen=True)
class Below:
    """The path is this one or lies in it."""

    column: Name
    path: Text


@dataclass(frozen=True)
class Near:
    """Where the image was taken is at most so many kilometres from a place in degrees north and east."""

    latitude: Number
    longitude: Number
    km: Number


@dataclass(frozen=True)
class Holds:
    """A column that is true or false stands alone."""

    column: Name


@dataclass(frozen=True)
class Not:
    part: "Condition"


@dataclass(frozen=True)
class All:
    parts: "tuple[Condition, ...]"


@dataclass(frozen=True)
class Any:
    parts: "tuple[Condition, ...]"


Leaf = Truth | Compare | In | Like | IsNull | Below | Near | Holds
Condition = Leaf | Not | All | Any
