"""`sightline eval retrieval` and `compare`."""

import json
import re

import pytest

from sightline.evaluate import Result, open_results
from support.datasets import tar


def test_figures_and_a_result_to_compare(run, shard, tmp_path):
    for precision in ("float32", "bfloat16"):
        ran = run(
            "eval", "retrieval", "mini", shard, "--precision", precision, "--json", tmp_path / f"{precision}.json"
        )
        assert ran.status == 0, ran.err
        assert "1 left out, which can't be read" in ran.err
        assert "04.png" in ran.err
    result = Result.open(tmp_path / "float32.json")
    assert ran.out.splitlines()[0].split() == ["retrieval", "bfloat16", "95%"]
    lines = {name: value for name, value, _ in (re.split(r"  +", line) for line in ran.out.splitlines()[1:])}
    assert lines.keys() == {name.replace("_", " ") for name in result.figures}
    bfloat16 = Result.open(tmp_path / "bfloat16.json")
    assert lines["text to image R@1"] == f"{100 * bfloat16.figures['text_to_image_R@1']:.2f}%"
    assert lines["text to image mean rank"] == f"{bfloat16.figures['text_to_image_mean_rank']:.1f}"
    assert (result.precision, bfloat16.precision) == ("float32", "bfloat16")
    assert result.settings == {"split": None}

    ran = run(
        "eval", "compare", tmp_path / "float32.json", tmp_path / "bfloat16.json", "--draws", "50",
        "--json", tmp_path / "compared.json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert [line.split("  ")[0] for line in ran.out.splitlines()[-11:]] == [n.replace("_", " ") for n in lines]
    assert "on 11 samples" in ran.out
    assert Result.open(tmp_path / "compared.json").settings["draws"] == 50


def test_how_the_data_were_read_is_said(run, shard, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("文件,描述\n05.png,一只狗在草地上跑\n06.png,一只猫\n".encode("gb18030"))
    ran = run("eval", "retrieval", "mini", path, "--image-root", shard)
    assert ran.status == 0, ran.err
    assert "left out of the data: nothing; t.csv is read as GB18030 (GBK), since it is not in UTF-8" in ran.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["retrieval", "mini", "none.tar"], "none.tar"),
        (["retrieval", "mini", "SHARD", "--json", "none/result.json"], "no folder"),
        (["retrieval", "mini", "SHARD", "--json", "."], "is a folder"),
        (["retrieval", "mini", "SHARD", "--json", "photo.jpg"], "photo.jpg is no result of ours"),
        (["retrieval", "mini", "SHARD", "--precision", "int7"], "int7"),
        (["compare", "photo.jpg", "photo.jpg"], "photo.jpg"),
        (["compare", "none.json", "other.json"], "none.json: no such file"),
        (["compare", "a.json", "b.json"], "different data"),
        (["retrieval", "mini"], "DATA"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use(run, shard, tmp_path, args, says):
    work = tmp_path / "work"
    (work / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    (work / "other.json").write_text("{}")
    base = {
        "kind": "retrieval", "figures": {}, "model": "m", "model_fingerprint": "0", "precision": "float32",
        "data": "d", "skipped": [],
    }  # fmt: skip
    for name in "ab":
        (work / f"{name}.json").write_text(json.dumps(base | {"data_fingerprint": name}))
    ran = run("eval", *(str(shard) if arg == "SHARD" else arg for arg in args))
    assert ran.status in (1, 2)
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""
    assert (work / "photo.jpg").read_bytes() == b"\xff\xd8\xff"


def test_vectors_are_taken_from_an_earlier_run_unless_fresh(run, shard, cache):
    first, second, fresh = (run("eval", "retrieval", "mini", shard, *more) for more in ((), (), ("--fresh",)))
    assert first.out == second.out == fresh.out
    assert "11 vectors are from an earlier evaluation" in second.err
    assert "earlier evaluation" not in first.err + fresh.err
    assert len(list((cache / "sightline" / "vectors").iterdir())) == 1


@pytest.mark.system
def test_each_data_set_by_itself_and_all_files(run, shard, tmp_path):
    twice = tmp_path / "again.tar"
    twice.write_bytes(shard.read_bytes())
    files = {name: tmp_path / f"out.{name}" for name in ("json", "html", "csv", "markdown", "latex")}
    options = [part for name, file in files.items() for part in (f"--{name}", file)]
    ran = run("eval", "retrieval", "mini", shard, twice, "--each", *options)
    assert ran.status == 0, ran.err
    assert [line for line in ran.out.splitlines() if line.startswith("mini on ")] == [
        f"mini on {shard}",
        f"mini on {twice}",
    ]
    first, second = open_results(files["json"])
    assert (first.data, second.data) == (str(shard), str(twice))
    assert first.figures == second.figures
    assert files["html"].read_text().count("<section") == 2
    assert len(files["csv"].read_text().splitlines()) == 1 + 2 * len(first.figures)
    assert files["markdown"].read_text().count("| mean recall |") == 2
    assert files["latex"].read_text().count(r"\toprule") == 2
    together = run("eval", "retrieval", "mini", shard, twice)
    assert together.status == 0, together.err
    assert "mini on" not in together.out


def test_what_was_measured_before_an_error_is_written(run, shard, tmp_path):
    broken = tar(tmp_path / "broken.tar", [("a.png", b"no image"), ("a.txt", b"a cat")])
    ran = run("eval", "retrieval", "mini", shard, broken, "--each", "--json", tmp_path / "out.json")
    assert ran.status == 1
    assert "broken.tar" in ran.err.splitlines()[-1]
    (only,) = open_results(tmp_path / "out.json")
    assert only.data == str(shard)


def test_captions_that_the_model_cannot_read_whole_are_said(run, drawn, tmp_path):
    texts = ["a red circle", "red " * 100, "一只狗", "一只猫"]
    for number in range(len(texts)):
        drawn[number].draw(64).save(tmp_path / f"{number}.png")
    lines = [json.dumps({"file": f"{number}.png", "caption": text}) for number, text in enumerate(texts)]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    ran = run("eval", "retrieval", "mini", tmp_path / "captions.jsonl", "--device", "cpu", "--batch-size", "3")
    assert ran.status == 0, ran.err
    cut, spelled, *rest = ran.err.splitlines()
    assert cut == "sightline: 1 of 4 texts was longer than 64 tokens and was cut"
    assert spelled.startswith(
        "sightline: 2 of 4 texts are mostly words that mini spells byte by byte, such as “一只狗”: "
    )
    assert not [line for line in rest if line.startswith("sightline: ")]


def test_a_device_that_is_missing_is_one_line(run, shard):
    ran = run("eval", "retrieval", "mini", shard, "--device", "gpu")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "sightline: no device 'gpu': did you mean 'cuda'?\n"
