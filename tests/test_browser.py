"""The page of `examples/browser` in Chromium, with the packages that its own file names."""

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.optimize.export import export
from sightline.scenes import distinct

pytestmark = pytest.mark.system

EXAMPLE = Path(__file__).parents[1] / "examples/browser"


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium on this machine")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, its packages, a model and a picture that is not square."""
    if shutil.which("npm") is None:
        pytest.skip("no npm on this machine")
    folder = tmp_path_factory.mktemp("web") / "browser"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    if installed.returncode:
        pytest.skip(f"npm cannot fetch the page's packages: {installed.stderr.strip()[-200:]}")
    export("mini", folder / "model")
    distinct(1, 3)[0].draw(200).crop((0, 20, 200, 170)).save(folder / "picture.png")
    return folder


@pytest.fixture(scope="module")
def address(page: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(page)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()
    server.server_close()


def vector(chromium: str, address: str, folder: Path) -> np.ndarray:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom"]
    command = [chromium, *options, f"--user-data-dir={folder}", address]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=600).stdout
    found = re.search(r'<pre id="vector"[^>]*>(.*?)</pre>', shown, re.DOTALL)
    assert found is not None, shown[-500:]
    assert found[1].startswith("["), html.unescape(found[1])
    return np.array(json.loads(found[1]), np.float32)


def test_the_page_embeds_as_we_do(chromium: str, page: Path, address: str, tmp_path: Path, mini: Any) -> None:
    found = vector(chromium, f"{address}?image=picture.png", tmp_path)
    assert found @ mini.encode_images([page / "picture.png"])[0] > 0.99999
    ids = ",".join(map(str, mini.tokens(["a red circle"])[0]))
    found = vector(chromium, f"{address}?tokens={ids}", tmp_path)
    assert np.abs(found - mini.encode_text(["a red circle"])[0]).max() < 1e-5
