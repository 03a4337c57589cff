"""Each benchmark at a tiny size: it runs to its end and says its figures, whatever they are here."""

import importlib
import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from sightline.checkpoint.names import PACKAGED
from support.datasets import tar
from support.images import as_bytes, draw, image
from support.videos import colored

pytestmark = pytest.mark.system

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# The arguments of each; what begins with "@" is a file or folder of `data`.
ARGUMENTS = {
    "beside": "@. @checkpoint @photos --rounds 2 --tasks texts",
    "color": "@photos @checkpoint --photos 2",
    "cold_search": "@vocabulary --items 20 --rounds 1 --mini",
    "encode_images": "@photos --rounds 1 --mini",
    "encode_texts": "@vocabulary @captions.tar --captions 20 --rounds 1 --mini",
    "contrastive_example": "@checkpoint @captions.tar --steps 2 --batch-size 2 --pairs 4",
    "engines": "@photos @vocabulary --rounds 1 --mini",
    "exact_search": "3000 64 --rounds 1 --json @exact_search.json",
    "families align": "align --inputs 2 --texts 4 --rounds 1 --mini",
    "families groupvit": "groupvit images --inputs 2 --rounds 1 --mini",
    "families xclip": "xclip images --inputs 2 --rounds 1 --mini",
    "video_decoding": "@photos --seconds 1 --rounds 1",
    "video_frames": "--rounds 1 --mini",
    "video_index": "@video.mp4 --model mini --rounds 1",
    "filters": "--conditions 100",
    "first_pass": "5000 --json @first_pass.json",
    "flickr8k": "@checkpoint @captions.tar",
    "four_bits": "@vocabulary @checkpoint @captions.tar --images 4 --mini",
    "fuzzing": "--inputs 2",
    "gradient_caching": "--micro-batch 1 --batches 2 --cached 2 --tokens 8 --mini",
    "gpu": "--device cpu --rounds 1 --mini",
    "growth": "memory @photos --counts 1 2",
    "hard_files": "@photos 32",
    "hard_neighbours": "@photos @hard mini 3",
    "image_tower": "@photos @vocabulary --rounds 1 --mini",
    "int8": "@checkpoint @captions.tar @checkpoint",
    "kill_training": "mini @captions.tar --steps 3 --batch-size 4 --kills 1",
    "mixed_precision": "@checkpoint @captions.tar",
    "mixed_precision rates": "@checkpoint @captions.tar --images 2 --rounds 1",
    "near_copies": "@photos mini",
    "reduced_decoding": "@photos mini --mosaics 2",
    "side_by_side": "--inputs 1 --rounds 1 --families xclip --frames 2 --mini",
    "small_and_fast": "images @photos --size 2 --rounds 1 --mini --only quantize_dynamic",
    "soak": "@soak --kills 1 --files 30",
    "tasks images": "images @checkpoint @photos",
    "tasks search": "search @checkpoint @photos --rows 500",
    "tasks train": "train @checkpoint @photos --pairs 2",
    "training_rate": "@small @karpathy.json --sizes small --pairs 2 --steps 2",
    "two_steps": "--videos 12 --queries 2",
    "watching": "@watched --changes 12 --kills 1 --files 12 --idle 1",
    "voc20": "mini-groupvit @voc20 @photos",
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A copy of the programs, beside which their figures go; they, and processes that they start, import each other."""
    folder = tmp_path_factory.mktemp("benchmarks")
    for file in BENCHMARKS.glob("*.py"):
        shutil.copy(file, folder)
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(folder)
    patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    yield folder
    patch.undo()
    for file in folder.glob("*.py"):
        sys.modules.pop(file.stem, None)


@pytest.fixture(scope="module")
def data(tmp_path_factory, vocabulary):
    """What they are given: twelve photos, captions, a video, CLIP's vocabulary, a checkpoint, masks."""
    folder = tmp_path_factory.mktemp("data")
    shutil.copytree(BENCHMARKS, folder / "benchmarks")
    files, entries = [], []
    for number in range(12):
        draw(folder / "photos" / f"{number:02}.jpg", number, (426, 426))
        said = [f"a picture of number {number}", f"colors, {number} of them"]
        files += [(f"{number:02}.jpg", as_bytes(image(number), "JPEG"))]
        files += [(f"{number:02}.json", json.dumps({"captions": said}).encode())]
        entries.append({"sentences": [{"raw": text} for text in said]})
    tar(folder / "captions.tar", files)
    (folder / "karpathy.json").write_text(json.dumps({"images": entries}))
    draw(folder / "hard" / "deep" / "good.png", 99)
    (folder / "hard" / "bad.jpg").write_bytes(b"no picture")
    colored(folder / "video.mp4", [("red", 1), ("blue", 1)])
    (folder / "vocabulary").mkdir()
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(vocabulary / name, folder / "vocabulary" / f"clip-{name}")
    shutil.copytree(PACKAGED / "mini", folder / "checkpoint")
    (folder / "small").mkdir()
    shutil.copy(PACKAGED / "mini" / "tokenizer.json", folder / "small")
    config = json.loads((PACKAGED / "mini" / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 77
    (folder / "small" / "config.json").write_text(json.dumps(config))
    dev = {f"{way}_R@{k}": 50.0 for way in ("t2i", "i2t") for k in (1, 5, 10)}
    (folder / "checkpoint" / "training.json").write_text(json.dumps({"dev": dev}))
    (folder / "voc20" / "masks").mkdir(parents=True)
    (folder / "voc20" / "classes.txt").write_text("background\nred\nblue\n")
    mask = Image.new("L", (426, 426))
    mask.paste(1, (0, 0, 200, 200))
    mask.save(folder / "voc20" / "masks" / "00.png")
    return folder


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.filterwarnings("default")
def test_runs_at_a_tiny_size(name, programs, data, tmp_path, monkeypatch, capsys):
    program = name.split()[0]
    arguments = [str(data / word[1:]) if word.startswith("@") else word for word in ARGUMENTS[name].split()]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    monkeypatch.setattr(sys, "argv", [str(programs / f"{program}.py"), *arguments])
    assert not importlib.import_module(program).main()
    assert capsys.readouterr().out


def test_every_benchmark_is_run_here():
    programs = {file.stem for file in BENCHMARKS.glob("*.py")}
    programs -= {"measure", "run_clip", "common_tests"}  # which others use; which needs the reference's own tests
    assert {name.split()[0] for name in ARGUMENTS} == programs
