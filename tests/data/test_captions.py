"""Tables and JSON files of captions, and the pictures that they name."""

import csv
import io
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from sightline.data import Sample, captions, equal_captions
from sightline.errors import DataError, UsageError
from support.datasets import shard, tar
from support.examples import VALUES, examples, spoiled

SAID = {"a.jpg": ("one", "two"), "sub/b.png": ("three",), "c d.jpg": ('says "no", \tthen', "été")}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for number, name in enumerate(SAID, 1):
        (tmp_path / name).write_bytes(b"x" * number)
    return tmp_path


def check(found, folder):
    assert {sample.key: sample.captions for sample in found.samples} == SAID
    assert {sample.key: sample.content() for sample in found.samples} == {name: folder / name for name in SAID}
    assert [sample.size for sample in found.samples] == [1, 2, 3]
    assert not found.left_out


def rows():
    return [(name, text) for name, said in SAID.items() for text in said]


def write(path, table, delimiter=",", **options):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, **options).writerows(table)
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


# --- tables


@pytest.mark.parametrize(
    "header", [("file", "caption"), ("File Name", "Captions"), ("filepath", "title"), ("img", "raw")]
)
@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t"), (".txt", "|"), (".csv", ";")])
def test_a_row_for_each_caption(folder, header, suffix, delimiter):
    check(captions(write(folder / f"t{suffix}", [header, *rows()], delimiter)), folder)


def test_a_column_for_each_caption_and_others_that_do_not_matter(folder):
    table = [("id", "caption_1", "caption 2", "title", "image")]
    table += [(7, *(*said, "")[:2], "no caption", name) for name, said in SAID.items()]
    check(captions(write(folder / "t.tsv", table, "\t")), folder)


@pytest.mark.parametrize("wrote", [json.dumps, repr])
def test_captions_as_a_list_in_a_cell(folder, wrote):
    table = [("filename", "raw"), *((name, wrote(list(said))) for name, said in SAID.items())]
    check(captions(write(folder / "t.csv", table)), folder)


def test_tabs_without_quotes(folder):
    table = [("file", "caption"), ("a.jpg", '"Stop" says a sign'), ("sub/b.png", 'six" wide'), ("c d.jpg", '"open')]
    (folder / "t.tsv").write_text("".join("\t".join(row) + "\n" for row in table))
    found = captions(folder / "t.tsv")
    assert [sample.captions for sample in found.samples] == [(text,) for _, text in table[1:]]


@pytest.mark.parametrize("lists", [True, False])
def test_json_lines_and_lists(folder, lists):
    objects = [{"file_name": n, "text": list(s)} for n, s in SAID.items()]
    if not lists:
        objects = [{"file_name": n, "text": text} for n, text in rows()]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, objects)) + "\n\n")
    check(captions(folder / "metadata.jsonl"), folder)
    check(captions(folder), folder)
    (folder / "list.json").write_text(json.dumps(objects))
    check(captions(folder / "list.json"), folder)


def test_a_byte_order_mark_is_no_part_of_a_name(folder):
    write(folder / "t.csv", [("file", "caption"), *rows()])
    (folder / "t.csv").write_bytes(b"\xef\xbb\xbf" + (folder / "t.csv").read_bytes())
    check(captions(folder / "t.csv"), folder)


def test_splits_of_a_table(folder):
    write(
        folder / "t.csv",
        [("file", "caption", "split"), *((n, t, "train" if "." in n[:2] else "val") for n, t in rows())],
    )
    assert [s.key for s in captions(folder / "t.csv", split="train").samples] == ["a.jpg"]
    assert [s.key for s in captions(folder / "t.csv", split=["val"]).samples] == ["sub/b.png", "c d.jpg"]
    check(captions(folder / "t.csv", split="train+val"), folder)
    with pytest.raises(DataError, match=r"no split test; it has train \(2\), val \(3\)"):
        captions(folder / "t.csv", split="test")


