"""`sightline eval zeroshot` and `video`."""

import pytest

from sightline import scenes
from sightline.evaluate import Result


@pytest.fixture
def folders(tmp_path):
    for number in range(6):
        folder = tmp_path / "data" / ("red_circle" if number % 2 else "blue_star")
        folder.mkdir(parents=True, exist_ok=True)
        scenes.sample(4, number).draw(48).save(folder / f"{number}.png")
    return tmp_path / "data"


def test_figures_and_each_class(run, folders, tmp_path):
    (tmp_path / "classes.csv").write_text("id,name\n0,blue star\n1,red circle\n2,moon\n")
    ran = run(
        "eval", "zeroshot", "mini", folders, "--classes", tmp_path / "classes.csv", "--template", "a {}",
        "--template", "one {}", "--json", tmp_path / "result.json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    result = Result.open(tmp_path / "result.json")
    assert result.settings["templates"] == ["a {}", "one {}"]
    first = ran.out.splitlines()
    assert first[1].split()[:2] == ["top-1", f"{100 * result.figures['top-1']:.2f}%"]
    assert {line.split("  ")[0] for line in first[-2:]} == {"blue star", "red circle"}
    assert "1 classes have no image and count only as wrong answers: moon" in ran.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["video", "mini", "DATA"], "`sightline eval zeroshot`"),
        (["zeroshot", "mini", "DATA", "--template", "a photo"], "a photo"),
        (["zeroshot", "mini", "DATA", "--classes", "none.txt"], "none.txt"),
        (["zeroshot", "mini", "nowhere"], "nowhere"),
        (["zeroshot", "mini", "DATA", "--json", "none/result.json"], "no folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use(run, folders, args, says):
    ran = run("eval", *(str(folders) if arg == "DATA" else arg for arg in args))
    assert ran.status in (1, 2)
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""
