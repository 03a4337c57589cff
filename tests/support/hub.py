"""A Hub in one thread: the part of its HTTP interface that the client uses, with lance_errors on demand."""

import base64
import hashlib
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest
from huggingface_hub import constants

COMMIT = "a" * 40
PULL_REQUEST = {
    "num": 1, "title": "A request", "author": {"name": "somebody"}, "createdAt": "2026-11-30T00:00:00.000Z",
    "status": "draft", "isPullRequest": True, "changes": {"base": "refs/heads/main"}, "filesWithConflicts": [],
    "events": [], "repo": {"name": "owner/new", "type": "model"},
}  # fmt: skip


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Lets the Hub's client ask the server at `url`."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)


class FakeHub:
    """Serves `files` of the repository "owner/model". `gated`, `cut` and `spoiled` make it misbehave."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.gated = False
        self.cut: list[str] = []  # files whose next download ends in the middle
        self.spoiled: set[str] = set()  # files that come with other bytes than their hash says
        self.downloads: list[str] = []
        self.commits: list[dict[str, Any]] = []  # what was sent: "repo", "revision", "summary", "files", ...
        self.tokens: set[str | None] = set()  # with which requests came
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def do_POST(self) -> None:
                hub.take(self, self.rfile.read(int(self.headers["Content-Length"])))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        path = request.path.split("?")[0]
        self.tokens.add(request.headers.get("Authorization"))
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
                self.file(request, path.split("/", 5)[5], body)
        elif path.endswith("/discussions/1"):
            self.json(request, PULL_REQUEST)
        elif path.endswith("/README.md"):
            self.json(request, {"error": "not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        else:
            self.json(request, {"error": "not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    def take(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """What is sent: a new repository, the question how files are to come, a commit."""
        path = request.path.split("?")[0]
        self.tokens.add(request.headers.get("Authorization"))
        if path == "/api/validate-yaml":
            self.json(request, {})
        elif request.headers.get("Authorization") is None:
            self.json(request, {"error": "Invalid username or password."}, 401)
        elif path == "/api/repos/create":
            made = json.loads(body)
            name = "/".join(filter(None, (made.get("organization") or "somebody", made["name"])))
            self.commits.append({"repo": name, "private": made.get("visibility") == "private"})
            self.json(request, {"url": f"{self.url}/{name}"})
        elif path.endswith("/discussions"):
            self.json(request, PULL_REQUEST)
        elif "/preupload/" in path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self.json(request, {"files": files})
        elif "/commit/" in path:
            lines = [json.loads(line) for line in body.splitlines()]
            head, *files = ((line["key"], line["value"]) for line in lines)
            self.commits[-1] |= {
                **head[1],
                "revision": unquote(path.rsplit("/", 1)[1]),
                "files": {value["path"]: base64.b64decode(value["content"]) for key, value in files if key == "file"},
            }
            address = f"{self.url}/{self.commits[-1]['repo']}/commit/{COMMIT}"
            self.json(
                request,
                {
                    "success": True,
                    "commitOid": COMMIT,
                    "commitUrl": address,
                    "pullRequestUrl": f"{self.url}/{self.commits[-1]['repo']}/discussions/1",
                },
            )
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
