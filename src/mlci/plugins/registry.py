"""Finds plugins by name through entry points and imports only the one that was named."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mlci.errors import ConfigError


def names(kind: str) -> list[str]:
    """The names of all plugins of `kind` ("readers", "stores", "targets", "metrics"), sorted."""
    return sorted(_found(kind, tuple(sys.path)))


def load(kind: str, name: str, options: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - any plugin
    """The plugin `name` of `kind`, made from `options`.

    Raises:
        ConfigError: No such plugin, or an option that it does not have.
    """
    plugin = plugin_class(kind, name)
    fields = [item.name for item in dataclasses.fields(plugin) if item.init]
    for option in options or {}:
        if option not in fields:
            raise ConfigError(
                f"{kind[:-1]} {name!r} has no option {option!r}{_nearest(option, fields)}; "
                f"it has: {', '.join(fields) or 'none'}"
            )
    return plugin(**(options or {}))


def plugin_class(kind: str, name: str) -> Any:  # noqa: ANN401 - any plugin's class
    """The class of a plugin, imported now."""
    found = _found(kind, tuple(sys.path)).get(name)
    if found is None:
        known = names(kind)
        raise ConfigError(f"no {kind[:-1]} is called {name!r}{_nearest(name, known)}; known: {', '.join(known)}")
    return found.load()


@functools.cache
def _found(kind: str, _path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """All entry points of a kind; to look through what is installed takes a while."""
    return {entry.name: entry for entry in reversed(list(entry_points(group=f"mlci.{kind}")))}


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
