"""The part of Hugging Face's HTTP API that a commit, a tag, a branch and a download take, on loopback.

Paths and shapes are those that `huggingface_hub` 2.4 sends and reads and the Hub's API documentation lists. Files that
end in `.bin` are large: they go through the LFS batch API and only their pointer is in a commit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from fakes.loopback import Answer, Request


@dataclass
class Hub:
    """Repositories by name; `token` is the one that may write.

    A commit is a dictionary of path -> content. `spoil` changes what is stored of a large file.
    """

    token: str
    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)  # sha256 -> content
    writes: list[str] = field(default_factory=list)
    spoil: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Answer:
        with self._lock:
            if request.path.startswith("/large/"):  # a signed URL of the storage: no token
                content = request.body + (b"?" if self.spoil else b"")
                self.large[request.path.removeprefix("/large/")] = content
                return Answer()
            if request.headers.get("authorization") != f"Bearer {self.token}":
                return Answer(401, headers={"X-Error-Message": "Invalid credentials in Authorization header"})
            for method, pattern, handle in self._routes():
                found = re.fullmatch(pattern, request.path)
                if found and method == request.method:
                    if method not in ("GET", "HEAD") and handle is not self._paths:
                        self.writes.append(f"{method} {request.path}")
                    return handle(request, *map(unquote, found.groups()))
            return Answer(404, headers={"X-Error-Message": f"no route {request.method} {request.path}"})

    def _routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        name = r"([\w.-]+/[\w.-]+)"
        return [
            ("POST", "/api/repos/create", self._create),
            ("POST", "/api/validate-yaml", lambda _: _json({})),
            ("GET", f"/api/models/{name}", self._info),
            ("GET", f"/api/models/{name}/refs", self._refs),
            ("POST", f"/api/models/{name}/branch/([^/]+)", self._branch),
            ("DELETE", f"/api/models/{name}/branch/([^/]+)", self._no_branch),
            ("POST", f"/api/models/{name}/tag/([^/]+)", self._tag),
            ("POST", f"/api/models/{name}/preupload/([^/]+)", self._preupload),
            ("POST", f"/{name}\\.git/info/lfs/objects/batch", self._batch),
            ("POST", f"/api/models/{name}/commit/([^/]+)", self._commit),
            ("POST", f"/api/models/{name}/paths-info/([^/]+)", self._paths),
            ("GET", f"/{name}/resolve/([^/]+)/(.+)", self._resolve),
            ("HEAD", f"/{name}/resolve/([^/]+)/(.+)", self._resolve),
        ]

    def _create(self, request: Request) -> Answer:
        wanted = json.loads(request.body)
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.repositories:
            return Answer(
                409, json.dumps({"url": f"{self.url}/{name}", "error": "You already created this repo"}).encode()
            )
        self.repositories[name] = Repository()
        return _json({"url": f"{self.url}/{name}"})

    def _info(self, _: Request, name: str) -> Answer:
        return _json({"id": name, "sha": self.repositories[name].branches["main"]})

    def _refs(self, _: Request, name: str) -> Answer:
        repository = self.repositories.get(name)
        if repository is None:
            return Answer(404, headers={"X-Error-Code": "RepoNotFound"})
        return _json(
            {
                "branches": _refs(repository.branches, "heads"),
                "tags": _refs(repository.tags, "tags"),
                "converts": [],
            }
        )

    def _branch(self, request: Request, name: str, branch: str) -> Answer:
        repository = self.repositories[name]
        if branch in repository.branches:
            return Answer(409)
        repository.branches[branch] = repository.resolve(json.loads(request.body).get("startingPoint", "main")) or ""
        return _json({})

    def _no_branch(self, _: Request, name: str, branch: str) -> Answer:
        return _json({}) if self.repositories[name].branches.pop(branch, None) else Answer(404)

    def _tag(self, request: Request, name: str, revision: str) -> Answer:
        repository, wanted = self.repositories[name], json.loads(request.body)
        if wanted["tag"] in repository.tags:
            return Answer(409)
        repository.tags[wanted["tag"]] = repository.resolve(revision) or ""
        return _json({})

    def _preupload(self, request: Request, name: str, revision: str) -> Answer:
        files = self.repositories[name].files(revision)
        return _json(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(".bin") else "regular",
                        "shouldIgnore": False,
                        "oid": _oid(files[file["path"]]) if file["path"] in files else None,
                    }
                    for file in json.loads(request.body)["files"]
                ]
            }
        )

    def _batch(self, request: Request, _: str) -> Answer:
        objects = []
        for wanted in json.loads(request.body)["objects"]:
            missing = wanted["oid"] not in self.large
            actions = {"actions": {"upload": {"href": f"{self.url}/large/{wanted['oid']}"}}} if missing else {}
            objects.append({**wanted, **actions})
        return _json({"transfer": "basic", "objects": objects})

    def _commit(self, request: Request, name: str, branch: str) -> Answer:
        repository = self.repositories[name]
        lines = [json.loads(line) for line in request.body.splitlines()]
        head, files = repository.branches[branch], dict(repository.files(branch))
        if lines[0]["value"].get("parentCommit", head) != head:
            message = "A commit has happened since. Please refresh and try again."
            return Answer(412, headers={"X-Error-Message": message})
        for line in lines[1:]:
            path = line["value"]["path"]
            if line["key"] == "file":
                files[path] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                if line["value"]["oid"] not in self.large:
                    return Answer(400, headers={"X-Error-Message": f"LFS object of {path} is missing"})
                files[path] = Large(line["value"]["oid"])
            else:
                del files[path]
        repository.branches[branch] = oid = repository.add(files, head)
        return _json({"commitUrl": f"{self.url}/{name}/commit/{oid}", "commitOid": oid, "success": True})

    def _paths(self, request: Request, name: str, revision: str) -> Answer:
        files = self.repositories[name].files(revision)
        paths = [value for key, value in parse_qsl(request.body.decode()) if key == "paths"]
        return _json([self._described(path, files[path]) for path in paths if path in files])

    def _described(self, path: str, content: bytes | Large) -> dict[str, Any]:
        if isinstance(content, bytes):
            return {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}
        size = len(self.large[content.oid])
        lfs = {"size": size, "oid": content.oid, "pointerSize": 134}
        return {"type": "file", "path": path, "size": size, "oid": content.oid[:40], "lfs": lfs}

    def _resolve(self, _: Request, name: str, revision: str, path: str) -> Answer:
        repository = self.repositories.get(name)
        commit = repository.resolve(revision) if repository else None
        if repository is None or commit is None:
            return Answer(404, headers={"X-Error-Code": "RevisionNotFound" if repository else "RepoNotFound"})
        content = repository.commits[commit].get(path)
        if content is None:
            return Answer(404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        data = content if isinstance(content, bytes) else self.large[content.oid]
        return Answer(body=data, headers={"X-Repo-Commit": commit, "ETag": f'"{_oid(content)}"'})


@dataclass(frozen=True)
class Large:
    """A pointer."""

    oid: str


@dataclass
class Repository:
    """Commits, branches and tags of one; a new one has a first commit."""

    commits: dict[str, dict[str, bytes | Large]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.branches["main"] = self.add({".gitattributes": b"*.bin filter=lfs\n"}, "")

    def add(self, files: dict[str, bytes | Large], parent: str) -> str:
        """Keep a commit; its name."""
        oid = hashlib.sha1(f"{parent} {len(self.commits)}".encode(), usedforsecurity=False).hexdigest()
        self.commits[oid] = files
        return oid

    def resolve(self, revision: str) -> str | None:
        """The commit of a branch, a tag or a commit's name."""
        found = self.branches.get(revision) or self.tags.get(revision)
        return found or (revision if revision in self.commits else None)

    def files(self, revision: str) -> dict[str, bytes | Large]:
        """What a revision holds."""
        return self.commits[self.resolve(revision) or ""]


def _refs(named: dict[str, str], kind: str) -> list[dict[str, str]]:
    return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid} for name, oid in named.items()]


def _oid(content: bytes | Large) -> str:
    """As git names a blob; of a large file its sha256."""
    if isinstance(content, Large):
        return content.oid
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def _json(content: Any) -> Answer:
    return Answer(body=json.dumps(content).encode(), headers={"Content-Type": "application/json"})
