"""The objects of GitHub's API: accounts, repositories, pull requests, issues and their comments."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from fakes.github.repository import Repository
from fakes.github.routing import Call
from fakes.github.state import Comment, Issue, Pull, User

WEB = "https://github.com"


def node_id(kind: str, number: int) -> str:
    """An opaque id."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


def web(repository: Repository) -> str:
    """Its page."""
    return f"{WEB}/{repository.full_name}"


def api(call: Call, repository: Repository) -> str:
    """Its URL in the API."""
    return f"{call.root}/repos/{repository.full_name}"


def user(call: Call, account: User) -> dict[str, Any]:
    """A simple user."""
    url = f"{call.root}/users/{account.login}"
    plain = ("followers", "subscriptions", "repos", "received_events")
    names = {f"{name}_url": f"{url}/{name}" for name in plain}
    return names | {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("User", account.id),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{account.id}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{WEB}/{account.login}",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "organizations_url": f"{url}/orgs",
        "events_url": f"{url}/events{{/privacy}}",
        "type": account.type,
        "site_admin": False,
    }


def private_user(call: Call, account: User) -> dict[str, Any]:
    """A user as the user sees it."""
    texts = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
    counts = ("public_repos", "public_gists", "followers", "following", "private_gists", "total_private_repos")
    more = ("owned_private_repos", "disk_usage", "collaborators")
    return (
        user(call, account)
        | texts
        | dict.fromkeys((*counts, *more), 0)
        | {
            "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2020-01-01T00:00:00Z",
            "two_factor_authentication": True,
        }
    )


_PLAIN = (
    *("contributors", "deployments", "downloads", "events", "forks", "languages", "merges", "stargazers"),
    *("subscribers", "subscription", "tags", "teams", "hooks"),
)
_TEMPLATES = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "statuses_url": "/statuses/{sha}",
    "trees_url": "/git/trees{/sha}",
}


def minimal_repository(call: Call, repository: Repository) -> dict[str, Any]:
    """A repository as it comes inside of other things."""
    url = api(call, repository)
    links = {f"{name}_url": f"{url}/{name}" for name in _PLAIN} | {n: url + t for n, t in _TEMPLATES.items()}
    return links | {
        "id": repository.id,
        "node_id": node_id("Repository", repository.id),
        "name": repository.name,
        "full_name": repository.full_name,
        "owner": user(call, repository.owner),
        "private": repository.private,
        "html_url": web(repository),
        "description": None,
        "fork": repository.fork,
        "url": url,
    }


def repository_within(call: Call, repository: Repository) -> dict[str, Any]:
    """A repository as it comes inside of a pull request."""
    page = web(repository)
    zero = ("forks_count", "stargazers_count", "watchers_count", "size", "open_issues_count")
    return (
        minimal_repository(call, repository)
        | dict.fromkeys((*zero, "forks", "open_issues", "watchers"), 0)
        | dict.fromkeys(("has_issues", "has_projects", "has_wiki", "has_downloads"), True)
        | dict.fromkeys(("has_pages", "archived", "disabled"), False)
        | dict.fromkeys(("license", "mirror_url", "homepage", "language"))
        | dict.fromkeys(("created_at", "updated_at", "pushed_at"), repository.created_at)
        | {
            "git_url": f"git://github.com/{repository.full_name}.git",
            "ssh_url": f"git@github.com:{repository.full_name}.git",
            "clone_url": f"{page}.git",
            "svn_url": page,
            "default_branch": repository.default_branch,
            "visibility": "private" if repository.private else "public",
        }
    )


def full_repository(call: Call, repository: Repository) -> dict[str, Any]:
    """A repository asked for by itself."""
    return repository_within(call, repository) | {
        "has_discussions": False,
        "subscribers_count": 0,
        "network_count": 0,
        "allow_forking": True,
    }


def labels(call: Call, repository: Repository, names: Iterable[str]) -> list[dict[str, Any]]:
    """Labels."""
    url = api(call, repository)
    return [
        {
            "id": 100 + place,
            "node_id": node_id("Label", place),
            "url": f"{url}/labels/{name}",
            "name": name,
            "description": "",
            "color": "ededed",
            "default": False,
        }
        for place, name in enumerate(names)
    ]


def _branch(call: Call, repository: Repository | None, owner: User, ref: str, sha: str) -> dict[str, Any]:
    return {
        "label": f"{owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user(call, owner),
        "repo": repository_within(call, repository) if repository else None,
    }