def test_odd_rows_are_left_out_and_counted(folder):
    text = "file,caption\na.jpg,one\na.jpg,one,two\nb.jpg\n,words\nsub/b.png,  \n\ngone.jpg,words\n"
    (folder / "t.csv").write_text(text)
    found = captions(folder / "t.csv")
    assert [(sample.key, sample.captions) for sample in found.samples] == [("a.jpg", ("one",))]
    assert found.left_out.counts == {
        "with more or fewer columns than the first line (a text that has the delimiter in it needs quotes)": 2,
        "that name no file": 1,
        "with no caption": 1,
        f"not in {folder} (say where: image_root=, --image-root)": 1,
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"thing,caption\na,b\n", r"t.csv: no column of files; name it 'file' \(it has thing, caption\)"),
        ("t.csv", b"file,licence\na,b\n", "no column of captions"),
        ("t.csv", b"", "empty"),
        ("t.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "a Git LFS pointer"),
        ("t.json", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "a Git LFS pointer"),
        ("t.csv", b"file,caption\n", "no rows below"),
        (
            "t.csv",
            b'file,caption\na,"b\n',
            r"not one row fits its first line \(file, caption\); left out: 1 with a quote .*row 2",
        ),
        ("t.csv", b"file,caption\na,\xff\n", r"not in UTF-8 \(byte 0xff in line 2\); save it in UTF-8"),
        ("t.csv", b"file,caption\na,\0\n", "1 with a NUL character: row 2"),
        ("t.json", b"{", "not JSON"),
        ("t.json", b"3", "no data set that is known"),
        ("t.json", b'{"images": 3}', "no data set that is known"),
        ("t.json", b"[" * 100_000, "not JSON"),
        ("t.jsonl", b"[]\n{\n", "not one row; left out: 2 that are no JSON object: line 1, line 2"),
        ("t.csv", b"file,caption\ngone.jpg,a\n", r"1 not in .*say where: image_root=.*: gone\.jpg"),
    ],
)
def test_tables_that_say_nothing(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        captions(tmp_path / name)


def test_sources_that_are_none(folder):
    with pytest.raises(DataError, match=r"no table .* and no shards"):
        captions(folder)
    write(folder / "t.csv", [("file", "caption"), *rows()])
    write(folder / "u.csv", [("file", "caption"), *rows()])
    with pytest.raises(DataError, match=r"several tables \(t.csv, u.csv\)"):
        captions(folder)
    with pytest.raises(UsageError, match="no data are named"):
        captions([])
    with pytest.raises(UsageError, match="give shards"):
        captions(folder / "a.jpg")
    with pytest.raises(DataError, match="no such file"):
        captions(folder / "no.csv")
    with pytest.raises(UsageError, match="shards have no splits"):
        captions(shard(folder / "a.tar", [1]), split="train")


def test_several_sources_are_one_data_set(folder):
    write(folder / "t.csv", [("file", "caption"), *rows(), ("gone.jpg", "nothing")])
    both = captions(
        [folder / "t.csv", shard(folder / "a.tar", [7, 8]), folder / "t.csv"]
    )  # what is named twice counts once
    keys = [f"1/{name}" for name in SAID] + ["2/0007", "2/0008"]
    assert sorted(sample.key for sample in both.samples) == sorted(keys)
    assert len(both.left_out) == 1
    assert "gone.jpg" in str(both.left_out)
    with pytest.raises(UsageError, match="shards have no splits"):
        captions([folder / "a.tar", folder / "t.csv"], split="train")


def test_equal_captions_are_counted_and_named():
    said = [["a", "a", "b"], ["B "], ["c"], ["b", "d"]]
    samples = [Sample(str(i), Path(f"{i}.jpg"), tuple(texts)) for i, texts in enumerate(said)]
    assert equal_captions(samples) == (
        "7 captions, 4 different; 3 of 4 images share a caption with another (most often 'b': 3 images)"
    )
    assert equal_captions(samples[::2]) is None  # an image may say a thing twice


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@examples(100)
@given(st.lists(TEXT, max_size=6), st.sampled_from("\t,"))
def test_whatever_is_written_is_read(tmp_path_factory, said, delimiter):
    folder = tmp_path_factory.mktemp("table")
    (folder / "x.jpg").write_bytes(b"1")
    table = [("caption", "file"), *((text, "x.jpg") for text in said), ("last", "x.jpg")]
    (sample,) = captions(write(folder / "t.csv", table, delimiter)).samples
    expected = [text.replace("\r\n", "\n").replace("\r", "\n").strip() for text in said]
    assert sample.captions == (*filter(None, expected), "last")


# --- JSON


KARPATHY = {
    "dataset": "x",
    "images": [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "one"}, {"raw": "two"}]},
        {"filename": "b.png", "filepath": "sub", "split": "val", "sentences": [{"raw": "three"}]},
        {"filename": "c d.jpg", "split": "restval", "sentences": [{"raw": text} for text in SAID["c d.jpg"]]},
    ],
}
COCO = {
    "images": [{"id": i, "file_name": name} for i, name in enumerate(SAID)],
    "annotations": [{"image_id": list(SAID).index(n), "id": i, "caption": t} for i, (n, t) in enumerate(rows())],
}


