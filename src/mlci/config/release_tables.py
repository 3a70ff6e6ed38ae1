"""The tables of `mlci.toml` about what happens after the merge: models, artifact store, deploy targets, monitoring."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from mlci.config.tables import Duration, Name, Table
from mlci.core.registry import MODEL_PATTERN

ModelName = Annotated[str, Meta(pattern=MODEL_PATTERN)]


class VerifyTable(Table, frozen=True):
    """How it is proved that what is deployed predicts what the lab did."""

    command: Annotated[
        tuple[str, ...],
        Meta(
            description="Predicts: run in an environment of the recorded packages, in the folder of the release's "
            "files, with MLCI_GOLDEN (inputs, JSON lines) and MLCI_PREDICTIONS (where it writes {id, prediction})."
        ),
    ] = ()
    url: Annotated[
        str | None, Meta(description="Predicts over HTTP instead: POST of one input as JSON; the answer is JSON.")
    ] = None
    field: Annotated[str | None, Meta(description="The key of the prediction in the answer.")] = None
    tolerance: Annotated[float, Meta(ge=0, description="Largest difference of two numbers that is none.")] = 1e-6
    max_latency: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="How many times the lab's median latency production may take."),
    ] = None
    timeout: Annotated[Duration, Meta(description="For all of it.")] = "10m"


class ModelTable(Table, frozen=True):
    """A model that is released and deployed."""

    run: Annotated[str | None, Meta(description="The run that makes it; default: the run of the model's name.")] = None
    profile: Annotated[str | None, Meta(description="The profile whose record counts; default: the push event's.")] = (
        None
    )
    artifacts: Annotated[
        tuple[str, ...], Meta(description="Those of the run's artifacts that belong to it; default: all.")
    ] = ()
    golden: Annotated[
        str | None,
        Meta(description="JSON lines of {id, input, prediction} that the run writes, kept for verification."),
    ] = None
    golden_count: Annotated[Annotated[int, Meta(ge=1)], Meta(description="How many of them are kept, by id.")] = 100
    owners: Annotated[tuple[str, ...], Meta(description="Who answers for it.")] = ()
    description: Annotated[str, Meta(description="What it does, for the model card.")] = ""
    intended_use: Annotated[str, Meta(description="What it is for and not for, for the model card.")] = ""
    license: Annotated[str | None, Meta(description="An identifier such as apache-2.0, for the model card.")] = None
    tags: Annotated[tuple[str, ...], Meta(description="Keywords, for the model card.")] = ()
    stages: Annotated[
        tuple[Name, ...], Meta(description="Through which it goes, in this order; a stage needs the one before.")
    ] = ("dev", "staging", "production")
    plain_tags: Annotated[
        bool, Meta(description="Versions are tags such as v1.2.0, without the model's name: for repositories of one.")
    ] = False
    branch: Annotated[str | None, Meta(description="Whose commits may be released; default: the baseline's.")] = None
    sign: Annotated[
        Literal["no", "key", "sigstore"],
        Meta(description="Sign releases: with the private key in the file MLCI_SIGNING_KEY, or by the job's identity."),
    ] = "no"
    public_key: Annotated[str | None, Meta(description="The public key's file, against which `key` is checked.")] = None
    signer: Annotated[str | None, Meta(description="The identity that must have signed, with sigstore.")] = None
    signer_issuer: Annotated[str, Meta(description="Who vouches for that identity.")] = (
        "https://token.actions.githubusercontent.com"
    )
    verify: Annotated[VerifyTable, Meta(description="How a deployment is verified.")] = VerifyTable()


class TargetTable(Table, frozen=True):
    """Where a model is deployed."""

    kind: Annotated[
        str, Meta(description="folder, object-store, oci, mlflow, huggingface, webhook, command, or one of your own.")
    ]
    stage: Annotated[str | None, Meta(description="The stage that a deployment here fills; default: none.")] = None
    url: Annotated[str | None, Meta(description="The page or endpoint of the environment, shown on GitHub.")] = None
    environment: Annotated[
        str | None, Meta(description="The GitHub environment, whose approvals hold; default: the target's name.")
    ] = None
    switch: Annotated[
        Literal["after-verification", "immediately"],
        Meta(description="When a new version is served; targets that cannot keep two say immediately."),
    ] = "after-verification"
    options: Annotated[dict[str, Any], Meta(description="Options of the kind.")] = field(default_factory=dict)


class ArtifactsTable(Table, frozen=True):
    """Where artifacts of recorded runs are kept, by content, until they are released."""

    store: Annotated[str | None, Meta(description="A folder, or any URL that fsspec knows, such as s3://bucket/x.")] = (
        None
    )
    options: Annotated[
        dict[str, Any], Meta(description="Options of fsspec; credentials come from the environment.")
    ] = field(default_factory=dict)


class MonitorTable(Table, frozen=True, kw_only=True):
    """A watch on a deployed model."""

    model: Annotated[str | None, Meta(description="Which; default: the monitor's name.")] = None
    stage: Annotated[str, Meta(description="The stage whose version is watched.")] = "production"
    run: Annotated[str, Meta(description="The run that measures it on fresh data; its rules are the gate.")]
    drift: Annotated[tuple[str, ...], Meta(description="Evidently reports (JSON) that the run writes.")] = ()
