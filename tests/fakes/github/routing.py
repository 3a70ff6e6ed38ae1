"""Which function serves which request of the fake GitHub, and who may ask it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from fakes.github.answers import INTEGRATION, Answer, Problem, not_found
from fakes.github.plumbing import Git
from fakes.github.repository import Repository
from fakes.github.state import LEVELS, Request, Token, User
from fakes.openapi import pattern, specificity

if TYPE_CHECKING:
    from fakes.github_server import GitHubServer

R = "/repos/{owner}/{repo}"
T = TypeVar("T")


@dataclass
class Call:
    """A request on its way: `root` is the API's URL as the client spelled it, `values` come from the path."""

    server: GitHubServer
    request: Request
    root: str
    raw: bytes
    values: dict[str, str]
    token: Token | None = None
    _repository: Repository | None = None

    @property
    def repository(self) -> Repository:
        """The repository of the path."""
        assert self._repository
        return self._repository

    @property
    def git(self) -> Git:
        """Its git repository."""
        if self.repository.git is None:
            raise Problem(409, "Git Repository is empty.")
        return self.repository.git

    @property
    def user(self) -> User:
        """Who asks."""
        assert self.token
        return self.server.user(self.token.login)

    @property
    def body(self) -> dict[str, Any]:
        """The body, an object."""
        given = self.request.body
        if given is None:
            return {}
        if not isinstance(given, dict):
            raise Problem(422, "Invalid request.\n\nFor 'links/0/schema', the body is not an object.")
        return given

    def need(self, name: str) -> Any:
        """A property that the body must have."""
        if self.body.get(name) is None:
            raise Problem(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
        return self.body[name]

    def number(self, name: str) -> int:
        """A number of the path."""
        if not self.values[name].isdigit():
            raise not_found()
        return int(self.values[name])

    def find(self, items: dict[int, T], name: str) -> T:
        """What the number `name` of the path stands for."""
        try:
            return items[self.number(name)]
        except KeyError:
            raise not_found() from None

    def flag(self, name: str, default: bool = False) -> bool:
        """A true or false of the query."""
        return self.request.query.get(name, str(default).lower()) == "true"

    def without(self, *names: str) -> None:
        """Complain of filters that this fake does not have: to leave them aside would be an answer of no worth."""
        for name in names:
            if name in self.request.query:
                where = f"{self.request.method} {self.request.path}"
                self.server.complaints.append(f"{where}: the fake cannot filter by {name!r}")

    def listed(self, items: Iterable[T]) -> list[T]:
        """The items, less those that a fault keeps out of lists for now."""
        return [item for item in items if not self.server.spent(self.server.hidden, getattr(item, "id", None))]

    def page(
        self, items: Iterable[T], shape: Callable[[Call, T], Any], under: str | None = None, **extra: Any
    ) -> Answer:
        """One page of items; `under` names the property that lists have which also say how many there are."""
        everything = self.listed(items)
        query = self.request.query
        size = min(max(_whole(query.get("per_page"), 30), 1), 100)
        number = max(_whole(query.get("page"), 1), 1)
        last = max(-(-len(everything) // size), 1)
        shown = [shape(self, item) for item in everything[(number - 1) * size : number * size]]
        links = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        if number <= 1:
            links = {k: v for k, v in links.items() if k not in {"prev", "first"}}
        if number >= last:
            links = {k: v for k, v in links.items() if k not in {"next", "last"}}
        header = ", ".join(f'<{self._paged(target)}>; rel="{name}"' for name, target in links.items())
        body = shown if under is None else {"total_count": len(everything), under: shown} | extra
        return Answer(body=body, headers={"Link": header} if header else {})

    def _paged(self, number: int) -> str:
        return f"{self.root}{self.request.path}?{urlencode(self.request.query | {'page': str(number)})}"


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and re.fullmatch(r"-?\d+", text) else default


@dataclass(frozen=True)
class Route:
    """A function for the paths of a template; any one of `needs` lets an App in, `anyone` lets users in as well."""

    method: str
    template: str
    serve: Callable[[Call], Answer]
    needs: dict[str, str] = field(default_factory=dict)
    anyone: bool = False


ROUTES: list[Route] = []


def route(
    method: str, template: str, *, anyone: bool = False, **needs: str
) -> Callable[[Callable[[Call], Answer]], Callable[[Call], Answer]]:
    """Serve a path of GitHub's with the decorated function."""

    def register(serve: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        ROUTES.append(Route(method, template, serve, needs, anyone))
        ROUTES.sort(key=lambda known: specificity(known.template))
        return serve

    return register


def routed(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a request, and what the path says."""
    for known in ROUTES:
        if known.method == method and (match := pattern(known.template).match(path)):
            return known, match.groupdict()
    return None


def bearer(authorization: str | None) -> str | None:
    """The token of an Authorization header."""
    if not authorization:
        return None
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "basic":
        return base64.b64decode(value).decode().partition(":")[2]
    return value.strip()


def admit(call: Call, known: Route) -> None:
    """Let a request in, or raise what GitHub answers instead."""
    value = call.request.token
    call.token = call.server.tokens.get(value) if value is not None else None
    if value is not None and call.token is None:
        raise Problem(401, "Bad credentials")
    if "owner" in call.values:
        call._repository = _visible(call)
    writes = "write" in known.needs.values()
    if call.token is None:
        if writes or not known.template.startswith(R):
            raise Problem(401, "Requires authentication")
        return
    if call._repository is None:
        return
    if (
        (writes or call.repository.private)
        and known.needs
        and not any(call.token.allows(*n) for n in known.needs.items())
    ):
        kind = "integration" if call.token.installation else "personal access token"
        raise Problem(403, f"Resource not accessible by {kind}")
    if writes:
        _may_write(call, call.token, known)


def _visible(call: Call) -> Repository:
    name = f"{call.values['owner']}/{call.values['repo']}".lower()
    found = next((r for key, r in call.server.repositories.items() if key.lower() == name), None)
    if found is None or (found.private and level(call.token, found) == "none"):
        raise not_found()
    return found


def _may_write(call: Call, token: Token, known: Route) -> None:
    if "checks" in known.needs and not token.installation:
        raise Problem(403, "You must authenticate via a GitHub App.")
    member = token.installation or not known.anyone
    if member and LEVELS.index(level(token, call.repository)) < LEVELS.index("write"):
        raise Problem(403, INTEGRATION if token.installation else "Must have push access to repository")


def level(token: Token | None, repository: Repository) -> str:
    """The right of a token's account in a repository: an App has what its permissions give, where it is installed."""
    if token is None:
        return "none" if repository.private else "read"
    if token.installation and token.login not in repository.permissions:
        here = token.repository is None or token.repository.lower() == repository.full_name.lower()
        return "write" if here else "none" if repository.private else "read"
    return repository.level(token.login)
