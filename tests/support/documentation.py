"""The examples in the docstrings of the installed reference, and what makes them run on this machine."""

import ast
import doctest
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAMES = {
    "openai/clip-vit-base-patch32": "clip",
    "kakaobrain/align-base": "align",
    "nvidia/groupvit-gcc-yfcc": "groupvit",
    "microsoft/xclip-base-patch32": "xclip",
}
# The reference opens a whole checkpoint of these as a tower with random weights; it gets the tower alone.
TOWERS = {
    "AlignTextModel": "align_text",
    "AlignVisionModel": "align_vision",
    "XCLIPTextModel": "xclip_text",
    "XCLIPVisionModel": "xclip_vision",
}
PICTURE = "http://images.cocodataset.org/val2017/000000039769.jpg"
VIDEO = 'repo_id="nielsr/video-demo", filename="eating_spaghetti.mp4", repo_type="dataset"'


def examples(models: Path, families: tuple[str, ...]) -> dict[str, str]:
    """The code of each docstring with an example, by "family: class.method"; `modular_` files say the same twice."""
    found = {}
    for family in families:
        for file in sorted((models / family).glob("*.py")):
            if not file.name.startswith("modular_"):
                for place, text in docstrings(ast.parse(file.read_text(encoding="utf-8"))):
                    code = "".join(part.source for part in doctest.DocTestParser().get_examples(fenced(text)))
                    if code:
                        found[f"{family}: {place}"] = code
    return found


def fenced(text: str) -> str:
    """Without the marks of a block, which would count as the output that the last line should have."""
    return "\n".join("" if line.strip().startswith("```") else line for line in text.splitlines())


def docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for outer in tree.body:
        if isinstance(outer, ast.ClassDef | ast.FunctionDef):
            yield outer.name, ast.get_docstring(outer) or ""
            for inner in outer.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{outer.name}.{inner.name}", ast.get_docstring(inner) or ""


def local(code: str, checkpoints: Mapping[str, Path], server: str, cache: Path) -> str:
    """The example with this machine's checkpoints, picture and video for those of the network."""
    for name, family in NAMES.items():
        tower = next((tower for kind, tower in TOWERS.items() if f"{kind}.from_pretrained" in code), family)
        code = code.replace(f'"{name}"', repr(str(checkpoints[tower])))
    code = code.replace(f'"{PICTURE}"', repr(f"{server}/picture.png"))
    return code.replace(VIDEO, f"{VIDEO}, cache_dir={str(cache)!r}, local_files_only=True")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of the folder's files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def cached_video(cache: Path) -> Path:
    """Where the client's cache would hold the video of the examples."""
    repository = cache / "datasets--nielsr--video-demo"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("b" * 40)
    folder = repository / "snapshots" / ("b" * 40)
    folder.mkdir(parents=True)
    return folder / "eating_spaghetti.mp4"
