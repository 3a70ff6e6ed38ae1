"""Proves that what is deployed predicts what the lab predicted, and says so in a document bound to the release."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from mlci.config import seconds
from mlci.config.checking import unknown_key
from mlci.core.agreement import Agreement, agree, median_latency, too_slow
from mlci.core.documents import decode, encode
from mlci.core.release import Verification
from mlci.errors import DocumentError, UsageError, VerifyError
from mlci.project import Project
from mlci.releasing import clean_environment
from mlci.releasing.asking import Endpoint
from mlci.releasing.deploying import read_deployment
from mlci.releasing.folder import ReleaseFolder
from mlci.releasing.golden import Golden, Prediction, read
from mlci.releasing.models import Model, find_model
from mlci.releasing.predicting import by_command
from mlci.render.text import counted, plain
from mlci.running import interpreter
from mlci.workspace import write_atomically

VERIFICATION = "verification.json"
Method = Literal["load", "http"]
# With any of these a model that is loaded could act as the job: children can read their parent's environment.
_TOKENS = ("MLCI_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
_SHOWN = 5  # mismatches in a message; the document has more


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for.

    Args:
        method: How to predict; None: over HTTP if `url` was given or there is no `verify.command`, else by loading.
        target: Whose address is asked if nothing else says one.
        url: The address to ask.
        python: An interpreter, or an environment's folder, to load the model in, instead of a clean environment.
    """

    method: Method | None = None
    target: str | None = None
    url: str | None = None
    python: str | None = None


def refuse_tokens(environ: Mapping[str, str]) -> None:
    """Refuse to load a model in a job that holds a token; on a laptop the user's own are the user's business.

    Raises:
        UsageError: One is set, under GitHub Actions.
    """
    held = next((name for name in _TOKENS if environ.get(name)), None)
    if environ.get("GITHUB_ACTIONS") == "true" and held:
        remedy = "take `id-token: write` from its permissions" if held == _TOKENS[-1] else f'set {held}: "" there'
        raise UsageError(
            f"{held} is set: verify loads models, so it holds no token",
            hint=f"Verify in a job of its own, and {remedy}.",
        )