def pull(call: Call, item: Pull) -> dict[str, Any]:
    """A pull request in a list."""
    here = call.repository
    url, page = f"{api(call, here)}/pulls/{item.number}", f"{web(here)}/pull/{item.number}"
    issue_url, forked = f"{api(call, here)}/issues/{item.number}", item.head_repository
    links = {
        "self": url,
        "html": page,
        "issue": issue_url,
        "comments": f"{issue_url}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{api(call, here)}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{api(call, here)}/statuses/{item.head_sha}",
    }
    urls = ("comments", "review_comments", "review_comment", "commits", "statuses", "issue")
    return {f"{name}_url": links[name] for name in urls} | {
        "url": url,
        "id": item.id,
        "node_id": node_id("PullRequest", item.id),
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "number": item.number,
        "state": item.state,
        "locked": False,
        "title": item.title,
        "user": user(call, item.user),
        "body": item.body,
        "labels": labels(call, here, item.labels),
        "milestone": None,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
        "closed_at": item.closed_at or (item.updated_at if item.state == "closed" else None),
        "merged_at": item.merged_at,
        "merge_commit_sha": item.merge_commit_sha,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "draft": item.draft,
        "head": _branch(call, forked, forked.owner if forked else item.user, item.head_ref, item.head_sha),
        "base": _branch(call, here, here.owner, item.base_ref, item.base_sha),
        "_links": {name: {"href": target} for name, target in links.items()},
        "author_association": association(here, item.user),
        "auto_merge": None,
    }


def full_pull(call: Call, item: Pull) -> dict[str, Any]:
    """A pull request asked for by itself."""
    counts = dict.fromkeys(("review_comments", "commits", "additions", "deletions", "changed_files"), 0)
    return (
        pull(call, item)
        | counts
        | {
            "comments": sum(comment.number == item.number for comment in call.repository.comments.values()),
            "merged": item.merged_at is not None,
            "mergeable": True if item.state == "open" else None,
            "mergeable_state": "clean" if item.state == "open" else "unknown",
            "merged_by": None,
            "maintainer_can_modify": False,
        }
    )


def pull_within(call: Call, item: Pull) -> dict[str, Any]:
    """A pull request as it comes inside of a run."""

    def branch(repository: Repository, ref: str, sha: str) -> dict[str, Any]:
        return {
            "ref": ref,
            "sha": sha,
            "repo": {"id": repository.id, "url": api(call, repository), "name": repository.name},
        }

    return {
        "id": item.id,
        "number": item.number,
        "url": f"{api(call, call.repository)}/pulls/{item.number}",
        "head": branch(item.head_repository or call.repository, item.head_ref, item.head_sha),
        "base": branch(call.repository, item.base_ref, item.base_sha),
    }


def association(repository: Repository, account: User) -> str:
    """What an account is to a repository."""
    if account.login == repository.owner.login:
        return "OWNER"
    return "COLLABORATOR" if repository.level(account.login) in {"write", "admin"} else "NONE"


def comment(call: Call, item: Comment) -> dict[str, Any]:
    """A comment; empty while a fault has it so."""
    here, reads = call.repository, call.request.method == "GET"
    kind = "pull" if item.number in here.pulls else "issues"
    return {
        "id": item.id,
        "node_id": node_id("IssueComment", item.id),
        "url": f"{api(call, here)}/issues/comments/{item.id}",
        "html_url": f"{web(here)}/{kind}/{item.number}#issuecomment-{item.id}",
        "body": "" if reads and call.server.spent(call.server.emptied, item.id) else item.body,
        "user": user(call, item.user),
        "created_at": item.created_at,
        "updated_at": item.updated_at,
        "issue_url": f"{api(call, here)}/issues/{item.number}",
        "author_association": association(here, item.user),
        "performed_via_github_app": None,
    }


def issue(call: Call, item: Issue | Pull) -> dict[str, Any]:
    """An issue, or a pull request seen as one."""
    here = call.repository
    url, page = f"{api(call, here)}/issues/{item.number}", f"{web(here)}/issues/{item.number}"
    pulled = {}
    if isinstance(item, Pull):
        page = f"{web(here)}/pull/{item.number}"
        links = {"url": f"{api(call, here)}/pulls/{item.number}", "html_url": page}
        pulled = {"pull_request": links | {"diff_url": f"{page}.diff", "patch_url": f"{page}.patch"}}
    return pulled | {
        "id": item.id,
        "node_id": node_id("Issue", item.id),
        "url": url,
        "repository_url": api(call, here),
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": page,
        "number": item.number,
        "state": item.state,
        "state_reason": item.state_reason if isinstance(item, Issue) else None,
        "title": item.title,
        "body": item.body,
        "user": user(call, item.user),
        "labels": labels(call, here, item.labels),
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "locked": False,
        "comments": sum(comment.number == item.number for comment in here.comments.values()),
        "closed_at": item.closed_at or (item.updated_at if item.state == "closed" else None),
        "created_at": item.created_at,
        "updated_at": item.updated_at,
        "author_association": association(here, item.user),
    }
