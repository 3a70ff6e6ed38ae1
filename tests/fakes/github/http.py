"""The HTTP side of the fake GitHub: one request at a time, from bytes to bytes."""

from __future__ import annotations

import json
import re
import socket
import time
import traceback
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from fakes.github import commits, conversations, deployments, git_data, releases, verdicts, workflows
from fakes.github.answers import Answer, Problem, not_found, refusal, unicorn
from fakes.github.faults import REFUSALS, Fault
from fakes.github.graphql import graphql
from fakes.github.routing import Call, admit, bearer, routed
from fakes.github.side import blob, helper
from fakes.github.state import Request

if TYPE_CHECKING:
    from fakes.github_server import GitHubServer

# Importing these fills the table of routes.
SERVING = (commits, conversations, deployments, git_data, releases, verdicts, workflows)
# Their bodies are files.
_UPLOAD = re.compile(r"/releases/\d+/assets\Z")
LIMITS = {True: 1_000, False: 5_000}


class Handler(BaseHTTPRequestHandler):
    """Serves the state that a subclass names."""

    server_state: GitHubServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: the second would wait for an acknowledgement

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        state, raw = self.server_state, self._body()
        parts = urlsplit(self.path)
        path, root = unquote(parts.path), state.url
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if path.startswith("/_fake/"):
            with state.lock:
                self._send(helper(state, self.command, path, query, raw))
            return
        if path == "/api/graphql":
            path = "/graphql"
        elif path.startswith("/api/v3/"):
            path, root = path.removeprefix("/api/v3"), f"{root}/api/v3"
        headers = {name.lower(): value for name, value in self.headers.items()}
        token = bearer(headers.get("authorization"))
        body = None if _UPLOAD.search(path) else _parsed(headers, raw)
        request = Request(self.command, path, query, body, token, headers)
        self._handle(Call(state, request, root, raw, {}))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _handle(self, call: Call) -> None:
        state, request = self.server_state, call.request
        if state.before:
            state.before(request)
        with state.lock:
            index = len(state.requests) - state.armed_at
            state.requests.append(request)
            fault = next((f for f in state.faults if f.strikes(request, index)), None)
            answer = _answer(call, fault)
            whole = fault is None or fault.kind not in {"dropped", "dropped-committed", "cut"}
            request.status = answer.status if whole else None
        if state.after:
            state.after(request)
        if fault and fault.after:
            state.closing.wait(fault.after)
        self._deliver(answer, fault)

    def _deliver(self, answer: Answer, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        payload = _payload(answer)
        if kind.startswith("dropped") or (kind == "cut" and not payload):
            self._hang_up()
        elif kind == "cut":
            self._head(answer, len(payload))
            self.wfile.write(payload[: len(payload) // 2])
            self._hang_up()
        elif kind == "slow":
            self._head(answer, len(payload))
            for byte in payload:
                self.wfile.write(bytes([byte]))
                if self.server_state.closing.wait(fault.pause_s if fault else 0):
                    return
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        payload = _payload(answer)
        self._head(answer, len(payload))
        self.wfile.write(payload)

    def _head(self, answer: Answer, length: int) -> None:
        self.send_response(answer.status)
        for name, value in ({"Content-Type": "application/json; charset=utf-8"} | answer.headers).items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _payload(answer: Answer) -> bytes:
    if answer.raw is not None:
        return answer.raw
    return b"" if answer.body is None else json.dumps(answer.body).encode()


def _parsed(headers: dict[str, str], raw: bytes) -> Any:
    kind = headers.get("content-type", "application/json").partition(";")[0]
    if not raw or kind not in {"application/json", "application/x-www-form-urlencoded", "text/plain"}:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def _answer(call: Call, fault: Fault | None) -> Answer:
    """What a request gets: what the fault says, or what it deserves."""
    state, request = call.server, call.request
    if request.path.startswith("/_blobs/"):
        return refusal(fault) if fault and _refuses(fault) else blob(state, request)
    _check_request(state, request)
    if fault and _refuses(fault):
        answer = refusal(fault)
    else:
        answer = _deserved(call)
        _check_response(state, request, answer)
    if fault and fault.kind == "committed-502":
        answer = unicorn()
    if fault and answer.made is not None and fault.kind in {"empty-body", "stale-list"}:
        (state.emptied if fault.kind == "empty-body" else state.hidden)[answer.made] = fault.times
    # Where GitHub's front answers by itself there are no such headers.
    if answer.raw is None and not (fault and fault.kind.startswith("429")):
        answer.headers = _limits(call) | answer.headers
    return answer


def _refuses(fault: Fault) -> bool:
    return fault.kind in REFUSALS


def _deserved(call: Call) -> Answer:
    request = call.request
    try:
        _well_formed(request)
        return graphql(_with_token(call)) if request.path == "/graphql" else _rest(call)
    except Problem as problem:
        return problem.answer
    except Exception as error:
        call.server.complaints.append(f"the fake itself failed: {traceback.format_exc()}")
        return Answer(500, {"message": repr(error)})


def _well_formed(request: Request) -> None:
    if "user-agent" not in request.headers:
        raise Problem(403, "Request forbidden by administrative rules.")
    if isinstance(request.body, bytes):
        raise Problem(400, "Problems parsing JSON")


def _rest(call: Call) -> Answer:
    found = routed(call.request.method, call.request.path)
    if found is None:
        if call.server.openapi is None or call.server.openapi.template(call.request.method, call.request.path):
            call.server.complaints.append(f"{call.request.method} {call.request.path}: not among what the fake serves")
        raise not_found()
    known, call.values = found
    admit(call, known)
    return known.serve(call)


def _with_token(call: Call) -> Call:
    call.token = call.server.tokens.get(call.request.token or "")
    if call.request.token and call.token is None:
        raise Problem(401, "Bad credentials")
    return call


def _check_request(state: GitHubServer, request: Request) -> None:
    if state.openapi and request.path != "/graphql":
        body = None if isinstance(request.body, bytes) else request.body
        state.complaints += state.openapi.validate_request(request.method, request.path, request.query, body)


def _check_response(state: GitHubServer, request: Request, answer: Answer) -> None:
    if state.openapi and request.path != "/graphql" and state.openapi.template(request.method, request.path):
        found = state.openapi.validate_response(request.method, request.path, answer.status, answer.body)
        state.complaints += [f"the fake's own fault: {complaint}" for complaint in found]


def _limits(call: Call) -> dict[str, str]:
    limit = LIMITS[bool(call.token and call.token.installation)]
    used = len(call.server.requests)
    scopes = call.token.scopes if call.token else None
    told = {} if scopes is None else {"x-oauth-scopes": ", ".join(scopes)}
    return told | {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(max(limit - used, 1)),
        "x-ratelimit-used": str(used),
        "x-ratelimit-reset": str(int(time.time()) + 3600),
        "x-ratelimit-resource": "graphql" if call.request.path == "/graphql" else "core",
        "x-github-request-id": f"FAKE:{used:05d}",
    }