def verify(project: Project, found: ReleaseFolder, request: Request) -> Verification:
    """Predict the golden examples of a release and compare; `verification.json` has the answer, whatever it is.

    Args:
        project: Whose configuration says how, and whose workspace takes the document.
        found: The release, checked.
        request: What else was said.

    Raises:
        ConfigError: The configuration does not say how.
        VerifyError: The release has no golden examples.
    """
    project.workspace.path(VERIFICATION).unlink(missing_ok=True)  # what stops half way leaves no older answer
    model = find_model(project, found.release.model)
    predict = _Predicting(project, model, found, request, time.monotonic() + seconds(model.table.verify.timeout))
    method = predict.method
    examples = _golden(found)
    predictions: Sequence[Prediction] = ()
    try:
        predictions = predict.over_http(examples) if method == "http" else predict.by_loading(examples)
        agreement = agree(
            {example.id: example.prediction for example in examples},
            {prediction.id: prediction.prediction for prediction in predictions},
            tolerance=model.table.verify.tolerance,
        )
        reason = _disagreement(agreement)
    except (VerifyError, DocumentError) as error:
        agreement, reason = Agreement(compared=0, differing=0, mismatches=()), error.message
        if error.hint:
            project.invocation.say(error.hint)
    lab_s, now_s = (median_latency([item.latency_s for item in items]) for items in (examples, predictions))
    reason = reason or too_slow(lab_s, now_s, model.table.verify.max_latency)
    document = Verification(
        model=found.release.model,
        version=found.release.version,
        digest=found.digest,
        method=method,
        passed=reason is None,
        compared=agreement.compared,
        tolerance=model.table.verify.tolerance,
        mismatches=agreement.mismatches,
        differing=agreement.differing,
        lab_latency_s=lab_s,
        latency_s=now_s,
        reason=reason,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    _write(project, document)
    return document


def check(document: Verification) -> None:
    """Raise VerifyError if it did not pass, with the first differing examples in a line each."""
    if document.passed:
        return
    lines = [
        f"  {plain(item.id)}: the lab predicted {plain(item.expected, limit=80)}, now {plain(item.got, limit=80)}"
        for item in document.mismatches[:_SHOWN]
    ]
    more = document.differing - len(lines)
    rest = [f"  and {more} more"] if more > 0 else []
    first, *others = (document.reason or "it does not say why").split("\n")
    head = f"{plain(document.model)} {plain(document.version)} is not verified: {plain(first)}"
    raise VerifyError("\n".join([head, *(f"  {plain(line)}" for line in others), *lines, *rest]))


def load(project: Project, digest: str) -> Verification:
    """`verification.json`, if it says that the release of that digest passed; it is a claim of the job that wrote it.

    Args:
        project: Whose workspace.
        digest: The sha256 of the release's SHA256SUMS.

    Raises:
        VerifyError: There is none, it is of another release, or the verification did not pass.
        DocumentError: It is no verification.
    """
    path = project.workspace.path(VERIFICATION)
    shown = f"{project.workspace.folder.name}/{VERIFICATION}"
    if not path.is_file():
        raise VerifyError(f"{shown}: there is none", hint="Make it with `mlci verify`, in a job without a token.")
    document = decode(path.read_bytes(), Verification, name=shown)
    if document.digest != digest:
        raise VerifyError(
            f"{shown} is of another release ({plain(document.model)} {plain(document.version)}, "
            f"{plain(document.digest)[:12]}), not of {digest[:12]}",
            hint="Run `mlci verify` for this one.",
        )
    check(document)
    if not document.compared or document.differing or document.mismatches:
        raise VerifyError(f"{shown} says that it passed, and does not agree with itself")
    return document


@dataclass(frozen=True)
class _Predicting:
    """One verification under way."""

    project: Project
    model: Model
    found: ReleaseFolder
    request: Request
    end: float

    @property
    def method(self) -> Method:
        """How, or a ConfigError where what it needs is not there; nothing is done before that is known."""
        table, path = self.model.table.verify, f"models.{self.model.name}.verify"
        if self.request.target is not None and self.request.target not in self.project.config.settings.targets:
            known = self.project.config.settings.targets
            raise unknown_key(self.request.target, known, file=self.project.config.shown, path="targets")
        chosen = self.request.method or ("http" if self.request.url or not table.command else "load")
        if chosen == "load" and not table.command:
            raise self.project.config.error(f"{path}.command", "not set, and the model is to be loaded by it")
        if chosen == "http" and not self._url():
            raise self.project.config.error(
                path, "neither command nor url is set", hint="Say how predictions are made, or give --url."
            )
        # An address that was named may well be that of the version beside the one that is served.
        deployed = read_deployment(self.project) if chosen == "http" and self.request.url is None else None
        if deployed and (deployed.state, deployed.digest) == ("uploaded", self.found.digest):
            raise UsageError(
                f"{deployed.target} still serves {deployed.previous or 'nothing'}, so its address does not answer for "
                f"{deployed.version}",
                hint="Deploy with --switch immediately, name the new version's --url, or verify with --method load.",
            )
        if chosen == "http" and (urlsplit(self._url()).scheme not in ("http", "https")):
            raise UsageError("the address to verify is none of http or https")
        return chosen

    def _url(self) -> str:
        target = self.project.config.settings.targets[self.request.target].url if self.request.target else None
        return self.request.url or self.model.table.verify.url or target or ""

    def over_http(self, examples: Sequence[Golden]) -> Sequence[Prediction]:
        """By asking what is deployed."""
        return Endpoint(url=self._url(), field=self.model.table.verify.field, end=self.end).predict(examples)

    def by_loading(self, examples: Sequence[Golden]) -> Sequence[Prediction]:
        """By running the user's command."""
        root, environ = self.project.config.root, self.project.invocation.environ
        python = self._python(root, environ)
        return by_command(
            self.model.table.verify.command,
            self.found,
            examples,
            python=python,
            root=root,
            environ=environ,
            end=self.end,
        )

    def _python(self, root: Path, environ: Mapping[str, str]) -> str:
        say = self.project.invocation.say
        if self.request.python:
            python, _ = interpreter.find(root, asked=self.request.python, configured=None, environ=environ)
            say(f"verifying in {self.request.python}, not in a clean environment of the recorded packages")
            return python
        made = clean_environment.make(
            self.found.release.record.environment, root=root, environ=environ, end=self.end, warn=say
        )
        say("verifying in the clean environment of the last time" if made.reused else "made a clean environment")
        return made.python


def _golden(found: ReleaseFolder) -> tuple[Golden, ...]:
    file = next((file for file in found.release.files if file.kind == "golden"), None)
    if file is None:
        raise VerifyError(
            f"the release {found.release.tag} has no golden examples",
            hint=f"Name the file in [models.{found.release.model}] golden, and release again.",
        )
    return read((found.folder / file.name).read_bytes(), file.name)


def _disagreement(agreement: Agreement) -> str | None:
    if not agreement.differing:
        return None
    return f"{agreement.differing} of {counted(agreement.compared, 'golden example')} differ"


def _write(project: Project, document: Verification) -> None:
    project.workspace.prepare()
    write_atomically(project.workspace.folder / VERIFICATION, encode(document))
