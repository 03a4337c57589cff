"""Damage to an index: what is found, what is kept, what is repaired."""

import os
import random
import re
import shutil

import pyarrow as pa
import pytest
from PIL import Image

from sightline.errors import IndexDamaged, IndexFault, IndexLocked, IndexMissing, IndexTooNew
from sightline.index import Limits, Table, fsck, lock
from sightline.index.folder import FIRST_TABLE, manifests
from sightline.index.schema import ModelRecord, item_schema
from sightline.index.sync import sync
from support.encoders import FakeEncoder
from support.images import as_bytes, draw
from support.tables import MODEL, contents, rows

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """Sixty pictures and a whole index of them, in several parts, with rows replaced and removed."""
    folder = tmp_path_factory.mktemp("gallery")
    for seed in range(60):
        draw(folder / "photos" / f"{seed:02}.png", seed)
    sync(folder / "index", [folder / "photos"], FakeEncoder(), limits=Limits(batch_rows=20))
    draw(folder / "photos" / "05.png", 105)
    (folder / "photos" / "25.png").unlink()
    sync(folder / "index", [folder / "photos"], FakeEncoder(), limits=Limits(batch_rows=20))
    return folder


@pytest.fixture
def damaged(gallery, tmp_path):
    """A copy of the index, to be damaged. Whatever a test did to it, it can be made whole again."""
    shutil.copytree(gallery / "index", tmp_path / "index")
    yield tmp_path / "index"
    if (tmp_path / "index").exists():
        sync(tmp_path / "index", [gallery / "photos"], FakeEncoder())
        assert contents(tmp_path / "index") == contents(gallery / "index")


def newest(folder):
    files = manifests(folder / FIRST_TABLE)
    return files[max(files)]


def part(folder, name, which=0):
    return sorted((folder / FIRST_TABLE / name).iterdir(), key=lambda file: file.stat().st_mtime_ns)[which]


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def garble(path):
    path.write_bytes(random.Random(0).randbytes(path.stat().st_size))


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def test_a_whole_index_has_no_problems(damaged):
    before = contents(damaged)
    assert fsck.check(damaged) == []
    assert fsck.repair(damaged) == []
    assert contents(damaged) == before


@pytest.mark.parametrize(
    ("name", "which", "harm"),
    [
        ("data", 0, os.unlink),
        ("data", 1, truncate),
        ("data", 2, garble),
        ("_deletions", -1, zero),
    ],
)
def test_what_is_whole_is_kept(damaged, name, which, harm):
    before = contents(damaged)
    harm(part(damaged, name, which))
    with pytest.raises(IndexDamaged, match="fsck --repair"):
        Table.open(damaged).vectors()
    problems = fsck.repair(damaged)
    assert len(problems) == 1
    assert problems[0].repairable
    assert str(damaged) in problems[0].where
    assert fsck.check(damaged) == []
    after = contents(damaged)
    assert after.items() <= before.items()
    assert 39 <= len(after) <= 41, "one part of three is lost"


def test_a_broken_manifest_gives_way_to_the_one_before(damaged):
    garble(newest(damaged))
    with pytest.raises(IndexDamaged, match="fsck --repair"):
        Table.open(damaged)
    problems = fsck.check(damaged)
    assert ["cannot be read" in problem.what for problem in problems] == [True]
    assert fsck.repair(damaged)[:1] == problems
    assert fsck.check(damaged) == []
    assert Table.open(damaged).count() >= 59


def test_a_missing_manifest_is_as_if_the_last_commit_had_not_been(damaged):
    newest(damaged).unlink()
    fsck.repair(damaged)
    assert fsck.check(damaged) == []
    assert Table.open(damaged).count() >= 59


def test_nothing_is_left(damaged):
    for manifest in manifests(damaged / FIRST_TABLE).values():
        garble(manifest)
    assert not any(problem.repairable for problem in fsck.check(damaged))
    with pytest.raises(IndexDamaged, match="delete it"):
        fsck.repair(damaged)
    shutil.rmtree(damaged)


JPEG = as_bytes(Image.new("RGB", (6, 4), "teal"), "JPEG")


