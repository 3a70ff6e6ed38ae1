"""GitHub, and GitHub Enterprise Server, as a forge."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from mlci.errors import ForbiddenError, ForgeError
from mlci.plugins.forges.answers import at, number, required, text
from mlci.plugins.forges.client import Client, NotFoundError
from mlci.plugins.forges.interface import (
    CheckRun,
    Comment,
    CommitInfo,
    Pull,
    Status,
    StoredArtifact,
    WorkflowRun,
)

T = TypeVar("T")

_JOB_LOGIN = "github-actions[bot]"
_LOOKS = 3  # at a list that may be stale, before something is created again
_ANNOTATIONS_A_REQUEST = 50
_SHA1 = 40


@dataclass(frozen=True)
class GitHubForge:
    """One repository on GitHub.

    Args:
        client: Sends the requests.
        repository: "owner/name".
    """

    client: Client
    repository: str

    def pause(self, tries: int) -> bool:
        """See `Forge.pause`."""
        return self.client.patience.pause(tries)

    def viewer(self) -> str:
        """See `Forge.viewer`; a job's own token may ask GraphQL only."""
        try:
            data = self.client.graphql("query { viewer { login } }", {}, needs="contents: read")
            login = at(data, "viewer", "login")
        except (ForbiddenError, NotFoundError):
            login = None
        return str(login) if login else _JOB_LOGIN

    def pull(self, number: int) -> Pull:
        """See `Forge.pull`."""
        try:
            return _pull(self._get(f"pulls/{number}", "pull-requests: read"))
        except NotFoundError:
            raise ForgeError(f"there is no pull request {number} in {self.repository}") from None

    def pulls(self, head: str) -> list[Pull]:
        """See `Forge.pulls`."""
        found = self.client.pages(self._path("pulls"), needs="pull-requests: read", state="open", head=head)
        return [_pull(item) for item in found]

    def pulls_of_commit(self, sha: str) -> list[Pull]:
        """See `Forge.pulls_of_commit`."""
        found = self.client.pages(self._path(f"commits/{sha}/pulls"), needs="pull-requests: read")
        return [_pull(item) for item in found]

    def comments(self, number: int) -> list[Comment]:
        """See `Forge.comments`."""
        found = self.client.pages(self._path(f"issues/{number}/comments"), needs="pull-requests: read")
        return [_comment(item) for item in found]

    def create_comment(
        self, number: int, body: str, *, adopt: Callable[[Sequence[Comment]], Comment | None]
    ) -> Comment:
        """See `Forge.create_comment`."""

        def look() -> Comment | None:
            return self._look(lambda: adopt(self.comments(number)))

        made = self.client.create(
            self._path(f"issues/{number}/comments"), {"body": body}, needs="pull-requests: write", adopt=look
        )
        return made if isinstance(made, Comment) else _comment(made)

    def edit_comment(self, comment: Comment, body: str) -> Comment | None:
        """See `Forge.edit_comment`."""
        path = self._path(f"issues/comments/{comment.id}")
        try:
            return _comment(self.client.send("PATCH", path, {"body": body}, needs="pull-requests: write"))
        except NotFoundError:
            return None

    def delete_comment(self, comment: Comment) -> None:
        """See `Forge.delete_comment`."""
        try:
            self.client.send("DELETE", self._path(f"issues/comments/{comment.id}"), needs="pull-requests: write")
        except NotFoundError:
            return

    def statuses(self, sha: str) -> list[Status]:
        """See `Forge.statuses`."""
        found = self.client.pages(self._path(f"commits/{sha}/statuses"), needs="statuses: read")
        return [
            Status(
                context=text(item, "context") or "",
                state=item.get("state"),
                description=text(item, "description") or "",
                url=text(item, "target_url"),
            )
            for item in found
        ]

    def set_status(self, sha: str, status: Status) -> None:
        """See `Forge.set_status`; one that arrived although its answer was lost is not set again."""

        def arrived() -> Status | None:
            newest = next((item for item in self.statuses(sha) if item.context == status.context), None)
            return newest if newest == status else None

        body = {"state": status.state, "context": status.context, "description": status.description}
        if status.url:
            body["target_url"] = status.url
        self.client.create(
            self._path(f"statuses/{sha}"),
            body,
            needs="statuses: write",
            adopt=lambda: self._look(arrived),
        )

    def set_check_run(self, check: CheckRun) -> None:
        """See `Forge.set_check_run`; annotations go in portions of 50."""
        needs = "checks: write"

        def ours() -> Any:  # noqa: ANN401 - JSON
            found = self.client.pages(
                self._path(f"commits/{check.sha}/check-runs"), "check_runs", needs=needs, check_name=check.name
            )
            return next((item for item in found if item.get("external_id") == check.external_id), None)

        portions = [
            check.annotations[start : start + _ANNOTATIONS_A_REQUEST]
            for start in range(0, max(1, len(check.annotations)), _ANNOTATIONS_A_REQUEST)
        ]
        existing = ours()
        if existing is None:
            body = {"name": check.name, "head_sha": check.sha, **_check_body(check, portions[0])}
            existing = self.client.create(self._path("check-runs"), body, needs=needs, adopt=lambda: self._look(ours))
            portions = portions[1:]
        # Annotations add up: those that are there already are not sent again.
        there = at(existing, "output", "annotations_count")
        sent = there if isinstance(there, int) else 0
        for portion in portions:
            new = portion[max(0, sent - check.annotations.index(portion[0])) :] if portion else ()
            self.client.send(
                "PATCH", self._path(f"check-runs/{existing.get('id')}"), _check_body(check, new), needs=needs
            )

    def permission(self, login: str) -> str:
        """See `Forge.permission`."""
        try:
            found = self._get(f"collaborators/{quote(login, safe='')}/permission", "contents: read")
        except NotFoundError:
            return "none"
        return text(found, "permission") or "none"

    def commit(self, sha: str) -> CommitInfo | None:
        """See `Forge.commit`."""
        try:
            found = self._get(f"git/commits/{sha}", "contents: read")
        except NotFoundError:
            return None
        parents = found.get("parents")
        return CommitInfo(
            sha=required(found, "sha"),
            tree=required(found, "tree", "sha"),
            parents=tuple(required(item, "sha") for item in parents) if isinstance(parents, list) else (),
        )

    def merge_base(self, base: str, head: str) -> str | None:
        """See `Forge.merge_base`."""
        try:
            found = self._get(f"compare/{quote(base, safe='')}...{quote(head, safe='')}?per_page=1", "contents: read")
        except NotFoundError:
            return None
        return text(found, "merge_base_commit", "sha")

    def workflow_run(self, run_id: int) -> WorkflowRun:
        """See `Forge.workflow_run`."""
        try:
            return _workflow_run(self._get(f"actions/runs/{run_id}", "actions: read"))
        except NotFoundError:
            raise ForgeError(f"there is no workflow run {run_id} in {self.repository}") from None

    def workflow_runs(self, head_sha: str) -> list[WorkflowRun]:
        """See `Forge.workflow_runs`."""
        path = self._path("actions/runs")
        found = self.client.pages(path, "workflow_runs", needs="actions: read", head_sha=head_sha)
        return sorted(map(_workflow_run, found), key=lambda run: (run.id, run.attempt), reverse=True)

    def artifacts(self, run_id: int) -> list[StoredArtifact]:
        """See `Forge.artifacts`."""
        found = self.client.pages(self._path(f"actions/runs/{run_id}/artifacts"), "artifacts", needs="actions: read")
        artifacts = [
            StoredArtifact(
                id=number(item, "id"),
                name=text(item, "name") or "",
                size=number(item, "size_in_bytes"),
                expired=bool(item.get("expired")),
            )
            for item in found
        ]
        return sorted(artifacts, key=lambda artifact: artifact.id, reverse=True)

    def download(self, artifact: StoredArtifact, to: Path, *, max_bytes: int) -> None:
        """See `Forge.download`."""
        path = self._path(f"actions/artifacts/{artifact.id}/zip")
        self.client.download(path, to, max_bytes=max_bytes, needs="actions: read")

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """See `Forge.dispatch`; a dispatch leaves nothing to find it by, so an ambiguous failure is not repeated."""

        def give_up() -> None:
            raise ForgeError(
                f"it is not known whether {workflow} was started: GitHub's answer was lost",
                hint="Look at the workflow's runs; comment again if there is none.",
            )

        path = self._path(f"actions/workflows/{quote(workflow, safe='')}/dispatches")
        try:
            self.client.create(path, {"ref": ref, "inputs": dict(inputs)}, needs="actions: write", adopt=give_up)
        except NotFoundError:
            raise ForgeError(
                f"there is no workflow {workflow} on {ref}", hint="Name a file of .github/workflows/ on that branch."
            ) from None

    def default_branch(self) -> str:
        """See `Forge.default_branch`."""
        return required(self.client.get(f"/repos/{self.repository}", needs="contents: read"), "default_branch")

    def commit_files(
        self, branch: str, parent: str | None, files: Mapping[str, bytes | None], message: str
    ) -> str | None:
        """See `Forge.commit_files`; commits that a job's token makes through the API are signed by GitHub."""
        if parent is None:
            return self._first_commit(branch, files, message)
        additions = [{"path": path, "contents": _base64(data)} for path, data in files.items() if data is not None]
        deletions = [{"path": path} for path, data in files.items() if data is None]
        branch_input = {"repositoryNameWithOwner": self.repository, "branchName": branch}
        given = {
            "branch": branch_input,
            "expectedHeadOid": parent,
            "message": {"headline": message},
            "fileChanges": {"additions": additions, "deletions": deletions},
        }
        query = (
            "mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }"
        )
        # Repeating it is safe: the branch has moved if the first try arrived, which the expected head notices.
        data = self.client.graphql(query, {"input": given}, needs="contents: write")
        errors = data.get("errors") if isinstance(data, dict) else None
        if errors:
            words = text(errors[0], "message") or "no reason given"
            if text(errors[0], "type") == "STALE_DATA" or "Expected branch to point to" in words:
                return None
            raise ForgeError(f"createCommitOnBranch on {branch}: {' '.join(words.split())[:300]}")
        return required(data, "createCommitOnBranch", "commit", "oid")

    def _first_commit(self, branch: str, files: Mapping[str, bytes | None], message: str) -> str | None:
        needs = "contents: write"
        # Blobs, trees and commits are named by their content: one that nobody refers to does no harm when made twice.
        entries = [
            {"path": path, "mode": "100644", "type": "blob", **self._content(data)}
            for path, data in files.items()
            if data is not None
        ]
        tree = self.client.send("POST", self._path("git/trees"), {"tree": entries}, needs=needs)
        made = self.client.send(
            "POST",
            self._path("git/commits"),
            {"message": message, "tree": required(tree, "sha"), "parents": []},
            needs=needs,
        )
        sha = required(made, "sha")
        try:
            self.client.create(
                self._path("git/refs"),
                {"ref": f"refs/heads/{branch}", "sha": sha},
                needs=needs,
                adopt=lambda: self._look(lambda: sha if self._branch(branch) == sha else None),
            )
        except ForgeError as error:
            if "Reference already exists" in error.message:
                return sha if self._branch(branch) == sha else None
            raise
        return sha

    def _content(self, data: bytes) -> dict[str, str]:
        """What a tree says of a file: its text, or the blob that was made of other content."""
        try:
            return {"content": data.decode()}
        except UnicodeDecodeError:
            given = {"content": _base64(data), "encoding": "base64"}
            made = self.client.send("POST", self._path("git/blobs"), given, needs="contents: write")
            return {"sha": required(made, "sha")}

    def _branch(self, branch: str) -> str | None:
        try:
            return text(self._get(f"git/ref/heads/{quote(branch)}", "contents: read"), "object", "sha")
        except NotFoundError:
            return None

    def _look(self, find: Callable[[], T | None]) -> T | None:
        """Look several times: lists lag behind what was created."""
        for tries in range(_LOOKS):
            found = find()
            if found is not None or not self.pause(tries):
                return found
        return None

    def _get(self, path: str, needs: str) -> Any:  # noqa: ANN401 - JSON
        return self.client.get(self._path(path), needs=needs)

    def _path(self, path: str) -> str:
        return f"/repos/{self.repository}/{path}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _check_body(check: CheckRun, annotations: Sequence[Any]) -> dict[str, Any]:
    return {
        "status": "completed",
        "conclusion": check.conclusion,
        "external_id": check.external_id,
        **({"details_url": check.url} if check.url else {}),
        "output": {
            "title": check.title,
            "summary": check.summary,
            "annotations": [
                {
                    "path": item.path,
                    "start_line": item.line,
                    "end_line": item.line,
                    "annotation_level": item.level,
                    "message": item.message,
                    **({"title": item.title} if item.title else {}),
                }
                for item in annotations
            ],
        },
    }


