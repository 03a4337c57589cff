"""A process that has computed forks: the child answers as its parent did."""

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no forks on this system"),
]

PROGRAM = """
import os, sys, time, warnings
warnings.simplefilter("error", append=True)
from pathlib import Path
import numpy as np, torch
from PIL import Image
import sightline
from sightline.encoder import TextEncoder
from sightline.index.sync import sync

folder = Path(sys.argv[1])
pictures = [Image.effect_noise((70, 60), 9 + i).convert("RGB") for i in range(20)]
(folder / "photos").mkdir()
for number, picture in enumerate(pictures):
    picture.save(folder / f"photos/{number}.png")
torch.set_num_threads(2)
encoder, words = sightline.load("mini"), TextEncoder("mini")
sync(folder / "index", [folder / "photos"], encoder)
index = sightline.open_index(folder / "index", encoder)
model = sightline.CLIPModel.from_pretrained("mini", dtype="float32")
ids = torch.full((64, 64), 835)
works = {
    "one text": lambda: encoder.encode_text(["a dog"]),
    "many texts": lambda: encoder.encode_text([f"a dog {number}" for number in range(300)]),
    "one image": lambda: encoder.encode_images(pictures[:1]),
    "many images": lambda: encoder.encode_images(pictures),
    "a stream": lambda: [e.vector for e in encoder.stream(pictures, lambda picture: (picture, None))],
    "numpy": lambda: words.encode_text(["a dog"]),
    "words": lambda: [r.id for r in index.search("a dog")],
    "an image": lambda: [r.id for r in index.search(pictures[0])],
    "a condition": lambda: [r.id for r in index.search("a dog", where="width > 10")],
    "many queries": lambda: [r.id for rs in index.search_many([f"a {i}" for i in range(9)]) for r in rs],
    "a model": lambda: model.get_text_features(ids).pooler_output.detach().numpy(),
    "a new index": lambda: [r.id for r in sightline.open_index(folder / "index").search("a dog")],
    "no change": lambda: sync(folder / "index", [folder / "photos"], encoder).unchanged,
}
expected = {name: work() for name, work in works.items()}
children = {}
for name, work in works.items():
    child = os.fork()
    if not child:
        same = np.allclose(np.array(work()), np.array(expected[name]), atol=2e-2)
        os._exit(0 if same else 1)
    children[child] = name
end = time.monotonic() + 60
while children and time.monotonic() < end:
    child, status = os.waitpid(-1, os.WNOHANG)
    if child:
        name = children.pop(child)
        print(name, "answers" if status == 0 else f"fails ({status})")
    time.sleep(0.01)
for child, name in children.items():
    os.kill(child, 9)
    print(name, "hangs")
print(torch.get_num_threads(), "threads in the parent")
"""


def test_children_answer(tmp_path) -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, timeout=120)
    lines = ran.stdout.splitlines()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [line for line in lines if not line.endswith("answers")] == ["2 threads in the parent"]
    assert len(lines) == 14
