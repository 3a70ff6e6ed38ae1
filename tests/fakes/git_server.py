"""A git server over HTTP on loopback: git's own http-backend, with tokens and faults."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

READ = "read"
WRITE = "write"


@dataclass
class GitServer:
    """Serves the bare repositories under a folder.

    `tokens` maps each valid token to READ or WRITE; with none, everybody may do everything. As on GitHub the user's
    name does not matter. `requests` lists (method, path) as they come, `moved` counts the bytes of heads and bodies;
    `lose_answers` makes the next pushes arrive and answer 502; `stumbles` answers the next requests 502 unseen;
    `before` is called with the path of each request before it is served.
    """

    root: Path
    tokens: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    moved: int = 0
    stumbles: int = 0
    lose_answers: int = 0
    before: Callable[[str], None] = lambda _path: None
    url: str = ""

    def create(self, name: str = "team/models", *, filters: bool = True) -> str:
        """Make an empty repository; its URL."""
        folder = self.root / f"{name}.git"
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", folder], check=True)
        for key, value in (("http.receivepack", "true"), ("uploadpack.allowFilter", str(filters).lower())):
            subprocess.run(["git", "-C", folder, "config", key, value], check=True)
        return f"{self.url}/{name}.git"

    def folder(self, name: str = "team/models") -> Path:
        """Where a repository lies."""
        return self.root / f"{name}.git"

    def refusal(self, authorization: str | None, path: str) -> int | None:
        """The HTTP status that answers a request with these credentials, or None where it may go on."""
        if not self.tokens:
            return None
        scheme, _, encoded = (authorization or "").partition(" ")
        token = base64.b64decode(encoded).decode().partition(":")[2] if scheme.lower() == "basic" else ""
        right = self.tokens.get(token)
        if right is None:
            return 401
        return 403 if "git-receive-pack" in path and right != WRITE else None


@contextmanager
def git_server(root: Path) -> Iterator[GitServer]:
    """A server on a free port of loopback, until the block ends."""
    state = GitServer(root)

    class Handler(_Handler):
        server_state = state

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_state: GitServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: the second would wait for an acknowledgement

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        state = self.server_state
        body = self._body()
        state.requests.append((self.command, self.path))
        state.moved += len(self.requestline) + len(str(self.headers)) + len(body)
        state.before(self.path)
        if state.stumbles:
            state.stumbles -= 1
            self._answer(502, {}, b"")
            return
        status = state.refusal(self.headers.get("Authorization"), self.path)
        if status is not None:
            self._answer(status, {"WWW-Authenticate": 'Basic realm="git"'} if status == 401 else {}, b"")
            return
        status, headers, answer = self._backend(body)
        if state.lose_answers and self.path.endswith("/git-receive-pack"):
            state.lose_answers -= 1
            status, headers, answer = 502, {}, b""
        self._answer(status, headers, answer)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _backend(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(self.path)
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROJECT_ROOT": str(self.server_state.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environ, check=False)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        return int(headers.pop("Status", "200").split(" ")[0]), headers, answer

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.server_state.moved += len(body) + sum(len(f"{name}: {value}\r\n") for name, value in headers.items())
        self.end_headers()
        self.wfile.write(body)
