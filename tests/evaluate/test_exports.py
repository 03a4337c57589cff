"""Results as CSV, Markdown and LaTeX, and what is said beside the figures."""

import csv
import io
import re
from dataclasses import replace

import pytest

from sightline.errors import UsageError
from sightline.evaluate import compare, open_results, save_results, table
from sightline.evaluate.exports import COLUMNS, to_csv, to_latex, to_markdown, write_export
from sightline.evaluate.notes import notes
from sightline.evaluate.text_tables import text_tables
from sightline.format import distinct_names
from support.results import made

ODD = "a|b_c\\50% & $x^2$ {~} <#> \x1b[31m\n|a--d"


@pytest.fixture(scope="module")
def results():
    a, b = made(f"runs/{ODD}/best", "d", 0.5), made("runs/new/best", "d", 0.7)
    a = replace(a, intervals={"mean_recall": [0.25, 0.75]})
    return [a, compare(a, b, draws=20), table([a, b], draws=20)]


def test_csv_holds_every_figure(results):
    rows = list(csv.DictReader(io.StringIO(to_csv(results))))
    assert set(rows[0]) == set(COLUMNS)
    of_first = [row for row in rows if row["evaluation"] == "retrieval"]
    assert {row["figure"]: float(row["value"]) for row in of_first} == results[0].figures
    (mean,) = (row for row in of_first if row["figure"] == "mean_recall")
    assert (mean["low"], mean["high"], mean["model"]) == ("0.25", "0.75", results[0].model)
    compared = [row for row in rows if row["evaluation"] == "compare"]
    assert len(compared) == 3 * len(results[0].figures)
    assert len([row for row in rows if row["evaluation"] == "table"]) == 3 * len(results[0].figures)


def test_markdown_escapes_and_is_rectangular(results):
    blocks = re.findall(r"(?:^\|.*\n)+", to_markdown(results), re.MULTILINE)
    assert len(blocks) == 3
    for block, of in zip(blocks, (one for each in results for one in text_tables(each)), strict=True):
        lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        assert {len(line) for line in lines} == {len(of.head)}
        assert len(lines) == len(of.lines) + 2
    assert r"a\|b\_c\\50% \& \$x^2\$ {\~} \<\#\>" in to_markdown(results)
    assert "\x1b" not in to_markdown(results)


def test_latex_escapes_and_is_rectangular(results):
    text = to_latex(results)
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == text.count(r"\end{tabular}") == 3
    assert r"{[}31m�\textbar{}a-{}-d" in text
    for line in text.splitlines():
        if line.endswith(r" \\"):
            assert not re.search(r"(?<!\\)[%$#_]|^[\[*]", line), line
        else:
            assert line.startswith(("%", "\\")), line
    assert r"50\% \& \$x\textasciicircum{}2\$ \{\textasciitilde{}\}" in text
    for block, of in zip(
        re.findall(r"\\toprule\n(.*?)\\bottomrule", text, re.DOTALL),
        (one for each in results for one in text_tables(each)),
        strict=True,
    ):
        rows = [line for line in block.splitlines() if line != r"\midrule"]
        assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(of.head)}


@pytest.mark.parametrize("format", ["csv", "markdown", "latex"])
def test_a_table_of_ours_is_replaced_and_another_file_stays(results, tmp_path, format):
    file = tmp_path / "table"
    for _ in range(2):
        write_export(file, format, results)
    file.write_text("my notes")
    with pytest.raises(UsageError, match=r"no .* table of ours"):
        write_export(file, format, results)
    assert file.read_text() == "my notes"


def test_several_results_in_a_file(results, tmp_path):
    for count in (1, 3):
        save_results(tmp_path / "results.json", results[:count])
        assert open_results(tmp_path / "results.json") == [replace(one, skipped=[]) for one in results[:count]]
    assert len((tmp_path / "results.json").read_text().splitlines()) == 3
    with pytest.raises(UsageError, match="holds 3 results where one is wanted"):
        type(results[0]).open(tmp_path / "results.json")
    for text in ("", "{}", "[]", "{", "null", (tmp_path / "results.json").read_text() + "more"):
        (tmp_path / "broken.json").write_text(text)
        with pytest.raises(UsageError, match="no result of an evaluation"):
            open_results(tmp_path / "broken.json")


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["mini", "other"], ["mini", "other"]),
        (["runs/a/best", "runs/b/best"], ["a/best", "b/best"]),
        (["runs/a/best", "runs/b/last"], ["best", "last"]),
        (["mini", "mini"], ["mini (1)", "mini (2)"]),
        (["a", "b/a"], ["a", "b/a"]),
        ([r"C:\runs\a\best", r"C:\runs\b\best"], ["a/best", "b/best"]),
        ([], []),
    ],
)
def test_columns_are_named_by_models(names, short):
    assert distinct_names(names) == short


def test_what_speaks_against_a_comparison():
    a, b = made("a", "d", 0.5), made("b", "d", 0.7)
    assert compare(a, b, draws=9).details["warnings"] == []
    chosen = {"data": "val.csv", "data_fingerprint": a.data_fingerprint, "metric": "mean_recall", "checkpoints": 11}
    (told,) = compare(a, replace(b, selection=chosen), draws=9).details["warnings"]
    assert "b was chosen by these very data, as the best of 11 checkpoints" in told
    elsewhere = chosen | {"data_fingerprint": "another"}
    assert compare(a, replace(b, selection=elsewhere), draws=9).details["warnings"] == []
    (told,) = compare(a, replace(b, precision="bfloat16"), draws=9).details["warnings"]
    assert "a was computed in float32 and b in bfloat16" in told
    counted = {"texts": 400, "different_texts": 4}
    (told,) = compare(a, replace(b, details=counted), draws=9).details["warnings"]
    assert "the result of a is of an older version" in told
    tabled = table([a, replace(b, selection=chosen, precision="bfloat16")], draws=9)
    assert len(tabled.details["tables"][0]["warnings"]) == 2
    assert len([note for note in notes(tabled) if note.startswith("Warning: ")]) == 2
    assert "chosen by these very data" in notes(replace(b, selection=chosen))[0]


def test_equal_captions_are_said():
    result = made("a", "d", 0.5)
    details = {"texts": 32, "different_texts": 4, "pairs_only": {"text_to_image_R@1": 0.0625}}
    first, second = notes(replace(result, details=details))
    assert first.startswith("32 captions, 4 different: ")
    assert "text to image R@1 6.25%" in second
    assert notes(replace(result, details={"texts": 32, "different_texts": 32, "pairs_only": {}})) == []
