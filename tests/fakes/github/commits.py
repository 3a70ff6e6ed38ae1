"""Branches, commits and comparisons: read from the bare repository."""

from __future__ import annotations

from typing import Any

from fakes.github.answers import Answer, Problem, not_found
from fakes.github.git_data import git_commit
from fakes.github.plumbing import ZERO
from fakes.github.routing import Call, R, route
from fakes.github.shapes import api, web


def commit(call: Call, sha: str) -> dict[str, Any]:
    """A commit as the rest of the API has it."""
    found, url = call.git.commit(sha), f"{api(call, call.repository)}/commits"
    page, data = f"{web(call.repository)}/commit", git_commit(call, sha)
    inner = {name: data[name] for name in ("author", "committer", "message", "tree", "verification", "url")}
    return {
        "url": f"{url}/{sha}",
        "sha": sha,
        "node_id": data["node_id"],
        "html_url": data["html_url"],
        "comments_url": f"{url}/{sha}/comments",
        "commit": inner | {"comment_count": 0},
        "author": None,
        "committer": None,
        "parents": [{"sha": p, "url": f"{url}/{p}", "html_url": f"{page}/{p}"} for p in found["parents"]],
    }


@route("GET", R + "/branches/{branch}", contents="read")
def _branch(call: Call) -> Answer:
    name, here = call.values["branch"], call.repository
    sha = call.git.resolve(f"refs/heads/{name}")
    if sha is None:
        raise Problem(404, "Branch not found")
    url = f"{api(call, here)}/branches/{name}"
    body = {
        "name": name,
        "commit": commit(call, sha),
        "_links": {"self": url, "html": f"{web(here)}/tree/{name}"},
        "protected": name in here.protected or bool(here.rules.get(name)),
        "protection": _protection(here.protected.get(name)),
        "protection_url": f"{url}/protection",
    }
    return Answer(body=body)


def _protection(checks: tuple[str, ...] | None) -> dict[str, Any]:
    if checks is None:
        return {"enabled": False}
    required = {"enforcement_level": "everyone", "contexts": list(checks), "checks": []}
    return {"enabled": True, "required_status_checks": required}


@route("GET", R + "/rules/branches/{branch}")
def _rules(call: Call) -> Answer:
    source = {"ruleset_source_type": "Repository", "ruleset_source": call.repository.full_name, "ruleset_id": 42}
    found = call.repository.rules.get(call.values["branch"], [])
    return call.page(found, lambda _, rule: rule | source)


def _commit_named(call: Call, name: str) -> str:
    found = call.git.commit_of(name)
    if found is None:
        raise Problem(422, f"No commit found for SHA: {name}")
    return found


@route("GET", R + "/commits/{ref}", contents="read")
def _commit(call: Call) -> Answer:
    return Answer(body=commit(call, _commit_named(call, call.values["ref"])))


def _compared(call: Call, name: str) -> str | None:
    """A commit of this repository or, as owner:branch or owner:repository:branch, of another one."""
    *where, branch = name.split(":")
    if not where:
        return call.git.commit_of(name)
    full_name = f"{where[0]}/{where[1] if len(where) > 1 else call.repository.name}"
    other = call.server.repositories.get(full_name)
    found = other.git.commit_of(branch) if other and other.git else None
    if found and other and other.git and call.git.kind(found) is None:
        # Repository and forks share their objects.
        call.git.run("fetch", "--quiet", str(other.git.folder), branch)
    return found


_LETTERS = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "C": "copied", "T": "changed"}


def _files(call: Call, base: str, head: str) -> list[dict[str, Any]]:
    page, url = web(call.repository), api(call, call.repository)
    counted = call.git.text("diff", "--numstat", "--no-renames", base, head).splitlines()
    named = call.git.text("diff", "--raw", "--no-abbrev", "--no-renames", base, head).splitlines()
    found = []
    for counts, raw in zip(counted, named, strict=True):
        added, deleted, path = counts.split("\t")
        new, letter = raw.split()[3], raw.split()[4]
        plus, minus = (int(count) if count.isdigit() else 0 for count in (added, deleted))
        at = head if new != ZERO else base
        found.append(
            {
                "sha": new if new != ZERO else raw.split()[2],
                "filename": path,
                "status": _LETTERS[letter],
                "additions": plus,
                "deletions": minus,
                "changes": plus + minus,
                "blob_url": f"{page}/blob/{at}/{path}",
                "raw_url": f"{page}/raw/{at}/{path}",
                "contents_url": f"{url}/contents/{path}?ref={at}",
            }
        )
    return found


@route("GET", R + "/compare/{basehead}", contents="read")
def _compare(call: Call) -> Answer:
    given = call.values["basehead"]
    base, head = (_compared(call, name) for name in given.partition("...")[::2])
    if base is None or head is None:
        raise not_found()
    parted = call.git.merge_base(base, head)
    if parted is None:
        raise Problem(404, f"No common ancestor between {given.replace('...', ' and ')}.")
    behind, ahead = (int(n) for n in call.git.text("rev-list", "--left-right", "--count", f"{base}...{head}").split())
    status = {(0, 0): "identical", (1, 0): "ahead", (0, 1): "behind", (1, 1): "diverged"}[bool(ahead), bool(behind)]
    shas = call.git.text("rev-list", "--reverse", f"{base}..{head}").splitlines()
    page, here = call.page(shas, commit), web(call.repository)
    body = {
        "url": f"{api(call, call.repository)}/compare/{given}",
        "html_url": f"{here}/compare/{given}",
        "permalink_url": f"{here}/compare/{base[:12]}...{head[:12]}",
        "diff_url": f"{here}/compare/{given}.diff",
        "patch_url": f"{here}/compare/{given}.patch",
        "base_commit": commit(call, base),
        "merge_base_commit": commit(call, parted),
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": page.body,
        "files": _files(call, parted, head),
    }
    return Answer(body=body, headers=page.headers)
