"""A webhook's receiver as docs/reference/targets.md describes it: it checks signatures, fetches files, serves one."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from fakes.loopback import Answer, Request

_MAX_AGE_S = 300


@dataclass
class Receiver:
    """The receiver; `files` is where the paths of the files' URLs lead.

    `stumbles` answers the next requests 503 unseen; `lose_answers` does what the next messages say and answers 502.
    """

    secret: str
    files: Path
    kept: dict[str, dict[str, str]] = field(default_factory=dict)  # model -> version -> digest
    current: dict[str, dict[str, str]] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    stumbles: int = 0
    lose_answers: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Answer:
        with self._lock:
            if self.stumbles:
                self.stumbles -= 1
                return Answer(503)
            if not self._is_signed(request):
                return Answer(401, b"bad signature")
            if request.method == "GET":
                return self._status(request.query["model"])
            message = json.loads(request.body)
            self.keys.append(request.headers["idempotency-key"])
            answer = self._upload(message) if message["action"] == "upload" else self._switch(message)
            if self.lose_answers:
                self.lose_answers -= 1
                return Answer(502)
            return answer

    def _is_signed(self, request: Request) -> bool:
        stamp = request.headers.get("x-mlci-timestamp", "0")
        wanted = hmac.new(self.secret.encode(), f"{stamp}.".encode() + request.body, hashlib.sha256).hexdigest()
        given = request.headers.get("x-mlci-signature", "")
        return hmac.compare_digest(given, f"sha256={wanted}") and abs(time.time() - int(stamp)) < _MAX_AGE_S

    def _status(self, model: str) -> Answer:
        kept = [{"version": version, "digest": digest} for version, digest in self.kept.get(model, {}).items()]
        return Answer(body=json.dumps({"current": self.current.get(model), "kept": kept}).encode())

    def _upload(self, message: dict[str, Any]) -> Answer:
        for file in message["files"]:
            content = (self.files / unquote(urlsplit(file["url"]).path).lstrip("/")).read_bytes()
            if hashlib.sha256(content).hexdigest() != file["sha256"]:
                return Answer(422, b"wrong digest")
            self.fetched.append(file["name"])
        self.kept.setdefault(message["model"], {})[message["version"]] = message["digest"]
        return Answer(202)

    def _switch(self, message: dict[str, Any]) -> Answer:
        model, wanted = message["model"], {"version": message["version"], "digest": message["digest"]}
        if self.current.get(model) not in (wanted, message["expected"]):
            return Answer(409)
        self.current[model] = wanted
        return Answer(204)
