"""Git trees and blobs by their plumbing: a branch is read and written without a work tree or an index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlci.errors import GitError
from mlci.git import Git, talk

_SHA256_DIGITS = 64


@dataclass(frozen=True)
class Node:
    """One line of a tree."""

    mode: str
    oid: str

    @property
    def kind(self) -> str:
        """What the line is about: a tree, a blob (symbolic links too) or, in a submodule, a commit."""
        return {"40000": "tree", "160000": "commit"}.get(self.mode, "blob")


Tree = dict[str, Node]


@dataclass(frozen=True)
class Objects:
    """The objects of one repository.

    Args:
        git: The repository.
        remote: Where objects that a filter left out come from; None where all are at hand.
    """

    git: Git
    remote: str | None = None
    # Trees that were read: `graft` follows `locate` through the same ones, and an id never changes its content.
    _known: dict[str, Tree] = field(default_factory=dict, init=False, repr=False, compare=False)

    def read(self, oids: Iterable[str], kind: str = "blob", *, depth: int = 0) -> dict[str, bytes]:
        """The content of objects of one kind, those that are not at hand fetched together first.

        Args:
            oids: The objects.
            kind: Others are left out.
            depth: How many levels below them are fetched with them.

        Raises:
            GitError: They cannot be had.
        """
        wanted = list(dict.fromkeys(oids))
        found = self._at_hand(wanted)
        lacking = [oid for oid in wanted if oid not in found]
        if lacking and self.remote:
            self.have(lacking, depth=depth)
            found |= self._at_hand(lacking)
        return {oid: data for oid, (actual, data) in found.items() if actual == kind}

    def have(self, oids: Iterable[str], *, depth: int = 0) -> None:
        """Fetch those objects that are not at hand, in one request, with `depth` levels below them.

        Raises:
            GitError: They cannot be had.
        """
        missing = self.missing(oids) if self.remote else []
        if not missing:
            return
        done = talk(
            self.git,
            *("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"),
            *("--no-recurse-submodules", f"--filter=tree:{depth}", "--stdin", self.remote or ""),
            stdin=_lines(missing),
        )
        if done.returncode != 0:
            raise GitError(f"git fetch: {self.git.complaint(done)}")

    def locate(self, root: str, paths: Iterable[str], *, narrow: int | None = None) -> dict[str, str]:
        """The ids of those of `paths`, all equally deep, that are files under the tree or commit `root`.

        Args:
            root: Where to start.
            paths: With forward slashes.
            narrow: A level of folders that hold little but folders: they are fetched with those, which saves a request.
        """
        places = {path: path.split("/") for path in paths}
        at = dict.fromkeys(places, self._tree_of(root)) if places else {}
        for level in range(max(map(len, places.values()), default=0)):
            trees = self._trees(at.values(), children=level == narrow)
            nodes = {path: trees.get(oid, {}).get(places[path][level]) for path, oid in at.items()}
            at = {
                path: node.oid
                for path, node in nodes.items()
                if node and node.kind == ("blob" if level == len(places[path]) - 1 else "tree")
            }
        return at

    def files(self, root: str, folder: str, depth: int) -> dict[str, str]:
        """The files `depth` levels below `folder`, a child of the commit `root`: ids by sorted path."""
        oid = self.git.answer("rev-parse", "--verify", "--quiet", f"{root}:{folder}")
        at = {folder: oid} if oid else {}
        for level in range(1, depth + 1):
            trees = self._trees(at.values())
            at = {
                f"{path}/{name}": node.oid
                for path, parent in at.items()
                for name, node in trees.get(parent, {}).items()
                if node.kind == ("blob" if level == depth else "tree")
            }
        return dict(sorted(at.items()))

    def write_blob(self, data: bytes) -> str:
        """Store `data`; its id."""
        return self.git.run("hash-object", "-w", "--stdin", stdin=data)

    def graft(self, root: str | None, blobs: Mapping[str, str | None]) -> str:
        """The tree of `root` with blobs put in, or None taken out; only trees on their paths are read and made."""
        return self._graft(self._tree_of(root) if root else None, blobs) or self._made({})

    def missing(self, oids: Iterable[str]) -> list[str]:
        """Those of `oids` that are not at hand."""
        checked = self._offline.run("cat-file", "--batch-check", stdin=_lines(oids)).splitlines()
        return [line.removesuffix(" missing") for line in checked if line.endswith(" missing")]

    def _at_hand(self, oids: Sequence[str]) -> dict[str, tuple[str, bytes]]:
        """Kind and content of those objects that are."""
        output = self._offline.output("cat-file", "--batch", stdin=_lines(oids)) if oids else b""
        return {oid: (kind, data) for oid, kind, data in _batch(output)}

    @property
    def _offline(self) -> Git:
        # Without the remote in its configuration git only looks; with it, it would fetch objects one by one.
        return Git(self.git.folder, self.git.environ, variables=self.git.variables)

    def _graft(self, tree_oid: str | None, blobs: Mapping[str, str | None]) -> str | None:
        """The tree, or None where nothing is left in it."""
        tree = dict(self._trees([tree_oid]).get(tree_oid, {})) if tree_oid else {}
        below: dict[str, dict[str, str | None]] = {}
        changed: dict[str, Node | None] = {}
        for path, oid in blobs.items():
            name, _, rest = path.partition("/")
            if rest:
                below.setdefault(name, {})[rest] = oid
            else:
                changed[name] = Node("100644", oid) if oid else None
        for name, inner in below.items():
            known = tree.get(name)
            made = self._graft(known.oid if known and known.kind == "tree" else None, inner)
            changed[name] = Node("40000", made) if made else None
        left = {name: node for name, node in {**tree, **changed}.items() if node}
        return self._made(left) if left else None

    def _made(self, tree: Tree) -> str:
        lines = (f"{node.mode} {node.kind} {node.oid}\t{name}\0" for name, node in tree.items())
        return self.git.run("mktree", "--missing", "-z", stdin="".join(lines).encode("utf-8", "surrogateescape"))

    def _tree_of(self, root: str) -> str:
        return self.git.run("rev-parse", "--verify", "--quiet", f"{root}^{{tree}}")

    def _trees(self, oids: Iterable[str], *, children: bool = False) -> dict[str, Tree]:
        wanted = set(oids)
        for oid, data in self.read(wanted - self._known.keys(), "tree", depth=int(children)).items():
            self._known[oid] = _parse(data, len(oid) // 2)
        return {oid: self._known[oid] for oid in wanted & self._known.keys()}


def is_blob(oid: str, data: bytes) -> bool:
    """Whether a blob with this content has that id."""
    named = hashlib.sha256 if len(oid) == _SHA256_DIGITS else hashlib.sha1
    return named(b"blob %d\0%s" % (len(data), data)).hexdigest() == oid


def _lines(oids: Iterable[str]) -> bytes:
    return "".join(f"{oid}\n" for oid in oids).encode()


def _batch(data: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Id, kind and content of the objects in the output of `git cat-file --batch`."""
    position = 0
    while position < len(data):
        end = data.index(b"\n", position)
        oid, kind, *size = data[position:end].decode().split(" ")
        position = end + 1
        if size:
            length = int(size[0])
            yield oid, kind, data[position : position + length]
            position += length + 1


def _parse(data: bytes, oid_bytes: int) -> Tree:
    """A raw tree: `<mode> <name>NUL<binary id>`, again and again."""
    tree: Tree = {}
    position = 0
    while (end := data.find(b"\0", position)) >= 0:
        mode, _, name = data[position:end].decode("utf-8", "surrogateescape").partition(" ")
        position = end + 1 + oid_bytes
        tree[name] = Node(mode, data[end + 1 : position].hex())
    return tree
