"""Real git on the bare repository behind a fake one."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes.github.objects import Objects
from fakes.repositories import ENVIRON

ZERO = "0" * 40


class GitError(Exception):
    """Git refused."""


@dataclass
class Git:
    """Plumbing commands on a bare repository."""

    folder: Path
    objects: Objects = field(init=False)
    _histories: dict[str, list[str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.objects = Objects(self.folder)

    def run(self, *arguments: str, data: bytes = b"", environ: dict[str, str] | None = None) -> bytes:
        """Run git there; its stdout."""
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            input=data,
            capture_output=True,
            check=False,
            env=ENVIRON | (environ or {}),
        )
        if done.returncode:
            raise GitError(done.stderr.decode(errors="replace").strip())
        return done.stdout

    def text(self, *arguments: str, data: bytes = b"") -> str:
        """Run git there; its stdout as text."""
        return self.run(*arguments, data=data).decode(errors="replace").strip()

    def resolve(self, name: str, kind: str = "commit") -> str | None:
        """The object that a full ref or sha names."""
        if not name or name.startswith("-"):
            return None
        found = self.objects.info(f"{name}^{{{kind}}}")
        return found.sha if found else None

    def commit_of(self, name: str) -> str | None:
        """The commit that a branch, a tag, a full ref or a sha names: in GitHub's order."""
        candidates = (f"refs/heads/{name}", f"refs/tags/{name}", name if name.startswith("refs/") else f"refs/{name}")
        for candidate in candidates:
            if found := self.resolve(candidate):
                return found
        return self.resolve(name) if all(letter in "0123456789abcdef" for letter in name.lower()) else None

    def refs(self, prefix: str = "refs/") -> dict[str, tuple[str, str]]:
        """Each ref: its object and the kind of that."""
        lines = self.text("for-each-ref", "--format=%(refname) %(objectname) %(objecttype)").splitlines()
        found = (line.split(" ") for line in lines)
        return {name: (sha, kind) for name, sha, kind in found if name.startswith(prefix)}

    def kind(self, sha: str) -> str | None:
        """The kind of an object, None where there is none."""
        found = self.objects.info(sha)
        return found.kind if found else None

    def content(self, sha: str) -> bytes:
        """What an object holds."""
        found = self.objects.read(sha)
        if found is None:
            raise GitError(f"no object {sha}")
        return found.data

    def commit(self, sha: str) -> dict[str, Any]:
        """A commit, parsed."""
        head, _, message = self.content(sha).decode(errors="replace").partition("\n\n")
        found: dict[str, Any] = {"sha": sha, "message": message.rstrip("\n"), "parents": []}
        for line in head.splitlines():
            key, _, value = line.partition(" ")
            if key == "parent":
                found["parents"].append(value)
            elif key in {"tree", "author", "committer"}:
                found[key] = value
        return found

    def tag(self, sha: str) -> dict[str, str]:
        """An annotated tag, parsed."""
        head, _, message = self.content(sha).decode(errors="replace").partition("\n\n")
        return dict(line.split(" ", 1) for line in head.splitlines()) | {"message": message.rstrip("\n")}

    def tree(self, sha: str, *, recursive: bool) -> list[dict[str, Any]]:
        """The entries of a tree."""
        options = ("-r", "-t") if recursive else ()
        found = []
        for line in self.run("ls-tree", "-z", "-l", *options, sha).split(b"\0")[:-1]:
            meta, _, path = line.decode(errors="replace").partition("\t")
            mode, kind, name, size = meta.split()
            sized = {} if size == "-" else {"size": int(size)}
            found.append({"path": path, "mode": mode, "type": kind, "sha": name} | sized)
        return found

    def write(self, kind: str, data: bytes) -> str:
        """Store an object."""
        return self.text("hash-object", "-w", "-t", kind, "--stdin", data=data)

    def write_commit(self, message: str, tree: str, parents: Iterable[str], author: str, committer: str) -> str:
        """Store a commit; people as `Name <mail> seconds +0000`."""
        lines = [f"tree {tree}", *(f"parent {p}" for p in parents), f"author {author}", f"committer {committer}"]
        return self.write("commit", ("\n".join(lines) + "\n\n" + message).encode())

    def write_tree(self, base: str | None, entries: Iterable[tuple[str, str, str | None]]) -> str:
        """Store the tree `base` with these (mode, path, sha); None deletes."""
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": os.path.join(folder, "index")}  # noqa: PTH118 - for the environment
            if base:
                self.run("read-tree", base, environ=index)
            for mode, path, sha in entries:
                lines = b"0 %s\t%s\0" % (ZERO.encode(), path.encode())
                if sha is not None and mode.endswith("40000"):
                    old = self.run("ls-files", "-z", "--", path, environ=index).split(b"\0")[:-1]
                    lines = b"".join(b"0 %s\t%s\0" % (ZERO.encode(), name) for name in old)
                    within = self.run("ls-tree", "-r", "-z", sha).split(b"\0")[:-1]
                    lines += b"".join(line.replace(b"\t", f"\t{path}/".encode(), 1) + b"\0" for line in within)
                elif sha is not None:
                    lines = f"{mode} {sha}\t{path}\0".encode()
                self.run("update-index", "-z", "--index-info", data=lines, environ=index)
            return self.run("write-tree", environ=index).decode().strip()

    def update(self, ref: str, new: str, old: str | None = None) -> bool:
        """Move a ref, given `old` only from there (ZERO: only where it is missing); False where it was elsewhere."""
        try:
            self.run("update-ref", ref, new, *([] if old is None else [old]))
        except GitError:
            return False
        return True

    def delete(self, ref: str) -> None:
        """Delete a ref."""
        self.run("update-ref", "-d", ref)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`."""
        try:
            self.run("merge-base", "--is-ancestor", older, newer)
        except GitError:
            return False
        return True

    def merge_base(self, one: str, other: str) -> str | None:
        """Where two commits parted."""
        try:
            return self.text("merge-base", one, other)
        except GitError:
            return None

    def history(self, ref: str) -> list[str]:
        """The tree and the subject of each commit, the newest first."""
        tip = self.resolve(ref) or ref
        if tip not in self._histories:
            self._histories[tip] = self.text("log", "--format=%T %s", tip).splitlines()
        return self._histories[tip]
