"""GitHub: what the token may do as far as the API tells, rules of branches, and whether clocks agree."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from mlci.core.finding import Finding
from mlci.diagnosing import remote
from mlci.diagnosing.patient import ASK_S, Patient
from mlci.errors import ForgeError, MlciError
from mlci.plugins.forges.interface import BranchRights, Rights
from mlci.plugins.stores.git_branch import GitBranchStore
from mlci.render.text import duration, plain

_MAX_SKEW_S = 300  # beyond it signed requests, such as those to S3, are refused
_WRITERS = ("admin", "maintain", "push")
# Rules under which nobody may simply push a commit to a branch.
_NO_PUSH = ("creation", "update", "pull_request", "required_status_checks", "required_deployments", "merge_queue")
_SIGNED = "required_signatures"
_NAME = re.compile(r"/?([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def check(patient: Patient) -> Iterable[Finding]:
    """What GitHub tells of rights and rules."""
    repository = repository_of(patient)
    if patient.offline:
        yield _unknown("offline", "rights and rules", "nothing was asked of GitHub", "Leave --offline out.")
    elif repository is None:
        yield _unknown(
            "no-repository",
            "rights and rules",
            "it is not known which repository on GitHub this is",
            'Add the remote: git remote add origin URL; or set GITHUB_REPOSITORY to "owner/name".',
        )
    elif patient.project.context.token is None:
        yield _unknown(
            "no-token",
            "rights and rules",
            "there is no token to ask GitHub with",
            "Set GITHUB_TOKEN, such as: GITHUB_TOKEN=$(gh auth token) mlci doctor",
        )
    else:
        rights = rights_of(patient)
        yield from _unanswered(rights) if isinstance(rights, ForgeError) else _answered(patient, rights)


def repository_of(patient: Patient) -> str | None:
    """The repository as "owner/name": the event's, else what the remote's address says of the server of the token."""
    context = patient.project.context
    named = context.repository or patient.environ.get("GITHUB_REPOSITORY")
    if named:
        return named if re.fullmatch(r"[\w.-]+/[\w.-]+", named) else None
    origin = remote.remote_of(patient)
    if origin is None:
        return None
    host = urlsplit(context.server_url).netloc
    ssh = re.fullmatch(rf"(?:ssh://)?git@{re.escape(host)}[:/](.+)", origin.url)
    parts = urlsplit(origin.url)
    path = ssh[1] if ssh else parts.path if parts.netloc == host else ""
    found = _NAME.fullmatch(path)
    return found[1] if found else None


def rights_of(patient: Patient) -> Rights | ForgeError | None:
    """What the API tells, asked once; None where it cannot be asked."""
    if patient.offline or patient.project.context.token is None:
        return None
    known: dict[str, Rights | ForgeError | None] = patient.told
    if "rights" not in known:
        known["rights"] = _asked(patient)
    return known["rights"]


def _asked(patient: Patient) -> Rights | ForgeError | None:
    from mlci.plugins.forges.patience import Patience  # noqa: PLC0415 - heavy
    from mlci.plugins.forges.rights import Inquirer  # noqa: PLC0415 - likewise

    context, repository = patient.project.context, repository_of(patient)
    if context.token is None or repository is None:
        return None
    try:
        return Inquirer(context.api_url, context.token, Patience(ASK_S)).rights(repository, _branches(patient))
    except ForgeError as error:
        return error


def _branches(patient: Patient) -> tuple[str, ...]:
    data = _data_branch(patient)
    return (patient.project.config.settings.baseline.branch, *((data,) if data else ()))


def _data_branch(patient: Patient) -> str | None:
    try:
        store = patient.project.store
    except MlciError:
        return None
    return store.branch if isinstance(store, GitBranchStore) else None


def _unanswered(error: ForgeError) -> Iterator[Finding]:
    if "token is not valid" in error.message:
        yield Finding(
            slug="github/token",
            level="error",
            subject="the token",
            found="GitHub does not know it: it is expired, revoked, or of another server",
            remedy="Set GITHUB_TOKEN to a new one; in a workflow, the input github-token to ${{ github.token }}.",
        )
    elif "HTTP 404" in error.message:
        yield Finding(
            slug="github/token",
            level="error",
            subject="the token",
            found="the repository is not there, or hidden from this token",
            remedy="Check GITHUB_REPOSITORY; a token of a person needs access to the repository (and single sign-on).",
        )
    else:
        yield _unknown(
            "unreachable",
            "rights and rules",
            f"GitHub did not answer: {error.message}",
            "Try again; behind a proxy set HTTPS_PROXY, with an own certificate REQUESTS_CA_BUNDLE.",
        )


def _answered(patient: Patient, rights: Rights | None) -> Iterator[Finding]:
    if rights is None:
        return
    yield from clock(rights.date, time.time())
    yield from _token(rights)
    settings = patient.project.config.settings
    if rights.default_branch and rights.default_branch != settings.baseline.branch and not patient.broken:
        file, line = patient.configured(("baseline", "branch"))
        default = plain(rights.default_branch, limit=80)
        yield Finding(
            slug="github/default-branch",
            level="error",
            subject=f"branch {settings.baseline.branch}",
            found=f"the default branch is {default}, and only its results become baselines",
            remedy=f'Say in {patient.project.config.shown}: [baseline] branch = "{default}"',
            file=file,
            line=line,
        )
    data = _data_branch(patient)
    if data and data in rights.branches and not patient.broken:
        yield from _writable(data, rights.branches[data])
    own = rights.branches.get(rights.default_branch or "")
    if own and not patient.broken:
        yield from _required(own, f"mlci/{settings.id}", rights.default_branch or "")


def clock(date: str | None, now: float) -> Iterator[Finding]:
    """Whether the time here, in seconds since the epoch, is that of an HTTP date."""
    try:
        there = parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        there = None
    if there is not None and abs(there - now) > _MAX_SKEW_S:
        behind = "behind" if there > now else "ahead of"
        yield Finding(
            slug="github/clock",
            level="error",
            subject="the clock",
            found=f"it is {duration(abs(there - now))} {behind} GitHub's; signed requests, such as to S3, are refused",
            remedy="Set it: timedatectl set-ntp true (in a container: on the machine that runs it).",
        )


def _token(rights: Rights) -> Iterator[Finding]:
    """Of a classic token scopes and role tell all; of others GitHub tells nothing."""
    if rights.scopes is None:
        return
    enough = "repo" in rights.scopes or ("public_repo" in rights.scopes and not rights.private)
    if not enough:
        wanted = "repo" if rights.private else "public_repo"
        yield Finding(
            slug="github/scope",
            level="error",
            subject="the token",
            found=f"its scopes are {plain(', '.join(rights.scopes)) or 'none'}: it can neither comment nor push",
            remedy=f"Give it the scope `{wanted}` (gh auth refresh --scopes {wanted}).",
        )
    elif rights.role not in _WRITERS:
        yield Finding(
            slug="github/role",
            level="error",
            subject="the token",
            found=f"its account may only {rights.role or 'look'} here: it can neither set a status nor push",
            remedy="Ask an owner of the repository for write access, or take another account's token.",
        )


def _writable(branch: str, told: BranchRights) -> Iterator[Finding]:
    """Rules that keep baselines out of the data branch; signed commits mlci has the API make."""
    shown = f"branch {branch}"
    if told.rules is None:
        yield _unknown("rules", shown, "its rules could not be read", "Look in the repository's settings, under Rules.")
        return
    closed = [rule for rule in told.rules if rule in _NO_PUSH]
    if closed:
        yield Finding(
            slug="github/data-branch",
            level="error",
            subject=shown,
            found=f"rules keep baselines out of it: {', '.join(dict.fromkeys(closed))}",
            remedy=f"Exclude {branch} from the ruleset (Settings > Rules > Rulesets > Target branches).",
        )
    elif told.protected:
        yield _unknown(
            "protected",
            shown,
            "it is protected; whether mlci may push to it is told to administrators only",
            f"Take {branch} out of the branch protection rule: nobody but mlci writes there.",
        )
    elif _SIGNED in told.rules:
        yield Finding(
            slug="github/signed",
            level="ok",
            subject=shown,
            found="signed commits are required: the job that saves makes them through the API, with its token",
        )


def _required(told: BranchRights, context: str, branch: str) -> Iterator[Finding]:
    ours = [name for name in told.required_checks if name.startswith("mlci/")]
    if ours and context not in ours:  # of several configurations each requires its own
        yield Finding(
            slug="github/required-status",
            level="error",
            subject=f"branch {plain(branch, limit=80)}",
            found=f"it waits for the status {plain(ours[0])}, and this configuration sets {context}",
            remedy=f"Require {context} instead, or give the configuration that id: id = ...",
        )


def _unknown(what: str, subject: str, found: str, remedy: str) -> Finding:
    return Finding(slug=f"github/{what}", level="unknown", subject=subject, found=found, remedy=remedy)
