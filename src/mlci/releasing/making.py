"""Makes a release: its files, its tag, its page; killed anywhere and run again, it ends the same."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mlci import git
from mlci.core.documents import RecordsDocument, digest, encode
from mlci.core.registry import Tag
from mlci.core.release import Release, ReleaseFile
from mlci.errors import PolicyError, UsageError
from mlci.plugins.targets.interface import sha256_of
from mlci.project import Project
from mlci.releasing import folder as layout
from mlci.releasing.deciding import Decision, Request
from mlci.releasing.gathering import Sources, describe, gather, sources
from mlci.releasing.golden import sample
from mlci.releasing.models import all_tags
from mlci.releasing.signing import ready, sign
from mlci.render.model_card import body, card

CARD, GOLDEN, RECORD = "MODEL_CARD.md", "golden.jsonl", "record.json"
_MAX_BODY = 120_000  # characters of a release's text on GitHub, with some room


@dataclass(frozen=True, kw_only=True)
class Released:
    """What was released.

    Args:
        release: The document.
        digest: Of its SHA256SUMS.
        folder: Its files.
        url: Its page on the forge.
        left_out: What belongs to a release and is not there, one line each.
    """

    release: Release
    digest: str
    folder: Path
    url: str | None = None
    left_out: tuple[str, ...] = field(default=())


def release(project: Project, decision: Decision, request: Request) -> Released:
    """Gather, tag, publish; killed anywhere and run again, it ends the same.

    Raises:
        UsageError: An artifact is to be had nowhere.
        ForgeError: The forge is out of reach, or the tag points elsewhere.
    """
    hosted = project.hosted and not request.local
    target = project.workspace.folder / layout.FOLDER
    partial = project.workspace.folder / f".{layout.FOLDER}.part"
    ready(decision.model.table, project.invocation.environ)
    project.workspace.prepare()
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    with sources(project, decision.record, request.artifact) as found:
        files, left_out = _gathered(found, decision, partial)
    tag = decision.existing or _tagged(project, decision, request, hosted=hosted)
    document = Release(
        model=decision.model.name,
        version=str(decision.version),
        tag=decision.tag,
        commit=decision.commit,
        # The tag's own time: a second try writes the same document.
        created_at=datetime.fromtimestamp(tag.created, UTC).isoformat(timespec="seconds"),
        record=decision.record,
        files=tuple(files),
        previous=str(decision.previous.version) if decision.previous else None,
        comparison=decision.comparison,
        override=request.override if decision.objections else None,
    )
    (partial / CARD).write_text(card(document, decision.model.table), encoding="utf-8")
    text = body(document, decision.model.table)
    document = msgspec.structs.replace(document, files=(*files, describe(partial / CARD, "card")))
    sums = layout.write(partial, document)
    sign(partial, decision.model.table, project.invocation.environ)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    url = _published(project, decision, document, target, text) if hosted else None
    if not hosted:
        left_out.append(f"the release on GitHub: {'--local' if request.local else 'there is no token'}")
    return Released(release=document, digest=sums, folder=target, url=url, left_out=tuple(left_out))


def _gathered(found: Sources, decision: Decision, folder: Path) -> tuple[list[ReleaseFile], list[str]]:
    """Everything but the card and the sums."""
    files, left_out = gather(found, decision.model, folder), []
    (folder / RECORD).write_bytes(encode(RecordsDocument(made_from=(), records=(decision.record,))))
    files.append(describe(folder / RECORD, "record"))
    golden = decision.model.table.golden
    if golden:
        files += _golden(found, decision, folder, golden)
    notebooks = [outputs.notebook for outputs in decision.record.outputs if outputs.notebook]
    if notebooks:
        to = folder / "executed.ipynb"
        if found.kept(notebooks[0], to):
            files.append(describe(to, "notebook"))
            files.append(_as_html(to))
        else:
            left_out.append("the executed notebook: its copy here and the workflow's artifact are gone")
    return files, left_out


def _golden(found: Sources, decision: Decision, folder: Path, path: str) -> list[ReleaseFile]:
    artifact = next((item for item in decision.record.artifacts if item.path == path), None)
    to = folder / GOLDEN
    if artifact is None or found.find(artifact.sha256, artifact.stored, to) is None:
        raise UsageError(
            f"{path}: the golden examples of {decision.model.name} are to be had nowhere",
            hint=f"Declare the file in [runs.{decision.model.run}] artifacts, and measure the commit again.",
        )
    to.write_bytes(sample(to.read_bytes(), decision.model.table.golden_count, name=path))
    return [describe(to, "golden")]


def _as_html(notebook: Path) -> ReleaseFile:
    from mlci.render.notebook import html  # noqa: PLC0415 - nbconvert is heavy

    to = notebook.with_suffix(".html")
    to.write_text(html(notebook.read_text(encoding="utf-8")), encoding="utf-8")
    return describe(to, "notebook")


def _tagged(project: Project, decision: Decision, request: Request, *, hosted: bool) -> Tag:
    """The annotated tag, made now."""
    lines = [
        f"{decision.model.name} {decision.version}",
        "",
        f"Run {decision.record.name} ({decision.record.profile}), record sha256 {digest(encode(decision.record))}",
    ]
    if decision.objections:
        lines += [
            "",
            f"Released against the policy: {request.override}",
            *(f"- {line}" for line in decision.objections),
        ]
    message = "\n".join(lines)
    if hosted:
        project.releases.create_tag(decision.tag, decision.commit, message)
    else:
        identity = (("user.name", "mlci"), ("user.email", "mlci@noreply.invalid"), ("tag.gpgsign", "false"))
        clone = git.Git(project.config.root, project.invocation.environ, identity)
        clone.run("tag", "--annotate", "--message", message, decision.tag, decision.commit)
    made = next((tag for tag in all_tags(project) if tag.name == decision.tag), None)
    return made or Tag(name=decision.tag, commit=decision.commit)


def _published(project: Project, decision: Decision, document: Release, folder: Path, text: str) -> str | None:
    """The draft, its assets, and then the publication."""
    forge = project.releases
    forge.create_tag(decision.tag, decision.commit, f"{decision.model.name} {decision.version}")
    draft = forge.draft(decision.tag, decision.commit, f"{decision.model.name} {decision.version}", text[:_MAX_BODY])
    if draft.draft:
        far = {file.name for file in document.files if file.stored}
        own = {name: sha256_of(folder / name) for name in (layout.SUMS, layout.SIGNATURE) if (folder / name).is_file()}
        for name, sha256 in {**layout.sums(folder), **own}.items():
            if name not in far:
                forge.upload(draft, folder / name, sha256)
        return forge.publish(draft).url
    sums = next((asset for asset in draft.assets if asset.name == layout.SUMS), None)
    if sums is None or sums.sha256 not in (None, sha256_of(folder / layout.SUMS)):
        raise PolicyError(
            f"{document.tag} is published already, with other files", hint="A published release is never changed."
        )
    return draft.url
