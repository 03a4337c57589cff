"""A process that has computed forks: the child answers as its parent did, or says why it cannot."""

import subprocess
import sys

import pytest

from sightline.index.sync import sync
from support.images import draw

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
from sightline.errors import IndexFault
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
    "a model": lambda: model.get_text_features(ids).pooler_output.detach().numpy(),
}
searches = {
    "words": lambda: index.search("a dog"),
    "an image": lambda: index.search(pictures[0]),
    "a condition": lambda: index.search("a dog", where="width > 10"),
    "many queries": lambda: index.search_many([f"a {i}" for i in range(9)]),
    "a new index": lambda: sightline.open_index(folder / "index").search("a dog"),
    "a length": lambda: len(index),
    "a run": lambda: sync(folder / "index", [folder / "photos"], encoder).unchanged,
}
expected = {name: work() for name, work in works.items()}
for search in searches.values():
    search()
children = {}


def answers(name):
    if name in works:
        return np.allclose(np.array(works[name]()), np.array(expected[name]), atol=2e-2)
    try:
        searches[name]()
    except IndexFault as error:
        return "forked" in str(error) and "spawn" in str(error)


for name in [*works, *searches]:
    child = os.fork()
    if not child:
        os._exit(0 if answers(name) else 1)
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
    assert len(lines) == 15


CHILDREN = """
import os, sys
import sightline

children = []
encoder = sightline.load("mini")
vector = encoder.encode_text(["a dog"])
for _ in range(4):
    children.append(os.fork())
    if not children[-1]:
        found = sightline.open_index(sys.argv[1], encoder).search("a dog")
        os._exit(0 if len(found) == 4 else 1)
print([os.waitpid(child, 0)[1] for child in children])
"""


def test_children_open_an_index_that_their_parent_has_not_used(tmp_path) -> None:
    for number in range(4):
        draw(tmp_path / "photos" / f"{number}.png", number)
    index = tmp_path / "index"
    sync(index, [tmp_path / "photos"], "mini")
    ran = subprocess.run([sys.executable, "-c", CHILDREN, index], capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "[0, 0, 0, 0]\n", "")