def test_karpathys_splits(folder):
    (folder / "dataset.json").write_text(json.dumps(KARPATHY))
    check(captions(folder / "dataset.json"), folder)
    assert len(captions(folder / "dataset.json", split="train+restval")) == 2
    assert [s.key for s in captions(folder / "dataset.json", split="val").samples] == ["sub/b.png"]


def test_cocos_captions(folder):
    (folder / "captions_val2017.json").write_text(json.dumps(COCO))
    check(captions(folder / "captions_val2017.json"), folder)
    with pytest.raises(DataError, match="no split val; it has none"):
        captions(folder / "captions_val2017.json", split="val")


def test_msr_vtt(tmp_path):
    (tmp_path / "films").mkdir()
    for name in ("video0.mp4", "video1.webm"):
        (tmp_path / "films" / name).write_bytes(b"1")
    names = ["video0", "video1", "video2"]
    videos = [{"video_id": name, "split": "test" if name == "video1" else "train"} for name in names]
    sentences = [{"video_id": name, "caption": f"{name} {i}"} for i in range(2) for name in names]
    (tmp_path / "info.json").write_text(json.dumps({"videos": videos, "sentences": sentences}))
    found = captions(tmp_path / "info.json", image_root=tmp_path / "films")
    assert [(s.key, s.media.name, s.captions) for s in found.samples] == [
        ("video0", "video0.mp4", ("video0 0", "video0 1")),
        ("video1", "video1.webm", ("video1 0", "video1 1")),
    ]
    assert all(sample.is_video for sample in found.samples)
    assert str(found.left_out) == f"1 not in {tmp_path / 'films'} (say where: image_root=, --image-root): video2"
    assert len(captions(tmp_path / "info.json", split="test", image_root=tmp_path / "films")) == 1
    write(tmp_path / "test.csv", [("key", "vid_key", "video_id", "sentence"), ("ret0", "msr1", "video1", "a film")])
    (sample,) = captions(tmp_path / "test.csv", image_root=tmp_path / "films").samples
    assert (sample.key, sample.captions) == ("video1", ("a film",))


@pytest.mark.parametrize("document", [KARPATHY, COCO], ids=["karpathy", "coco"])
def test_spoiled_json_is_read_or_refused(tmp_path_factory, document):
    folder = tmp_path_factory.mktemp("spoiled")
    (folder / "a.jpg").write_bytes(b"1")

    @examples(60)
    @given(spoiled(document, VALUES))
    def check(changed):
        (folder / "x.json").write_text(json.dumps(changed))
        try:
            found = captions(folder / "x.json")
        except (DataError, UsageError) as error:
            refused.append(str(error))
        else:
            assert found.fingerprint
            assert all(sample.captions for sample in found.samples)

    refused = []
    check()
    assert all("x.json" in message for message in refused)


# --- the pictures


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "sub/../../secret.jpg", "{}/../secret.jpg", "/etc/passwd", "..", "/"]
)
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"1")
    (folder / "a.jpg").write_bytes(b"1")
    table = [("file", "caption"), (name.format(folder), "a"), (f"{folder}/a.jpg", "inside"), ("./a.jpg", "plain")]
    found = captions(write(folder / "t.csv", table))
    assert [sample.media for sample in found.samples] == [folder / "a.jpg"]
    assert f"outside of {folder} (" in str(found.left_out)


def test_pictures_elsewhere(folder, tmp_path):
    (tmp_path / "lists").mkdir()
    path = write(tmp_path / "lists/t.csv", [("file", "caption"), *rows()])
    check(captions(path, image_root=folder), folder)
    with pytest.raises(DataError, match=r"image_root=.*nowhere: no such file or folder"):
        captions(path, image_root=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="give the folder"):
        captions(path, image_root=path)