def test_rows_that_cannot_be_right_go(tmp_path):
    unit = [1.0] + [0] * 7
    wrong = [
        ({"vector": [[2.0] + [0] * 7]}, "its vector is not of unit length"),
        ({"vector": [[float("nan")] + [0] * 7]}, "its vector is not of unit length"),
        ({"uri": ["relative.jpg"]}, "its uri is not an absolute path"),
        ({"uri": ["file://%00"]}, "its uri is not an absolute path"),
        ({"hash": ["soup"]}, "its hash is not one"),
        ({"width": [0]}, "its sizes are impossible"),
        ({"latitude": [90.5]}, "its metadata is impossible"),
        ({"longitude": [float("nan")]}, "its metadata is impossible"),
        ({"orientation": [9]}, "its metadata is impossible"),
        ({"thumbnail": [b"soup"]}, "its thumbnail is no JPEG"),
        ({"thumbnail": [JPEG[:-2]]}, "its thumbnail is no JPEG"),
        ({"thumbnail": [JPEG[:2] + bytes(len(JPEG) - 4) + JPEG[-2:]]}, "its thumbnail is no JPEG"),
        ({"id": [2**40]}, "its id is impossible"),
        ({"id": [-5]}, "its id is impossible"),
    ]
    table = Table.create(tmp_path, MODEL)
    table.reserve(100)
    table.append(rows(range(6), vector=[unit] * 6, thumbnail=[JPEG] * 6))
    for id, (values, _) in enumerate(wrong, start=30):
        table.append(rows([id], **{"vector": [unit], **values}))
    table.append(rows([2], vector=[unit], hash=["a" * 32], uri=["/another.jpg"]))
    table.append(rows([20], vector=[unit], hash=["b" * 32], uri=["/photos/4.jpg"]))
    problems = fsck.check(tmp_path)
    assert [problem.what for problem in problems] == [reason for _, reason in wrong] + [
        "a later row has the same id, or the same uri and start"
    ] * 2
    assert fsck.repair(tmp_path) == problems
    assert fsck.check(tmp_path) == []
    kept = Table.open(tmp_path).columns(["id", "hash"]).to_pylist()
    assert {row["id"]: row["hash"] for row in kept} == {
        **{id: f"{id:032x}" for id in (0, 1, 3, 5)},
        2: "a" * 32,
        20: "b" * 32,
    }


@pytest.mark.parametrize("regions", [None, (2, 2, 4)])
def test_what_is_kept_beside_a_vector_and_cannot_be_right_goes(tmp_path, regions):
    model = ModelRecord("fake", "f", 8, rescoring=0 if regions else 3, regions=regions)
    wrong = {4: float("nan"), 5: float("inf")} | ({6: 2.0, 7: -1.0} if regions else {})
    table = Table.create(tmp_path, model)
    for id in range(8):
        row = rows([id], vector=[[1.0] + [0] * 7])
        extras = pa.array([[5.0] * 16 + [1.0] * 7 + [wrong.get(id, 0.0)]], pa.list_(pa.float16(), 24))
        columns = [row.column(name) if name in row.column_names else extras for name in item_schema(model).names]
        table.append(pa.table(columns, schema=item_schema(model)))
    problems = fsck.check(tmp_path)
    assert [problem.what for problem in problems] == ["its rescoring or regions cannot be a model's"] * len(wrong)
    assert fsck.repair(tmp_path) == problems
    assert set(Table.open(tmp_path).columns(["id"]).column("id").to_pylist()) == set(range(8)) - wrong.keys()


def test_leftovers_of_a_killed_writer_are_named_and_swept(damaged):
    stray = damaged / FIRST_TABLE / "data" / "stray.lance"
    stray.touch()
    assert [problem.where for problem in fsck.check(damaged)] == [str(stray)]
    with lock.writer(damaged):
        assert fsck.check(damaged) == [], "a writer at work has files that no version knows yet"
    fsck.repair(damaged)
    assert not stray.exists()


def test_repair_keeps_off_while_a_writer_is_at_work(damaged):
    garble(newest(damaged))
    with lock.writer(damaged), pytest.raises(IndexLocked, match=f"process {os.getpid()}"):
        fsck.repair(damaged)
    assert fsck.check(damaged)
    fsck.repair(damaged)


def test_what_the_system_denies_is_not_taken_for_broken(damaged, monkeypatch):
    """A folder in the place of a file cannot be opened, as a file without permission cannot."""
    manifest = newest(damaged)
    content = manifest.read_bytes()
    manifest.unlink()
    manifest.mkdir()
    for look in (fsck.check, fsck.repair):
        with pytest.raises(IndexFault, match=f"cannot be checked: {manifest}"):
            look(damaged)
    manifest.rmdir()
    manifest.write_bytes(content)


@pytest.mark.parametrize("look", [fsck.check, fsck.repair])
def test_no_index_and_one_of_a_newer_format(tmp_path, look):
    with pytest.raises(IndexMissing):
        look(tmp_path)
    Table.create(tmp_path, MODEL).dataset.update_schema_metadata({"sightline.version": "99"})
    with pytest.raises(IndexTooNew, match="99"):
        look(tmp_path)


def test_a_file_that_ends_the_process_that_reads_it(damaged, monkeypatch):
    """A probe that dies at the first part: that part is blamed, the others are read."""
    script = (
        "import os, sys; from sightline.index import probe; read = probe.read\n"
        "def deadly(dataset, fragment):\n"
        "    os._exit(134) if fragment.fragment_id == 0 else None\n"
        "    return read(dataset, fragment)\n"
        "probe.read = deadly; probe.main()"
    )
    really = fsck.subprocess.Popen

    def popen(command, **options):
        assert command[1:3] == ["-m", "sightline.index.probe"]
        return really([command[0], "-c", script, *command[3:]], **options)

    monkeypatch.setattr(fsck.subprocess, "Popen", popen)
    (problem,) = fsck.check(damaged)
    assert re.fullmatch(r"part 0 with (19|20) of 59 items cannot be read \(reading it ends the process\)", problem.what)
    fsck.repair(damaged)
    assert 39 <= Table.open(damaged).count() <= 41
