"""Tables with faults: each row is read, or counted with its number and the reason; none is swallowed by another."""

import csv
import io
import json

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st
from pyarrow import parquet

from sightline.data import captions, labelled
from sightline.errors import DataError
from support.examples import examples

NAMES = tuple(f"{number}.jpg" for number in range(6))
WIDTH = "with more or fewer columns than the first line (a text that has the delimiter in it needs quotes)"
QUOTES = 'with quotes that are not CSV\'s (within quotes a quote is written "")'
OPEN = "with a quote that is not closed in its row"
SWALLOWED = "between quotes that reach over several rows"


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_bytes(b"1")
    return tmp_path


def read(folder, text, name="t.csv", **options):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    found = captions(folder / name, **options)
    return {sample.key: sample.captions for sample in found.samples}, found.left_out


@pytest.mark.parametrize(
    ("rows", "said", "counts", "place"),
    [
        (["0.jpg,a, b", "1.jpg,c"], {"1.jpg": ("c",)}, {WIDTH: 1}, "row 2"),
        (["0.jpg,a", "1.jpg"], {"0.jpg": ("a",)}, {WIDTH: 1}, "row 3"),
        (["0.jpg,a", "1.jpg,b,"], {"0.jpg": ("a",)}, {WIDTH: 1}, "row 3"),
        (["0.jpg,a", '1.jpg,"Hi" he said', "2.jpg,c"], {"0.jpg": ("a",), "2.jpg": ("c",)}, {QUOTES: 1}, "row 3"),
        (['0.jpg,"a \\"quoted\\" word"', "1.jpg,b"], {"1.jpg": ("b",)}, {QUOTES: 1}, "row 2"),
        (['0.jpg,"open', "1.jpg,b"], {"1.jpg": ("b",)}, {OPEN: 1}, "row 2"),
        (['0.jpg,"a', '1.jpg,"b"', "2.jpg,c"], {"1.jpg": ("b",), "2.jpg": ("c",)}, {OPEN: 1}, "row 2"),
        (
            ['0.jpg,"a', "1.jpg,b", '2.jpg,the end"', "3.jpg,c"],
            {"3.jpg": ("c",)},
            {SWALLOWED: 3},
            "row 2, row 3, row 4",
        ),
        (['0.jpg,"two\nlines"', "1.jpg,b,c"], {"0.jpg": ("two\nlines",)}, {WIDTH: 1}, "row 3 (line 4)"),
        (
            ["0.jpg,a", f"1.jpg,{'x' * 140_000}"],
            {"0.jpg": ("a",)},
            {"with a cell above 131,072 characters": 1},
            "row 3",
        ),
        (["0.jpg,a", "1.jpg,b\0c"], {"0.jpg": ("a",)}, {"with a NUL character": 1}, "row 3"),
        (["", " , ", "0.jpg,a", ",b"], {"0.jpg": ("a",)}, {"that name no file": 1}, "row 5"),
    ],
)
def test_a_faulty_row_is_counted_and_the_others_are_read(folder, rows, said, counts, place):
    found, left_out = read(folder, "\n".join(["file,caption", *rows]))
    assert found == said
    assert left_out.counts == counts
    assert str(left_out).endswith(f": {place}")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["0.jpg,a, b", "1.jpg,c, d"], r"not one row fits its first line \(file, caption\); left out: 2 with more or"),
        (['0.jpg,"a" b'], "left out: 1 with quotes that are not CSV's .*: row 2"),
        (["0.jpg,a\0"], "left out: 1 with a NUL character: row 2"),
        (["https://a.b/0.jpg,a"], "1 that are addresses on the web: download the files"),
    ],
)
def test_where_no_row_is_right_the_message_says_what_is_wrong_with_them(folder, rows, message):
    with pytest.raises(DataError, match=rf"t\.csv: .*{message}"):
        read(folder, "\n".join(["file,caption", *rows]))


