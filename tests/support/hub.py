"""A Hub in one thread: the part of its HTTP interface that the client uses, with lance_errors on demand."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "a" * 40


class FakeHub:
    """Serves `files` of the repository "owner/model". `gated`, `cut` and `spoiled` make it misbehave."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.gated = False
        self.cut: list[str] = []  # files whose next download ends in the middle
        self.spoiled: set[str] = set()  # files that come with other bytes than their hash says
        self.downloads: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_GET(self) -> None:
                hub.answer(self, body=True)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        path = request.path.split("?")[0]
        if path in ("/api/models/owner/model", "/api/models/owner/model/revision/main"):
            siblings = [
                {
                    "rfilename": name,
                    "size": len(data),
                    **({"lfs": self.lfs(data)} if not name.endswith((".json", ".txt")) else {}),
                }
                for name, data in self.files.items()
            ]
            self.json(request, {"id": "owner/model", "sha": COMMIT, "siblings": siblings})
        elif path.startswith("/api/models/owner/model/revision/"):
            self.json(request, {"error": "no such revision"}, 404, {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith((f"/owner/model/resolve/{COMMIT}/", "/owner/model/resolve/main/")):
            if self.gated:
                self.json(request, {"error": "gated"}, 403, {"X-Error-Code": "GatedRepo"})
            else:
                self.file(request, path.rsplit("/", 1)[1], body)
        else:
            self.json(request, {"error": "not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    @staticmethod
    def lfs(data: bytes) -> dict[str, Any]:
        return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}

    @staticmethod
    def json(
        request: BaseHTTPRequestHandler, data: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        text = json.dumps(data).encode()
        request.send_response(status)
        for key, value in {"Content-Type": "application/json", **(headers or {})}.items():
            request.send_header(key, value)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(text)

    def file(self, request: BaseHTTPRequestHandler, name: str, body: bool) -> None:
        data = self.files[name]
        request.send_response(200)
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if not body:
            return
        self.downloads.append(name)
        if name in self.spoiled:
            data = bytes(len(data))
        if name in self.cut:
            self.cut.remove(name)
            data = data[: len(data) // 2]
            request.close_connection = True
        request.wfile.write(data)
