"""The log: every step once in the CSV whatever was killed when, events for TensorBoard, what is on the screen."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, strategies as st

from sightline.distribution import install
from sightline.errors import UsageError
from sightline.train.log import Log, Rows, _span
from support.examples import examples

COLUMNS = ["step", "loss", "logit_scale", "lr", "skipped"]


def figures(step):
    return {"loss": 5 / step, "logit_scale": 14.285714285714286 + step, "lr": 1e-4 / 3, "skipped": step % 2}


def run(folder, start, stop, steps=9):
    with Log(folder, steps, 8, start) as log:
        for step in range(start + 1, stop + 1):
            log.step(step, figures(step))


def read(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_for_each_step_and_numbers_come_back_as_they_were(tmp_path):
    run(tmp_path, 0, 9)
    rows = read(tmp_path)
    assert list(rows[0]) == COLUMNS
    assert [int(row["step"]) for row in rows] == list(range(1, 10))
    for step, row in enumerate(rows, 1):
        assert {name: float(row[name]) for name in COLUMNS[1:]} == figures(step)


def test_resumed_it_is_the_log_of_a_run_never_stopped(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    run(whole, 0, 9)
    run(broken, 0, 7)
    run(broken, 4, 6)
    run(broken, 6, 9)
    assert (broken / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()


@examples(60)
@given(cut=st.integers(0, 250), resumed_at=st.integers(0, 9))
def test_cut_anywhere_only_whole_rows_stay(tmp_path_factory, cut, resumed_at):
    folder = tmp_path_factory.mktemp("cut")
    rows = Rows(folder / "log.csv", 0)
    for step in range(1, 10):
        rows.add(step, figures(step))
    rows.close()
    data = (folder / "log.csv").read_bytes()[:cut]
    (folder / "log.csv").write_bytes(data)
    whole = max(0, data.count(b"\n") - 1)
    rows = Rows(folder / "log.csv", resumed_at)
    assert [int(row["step"]) for row in rows.kept] == list(range(1, min(whole, resumed_at) + 1))
    rows.add(resumed_at + 1, figures(resumed_at + 1))
    rows.close()
    found = read(folder)
    assert found[-1]["loss"] == str(5 / (resumed_at + 1))
    assert len(found) == min(whole, resumed_at) + 1


@pytest.mark.system
def test_a_killed_process_leaves_whole_lines(tmp_path):
    code = f"""
from pathlib import Path
from sightline.train.log import Rows
rows = Rows(Path({str(tmp_path)!r}) / "log.csv", 0)
for step in range(1, 10**9):
    rows.add(step, {{"loss": 1 / step, "logit_scale": 100 / 3}})
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    file = tmp_path / "log.csv"
    while not file.exists() or file.stat().st_size < 100_000:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    text = file.read_text()
    assert text.endswith("\n")
    lines = [line.split(",") for line in text.splitlines()[1:]]
    assert [line[0] for line in lines] == [str(step) for step in range(1, len(lines) + 1)]
    assert all(line[1:] == [str(1 / int(line[0])), str(100 / 3)] for line in lines)


def test_a_figure_that_comes_later_is_a_column_of_its_own(tmp_path):
    with Log(tmp_path, 3, 8) as log:
        log.step(1, {"loss": 2.0})
        log.step(2, {"loss": 1.0, "nouns": 0.5})
        log.step(3, {"nouns": 0.25})
    assert (tmp_path / "log.csv").read_text() == "step,loss,nouns\n1,2.0,\n2,1.0,0.5\n3,,0.25\n"


def test_another_file_of_that_name_is_left_alone(tmp_path):
    (tmp_path / "log.csv").write_text("name,caption\n")
    with pytest.raises(UsageError, match=r"log\.csv is not the log of a run"):
        Log(tmp_path, 3, 8)
    assert (tmp_path / "log.csv").read_text() == "name,caption\n"


def test_events_of_a_resumed_run_have_every_step_once(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.summary.writer import event_file_writer

    # Files of one second and one process are read in the order of a count as text, where 10 comes before 9.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))
    run(tmp_path, 0, 7)
    with Log(tmp_path, 9, 8, 4) as log:
        log.evaluated(4, {"R@1": 0.25})
        for step in range(5, 10):
            log.step(step, {**figures(step), "loss": -1.0})
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    seen = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert seen == [(step, pytest.approx(5 / step)) for step in (1, 2, 3, 4)] + [(s, -1.0) for s in range(5, 10)]
    assert [event.step for event in events.Scalars("train/pairs_per_second")] == list(range(1, 10))
    assert [(e.step, e.value) for e in events.Scalars("evaluation/R@1")] == [(4, 0.25)]


def test_without_tensorboard_it_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run(tmp_path, 0, 9)
    assert len(read(tmp_path)) == 9
    assert not (tmp_path / "events").exists()
    said = [line for line in capsys.readouterr().err.splitlines() if "TensorBoard" in line]
    assert said == [f"no events for TensorBoard, which is not installed: {install('train')}"]


def test_lines_where_there_is_no_terminal(tmp_path, capsys):
    run(tmp_path, 0, 4, steps=1_200)
    with Log(tmp_path, 1_200, 8, 3) as log:
        log.step(1_200, figures(4))
        log.evaluated(1_200, {"text_to_image_R@1": 0.51239, "text_to_image_median_rank": 2, "good": 0.25})
    first, resumed, found = capsys.readouterr().err.splitlines()
    assert first.startswith("step 1 of 1,200: mean loss 5.0000, logit_scale 15.29, lr 3.33e-05, ")
    assert " pairs/s, " in first
    assert first.endswith((" s left", " min left", ", 1 skipped"))
    assert resumed.startswith("step 1,200 of 1,200: mean loss 1.2500, ")
    assert resumed.endswith(", 0 s left, 2 skipped")  # those of steps 1 and 3
    assert found == "step 1,200: text to image R@1 51.24%, text to image median rank 2.0, good 0.25"


@pytest.mark.system
def test_a_bar_on_a_terminal(tmp_path):
    code = f"""
from pathlib import Path
from sightline.train.log import Log
with Log(Path({str(tmp_path)!r}), 20, 8) as log:
    for step in range(1, 21):
        log.step(step, {{"loss": 2.0, "logit_scale": 14.3, "lr": 1e-4, "skipped": 1}})
    log.evaluated(20, {{"R@1": 0.5}})
"""
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait() == 0
    text = shown.decode()
    assert "20/20" in text
    assert "mean loss 2.0000, logit_scale 14.30, lr 1.00e-04, " in text
    assert "20 skipped" in text
    assert "step 20: R@1 50.00%" in text


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (89.4, "89 s"), (91, "2 min"), (5_000, "83 min"), (5_400, "1 h 30 min")]
)
def test_spans(seconds, said):
    assert _span(seconds) == said
