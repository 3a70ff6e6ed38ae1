"""What a forge tells of rights, read without a side effect: rules of branches, scopes of tokens, settings of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from mlci.errors import ForgeError
from mlci.plugins.forges.answers import at, text
from mlci.plugins.forges.client import Client
from mlci.plugins.forges.interface import BranchRights, Rights

_ROLES = ("admin", "maintain", "push", "triage", "pull")


class Inquirer(Client):
    """A client that tells the headers of an answer too."""

    def answer(self, path: str, *, needs: str) -> tuple[Mapping[str, str], Any]:
        """Headers, their names in lower case, and the JSON at `path`; raises as `get`."""

        def attempt(left_s: float) -> tuple[dict[str, Any], Any]:
            return self._within(min(left_s, self._attempt_s), lambda: self._answer("GET", path, {}, None, needs))

        headers, body = self.patience.call(f"GET {path}", attempt)
        return {str(name).lower(): str(value) for name, value in headers.items()}, body

    def rights(self, repository: str, branches: tuple[str, ...]) -> Rights:
        """What the token may do in `repository`, and the rules of its default branch and of `branches`.

        Raises:
            ForgeError: The repository itself cannot be read: the token is not valid, or the forge out of reach.
        """
        headers, body = self.answer(f"/repos/{repository}", needs="contents: read")
        default = text(body, "default_branch")
        scopes = headers.get("x-oauth-scopes")
        return Rights(
            default_branch=default,
            private=bool(at(body, "private")),
            role=next((role for role in _ROLES if at(body, "permissions", role) is True), None),
            scopes=None if scopes is None else tuple(filter(None, (part.strip() for part in scopes.split(",")))),
            date=headers.get("date"),
            branches={
                branch: self._branch(repository, branch) for branch in dict.fromkeys(filter(None, (default, *branches)))
            },
            default_permissions=self._default_permissions(repository),
        )

    def _branch(self, repository: str, branch: str) -> BranchRights:
        try:
            found = self.pages(f"/repos/{repository}/rules/branches/{quote(branch, safe='')}", needs="contents: read")
            rules = tuple(text(item, "type") or "" for item in found)
            listed = [at(item, "parameters", "required_status_checks") for item in found]
            checks = tuple(text(check, "context") or "" for part in listed if isinstance(part, list) for check in part)
        except ForgeError:
            return BranchRights(rules=None)
        try:
            body = self.get(f"/repos/{repository}/branches/{quote(branch, safe='')}", needs="contents: read")
        except ForgeError:
            return BranchRights(rules=rules, required_checks=checks)
        contexts = at(body, "protection", "required_status_checks", "contexts")
        classic = tuple(map(str, contexts)) if isinstance(contexts, list) else ()
        # `protected` is said of branches under rulesets too.
        return BranchRights(
            rules=rules, required_checks=(*checks, *classic), protected=at(body, "protection", "enabled") is True
        )

    def _default_permissions(self, repository: str) -> str | None:
        try:
            body = self.get(f"/repos/{repository}/actions/permissions/workflow", needs="administration: read")
        except ForgeError:
            return None
        return text(body, "default_workflow_permissions")
