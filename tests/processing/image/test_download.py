"""Pictures over http, from a server that misbehaves."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from sightline.errors import ImageError
from sightline.processing.image import sources as module
from sightline.processing.image.reading import load_image
from sightline.processing.image.sources import download


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    Image.new("RGB", (30, 20), "teal").save(tmp_path / "teal.png")
    picture = (tmp_path / "teal.png").read_bytes()
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/missing":
                return self.send_error(404)
            if self.path.startswith("/to?"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/to?"))
                return self.end_headers()
            self.send_response(200)
            if self.path == "/short":
                self.send_header("Content-Length", "100000")
            self.end_headers()
            if self.path == "/text":
                self.wfile.write(b"no picture")
            elif self.path == "/silent":
                stop.wait(5)
            elif self.path == "/drip":
                while not stop.wait(0.05):
                    self.wfile.write(b"x")
            else:
                self.wfile.write(picture)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):  # a client that gave up
            pass

    running = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", tmp_path
    stop.set()
    running.shutdown()
    running.server_close()
    thread.join()


def test_a_picture_and_one_behind_a_redirection(server):
    address, _ = server
    for source in (f"{address}/teal.png", f"{address}/to?/teal.png", f"HTTP{address[4:]}/teal.png"):
        assert load_image(source).size == (30, 20)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "the server says 404"),
        ("/text", "not an image"),
        ("/short", "broke off"),
        ("/to?file:///etc/hostname", "file"),
        ("/to?ftp://127.0.0.1/a.png", "ftp"),
        ("/to?/to?/to?/to?/to?/to?/to?/to?/to?/to?/to?/to?/teal.png", "the server says 302"),
    ],
)
def test_what_goes_wrong_has_its_reason(server, path, reason):
    address, _ = server
    with pytest.raises(ImageError, match=reason) as caught:
        load_image(address + path)
    assert caught.value.source == address + path


def test_a_server_that_says_nothing(server):
    address, _ = server
    start = time.monotonic()
    with pytest.raises(ImageError, match=r"does not answer|timed out"):
        load_image(f"{address}/silent", timeout=0.2)
    assert time.monotonic() - start < 4


def test_a_server_that_never_ends(server, monkeypatch):
    address, _ = server
    monkeypatch.setattr(module, "SECONDS", 0.3)
    with pytest.raises(ImageError, match="not there after"):
        download(f"{address}/drip", timeout=2)
    monkeypatch.setattr(module, "SECONDS", 60)
    monkeypatch.setattr(module, "MAX_BYTES", 3)
    with pytest.raises(ImageError, match="more than"):
        download(f"{address}/drip")


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/a.png", "http://no-such-host.invalid/a.png", "http://[bad/a.png"]
)
def test_a_server_that_is_not_there(address, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(ImageError, match="can't be fetched"):
        load_image(address)


def test_a_file_is_not_fetched():
    with pytest.raises(ImageError, match="can't be fetched"):
        download("file:///etc/hostname")
