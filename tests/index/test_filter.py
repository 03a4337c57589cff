"""Conditions: DuckDB finds the same rows; whatever is outside of the grammar is an error; what is ours by design."""

import re
import sys
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from sightline.errors import UsageError
from sightline.index import Table
from sightline.index.columns import MEANINGS
from sightline.index.filter import Unsuitable, period
from sightline.index.schema import LARGE_COLUMNS, item_schema
from support.conditions import Conditions, Oracle, disagreements, drawn_table, find, misread
from support.examples import examples
from support.tables import MODEL, rows

TIMES = [
    datetime(2018, 12, 31, 23, 59, 59),
    datetime(2019, 1, 1),
    datetime(2019, 6, 15, 10, 0, 30),
    datetime(2019, 6, 30, 23, 59, 59, 999_999),
    datetime(2020, 1, 1),
    None,
]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    table = drawn_table(tmp_path_factory.mktemp("drawn"))
    return table, Oracle(table)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Six rows, in which every kind of column has values."""
    table = Table.create(tmp_path_factory.mktemp("index"), MODEL)
    table.append(
        rows(
            range(6),
            uri=[
                "/p/a.jpg",
                "/p/cafe\u0301/x.jpg",
                "/p/caf\u00e9.jpg",
                "/p/a_b/%.jpg",
                "/p/aXb/1.jpg",
                "file:///p/a_b/%E9",
            ],
            kind=["image"] * 5 + ["moment"],
            size=[0, 1, 999, 1000, 10_000_000, 2**63 - 1],
            width=[4, 3, 2, 1, 5, 2**31 - 1],
            start=[0.1, 90, None, 30, 60, 1.5],
            duration=[None, 90.5, None, 3600, None, None],
            exposure=[0.01, 1 / 3, None, 4, 0.02, 0.001],
            f_number=[2.8, 1.4, None, 22, float("nan"), 0.0],
            taken=TIMES,
            added=TIMES,
            has_audio=[True, False, None, True, False, None],
            camera_make=["Canon", "CANON", None, "Nikon", "", "Canon EOS"],
            keywords=[["a"], ["b", "cafe\u0301"], None, ["a", "O'x"], None, ["a"]],
            rating=[5, -1, None, 0, 3, 4],
            latitude=[52.5, -89.9, None, 0, 52.6, 90],
            longitude=[13.4, 0, None, -179.99, 13.5, 50],
        )
    )
    return table


def test_duckdb_finds_the_same_rows(drawn):
    assert disagreements(*drawn, count=2000, seed=1) == []


def test_a_part_of_a_condition_never_finds_rows(drawn):
    read, wrong = misread(*drawn, count=2000, seed=2)
    assert wrong == []
    assert read > 50


def test_rows_are_found_by_one_condition_as_by_many(drawn):
    table, _ = drawn
    conditions = Conditions(3)
    for ours in [conditions.next()[0] for _ in range(60)]:
        assert sorted(table.ids_where(ours)) == find(table, [ours])[:, 0].nonzero()[0].tolist()


# What is left over, what is forgotten, what people write elsewhere; and what of it the error shows.
WRONG = [
    ("size > 10 000 000", "'000 000' (character 11)", "without spaces"),
    ("width > 1,000", "',000'", "without spaces and commas"),
    ("width > 50 height > 10000", "'height > 10000'", "AND or OR"),
    ("kind = 'image' nonsense here", "'nonsense here'", "left over"),
    ("kind = 'image' limit 2", "'limit 2'", "left over"),
    ("kind = 'image' order by taken", "'order by taken'", "left over"),
    ("kind = 'image' group by x", "'group by x'", "left over"),
    ("width > 50) or (1=1", "') or (1=1'", "parenthesis"),
    ("(width > 50", "at its end", "closing parenthesis"),
    ("(width > 50 height", "'height'", "left over"),
    ("taken > timestamp '2021-01-01' 00:00:00", "'00:00:00'", "left over"),
    ("width > 100px", "'100px'", "no units"),
    ("width > 100 px", "'px'", "left over"),
    ("size > 10 pounds", "'pounds'", "left over"),
    ("size > 10Mbit", "'10Mbit'", "no unit of size"),
    ("start > 10MB", "'10MB'", "no unit of start"),
    ("width > 1:30", "'1:30'", "no units"),
    ("width > 0x10", "'0x10'", "no units"),
    ("width > 1_000", "'1_000'", "no units"),
    ("width > 1e9999", "'9'", "without spaces"),
    ("width > 5; drop table items", "'; drop table items'", "semicolon"),
    ("width > 5 -- all", "'-- all'", "no comments"),
    ("width /* all */ > 5", "'/* all */ > 5'", "no comments"),
    ("width in (select 1)", "'select 1)'", "value is missing"),
    ("exists (select 1)", "from its beginning", "no functions"),
    ("lower(uri) = 'a'", "from its beginning", "no functions"),
    ("array_has(keywords, 'a')", "from its beginning", "no functions"),
    ("width + 1 > 5", "'+ 1 > 5'", "no arithmetic"),
    ("width > height * 2", "'* 2'", "no arithmetic"),
    ("iso = 1/250", "'1/250'", "only exposure is written as a fraction"),
    ("exposure = 1/0", "'0'", "divided by 0"),
    ("exposure = 1/250 MB", "'250 MB'", "of a second"),
    ("exposure = f/2.8", "'/2.8'", "no arithmetic"),
    ("width > 5 || height > 5", "'|| height > 5'", "write OR"),
    ("width > 5 && height > 5", "'&& height > 5'", "write AND"),
    ("width ≥ 5", "'≥ 5'", "write >="),
    ("title ~ 'x'", "\"~ 'x'\"", "write LIKE"),
    ("uri = 'a.jpg'", '"\'a.jpg\'"', "uri LIKE '%a.jpg%'"),
    ("uri in ('it''s')", '"\'it\'\'s\')"', "uri LIKE '%it''s%'"),
    ("kind = image", "'image'", "single quotes, 'image'; `sightline info`"),
    ("items.width > 5", "'.width > 5'", "without the table's name"),
    ("width = null", "'null'", "IS NULL"),
    ("width in (1, null)", "'null)'", "IS NULL"),
    ("width is 5", "'5'", "after IS comes NULL"),
    ("width not 5", "'not 5'", "after NOT comes"),
    ("1 = 1", "from its beginning", "must be a column"),
    ("'a' like 'a'", "from its beginning", "column is missing"),
    ("1 < width < 5", "'< 5'", "BETWEEN"),
    ("width => 5", "'> 5'", "signs are"),
    ("width =! 5", "'! 5'", "write NOT before a condition, or !="),
    ("width > ５", "'５'", "write 5"),
    ("width between 5", "at its end", "BETWEEN takes two values"),
    ("width in 5", "'5'", "list in parentheses"),
    ("width in ()", "')'", "value is missing"),
    ("width in (5", "at its end", "ends with a parenthesis"),
    ("width in (5 6)", "'6)'", "commas"),
    ("width", "from its beginning", "compare it with a number"),
    ("(width) > 5", "'> 5'", "parentheses are for whole conditions"),
    ("", "at its end", "a condition is missing"),
    ("  ", "at its end", "a condition is missing"),
    ("width >", "at its end", "value is missing"),
    ("width > 5 and", "at its end", "value is missing"),
    ("and width > 5", "from its beginning", "value is missing"),
    ("not", "at its end", "value is missing"),
    ("uri = 'a", '"\'a"', "has no end"),
    ('"width > 5', "from its beginning", "has no end"),
    ("width > ‘5’", "'‘5’'", "straight single quotes"),
    ("width > “5”", "'“5”'", "straight single quotes"),
    ("größe > 5", "from its beginning", "no column 'größe'"),
    ("path like '%a'", "from its beginning", "did you mean uri?"),
    ("ratin > 3", "from its beginning", "did you mean rating?"),
    ("date > '2019'", "from its beginning", "did you mean taken?"),
    ("_rowid > 3", "from its beginning", "`sightline info` lists"),
    ("_row_created_at_version > 3", "from its beginning", "`sightline info` lists"),
    ("vector = 3", "from its beginning", "no column 'vector'"),
    ("camera_make = Canon", "'Canon'", "single quotes, 'Canon'"),
    ('camera_make = "Canon"', "'\"Canon\"'", "single quotes, 'Canon'"),
    ('camera_make like "Can%"', "'\"Can%\"'", "single quotes"),
    ("width > '5'", '"\'5\'"', "number, without quotes"),
    ("start > '1:30'", '"\'1:30\'"', "number, without quotes"),
    ("hash = 5", "'5'", "text in single quotes"),
    ("has_audio = 1", "'1'", "true or false"),
    ("has_audio > true", "'true'", "knows = and !="),
    ("keywords > 'a'", '"\'a\'"', "knows = and !="),
    ("keywords like 'a%'", '"\'a%\'"', "LIKE is for texts"),
    ("keywords = title", "'title'", "can't be compared"),
    ("'a' in keywords", "'keywords'", "keywords = 'a'"),
    ("taken like '2019%'", '"\'2019%\'"', "LIKE is for texts"),
    ("width like '1%'", '"\'1%\'"', "LIKE is for texts"),
    ("width > title", "'title'", "can't be compared"),
    ("taken > added", "'added'", "only one of them is in UTC"),
    ("kind = 'video'", '"\'video\'"', "kind = 'moment'"),
    ("kind in ('image', 'video')", "\"'image', 'video')\"", "kind = 'moment'"),
    ("kind like 'vid%'", '"\'vid%\'"', "compare it by ="),
    ("taken > 2019", "'2019'", "date in single quotes"),
    ("taken > 2019-01-01", "'2019-01-01'", "single quotes"),
    ("taken > '1.1.2019'", '"\'1.1.2019\'"', "the year comes first"),
    ("taken > timestamp '2019年10月'", '"timestamp', "not a point in time"),
    ("taken > 'yesterday'", '"\'yesterday\'"', "not a date"),
    ("taken > '2019-02-30'", '"\'2019-02-30\'"', "no such date"),
    ("taken > '2019-01-01T00:00:00Z'", '"\'2019-01-01T00:00:00Z\'"', "no zone"),
    ("taken > timestamp '2019-01-01 00:00:00+02:00'", '"timestamp', "no zone"),
    ("taken > timestamp '2019'", '"timestamp', "not a point in time"),
    ("taken > date '2019-01-01 10:00'", '"date', "not a point in time"),
    ("uri = date '2019-01-01'", '"date', "text in single quotes"),
    ("uri like '%a\\_b%'", "character 10", "ESCAPE"),
    ("uri like 'a!' escape '!'", '"\'a!\'', "nothing is behind"),
    ("uri like 'a' escape '!!'", "'!!'", "one character"),
    ("uri below 'p'", '"\'p\'"', "absolute path"),
    ("title below '/p'", '"\'/p\'"', "for the column uri"),
    ("near (95, 0, 1)", "'95, 0, 1)'", "latitude"),
    ("near (0, 181, 1)", "'0, 181, 1)'", "longitude"),
    ("near (0, 0, -1)", "'0, 0, -1)'", "distance"),
    ("near (0, 0, 1km)", "'0, 0, 1km)'", "plain numbers"),
    ("near (0, 0)", "')'", "three numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "place", "reason"), WRONG, ids=[wrong[0] for wrong in WRONG])
def test_what_is_outside_of_the_grammar_is_named_with_its_place(table, condition, place, reason):
    with pytest.raises(UsageError) as caught:
        table.ids_where(condition)
    said = str(caught.value)
    assert repr(condition) in said
    assert place in said
    assert reason in said
    assert "\n" not in said


# NaN is above all numbers.
RIGHT = [
    ("size > 10MB", [5]), ("size >= 10 mb", [4, 5]), ("size >= 1kB and size < 1 KiB", [3]), ("size < 0.1e1", [0]),
    ("start > 1:29", [1]), ("start >= 1:30", [1]), ("start > 89s", [1]), ("start = 1.5 min", [1]),
    ("start = 500ms", []), ("duration = 1:30.5", [1]), ("duration >= 1:00:00", [3]), ("duration < 1h", [1]),
    ('"width" > "height"', [0, 4, 5]), ('"start" is null', [2]), ("`end` is not null", []),
    ("WIDTH > Height", [0, 4, 5]), ("taken = '2019'", [1, 2, 3]), ("taken != '2019'", [0, 4]),
    ("taken = '2019-06'", [2, 3]), ("taken = '2019-6-30'", [3]), ("taken <= '2019-06'", [0, 1, 2, 3]),
    ("taken > '2019-06'", [4]), ("taken < '2019-06'", [0, 1]), ("taken >= '2019-06'", [2, 3, 4]),
    ("'2019-06' < taken", [4]), ("taken = '2019-06-15 10:00'", [2]), ("taken = '2019-06-15T10:00:30'", [2]),
    ("taken = '2019-06-30 23:59:59.9'", [3]), ("taken between '2019-01' and '2019-06'", [1, 2, 3]),
    ("taken not between '2019-01' and '2019-06'", [0, 4]), ("taken in ('2018', '2020-1-1')", [0, 4]),
    ("not taken in ('2018', '2020-1-1')", [1, 2, 3]), ("taken > '2019-01-01'", [2, 3, 4]),
    ("taken > timestamp '2019-01-01'", [2, 3, 4]), ("taken = date '2019-01-01'", [1]),
    ("taken > date '2019-06-15'", [2, 3, 4]), ("taken > '2019-06-15'", [3, 4]), ("taken < '9999'", [0, 1, 2, 3, 4]),
    ("taken > '0001'", [0, 1, 2, 3, 4]), ("taken = '9999-12-31 23:59:59'", []),
    ("added >= '2019-01-01T01:00:00+01:00'", [1, 2, 3, 4]), ("added < '2019-01-01 00:00Z'", [0]),
    ("added = '2019-01-01'", [1]), ("added > '2019-12-31 18:30-05:30'", []), ("rating > -100000", [0, 1, 3, 4, 5]),
    ("rating < 99999999999999999999", [0, 1, 3, 4, 5]), ("rating >= 1e30", []),
    ("not rating >= 1e30", [0, 1, 3, 4, 5]), ("rating = 3.5", []), ("rating != 3.5", [0, 1, 3, 4, 5]),
    ("not (rating in (1, 2) and rating in (3, 5))", [0, 1, 3, 4, 5]),
    ("rating not in (1) or rating not in (2)", [0, 1, 3, 4, 5]),
    ("not ((rating = 1 or rating = 2) and not (rating = 1 or rating = 2))", [0, 1, 3, 4, 5]),
    ("rating >= 2.5", [0, 4, 5]), ("rating in (3.5, 99999999999999999999, 3)", [4]), ("rating < -0.5", [1]),
    ("size = 9223372036854775807", [5]), ("size > 9223372036854775806.5", [5]),
    ("size >= -9223372036854775809", [0, 1, 2, 3, 4, 5]), ("start = 0.1", [0]), ("start > 0.1", [1, 3, 4, 5]),
    ("start < 1e40", [0, 1, 3, 4, 5]), ("f_number = 2.8", [0]), ("exposure = 1/100", [0]),
    ("exposure = 1/3 s", [1]), ("exposure between 1/200sec and 1/30", [0, 4]), ("1/500 > exposure", [5]),
    ("exposure in (1/1000, 4)", [3, 5]), ("f_number > 1000", [4]),
    ("f_number <= 1000", [0, 1, 3, 5]), ("has_audio", [0, 3]), ("not has_audio", [1, 4]),
    ("has_audio != true", [1, 4]), ("has_audio is null", [2, 5]), ("keywords = 'a'", [0, 3, 5]),
    ("keywords != 'a'", [1]), ("keywords in ('b', 'O''x')", [1, 3]), ("keywords not in ('b', 'O''x')", [0, 5]),
    ("keywords is null", [2, 4]), ("'a' = keywords", [0, 3, 5]), ("camera_make like 'Canon%'", [0, 5]),
    ("camera_make ilike 'canon%'", [0, 1, 5]), ("camera_make = ''", [4]), ("uri like '%a!_b%' escape '!'", [3, 5]),
    ("uri like '%a\\_b%' escape '\\'", [3, 5]), ("uri like '%a_b%'", [3, 4, 5]), ("true", [0, 1, 2, 3, 4, 5]),
    ("false or width = 4", [0]), ("not not not width > 3", [1, 2, 3]), ("near (52.5, 13.4, 20)", [0, 4]),
    ("near (90, -120, 0.001)", [5]), ("near (-90, 90, 12)", [1]), ("near (0, 180, 1.2)", [3]),
    ("near (0, 180, 1)", []), ("not near (0, 0, 30000)", []), ("near (0, 0, 20016)", [0, 1, 3, 4, 5]),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "found"), RIGHT, ids=[right[0] for right in RIGHT])
def test_what_a_condition_means(table, condition, found):
    assert sorted(table.ids_where(condition)) == found


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("uri LIKE '%café%'", [1, 2]),
        ("uri NOT LIKE '%café%'", [0, 3, 4, 5]),
        ("uri ILIKE '%CAFÉ%'", [1, 2]),
        ("uri = '/p/café.jpg'", [2]),
        ("uri != '/p/café.jpg'", [0, 1, 3, 4, 5]),
        ("uri IN ('/p/café.jpg', '/p/a.jpg')", [0, 2]),
        ("uri BELOW '/p/café'", [1]),
        ("keywords = 'café'", [1]),
    ],
)
def test_texts_are_compared_in_both_normal_forms(table, condition, found, form):
    assert sorted(table.ids_where(unicodedata.normalize(form, condition))) == found


@pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")
@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/p", [0, 1, 2, 3, 4, 5]),
        ("/", [0, 1, 2, 3, 4, 5]),
        ("/p/../p/a_b/", [3, 5]),
        ("/p/a.jpg", [0]),
        ("/p/a", []),
        ("/p/cafe", []),
        ("/p/a_b/\udce9", [5]),
    ],
)
def test_below_a_folder(table, path, found):
    assert sorted(table.ids_where(f"uri BELOW '{path}'")) == found


def test_a_path_that_is_no_text_is_found_as_results_write_it(table):
    assert table.ids_where("uri = '/p/a_b/\udce9'").tolist() == [5]
    with pytest.raises(UsageError, match="not UTF-8"):
        table.ids_where("title like '\udce9%'")


@pytest.mark.parametrize("deep", ["(" * 10_000, "width in (" * 10_000, "not (" * 10_000, "not " * 10_000 + "(" * 51])
def test_deep_nesting_is_refused(table, deep):
    with pytest.raises(UsageError, match="not understood"):
        table.ids_where(deep + "width > 1")


def test_and_or_in_turn_may_be_nested_to_a_depth(table):
    condition = "width > 0"
    for level in range(15):
        condition = f"(width > 0 {'AND' if level % 2 else 'OR'} NOT NOT {condition})"
    assert len(table.ids_where(condition)) == 6
    with pytest.raises(UsageError, match="15 deep"):
        table.ids_where(f"width > 0 AND ({condition})")


def test_long_chains_and_lists(table):
    assert len(table.ids_where("id = 1" + " or id = 2" * 9_000)) == 2
    assert len(table.ids_where(f"id in ({', '.join(map(str, range(50_000)))})")) == 6
    assert len(table.ids_where("not " * 10_000 + "true")) == 6
    with pytest.raises(UsageError, match="more than 10,000 comparisons"):
        table.ids_where("id = 1" + " or id = 2" * 10_001)


def test_every_column_has_a_meaning():
    assert set(MEANINGS) == set(item_schema(MODEL).names) - set(LARGE_COLUMNS)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2019", (2019, 1, 1), (2019, 12, 31, 23, 59, 59, 999_999)),
        ("2020-02", (2020, 2, 1), (2020, 2, 29, 23, 59, 59, 999_999)),
        ("2019-06-30", (2019, 6, 30), (2019, 6, 30, 23, 59, 59, 999_999)),
        ("2019-06-30 9:05", (2019, 6, 30, 9, 5), (2019, 6, 30, 9, 5, 59, 999_999)),
        ("2019-06-30T09:05:07", (2019, 6, 30, 9, 5, 7), (2019, 6, 30, 9, 5, 7, 999_999)),
        ("2019-06-30 09:05:07.25", (2019, 6, 30, 9, 5, 7, 250_000), (2019, 6, 30, 9, 5, 7, 259_999)),
        ("2019/6/30", (2019, 6, 30), (2019, 6, 30, 23, 59, 59, 999_999)),
        ("2019.06", (2019, 6, 1), (2019, 6, 30, 23, 59, 59, 999_999)),
        ("2019:06:30 09:05:07", (2019, 6, 30, 9, 5, 7), (2019, 6, 30, 9, 5, 7, 999_999)),
        (" 20190630 ", (2019, 6, 30), (2019, 6, 30, 23, 59, 59, 999_999)),
        ("2019年", (2019, 1, 1), (2019, 12, 31, 23, 59, 59, 999_999)),
        ("2019年6月", (2019, 6, 1), (2019, 6, 30, 23, 59, 59, 999_999)),
        ("2019年6月30日 9:05", (2019, 6, 30, 9, 5), (2019, 6, 30, 9, 5, 59, 999_999)),
        ("２０１９－０６", (2019, 6, 1), (2019, 6, 30, 23, 59, 59, 999_999)),
        ("9999", (9999, 1, 1), (9999, 12, 31, 23, 59, 59, 999_999)),
    ],
)
def test_a_date_is_a_period(text, first, last):
    assert period(text) == (datetime(*first), datetime(*last))


@pytest.mark.parametrize(
    "text",
    ["2019-06/30", "2019年06", "201906", "201906301", "20191330", "2019年6月31日", "30.06.2019", "2019-06-30-01"],
)
def test_what_leaves_a_doubt_is_no_date(text):
    with pytest.raises(Unsuitable):
        period(text)


def test_a_zone_is_turned_to_utc():
    assert period("2019-06-30 09:05:07+02:00").first == datetime(2019, 6, 30, 7, 5, 7, tzinfo=UTC)
    assert period("2019-06-30 09:05Z").last == datetime(2019, 6, 30, 9, 5, 59, 999_999, tzinfo=UTC)


@examples(300)
@given(
    text=st.text("0123456789-:./ TZ+年月日", max_size=28)
    | st.from_regex(r"\d{4}-\d\d-\d\d \d\d:\d\d(Z|[+-]\d\d)?", fullmatch=True)
)
def test_any_text_is_a_period_or_is_refused(text):
    try:
        first, last = period(text)
    except Unsuitable:
        return
    assert first <= last
    assert re.match(r"\s*\d{4}", text)
