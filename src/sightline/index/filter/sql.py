"""A condition as SQL that Lance reads: names become columns, and each comparison is checked against their types."""

from collections.abc import Mapping
from difflib import get_close_matches

from sightline.index.columns import MEANINGS, Column
from sightline.index.filter import comparisons, tree
from sightline.index.filter.grammar import parse, quoted
from sightline.index.filter.tokens import Unsuitable, fail

_LIMIT = 10_000
"""So many comparisons may a condition hold. Lists behind IN may be of any length."""
_DEPTH = 15
"""So deep may AND and OR be nested in turn: Lance reads a little more than 20 levels."""
_CHAIN = 100
"""A chain of AND or OR fills Lance's stack as deep as it is long: longer ones are cut into parts of this many."""
_OTHER_NAMES = {
    "path": "uri", "file": "uri", "filename": "uri", "name": "uri", "folder": "uri", "date": "taken", "time": "taken",
    "created": "taken", "modified": "mtime", "camera": "camera_model", "make": "camera_make", "model": "camera_model",
    "aperture": "f_number", "shutter": "exposure", "tags": "keywords", "tag": "keywords", "keyword": "keywords",
    "stars": "rating", "lat": "latitude", "lon": "longitude", "lng": "longitude", "type": "kind", "length": "duration",
    "description": "caption", "filesize": "size", "bytes": "size",
}  # fmt: skip
"""How people call the columns."""
_SWAPPED: dict[tree.Sign, tree.Sign] = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def sql_of(condition: str, columns: Mapping[str, Column], more: str = "") -> str:
    """The condition over these columns, by name, as SQL. `more`: how the table gets columns that it lacks.

    Raises UsageError, with the place, for what is outside of the grammar, for a name that is no column, and for values
    that a column cannot have.
    """
    return _Writer(condition, columns, more).whole()


class _Writer:
    def __init__(self, condition: str, columns: Mapping[str, Column], more: str) -> None:
        self._condition, self._columns, self._more = condition, columns, more
        self._count = 0
        self._used: list[str] = []
        """The columns of the comparison that is being written."""

    def whole(self) -> str:
        return self._write(parse(self._condition), False, 0)

    def _write(self, node: tree.Condition, is_negated: bool, depth: int) -> str:
        """A NOT is carried down to the comparisons: Lance reads nested ones very slowly. What is unknown is left to
        nobody there: Lance takes NOT (x IN (1) AND x IN (2)) for true also where x is null."""
        match node:
            case tree.Not(part):
                return self._write(part, not is_negated, depth)
            case tree.Compare(left, "!=", right):
                return self._write(tree.Compare(left, "=", right), not is_negated, depth)
            case tree.All(parts) | tree.Any(parts):
                if depth == _DEPTH:
                    fail(self._condition, 0, f"AND and OR may be nested {_DEPTH} deep")
                word = "AND" if isinstance(node, tree.All) != is_negated else "OR"
                return _chained(word, [self._write(part, is_negated, depth + 1) for part in parts])
        self._count += 1
        if self._count > _LIMIT:
            fail(self._condition, 0, f"it holds more than {_LIMIT:,} comparisons; a list behind IN may be longer")
        self._used = []
        test = self._leaf(node)
        if not is_negated:
            return test
        known = [] if isinstance(node, tree.IsNull) else [f"{name} IS NOT NULL" for name in self._used]
        return f"({' AND '.join([*known, f'NOT ({test})'])})"

    def _leaf(self, node: tree.Leaf) -> str:
        place = 0
        try:
            match node:
                case tree.Truth(value):
                    return str(value).lower()
                case tree.Compare(left, sign, right):
                    return self._compare(left, sign, right)
                case tree.In(column, values):
                    place = values[0].start
                    return comparisons.is_in(self._column(column), values)
                case tree.Like(column, pattern):
                    place = pattern.start
                    return comparisons.like(self._column(column), node)
                case tree.IsNull(column):
                    return f"{comparisons.name(self._column(column))} IS NULL"
                case tree.Below(column, path):
                    place = path.start
                    return comparisons.below(self._column(column), path)
                case tree.Near(latitude):
                    place = latitude.start
                    columns = [self._column(tree.Name(name, place)) for name in ("latitude", "longitude")]
                    return comparisons.near(columns[0], columns[1], node)
                case tree.Holds(name):
                    place = name.start
                    return comparisons.compare(self._column(name), "=", tree.Truth(True, place))
        except Unsuitable as error:
            fail(self._condition, place, str(error))

    def _compare(self, left: tree.Operand, sign: tree.Sign, right: tree.Operand) -> str:
        if not isinstance(left, tree.Name):
            left, sign, right = right, _SWAPPED[sign], left
        assert isinstance(left, tree.Name)  # as the grammar has it
        column = self._column(left)
        try:
            if isinstance(right, tree.Name):
                return comparisons.compare_columns(column, sign, self._column(right, is_value=column.kind == "text"))
            return comparisons.compare(column, sign, right)
        except Unsuitable as error:
            fail(self._condition, right.start, str(error))

    def _column(self, name: tree.Name, is_value: bool = False) -> Column:
        """`is_value`: a text would do in its place as well."""
        known = name.text.lower()
        if known in self._columns:
            self._used.append(comparisons.name(self._columns[known]))
            return self._columns[known]
        if known in MEANINGS:
            fail(self._condition, name.start, f"this index has no column {known} yet{self._more}")
        is_text = is_value or not name.is_bare
        close = get_close_matches(known, self._columns, 1, 0.8 if is_text else 0.6)
        near = _OTHER_NAMES.get(known) or next(iter(close), None)
        advice = f"did you mean {near}?" if near in self._columns else "`sightline info` lists the columns"
        if is_text:
            advice = f"texts are in single quotes, {quoted(name.text)}; {advice}"
        fail(self._condition, name.start, f"there is no column {name.text!r}: {advice}")


def _chained(word: str, tests: list[str]) -> str:
    while len(tests) > _CHAIN:
        tests = [_chained(word, tests[start : start + _CHAIN]) for start in range(0, len(tests), _CHAIN)]
    return f"({f' {word} '.join(tests)})"
