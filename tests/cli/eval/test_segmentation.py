"""`sightline eval segmentation`."""

import numpy as np
import pytest
from PIL import Image

from sightline import scenes
from sightline.evaluate import Result


@pytest.fixture
def masks(tmp_path):
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for index in range(2):
        scene = scenes.sample(8, index)
        Image.fromarray(np.minimum(scene.mask(64), 1)).save(folder / f"{index}.png")
        scene.draw(64).save(folder / "images" / f"{index}.png")
    (folder / "classes.txt").write_text("background\nsomething red\nsomething blue\n")
    return folder


def test_figures_and_each_class(run, masks, tmp_path):
    ran = run("eval", "segmentation", "mini-groupvit", masks, "--json", tmp_path / "result.json")
    assert ran.status == 0, ran.err
    result = Result.open(tmp_path / "result.json")
    assert ran.out.splitlines()[1].split()[:2] == ["mIoU", f"{100 * result.figures['mIoU']:.2f}%"]
    assert (result.samples["key"], result.settings["background"]) == (["0", "1"], 0.95)
    assert "something red" in ran.out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["mini", "DATA"], "a clip model does not group pixels"),
        (["mini-groupvit", "none"], "none: no such file or folder"),
        (["mini-groupvit", "DATA", "--mode", "other"], "other"),
        (["mini-groupvit", "DATA", "--prompt", "a photo"], "a photo"),
        (["mini-groupvit", "DATA", "--background", "2"], "background"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use(run, masks, args, says):
    ran = run("eval", "segmentation", *(str(masks) if arg == "DATA" else arg for arg in args))
    assert ran.status in (1, 2)
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""
