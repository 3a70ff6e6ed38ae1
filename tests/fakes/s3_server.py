"""S3's API on loopback: moto's server, one request at a time as S3's own promise of consistency has it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


@dataclass
class S3Server:
    """The server; `writes` lists what changed something."""

    url: str = ""
    writes: list[str] = field(default_factory=list)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server on a free port, until the block ends; any credentials will do."""
    moto, state, lock = DomainDispatcherApplication(create_backend_app), S3Server(), threading.Lock()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with lock:
            if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
                state.writes.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
            return list(moto(environ, start_response))

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(WSGIRequestHandler):  # type: ignore[misc]
    def log(self, *_: Any) -> None:
        pass
