"""Random conditions of the grammar, as we and as DuckDB write them, and what each finds in a table of drawn rows."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from sightline.errors import UsageError
from sightline.index import Table
from support.tables import MODEL, rows

WORDS = (
    "Canon",
    "canon EOS",
    "NIKON",
    "a_b%c",
    "it's",
    "100%",
    "猫の写真",
    "Москва",
    "smile 😀",
    "",
    "back\\slash",
    "x!y",
)
WHOLE, REAL, SHORT = ("width", "size", "rating", "iso"), ("f_number", "latitude"), ("start", "end")
TEXTS = ("camera_make", "title", "codec")
COLUMNS = ("id", *WHOLE, *REAL, *SHORT, *TEXTS, "taken", "has_audio", "keywords")
BATCH = 100
"""Conditions that are asked for at a time."""
FIRST = datetime(2018, 12, 31, 22)

Both = tuple[str, str]
"""A condition as we write it, and as DuckDB does."""


def drawn_table(folder: Path, count: int = 300, seed: int = 0) -> Table:
    """Rows with nulls in every column that may be null, few different values in each, so that comparisons hit."""
    chance = random.Random(seed)

    def some(make: Callable[[], Any], null: float = 0.2) -> list[Any]:
        return [None if chance.random() < null else make() for _ in range(count)]

    table = Table.create(folder, MODEL)
    table.append(
        rows(
            range(count),
            width=some(lambda: chance.randrange(1, 9), 0),
            size=some(lambda: chance.choice((0, 1, 2**33, 2**53 + 1, 2**63 - 1)), 0),
            rating=some(lambda: chance.randrange(-1, 6)),
            iso=some(lambda: chance.choice((100, 400, 2**40))),
            f_number=some(lambda: chance.choice((1.4, 2.8, 0.1, -3.5, 1e300))),
            latitude=some(lambda: chance.choice((-90.0, 0.0, 52.5, 0.1 + 0.2))),
            start=some(lambda: chance.choice((0.0, 0.1, 1.5, 3.3333333, 90.0))),
            end=some(lambda: chance.choice((0.1, 0.3, 2.8, 90.0))),
            camera_make=some(lambda: chance.choice(WORDS)),
            title=some(lambda: chance.choice(WORDS)),
            codec=some(lambda: chance.choice(("h264", "hevc", "H264"))),
            taken=some(lambda: FIRST + timedelta(hours=chance.randrange(6), microseconds=chance.randrange(3))),
            has_audio=some(lambda: chance.random() < 0.5),
            keywords=some(lambda: [chance.choice(WORDS) for _ in range(chance.randrange(1, 4))]),
        )
    )
    return table


class Conditions:
    """An endless row of random conditions. `is_plain`: only such as DuckDB writes in the very same way."""

    def __init__(self, seed: int, is_plain: bool = False) -> None:
        self.chance = random.Random(seed)
        self.is_plain = is_plain

    def next(self, depth: int = 3) -> Both:
        """Parentheses are often left out: AND binds more closely than OR, and NOT than both."""
        if depth == 0 or self.chance.random() < 0.3:
            return self._leaf()
        if self.chance.random() < 0.25:
            inner = self.next(depth - 1)
            return _each("{} {}", self._word("NOT"), _inside(inner) if self.chance.random() < 0.7 else inner)
        parts = [self.next(depth - 1) for _ in range(self.chance.randrange(2, 4))]
        found = parts[0]
        for part in parts[1:]:
            part = _inside(part) if self.chance.random() < 0.5 else part
            found = _each("{} {} {}", found, self._word(self.chance.choice(("AND", "OR"))), part)
        return found

    def _leaf(self) -> Both:
        kinds = [self._whole, self._real, self._text, self._date, self._columns, self._null, self._truth]
        if not self.is_plain:
            kinds += [self._short, self._keywords]
        return self.chance.choice(kinds)()

    def _whole(self) -> Both:
        column = self._name(WHOLE)
        if self.is_plain or self.chance.random() < 0.8:
            numbers = (-1, 0, 1, 3, 5, 400, 2**33, 2**53 + 1)
            return self._tests(column, lambda: self._same(str(self.chance.choice(numbers))))
        number = self.chance.choice((0.5, 2.5, -0.1, 1e30))
        return _each(
            "{} {} {}", (column[0], f"{column[1]}::DOUBLE"), self._sign(), (repr(number), f"{number!r}::DOUBLE")
        )

    def _real(self) -> Both:
        numbers = (1.4, 2.8, 0.1, 0.3, -90.0, 1e300)
        return self._tests(self._name(REAL), lambda: self._same(repr(self.chance.choice(numbers))))

    def _short(self) -> Both:
        def number() -> Both:
            value = self.chance.choice(("0", "0.1", "0.3", "3.3333333", "90", "2.8"))
            return value, f"{value}::FLOAT"

        return self._tests(self._name(SHORT), number)

    def _text(self) -> Both:
        column = self._name(TEXTS)
        if self.chance.random() < 0.5:
            return self._tests(column, lambda: self._same(_quoted(self.chance.choice(WORDS))))
        parts = (*"%%%__", "a", "can", "C", "猫", "100!%", "it's", "!_", "😀")
        pattern = "".join(self.chance.choice(parts) for _ in range(3))
        word = self._word(self.chance.choice(("LIKE", "NOT LIKE", "ILIKE")))
        return _each("{} {} {} {}", column, word, self._same(_quoted(pattern)), self._word("ESCAPE '!'"))

    def _date(self) -> Both:
        def moment() -> Both:
            time = FIRST + timedelta(hours=self.chance.randrange(6), microseconds=self.chance.randrange(3))
            return self._same(f"timestamp '{time}'")

        return self._tests(self._name(("taken",)), moment)

    def _keywords(self) -> Both:
        column = self._name(("keywords",))
        words = [_quoted(self.chance.choice(WORDS)) for _ in range(self.chance.randrange(1, 3))]
        holds = f"list_has_any({column[1]}, [{', '.join(words)}])"
        if len(words) > 1:
            return f"{column[0]} IN ({', '.join(words)})", holds
        return self.chance.choice(
            ((f"{column[0]} = {words[0]}", holds), (f"{column[0]} != {words[0]}", f"NOT {holds}"))
        )

    def _columns(self) -> Both:
        chosen = self.chance.choice((WHOLE, REAL, TEXTS) if self.is_plain else (WHOLE + REAL + SHORT, TEXTS))
        sides = [self._name(chosen) for _ in range(2)]
        if chosen[0] == "width" and any(name.strip('"').lower() not in WHOLE for name, _ in sides):
            sides = [(ours, f"{theirs}::DOUBLE") for ours, theirs in sides]
        return _each("{} {} {}", sides[0], self._sign(), sides[1])

    def _null(self) -> Both:
        is_null = self._word(self.chance.choice(("IS NULL", "IS NOT NULL")))
        return _each("{} {}", self._name(COLUMNS[:-1] if self.is_plain else COLUMNS), is_null)

    def _truth(self) -> Both:
        column = self._name(("has_audio",))
        if self.chance.random() < 0.5:
            return column
        sign, value = self._same(self.chance.choice(("=", "!="))), self._word(self.chance.choice(("TRUE", "FALSE")))
        return _each("{} {} {}", column, sign, value)

    def _tests(self, column: Both, value: Callable[[], Both]) -> Both:
        """A comparison, BETWEEN or IN; with the column on either side."""
        negated = self._word(self.chance.choice(("", "", "NOT")))
        match self.chance.randrange(5):
            case 0:
                between, both = self._word("BETWEEN"), self._word("AND")
                return _each("{} {} {} {} {} {}", column, negated, between, value(), both, value())
            case 1:
                values = [value() for _ in range(self.chance.randrange(1, 5))]
                listed = ", ".join(ours for ours, _ in values), ", ".join(theirs for _, theirs in values)
                return _each("{} {} {} ({})", column, negated, self._word("IN"), listed)
            case 2:
                return _each("{} {} {}", value(), self._sign(), column)
            case _:
                return _each("{} {} {}", column, self._sign(), value())

    def _name(self, names: Sequence[str]) -> Both:
        name = self.chance.choice(names)
        return self._same(self.chance.choice((f'"{name}"', f'"{name}"', name.upper() if name != "end" else '"END"')))

    def _sign(self) -> Both:
        return self._same(self.chance.choice(("=", "==", "!=", "<>", "<", "<=", ">", ">=")))

    def _word(self, words: str) -> Both:
        return self._same(self.chance.choice((words, words.lower())))

    def _same(self, text: str) -> Both:
        return text, text


def spoiled(condition: str, chance: random.Random) -> str:
    """The condition with a piece put in, put behind, taken out, doubled, or with its end cut off."""
    pieces = (
        " ", "'", '"', "(", ")", ",", ";", "--", "/*", " AND ", " OR ", " NOT ", "=", "<", "1", " 1", ".5", "%",
        " limit 2", " nonsense", " or 1=1", ") or (1=1", " order by id", " IS NULL", "-", "+ 1", "e3", " width",
        " NULL", "!", "\\", "::int",
    )  # fmt: skip
    at = chance.randrange(len(condition) + 1)
    until = min(at + chance.randrange(1, 12), len(condition))
    match chance.randrange(5):
        case 0:
            return condition[:at] + chance.choice(pieces) + condition[at:]
        case 1:
            return condition + chance.choice(pieces)
        case 2:
            return condition[:at] + condition[until:]
        case 3:
            return condition[:until] + condition[at:]
        case _:
            return condition[:at]


class Oracle:
    """DuckDB on the same rows."""

    def __init__(self, table: Table) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.register("given", table.columns(COLUMNS))
        self._connection.execute("CREATE TABLE items AS SELECT * FROM given ORDER BY id")

    def find(self, conditions: Sequence[str]) -> NDArray[np.bool_]:
        """(rows, conditions): whether each holds, in the order of the ids. Raises duckdb.Error."""
        listed = ", ".join(f"coalesce(({text}\n), false) AS c{n}" for n, text in enumerate(conditions))
        found = self._connection.execute(f"SELECT {listed} FROM items ORDER BY id").fetchnumpy()
        return np.column_stack([found[f"c{n}"] for n in range(len(conditions))])


def find(table: Table, conditions: Sequence[str]) -> NDArray[np.bool_]:
    """As `Oracle.find`, by the SQL that we write for Lance, many conditions in one pass."""
    columns = {"id": "id"} | {f"c{n}": table.condition_sql(text) for n, text in enumerate(conditions)}
    found = table.dataset.to_table(columns=columns).sort_by("id")
    return np.column_stack([found.column(f"c{n}").fill_null(False).to_numpy() for n in range(len(conditions))])


def disagreements(table: Table, oracle: Oracle, count: int, seed: int) -> list[str]:
    """Of so many random conditions those for which we and DuckDB find different rows."""
    conditions, wrong = Conditions(seed), []
    for start in range(0, count, BATCH):
        batch = [conditions.next() for _ in range(min(BATCH, count - start))]
        differ = find(table, [ours for ours, _ in batch]) != oracle.find([theirs for _, theirs in batch])
        wrong += [batch[place][0] for place in np.flatnonzero(differ.any(axis=0))]
    return wrong


def misread(table: Table, oracle: Oracle, count: int, seed: int) -> tuple[int, list[str]]:
    """Of so many spoiled conditions: how many are conditions still, and those of them that are another one for DuckDB,
    which reads the whole text or nothing."""
    conditions, chance = Conditions(seed, is_plain=True), random.Random(seed)
    read, wrong = 0, []
    for _ in range(count):
        text = spoiled(conditions.next()[0], chance)
        try:
            found = find(table, [text])
        except UsageError:
            continue
        if re.search(r"(?<!timestamp )'\d{4}-", text):  # without its word a date is a period
            continue
        read += 1
        try:
            wrong += [text] if (found != oracle.find([text])).any() else []
        except duckdb.Error:
            wrong.append(text)
    return read, wrong


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _inside(part: Both) -> Both:
    return f"({part[0]})", f"({part[1]})"


def _each(form: str, *parts: Both) -> Both:
    return form.format(*(ours for ours, _ in parts)), form.format(*(theirs for _, theirs in parts))