def test_the_folder_that_a_name_begins_with_is_enough(folder, tmp_path):
    path = write(tmp_path / "t.csv", [("file", "caption"), ("data/sub/b.png", "b"), ("other/b.png", "c")])
    found = captions(path, image_root=folder / "sub")
    assert [(sample.key, sample.media) for sample in found.samples] == [("data/sub/b.png", folder / "sub/b.png")]
    assert len(found.left_out) == 1


def test_pictures_beside_the_table_in_a_folder_of_that_name(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.jpg").write_bytes(b"1")
    found = captions(write(tmp_path / "t.csv", [("file", "caption"), ("a.jpg", "a"), ("images/a.jpg", "again")]))
    assert [(sample.key, sample.captions) for sample in found.samples] == [("a.jpg", ("a",))]
    assert found.left_out.counts == {"whose file has another name before": 1}


def test_pictures_in_shards(tmp_path):
    tar(tmp_path / "a.tar", [("x/a.jpg", b"1"), ("x/b.jpg", b"22")])
    tar(tmp_path / "b.tar", [("y/b.jpg", b"333"), ("c.mp4", b"4444")])
    names = ["x/a.jpg", "b.jpg", "y/b.jpg", "c", "d.jpg", "z/a.jpg"]
    path = write(tmp_path / "t.csv", [("file", "caption"), *((name, "words") for name in names)])
    found = captions(path, image_root=tmp_path / "*.tar")
    assert {s.key: s.content() for s in found.samples} == {"x/a.jpg": b"1", "y/b.jpg": b"333", "c": b"4444"}
    assert sum(found.left_out.counts.values()) == len(found.left_out) == 3


WINDOWS = "C:\\data\\pics\\"


@pytest.mark.parametrize(
    ("names", "root"),
    [
        (["pics\\0.jpg", "pics\\in\\1.jpg"], "."),
        (["pics\\0.jpg", "pics\\in\\1.jpg"], "pics"),
        ([WINDOWS + "0.jpg", WINDOWS + "in\\1.jpg"], "."),
        ([WINDOWS + "0.jpg", WINDOWS + "in\\1.jpg"], "pics"),
        ([WINDOWS + "0.jpg", WINDOWS + "in\\1.jpg"], "other"),
        (["\\\\server\\share\\0.jpg", "\\\\server\\share\\in\\1.jpg"], "other"),
        (["C:/data/pics/0.jpg", "C:/data/pics/in/1.jpg"], "other"),
        (["/home/b/pics/0.jpg", "/home/b/pics/in/1.jpg"], "."),
        (["/home/b/pics/0.jpg", "/home/b/pics/in/1.jpg"], "other"),
        (["pics\\0.jpg", "pics\\in\\1.jpg"], "a.tar"),
        ([WINDOWS + "0.jpg", WINDOWS + "in\\1.jpg"], "a.tar"),
    ],
)
def test_paths_of_windows_and_of_other_computers(tmp_path, names, root):
    for file in ("pics/0.jpg", "pics/in/1.jpg", "other/0.jpg", "other/in/1.jpg"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(file[-5:].encode())
    tar(tmp_path / "a.tar", [("pics/0.jpg", b"0.jpg"), ("pics/in/1.jpg", b"1.jpg")])
    path = write(tmp_path / "t.csv", [("file", "caption"), *((name, "words") for name in names)])
    found = captions(path, image_root=tmp_path / root)
    contents = [c if isinstance(c, bytes) else c.read_bytes() for c in (sample.content() for sample in found.samples)]
    assert contents == [b"0.jpg", b"1.jpg"]
    assert [sample.key for sample in found.samples] == names
    assert not found.left_out


@pytest.mark.parametrize(
    "name", ["C:\\a\\..\\secret.jpg", "..\\secret.jpg", "in\\..\\..\\secret.jpg", "C:\\x\\none.jpg"]
)
def test_no_path_of_windows_leads_elsewhere(tmp_path, name):
    (tmp_path / "set").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"1")
    with pytest.raises(DataError, match="say where: image_root=, --image-root"):
        captions(write(tmp_path / "set/t.csv", [("file", "caption"), (name, "words")]))


def test_names_that_end_alike_are_not_mixed_up(tmp_path):
    """Two folders of another computer, one of which is here under another name: nothing tells which."""
    (tmp_path / "1.jpg").write_bytes(b"1")
    table = [("file", "caption"), ("/data/train/1.jpg", "a"), ("/data/test/1.jpg", "b")]
    with pytest.raises(DataError, match="2 outside of"):
        captions(write(tmp_path / "t.csv", table))


@pytest.mark.parametrize(("written", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("kind", ["table", "karpathy", "coco", "shards", "folder"])
def test_names_in_another_unicode_form(tmp_path, written, on_disk, kind):
    name, there = (unicodedata.normalize(form, "bücher/café.jpg") for form in (written, on_disk))
    (tmp_path / there).parent.mkdir()
    (tmp_path / there).write_bytes(b"12345")
    root = tmp_path
    if kind == "karpathy":
        data = {"images": [{"filename": name, "sentences": [{"raw": "a"}]}]}
    else:
        data = {"images": [{"id": 1, "file_name": name}], "annotations": [{"image_id": 1, "caption": "a"}]}
    source = tmp_path / "x.json"
    source.write_text(json.dumps(data))
    if kind in ("table", "shards", "folder"):
        source = write(tmp_path / "t.csv", [("file", "caption"), (name, "a")])
    if kind == "shards":
        root = tar(tmp_path / "a.tar", [(there, b"12345")])
    if kind == "folder":
        source = write(tmp_path / "t.csv", [("file", "caption"), (name.partition("/")[2], "a")])
        root = tmp_path / there.partition("/")[0]
    (sample,) = captions(source, image_root=root).samples
    assert sample.size == 5


def test_captions_without_their_image_are_counted(folder):
    document = {**COCO, "annotations": [*COCO["annotations"], {"image_id": 77, "caption": "lost"}]}
    (folder / "x.json").write_text(json.dumps(document))
    assert captions(folder / "x.json").left_out.counts == {"captions of no image in the file": 1}
    (folder / "x.json").write_text("[3]")
    with pytest.raises(DataError, match=r"x\.json: a list without one object"):
        captions(folder / "x.json")


def test_several_tables_share_a_split_and_a_root(folder, tmp_path):
    (tmp_path / "lists").mkdir()
    paths = [
        write(tmp_path / f"lists/{name[0]}.csv", [("file", "caption", "split"), (name, "a", split)])
        for name, split in zip(SAID, ("train", "train", "train"), strict=True)
    ]
    assert [s.key for s in captions(paths, split="train", image_root=folder).samples] == [
        f"{number}/{name}" for number, name in enumerate(SAID, 1)
    ]
    both = captions([paths[0], shard(tmp_path / "a.tar", [1])], image_root=folder)
    assert [sample.key for sample in both.samples] == ["1/a.jpg", "2/0001"]


@pytest.mark.shared
def test_the_real_sets(shared):
    data = shared / "data"
    train = captions(data / "flickr8k/train-{0000..0005}.tar")
    assert (len(train), len(captions(data / "flickr8k/dev-*.tar")), len(train.left_out)) == (6000, 1000, 0)
    dev = captions(data / "flickr8k/dataset_flickr8k.json", split="val", image_root=data / "flickr8k/*.tar")
    assert len(dev) == 1000
    assert len(captions(data / "photos")) == len(captions(data / "photos/karpathy.json")) == 283
    assert sum(len(sample.captions) for sample in train.samples) == 30_000


def test_image_root_is_of_no_use_to_what_holds_its_images(tmp_path):
    tar(tmp_path / "a.tar", [("a.jpg", b"1"), ("a.txt", b"x")])
    (tmp_path / "b.jpg").write_bytes(b"2")
    (tmp_path / "t.csv").write_text("file,caption\nb.jpg,y\n")
    alone = captions(tmp_path / "a.tar", image_root=tmp_path)
    both = captions([tmp_path / "a.tar", tmp_path / "t.csv"], image_root=tmp_path)
    assert (len(alone), len(both)) == (1, 2)
    for found in (alone, both):
        assert str(found.left_out).endswith(f"is of no use to {tmp_path / 'a.tar'}, which holds its images")
    with pytest.raises(UsageError, match="shards have no splits"):
        captions(tmp_path / "a.tar", split="train")


def test_captions_and_images_without_an_id_do_not_come_together(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"1")
    notes = {"images": [{"file_name": "a.jpg"}], "annotations": [{"caption": "of another"}]}
    (tmp_path / "c.json").write_text(json.dumps(notes))
    with pytest.raises(DataError, match=r"1 that are no record of the kind: .*; 1 with no caption: a\.jpg"):
        captions(tmp_path / "c.json")
