"""Whatever an index says of itself, whatever it is asked: an answer, or one of our own errors."""

import os
import string
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, strategies as st

from sightline.cli.main import main
from sightline.errors import ImageError, IndexFault, SightlineError, UsageError
from sightline.index import Table, lock, to_path, to_uri, walk
from sightline.index.exclude import Patterns
from sightline.index.item import ImageItem
from sightline.index.probe import is_path
from sightline.index.schema import ModelRecord, version_of
from sightline.search import Query
from support.encoders import FakeEncoder, fake_encoder
from support.examples import examples
from support.tables import MODEL, rows


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Nine rows."""
    table = Table.create(tmp_path_factory.mktemp("table"), MODEL)
    table.append(rows(range(9)))
    return table


class Dataset:
    """What `Table` looks at when it is made."""

    def __init__(self, metadata):
        self.schema_metadata, self.schema = metadata, pa.schema([("id", pa.int64())])


METADATA = {**MODEL.to_metadata(), "sightline.model.revision": "main"}
WORDS = st.text(max_size=8) | st.integers().map(str) | st.floats().map(str) | st.just("9" * 5000) | st.just("１")


@examples(200)
@given(changed=st.dictionaries(st.sampled_from(sorted(METADATA)), WORDS | st.none(), min_size=1))
@example({"sightline.model.dim": "9" * 30})
@example({"sightline.version": "9" * 30})
def test_metadata(changed):
    said = {key: value for key, value in (METADATA | changed).items() if value is not None}
    with pytest.raises(IndexFault):
        Table(Path("/index"), Dataset(said))
    with suppress(KeyError, ValueError):
        assert isinstance(version_of(said), int)
        assert isinstance(ModelRecord.from_metadata(said), ModelRecord)


@pytest.mark.parametrize("said", ["", "soup", "-1", "1.5", "9" * 30, "9" * 5000])
def test_a_note_of_the_next_id_that_makes_no_sense(tmp_path, said):
    table = Table.create(tmp_path, MODEL)
    table.append(rows(range(3)))
    table.dataset.update_config({"sightline.next_id": said})
    with suppress(IndexFault):
        assert table.next_id() >= 3
        assert table.reserve(2) >= 3


NAMES = st.sampled_from(
    ["id", "uri", "size", "width", "taken", "caption", "vector", "thumbnail", "nothing", "*", "_rowid"]
)
LITERALS = st.sampled_from(
    ["0", "-1", "1e308", "'a'", "''", "null", "true", "timestamp '2020-01-01'", "9" * 40, "x'00'"]
)
OPERATORS = "= < > != and or + - * / % || like in between is ~ -> , ;"
FUNCTIONS = "lower abs regexp_like sum array_length random to_date"
SQL = st.recursive(
    NAMES | LITERALS | st.text(max_size=4),
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from(OPERATORS.split()), inner),
        st.builds("{} {}".format, st.sampled_from(["not", "-", "(", "exists", "case when", "cast", "select"]), inner),
        st.builds("{}({})".format, st.sampled_from(FUNCTIONS.split()), inner),
        st.builds("({})".format, inner),
        st.builds("{} between {} and {}".format, inner, inner, inner),
        st.builds("{} in ({}, {})".format, inner, inner, inner),
    ),
    max_leaves=6,
)


@examples(300)
@given(sql=SQL | st.text(max_size=20) | st.text(string.printable, max_size=30))
@example("uri ~ '('")
@example("id = 1 --")
@example("/* uri")
@example("/* " * 20_000)  # looked through once, not once for each
def test_conditions(table, capfd, sql):
    try:
        found = table.ids_where(sql)
    except UsageError as error:
        said = str(error)
    else:
        said, _ = repr(sql), table.rows(found)
    assert repr(sql) in said or repr(sql[:120]) in said
    assert capfd.readouterr() == ("", "")


@examples(100)
@given(uri=st.text(max_size=20) | st.text("%/:filexyz0123", max_size=20).map("file://".__add__))
def test_uris_of_a_damaged_table(uri):
    assert is_path(uri) in (True, False)
    if is_path(uri) and os.name == "posix":
        assert to_path(to_uri(to_path(uri))) == to_path(uri)


@examples(60)
@given(note=st.binary(max_size=40) | st.text(max_size=20).map(lambda text: f'{{"pid": {text}}}'.encode()))
def test_notes_of_a_lock(tmp_path_factory, note):
    folder = tmp_path_factory.getbasetemp()
    (folder / lock.NAME).write_bytes(note)
    assert lock.holder(folder).startswith(("process", "another process"))
    with lock.writer(folder) as finished:
        assert finished is (note == b"")


@examples(100)
@given(paths=st.lists(st.text(max_size=12) | st.binary(max_size=12).map(os.fsdecode), max_size=3))
@example(["a\0b"])
@example(["x" * 5000])
def test_paths(tmp_path_factory, paths):
    folder = tmp_path_factory.getbasetemp() / "paths"
    folder.mkdir(exist_ok=True)
    with suppress(UsageError):
        for path in walk.roots_of([f"{folder}/_{path}" for path in paths]):
            walk.list_files([path], folder, Patterns((), [path]))


PARTS = st.text(max_size=4) | st.none() | st.integers() | st.binary(max_size=3) | st.just(Path("x.jpg"))


@examples(200)
@given(*[PARTS | st.lists(PARTS, max_size=2)] * 3)
def test_queries(texts, images, avoid):
    for make in (lambda: Query(texts, images, avoid), lambda: Query.of(texts)):
        with suppress(UsageError):
            assert isinstance(str(make()), str)


COMMANDS = "index search similar info fsck --index --model --forget -k --where --json --html --not --image"
OTHERS = ["--threshold", "--repair", "--help", "--", "red", "3", "0.5", "id < 3", "~nobody/x", "x" * 300, "", "-", "."]
ARGUMENTS = st.lists(
    st.sampled_from(COMMANDS.split() + OTHERS) | st.text(max_size=6).filter(lambda text: "\0" not in text), max_size=7
)


@examples(150)
@given(arguments=ARGUMENTS)
@example(["index", "~nobody-of-that-name/x"])
@example(["info", "--index", "~nobody-of-that-name/x"])
@example(["info", "--index", "x" * 5000])
@example(["index", "x" * 5000])
@example(["search", "red", "--image", "x" * 5000])
@example(["search", "red", "--html", "x" * 5000])
def test_command_lines(tmp_path_factory, table, capfd, arguments):
    """Each ends with a status, and no failure is one that nobody thought of."""
    with pytest.MonkeyPatch.context() as patch:
        work = tmp_path_factory.mktemp("work")
        patch.chdir(work)
        patch.setenv("SIGHTLINE_INDEX", str(table.folder))
        patch.setitem(sys.modules, "sightline.encoder", fake_encoder())
        status = main([argument for argument in arguments if argument not in ("verify", "demo")])
    assert status in (0, 1, 2)
    assert "--debug for the traceback" not in capfd.readouterr().err


EXIF = st.binary(max_size=80) | st.binary(max_size=60).map(b"II*\0\x08\0\0\0".__add__)
TAGS = st.tuples(
    st.sampled_from([0x0112, 0x0132, 0x8769, 0x9003, 0x9004, 0x010F]), st.integers(0, 13), st.integers(0, 2**32 - 1)
).map(
    lambda tag: tag[0].to_bytes(2, "little") + tag[1].to_bytes(2, "little") + b"\1\0\0\0" + tag[2].to_bytes(4, "little")
)
DIRECTORIES = st.lists(TAGS, max_size=6).map(
    lambda tags: b"II*\0\x08\0\0\0" + len(tags).to_bytes(2, "little") + b"".join(tags) + bytes(4)
)


@examples(150)
@given(exif=EXIF | DIRECTORIES, tail=st.binary(max_size=40), kind=st.sampled_from(["jpg", "png", "webp", "tif"]))
def test_exif(tmp_path_factory, exif, tail, kind):
    """Whatever it holds, the picture is read."""
    from PIL import Image

    path = tmp_path_factory.getbasetemp() / f"exif.{kind}"
    Image.new("RGB", (6, 4)).save(path, **({} if kind == "tif" else {"exif": b"Exif\0\0" + exif + tail}))
    item = ImageItem(path)
    try:
        picture, facts = item.read(FakeEncoder())
    except ImageError:
        assert kind == "webp", "its decoder refuses some"
    else:
        assert sorted(picture.size) == sorted((facts.width, facts.height)) == [4, 6]
    with suppress(SightlineError):
        item.read(FakeEncoder())