def _pull(item: Any) -> Pull:  # noqa: ANN401 - JSON
    return Pull(
        number=number(item, "number"),
        open=text(item, "state") == "open",
        head_sha=required(item, "head", "sha"),
        head_repository_id=text(item, "head", "repo", "id"),
        base_sha=required(item, "base", "sha"),
        base_ref=required(item, "base", "ref"),
        merge_sha=text(item, "merge_commit_sha"),
        merged=bool(at(item, "merged_at")),
        url=text(item, "html_url"),
    )


def _comment(item: Any) -> Comment:  # noqa: ANN401 - JSON
    return Comment(
        id=number(item, "id"),
        author=text(item, "user", "login"),
        body=text(item, "body") or "",
        url=text(item, "html_url"),
    )


def _workflow_run(item: Any) -> WorkflowRun:  # noqa: ANN401 - JSON
    return WorkflowRun(
        id=number(item, "id"),
        attempt=number(item, "run_attempt"),
        event=required(item, "event"),
        # On runs of other workflows GitHub adds "@ref".
        path=required(item, "path").partition("@")[0],
        head_sha=required(item, "head_sha"),
        head_branch=text(item, "head_branch"),
        head_owner=text(item, "head_repository", "owner", "login"),
        head_repository_id=text(item, "head_repository", "id"),
        repository_id=text(item, "repository", "id"),
        url=text(item, "html_url"),
        status=text(item, "status"),
        conclusion=text(item, "conclusion"),
    )