def test_tabs_whose_quotes_are_letters_never_swallow_rows(folder):
    rows = ['0.jpg\t"a dog', "1.jpg\ta cat", '2.jpg\tthe end"', '3.jpg\t"x" y']
    for count in (3, 4):
        found, left_out = read(folder, "\n".join(["file\tcaption", *rows[:count]]), "t.tsv")
        assert found == {row[:5]: (row[6:],) for row in rows[:count]}
        assert str(left_out) == "nothing; t.tsv is read with its quotes as letters, since they are not CSV's"
    swapped = ["\t".join(row.split("\t")[::-1]) for row in rows[:3]]
    found, _ = read(folder, "\n".join(["caption\tfile", *swapped]), "t.tsv")
    assert set(found) == {"0.jpg", "1.jpg", "2.jpg"}
    # Other cells are in quotes that are CSV's: the row alone is at fault.
    found, left_out = read(folder, "\n".join(["file\tcaption", *rows[:3], '3.jpg\t"x ""y"""']), "t.tsv")
    assert found == {"3.jpg": ('x "y"',)}
    assert left_out.counts == {SWALLOWED: 3}
    # One row in many is at fault.
    many = [f'{number}.jpg\t"x ""{number}"""' for number in range(1, 4)]
    found, left_out = read(folder, "\n".join(["file\tcaption", '0.jpg\t"Stop" it says', *many]), "t.tsv")
    assert found == {f"{number}.jpg": (f'x "{number}"',) for number in range(1, 4)}
    assert left_out.counts == {QUOTES: 1}
    # Nothing looks like a file in the second line: no rows perhaps, but nothing tells.
    found, left_out = read(folder, '0.jpg\t"a\nb\tc"\n1.jpg\td\n'.join(["file\tcaption\n", ""]), "t.tsv")
    assert found == {"1.jpg": ("d",)}
    assert left_out.counts == {"with a cell that has both tabs and line ends, as rows between two quotes have": 2}


def test_videos_without_a_suffix_are_not_swallowed(tmp_path):
    for number in range(4):
        (tmp_path / f"video{number}.mp4").write_bytes(b"1")
    found, left_out = read(tmp_path, 'video_id,caption\nvideo0,"a dog\nvideo1,a cat\nvideo2,the end"\nvideo3,c\n')
    assert set(found) == {"video3"}
    assert left_out.counts == {SWALLOWED: 3}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("file,caption,caption", {"0.jpg": ("a", "b")}),
        ("caption,file,caption", None),
        ("文件,描述,split", {"0.jpg": ("a",)}),
        ("图片路径,文本,来源", {"0.jpg": ("a",)}),
        ("filepath,title,x", {"0.jpg": ("a",)}),
        ("file_name,text,x", {"0.jpg": ("a",)}),
        ("url,caption,x", {"0.jpg": ("a",)}),
        ("file,file,caption", r"several columns of files \(file, file 2\); rename all but one"),
        ("image1,image2,caption", r"several columns of files \(image1, image2\)"),
        ("1.jpg,one,two", r"its first line is a row already \(1\.jpg\); put a line above it"),
        ("1.jpg#0,one,two", r"its first line is a row already \(1\.jpg#0\)"),
        ("thing,caption,x", r"no column of files; name it 'file' \(it has thing, caption, x\)"),
        ('file,caption,"x', "its first line, which names the columns, is one with a quote that is not closed"),
    ],
)
def test_headers(folder, header, said):
    row = "a,0.jpg,b" if header.startswith("caption") else "0.jpg,a,b"
    if isinstance(said, str):
        with pytest.raises(DataError, match=rf"t\.csv: {said}"):
            read(folder, f"{header}\n{row}\n")
    else:
        assert read(folder, f"{header}\n{row}\n")[0] == (said or {"0.jpg": ("a", "b")})


