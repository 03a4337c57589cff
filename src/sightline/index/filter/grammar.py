"""The grammar of conditions, read by recursive descent: a text becomes a `tree`, or an error that shows the place.

condition := both (OR both)*
both      := part (AND part)*
part      := NOT part | "(" condition ")" | TRUE | FALSE | NEAR "(" number "," number "," number ")"
           | operand sign operand | operand [NOT] BETWEEN operand AND operand
           | column [NOT] IN "(" value ("," value)* ")" | column [NOT] LIKE|ILIKE text [ESCAPE text]
           | column IS [NOT] NULL | column [NOT] BELOW text | column
operand   := column | value
value     := ["+"|"-"] number [unit | "/" number] | text | TIMESTAMP text | DATE text | TRUE | FALSE
sign      := "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="
"""

import re
from decimal import Decimal
from typing import NoReturn

from sightline.index.filter import tree
from sightline.index.filter.tokens import Token, fail, tokens

DEPTH = 50
"""So deep may parentheses be nested."""
_KEYWORDS = frozenset((
    "AND", "OR", "NOT", "IN", "BETWEEN", "LIKE", "ILIKE", "ESCAPE", "IS", "NULL", "TRUE", "FALSE", "TIMESTAMP", "DATE",
    "NEAR", "BELOW",
))  # fmt: skip
_SIGNS: dict[str, tree.Sign] = {
    "=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
}  # fmt: skip
_UNITS = frozenset(("B", "KB", "MB", "GB", "TB", "KIB", "MIB", "GIB", "TIB", "MS", "S", "SEC", "MIN", "H"))
"""They may stand apart from their number."""


def parse(condition: str) -> tree.Condition:
    """Raises UsageError for what is outside of the grammar, wherever in the text it stands."""
    return _Parser(condition).whole()


