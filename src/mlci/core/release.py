"""What is released, deployed and verified, as documents: bound to each other by digest."""

from __future__ import annotations

from typing import Literal

from mlci.core.documents import FORMAT, Comparison, Document, Record

FileKind = Literal["artifact", "record", "card", "notebook", "golden", "sums", "signature"]
DeploymentState = Literal["uploaded", "verified", "current", "failed", "rolled-back"]


class ReleaseFile(Document, frozen=True):
    """A file of a release."""

    name: str  # flat: no folder
    size: int  # bytes
    sha256: str
    kind: FileKind
    source: str | None = None  # an artifact's path as its run declared it
    stored: str | None = None  # where it lies if it is too large for an asset: a URL or path of the artifact store


class Release(Document, frozen=True):
    """`release.json`: one version of a model, and everything that belongs to it."""

    model: str
    version: str
    tag: str
    commit: str
    created_at: str
    record: Record
    files: tuple[ReleaseFile, ...]  # all but SHA256SUMS, release.json and the signature themselves
    previous: str | None = None  # the version before
    comparison: Comparison | None = None  # with the version that was deployed
    override: str | None = None  # why it was released against the policy
    url: str | None = None
    format: int = FORMAT


class Mismatch(Document, frozen=True):
    """A golden example that production predicts otherwise."""

    id: str
    expected: str
    got: str


class Verification(Document, frozen=True):
    """`verification.json`: whether what is deployed predicts what the lab did."""

    model: str
    version: str
    digest: str  # sha256 of the release's SHA256SUMS
    method: Literal["load", "http"]
    passed: bool
    compared: int  # examples
    tolerance: float
    mismatches: tuple[Mismatch, ...] = ()  # the first ones
    differing: int = 0  # all of them
    lab_latency_s: float | None = None  # median of one prediction
    latency_s: float | None = None
    reason: str | None = None
    created_at: str = ""
    format: int = FORMAT


class Deployment(Document, frozen=True):
    """`deployment.json`: one version on one target."""

    model: str
    version: str
    digest: str  # sha256 of the release's SHA256SUMS
    target: str
    state: DeploymentState
    previous: str | None = None  # the version that was current before
    stage: str | None = None
    url: str | None = None
    reason: str | None = None
    created_at: str = ""
    format: int = FORMAT