@pytest.mark.parametrize(
    "text",
    [
        "file;caption\n0.jpg;a, b\n",
        "\ufefffile;caption\r\n0.jpg;a, b\r\n",
        "sep=;\nfile;caption\n0.jpg;a, b\n",
        'file,caption\r0.jpg,"a, b"\r',
        '\ufeff\ufefffile,caption\n0.jpg,"\ufeffa, b"\n',
        '\n\nfile,caption\n0.jpg,"a, b"\n',
        'file|"caption, in English, French"|caption\n0.jpg|x|a, b',
        "file\tcaption\n0.jpg\ta, b\n",
    ],
)
def test_delimiters_and_line_ends(folder, text):
    found, left_out = read(folder, text)
    assert found["0.jpg"][-1] == "a, b"
    assert not left_out


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le-mark", "utf-16-be-mark"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_encodings_with_their_mark(folder, encoding, suffix):
    objects = [{"file": "0.jpg", "caption": "été, 狗"}]
    text = 'file,caption\n0.jpg,"été, 狗"\n' if suffix == ".csv" else json.dumps(objects, ensure_ascii=False)
    text = text.strip("[]") if suffix == ".jsonl" else text
    if encoding.endswith("-mark"):
        text, encoding = "\ufeff" + text, encoding.removesuffix("-mark")
    found, left_out = read(folder, text.encode(encoding), f"t{suffix}")
    assert found == {"0.jpg": ("été, 狗",)}
    assert not left_out


def test_chinese_encodings_are_read_and_said(folder):
    for encoding in ("gbk", "gb18030"):
        found, left_out = read(folder, "文件,描述\n0.jpg,一只狗在草地上跑\n".encode(encoding))
        assert found == {"0.jpg": ("一只狗在草地上跑",)}
        assert str(left_out) == "nothing; t.csv is read as GB18030 (GBK), since it is not in UTF-8"
        assert left_out


@pytest.mark.parametrize(
    "text",
    [
        "file,caption\n0.jpg,un été à la plage\n".encode("latin-1"),
        "file,caption\n0.jpg,Müller\n".encode("cp1252"),
        "file,caption\n0.jpg,собака бежит по траве\n".encode("cp1251"),
        "file,caption\n0.jpg,собака\n".encode("cp1251"),
    ],
)
def test_other_encodings_are_refused_with_the_line(folder, text):
    with pytest.raises(DataError, match=r"t\.csv: not in UTF-8 \(byte 0x\w\w in line 2\); save it in UTF-8"):
        read(folder, text)
    with pytest.raises(DataError, match="it looks like UTF-16 without its mark"):
        read(folder, "file,caption\n0.jpg,a\n".encode("utf-16-le"))


def test_parquet(folder):
    parquet.write_table(pa.table({"image": ["0.jpg", "1.jpg"], "caption": [["a", "b"], ["c"]]}), folder / "t.parquet")
    assert {sample.key: sample.captions for sample in captions(folder / "t.parquet").samples} == {
        "0.jpg": ("a", "b"),
        "1.jpg": ("c",),
    }
    with pytest.raises(DataError, match=r"x\.parquet: no Parquet file"):
        read(folder, b"nothing", "x.parquet")


def test_captions_that_are_no_text_are_counted(folder):
    found, left_out = read(folder, '{"file": "0.jpg", "caption": ["a", 5, null, ""]}', "t.jsonl")
    assert found == {"0.jpg": ("a",)}
    assert left_out.counts == {"captions that are no text": 1}


def test_classes_have_the_same_faults(folder):
    (folder / "t.csv").write_text('file,label\n0.jpg,cat\n1.jpg,dog, big\n2.jpg,"dog" x\n3.jpg,dog\n')
    found = labelled(folder / "t.csv")
    assert [(sample.key, sample.label) for sample in found.samples] == [("0.jpg", 0), ("3.jpg", 1)]
    assert found.left_out.counts == {WIDTH: 1, QUOTES: 1}


PIECES = st.lists(
    st.sampled_from(['"', ",", "\t", "\n", ";", "|", " ", "a", "b c", "1.jpg", "\\", "'", "é", "狗", "[", "1"]),
    max_size=6,
).map("".join)
DIALECTS = {
    "excel": {"dialect": "excel"},
    "excel-tab": {"dialect": "excel-tab"},
    "unix": {"dialect": "unix"},
    "semicolons": {"delimiter": ";"},
    "bars": {"delimiter": "|", "quoting": csv.QUOTE_NONNUMERIC},
}