def quoted(text: str) -> str:
    """The text as a condition writes it, in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def containing(text: str) -> str:
    """The pattern, as a condition writes it behind LIKE, of all texts that have this one in them."""
    return quoted("%" + re.sub("([!%_])", r"!\1", text) + "%") + " ESCAPE '!'"


class _Parser:
    def __init__(self, condition: str) -> None:
        self.condition = condition
        self._tokens = list(tokens(condition))
        self._next = 0
        self._depth = 0

    # ---- the conditions

    def whole(self) -> tree.Condition:
        if self._token.kind == "end":
            self._fail("a condition is missing, such as width > 1000")
        found = self._condition()
        if self._token.kind != "end":
            self._fail(self._left_over())
        return found

    def _condition(self) -> tree.Condition:
        parts = [self._both()]
        while self._take_word("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else tree.Any(tuple(parts))

    def _both(self) -> tree.Condition:
        parts = [self._part()]
        while self._take_word("AND"):
            parts.append(self._part())
        return parts[0] if len(parts) == 1 else tree.All(tuple(parts))

    def _part(self) -> tree.Condition:
        is_negated = False
        while self._take_word("NOT"):
            is_negated = not is_negated
        if self._token.is_sign("("):
            found = self._nested()
        elif self._token.is_word("NEAR"):
            found = self._near()
        else:
            found = self._predicate()
        return tree.Not(found) if is_negated else found

    def _nested(self) -> tree.Condition:
        if self._depth == DEPTH:
            self._fail(f"parentheses may be nested {DEPTH} deep")
        self._depth += 1
        self._advance()
        found = self._condition()
        self._expect(")", self._left_over())
        self._depth -= 1
        return found

    def _near(self) -> tree.Condition:
        self._advance()
        wanted = "NEAR (LATITUDE, LONGITUDE, KILOMETRES) takes three numbers, such as NEAR (52.5, 13.4, 10)"
        self._expect("(", wanted)
        numbers = [self._number(wanted)]
        for _ in range(2):
            self._expect(",", wanted)
            numbers.append(self._number(wanted))
        self._expect(")", wanted)
        return tree.Near(*numbers)

    def _predicate(self) -> tree.Condition:
        left = self._operand()
        if self._token.kind == "sign" and self._token.value in _SIGNS:
            sign = _SIGNS[self._advance().value]
            if self._token.kind == "sign" and self._token.value in _SIGNS:
                self._fail("two signs follow one another; signs are = == != <> < <= > >=")
            return self._compare(left, sign, self._operand())
        if self._take_word("IS"):
            is_negated = self._take_word("NOT")
            if not self._take_word("NULL"):
                self._fail("after IS comes NULL, or NOT NULL")
            null = tree.IsNull(self._column(left))
            return tree.Not(null) if is_negated else null
        if self._token.is_word("NOT") and self._peek().is_word("IN", "BETWEEN", "LIKE", "ILIKE", "BELOW"):
            self._advance()
            return tree.Not(self._test(left))
        if self._token.is_word("IN", "BETWEEN", "LIKE", "ILIKE", "BELOW"):
            return self._test(left)
        if isinstance(left, tree.Truth):
            return left
        return tree.Holds(self._column(left))

    def _test(self, left: tree.Operand) -> tree.Condition:
        """IN, BETWEEN, LIKE, ILIKE or BELOW, without a NOT before it."""
        word = self._advance().value.upper()
        if word == "BETWEEN":
            low = self._operand()
            if not self._take_word("AND"):
                self._fail("BETWEEN takes two values with AND between them: width BETWEEN 100 AND 200")
            high = self._operand()
            return tree.All((self._compare(left, ">=", low), self._compare(left, "<=", high)))
        if word == "IN":
            if isinstance(left, tree.Text) and self._token.kind in ("word", "quoted"):
                self._fail(f"a value of a list is asked for so: {self._token.value} = {quoted(left.value)}")
            return tree.In(self._column(left), self._values())
        column = self._column(left)
        pattern = self._text(f"after {word} comes a text in single quotes")
        if word == "BELOW":
            return tree.Below(column, pattern)
        return tree.Like(column, pattern, self._escape(), word == "ILIKE")

    def _compare(self, left: tree.Operand, sign: tree.Sign, right: tree.Operand) -> tree.Condition:
        if not isinstance(left, tree.Name) and not isinstance(right, tree.Name):
            self._fail("two values are compared here: one of them must be a column", left.start)
        return tree.Compare(left, sign, right)

    # ---- what is compared

    def _operand(self) -> tree.Operand:
        token = self._token
        is_word = token.value.upper() not in _KEYWORDS or (token.is_word("DATE") and self._peek().kind != "text")
        if token.kind == "quoted" or (token.kind == "word" and is_word):
            self._advance()
            if token.kind == "word" and self._token.is_sign("("):
                self._fail(f"there are no functions such as {token.value}()", token.start)
            self._refuse_arithmetic()
            return tree.Name(token.value, token.start, token.kind == "word")
        return self._value()

    def _column(self, operand: tree.Operand) -> tree.Name:
        if not isinstance(operand, tree.Name):
            self._fail("a column is missing here, or a sign such as = behind it", operand.start)
        return operand

    def _values(self) -> tuple[tree.Value, ...]:
        wanted = "after IN comes a list in parentheses: rating IN (4, 5)"
        self._expect("(", wanted)
        values = [self._value()]
        while self._token.is_sign(","):
            self._advance()
            values.append(self._value())
        self._expect(")", "a list ends with a parenthesis, and commas stand between its values")
        return tuple(values)

    def _value(self) -> tree.Value:
        token = self._token
        if token.kind in ("number", "clock") or token.is_sign("+", "-"):
            return self._number("a number is missing")
        if token.is_word("TIMESTAMP", "DATE"):
            self._advance()
            text = self._text(f"after {token.value} comes a text in single quotes: timestamp '2024-12-31 18:00:00'")
            return tree.Text(text.value, token.value.upper(), token.start)
        if token.is_word("TRUE", "FALSE"):
            self._advance()
            return tree.Truth(token.is_word("TRUE"), token.start)
        if token.is_word("NULL"):
            self._fail("nothing is equal to NULL; write IS NULL or IS NOT NULL")
        if token.kind == "quoted":
            self._fail("texts are in single quotes; double quotes are for names of columns")
        if token.is_sign("("):
            self._fail("parentheses are for whole conditions and for the list behind IN")
        return self._text("a column or a value is missing here")

    def _number(self, wanted: str) -> tree.Number:
        start = self._token.start
        is_negative = self._token.is_sign("-")
        if self._token.is_sign("+", "-"):
            self._advance()
        token = self._token
        if token.kind not in ("number", "clock"):
            self._fail(wanted)
        self._advance()
        if token.kind == "clock":
            value, unit = _seconds(token.value), "clock"
        else:
            value, unit = Decimal(token.value), self._unit(token)
            if not unit and self._token.is_sign("/") and self._peek().kind == "number":
                value, unit = self._fraction(value), "/"
        if self._token.is_sign("-") and self._peek().kind == "number":
            self._fail("a date is in single quotes, such as '2019-01-31'; there is no arithmetic", start)
        self._refuse_arithmetic()
        return tree.Number(-value if is_negative else value, unit, start)

    def _fraction(self, value: Decimal) -> Decimal:
        """An exposure time as cameras show it: 1/100, 1/100 s."""
        self._advance()
        divisor = self._token
        if not Decimal(divisor.value):
            self._fail("nothing is divided by 0")
        self._advance()
        if self._unit(divisor).upper() not in ("", "S", "SEC"):
            self._fail("a fraction is one of a second", divisor.start)
        return value / Decimal(divisor.value)

    def _unit(self, number: Token) -> str:
        token = self._token
        if token.kind != "word" or (token.start > number.end and token.value.upper() not in _UNITS):
            return ""
        return self._advance().value

    def _text(self, wanted: str) -> tree.Text:
        if self._token.kind != "text":
            self._fail(wanted)
        token = self._advance()
        return tree.Text(token.value, "", token.start)

    def _escape(self) -> str | None:
        if not self._take_word("ESCAPE"):
            return None
        text = self._text("after ESCAPE comes one character in single quotes")
        if len(text.value) != 1:
            self._fail("after ESCAPE comes one character in single quotes", text.start)
        return text.value

    def _refuse_arithmetic(self) -> None:
        if self._token.is_sign("+", "-", "*", "/", "%"):
            self._fail("there is no arithmetic: a column is compared with a value or another column")
        if self._token.is_sign("."):
            self._fail("columns are named without the table's name")

    # ---- the tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _peek(self) -> Token:
        return self._tokens[min(self._next + 1, len(self._tokens) - 1)]

    def _advance(self) -> Token:
        token = self._token
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _take_word(self, word: str) -> bool:
        is_there = self._token.is_word(word)
        if is_there:
            self._advance()
        return is_there

    def _expect(self, sign: str, wanted: str) -> None:
        if not self._token.is_sign(sign):
            self._fail(wanted)
        self._advance()

    def _left_over(self) -> str:
        """What is wrong where a condition could have ended."""
        token, before = self._token, self._tokens[self._next - 1]
        if token.kind == "end":
            return "a closing parenthesis is missing"
        if token.is_sign(")"):
            return "no parenthesis was opened that could be closed here"
        if token.is_word("NOT"):
            return "after NOT comes IN, BETWEEN, LIKE, ILIKE or BELOW here"
        if before.kind == "number" and (token.kind == "number" or token.is_sign(",")):
            return "numbers are written without spaces and commas: 10000000, or 10MB for a size"
        if before.is_sign(")") and token.kind == "sign" and token.value in _SIGNS:
            return "parentheses are for whole conditions and for the list behind IN"
        if token.kind == "sign" and token.value in _SIGNS:
            return "only two things are compared at a time; use AND, or BETWEEN"
        return "this is left over; between two conditions stands AND or OR"

    def _fail(self, reason: str, start: int | None = None) -> NoReturn:
        fail(self.condition, self._token.start if start is None else start, reason)


def _seconds(clock: str) -> Decimal:
    """1:30 or 1:02:03."""
    seconds = Decimal(0)
    for part in clock.split(":"):
        seconds = seconds * 60 + Decimal(part)
    return seconds
