"""The report: whole, without a network, with nothing of a name obeyed."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from sightline.data import captions
from sightline.distribution import install
from sightline.errors import UsageError
from sightline.evaluate import Result, compare, diagnosis, table, temperature
from sightline.evaluate.pair_vectors import PairVectors
from sightline.evaluate.projection import _row
from sightline.report import plots
from sightline.report.results import write_report
from sightline.report.sections import SECTIONS
from support.results import made

HOSTILE = '_"><script>alert(1)</script>$x_1$ \x1b[31m & <b>日本'


CLASSES = {name: {"samples": 4, "top-1": 0.25, "interval": [0.05, 0.7], "top-5": 1.0} for name in ("red", HOSTILE)}

PAIR = {"right": HOSTILE, "predicted": "red", "count": 3, "share": 0.5, "confidence": 0.25, "keys": [HOSTILE, "00"]}


def confused(diagnosed):
    """The details of confusions."""
    images = {"images": diagnosed.details["images"], "classes": CLASSES, "pairs": [PAIR]}
    return {**diagnosed.details["text_to_image"], **images}


class Page(HTMLParser):
    """Tags, their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def dimensions():
    """A result as `projection` makes it."""
    rng = np.random.default_rng(0)

    def row(way, dim):
        rows = rng.standard_normal((20, dim)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return _row(way, PairVectors(rows, rows, np.arange(20), np.arange(20)))

    rows = [
        row("original", 16),
        row("truncated", 8),
        row("principal axes", 8),
        row("new heads", 8),
        row("new heads", 32),
    ]
    details = {"rows": rows, "train_skipped": 0}
    figures = {"effective_dimension": 5.0}
    return replace(
        made("m", "d", 0.5), kind="projection", figures=figures, details=details, settings={"train": HOSTILE}
    )


@pytest.fixture(scope="module")
def results(mini, shard):
    """One of each kind."""
    data = captions(shard)
    before, after = made("before", "d", 0.5), made("after", "d", 0.7)
    diagnosed = diagnosis(mini, data)
    return [
        before, temperature(mini, data), diagnosed, dimensions(), compare(before, after, draws=20),
        table([before, after], draws=20),
        *(
            replace(before, kind=kind, figures={"top-1": 0.5}, details={"classes": CLASSES})
            for kind in ("zeroshot", "video", "linear_probe", "knn")
        ),
        replace(diagnosed, kind="confusions", details=confused(diagnosed)),
        replace(before, kind="segmentation", figures={"iou": 0.5}, details={"classes": {"red": 0.5, HOSTILE: 0.25}}),
        replace(before, kind="something new", figures={"accuracy": 0.25, "loss": 2.5}),
    ]  # fmt: skip


def test_what_was_left_out_is_told(tmp_path):
    one = made("m", "d", 0.5)
    write_report(tmp_path / "page.html", [replace(one, details=one.details | {"left_out": {"without a caption": 3}})])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<dt>left out of the data</dt><dd>3 without a caption</dd>" in text


@pytest.mark.system
def test_every_kind_is_on_the_page_even_after_a_file(results, tmp_path):
    assert {one.kind for one in results} >= SECTIONS.keys()
    for number, result in enumerate(results):
        result.save(tmp_path / f"{number}.json")
    read = [Result.open(tmp_path / f"{number}.json") for number in range(len(results))]
    write_report(tmp_path / "report.html", read)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == [
        f"result-{i}" for i in range(1, len(results) + 1)
    ]
    for said in ("Recall@K", "Expected calibration error", "Reliability", "new heads", "25.00%", "print of before"):
        assert said in text
    assert not re.search(r"<(script|link|iframe|object|embed)|url\((?!#)|@import|\son\w+=", text)
    assert not [attrs for tag, attrs in page.tags if tag == "img" and not attrs["src"].startswith("data:image/")]
    links = set(re.findall(r"https?://[^\"]+", text))
    assert links <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


@pytest.mark.system
def test_names_are_shown_and_not_obeyed(results, tmp_path):
    hostile = [replace(one, model=HOSTILE, data=HOSTILE, command=HOSTILE) for one in results[:3]]
    details = dict(results[2].details)
    mistake = {"right": HOSTILE, "predicted": HOSTILE, "confidence": 0.5, "right_confidence": 0.1}
    for way, name in (("text_to_image", "text"), ("image_to_text", "key")):
        details[way] = details[way] | {"mistakes": [mistake | {name: HOSTILE}]}
    shown = {"text": HOSTILE, "key": HOSTILE, "rank": 7, "found": [HOSTILE, "00"]}
    examples = {"text_to_image": [shown], "image_to_text": [shown], "images": {}}
    hostile[0] = replace(hostile[0], details={"examples": examples})
    hostile[2] = replace(hostile[2], details=details)
    write_report(tmp_path / "report.html", hostile)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert "<script>alert(1)</script>" in page.text
    assert "\x1b" not in page.text


@pytest.mark.parametrize(
    "drawn",
    [
        lambda name: plots.lines(name, name, name, {name: ([1, 2], [3, 4])}, marks={name: 1.5}, levels={name: 3.0}),
        lambda name: plots.recall_curve(name, {name: [1, 5, 30], "b": [1, 1, 1]}),
        lambda name: plots.rank_histogram(name, {name: [1, 5, 30], "b": [1, 1, 1]}),
        lambda name: plots.stairs(name, name, {name: [0, 2, 0], "none": [0, 0, 0]}, [0, 1, 2, 3]),
        lambda name: plots.groups(name, [name, "b"], {name: [(0.5, (0.4, 0.7)), (0.1, (0.1, 0.1))]}),
        lambda name: plots.reliability_diagram(name, [0, 0.5, 1], [0.3, None], [0.2, None], [4, 0]),
        lambda name: plots.bars(name, name, [name, "b"], [0.5, float("nan")]),
    ],
)
def test_plots_are_svg_in_the_pages_colors(drawn):
    text = drawn(HOSTILE)
    tree = ElementTree.fromstring(text)
    assert tree.tag == "{http://www.w3.org/2000/svg}svg"
    said = "".join(tree.itertext())
    assert "<script>alert(1)</script>$x_1$" in said, "no mathematics, nothing obeyed"
    assert "var(--" in text
    assert not re.search(r"#0[01]0[0-9a-f]{3}\b", text)
    assert "font-family" not in text
    assert text == drawn(HOSTILE), "drawn twice it is the same"


def test_numbers_in_words_are_not_rounded():
    assert "0.123456 of it" in plots.lines("0.123456 of it", "x", "y", {"a": ([0, 1], [0, 1])})


def test_without_matplotlib(results, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=re.escape(install("report"))):
        write_report(tmp_path / "report.html", results)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_page_stays(results, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    for name in ("photo.jpg", "none/report.html", "."):
        with pytest.raises(UsageError, match=r"photo\.jpg is no page|there is no folder|is a folder"):
            write_report(tmp_path / name, results[:1])
    assert (tmp_path / "photo.jpg").read_bytes() == b"\xff\xd8"


@pytest.mark.parametrize("number", range(5))
def test_a_result_that_lacks_something_is_named(results, tmp_path, number):
    for spoiled in (replace(results[number], details={}, samples={}), replace(results[number], details={"rows": 3})):
        with pytest.raises(UsageError, match=f"missing or strange in the {spoiled.kind} of .*: evaluate again"):
            write_report(tmp_path / "report.html", [replace(spoiled, samples={})])
    assert list(tmp_path.iterdir()) == []