@examples(150)
@given(st.lists(PIECES, max_size=6), st.sampled_from([*DIALECTS, "jsonl"]))
def test_what_is_written_is_read_the_same_or_counted(tmp_path_factory, said, dialect):
    folder = tmp_path_factory.mktemp("dialect")
    for name in NAMES:
        (folder / name).write_bytes(b"1")
    rows = [*zip(NAMES, said, strict=False)]
    if dialect == "jsonl":
        text = "".join(json.dumps({"file": name, "caption": caption}) + "\n" for name, caption in rows)
    else:
        out = io.StringIO()
        csv.writer(out, **DIALECTS[dialect]).writerows([("file", "caption"), *rows])
        text = out.getvalue()
    try:
        found, left_out = read(folder, text, "t.jsonl" if dialect == "jsonl" else "t.csv")
    except DataError:
        return
    rows = [(name, caption.strip()) for name, caption in rows if not caption.strip().startswith("[")]  # a list perhaps
    missing = {name for name, caption in rows if found.get(name) != (caption,)}
    assert not missing & found.keys()
    assert len(missing) <= len(left_out)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("['a dog' 'a cat']", ("a dog", "a cat")),  # NumPy's, as pandas writes a column of arrays
        ("['a dog'\n 'a cat']", ("a dog", "a cat")),
        ("[\"it's\" 'x']", ("it's", "x")),
        ("['a', 'b',]", ("a", "b")),
        ("('a dog', 'a cat')", ("a dog", "a cat")),
        ('("Stop")', ('("Stop")',)),
        ("['a' ... 'b']", ("['a' ... 'b']",)),
        ("[a dog] runs", ("[a dog] runs",)),
        ("(a dog, a cat)", ("(a dog, a cat)",)),
    ],
)
def test_lists_as_other_tools_write_them(folder, cell, said):
    out = io.StringIO()
    csv.writer(out).writerows([["file", "caption"], ["0.jpg", cell]])
    found, left_out = read(folder, out.getvalue())
    assert (found, bool(left_out)) == ({"0.jpg": said}, False)


@pytest.mark.parametrize(("encoding", "text"), [("euc-kr", "개가 달린다"), ("euc-jp", "犬が走っている")])
def test_other_encodings_whose_bytes_are_common_chinese_are_refused(folder, encoding, text):
    with pytest.raises(DataError, match="not in UTF-8"):
        read(folder, f"file,caption\n0.jpg,{text}\n".encode(encoding))


def test_images_as_the_library_datasets_has_them(folder):
    images = [{"bytes": b"1", "path": "0.jpg"}, {"bytes": None, "path": "1.jpg"}, {"bytes": None, "path": None}]
    parquet.write_table(pa.table({"image": images, "text": ["a", "b", "c"]}), folder / "t.parquet")
    found = captions(folder / "t.parquet")
    assert [(sample.key, sample.captions) for sample in found.samples] == [("1.jpg", ("b",))]
    assert found.left_out.counts == {
        "whose image is inside the table: write the images to files, and name these": 1,
        "that name no file": 1,
    }


def test_parquet_with_two_columns_of_a_name_in_a_folder_named_as_a_column(folder):
    (folder / "caption=x").mkdir()
    columns = [pa.array([value]) for value in ("0.jpg", "a", "b")]
    parquet.write_table(pa.table(columns, names=["file", "caption", "caption"]), folder / "caption=x/t.parquet")
    (sample,) = captions(folder / "caption=x/t.parquet", image_root=folder).samples
    assert sample.captions == ("a", "b")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([0.0, 1.0, float("nan")], ("0", "1")),
        (["0.0", "10.0", ""], ("0", "10")),
        ([True, False, None], ("False", "True")),
        (["1.0", "v1.0", None], ("1.0", "v1.0")),
    ],
)
def test_numbers_of_classes_that_pandas_made_fractions(folder, labels, classes):
    parquet.write_table(pa.table({"file": ["0.jpg", "1.jpg", "2.jpg"], "label": labels}), folder / "t.parquet")
    found = labelled(folder / "t.parquet")
    assert (found.classes, found.left_out.counts) == (classes, {"without a file or a class": 1})
