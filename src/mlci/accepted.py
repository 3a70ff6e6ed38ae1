"""`mlci-accepted.toml`: which changes for the worse a team accepted, read from and written into the repository."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mlci.config import Config, read_toml
from mlci.core.acceptance import Acceptance
from mlci.core.documents import Document
from mlci.errors import ConfigError
from mlci.workspace import write_atomically

FILE = "mlci-accepted.toml"
_HEADER = """\
# Changes for the worse that were accepted on purpose. `mlci accept` writes an entry; whoever reviews it accepts it.
# One that the base branch has caught up with counts no longer: `mlci accept --prune` drops it.
"""


class _File(Document, frozen=True):
    accepted: tuple[Acceptance, ...] = ()


def path(config: Config) -> Path:
    """Where the file lies: beside the configuration."""
    return config.root / FILE


def load(config: Config) -> tuple[Acceptance, ...]:
    """What was accepted; nothing where there is no file.

    Raises:
        ConfigError: It cannot be read, or an entry is not what it should be; names file and key.
    """
    file = path(config)
    if not file.exists():
        return ()
    try:
        found = msgspec.convert(read_toml(file, FILE), _File).accepted
    except msgspec.ValidationError as error:
        raise ConfigError(f"{FILE}: {error}", hint="`mlci accept` writes entries as they should be.") from None
    seen = set()
    for position, item in enumerate(found):
        where = f"{FILE}: accepted[{position}]"
        if not (math.isfinite(item.baseline) and math.isfinite(item.value)):
            raise ConfigError(f"{where}: expected finite numbers as baseline and value")
        if not item.reason.strip():
            raise ConfigError(f"{where}.reason: expected why it was accepted")
        if _place(item) in seen:
            raise ConfigError(f"{where}: {item.metric} of {item.run} stands twice", hint="Keep one of the two.")
        seen.add(_place(item))
    return found


def save(config: Config, acceptances: Iterable[Acceptance]) -> None:
    """Write the file, sorted, so that two branches that add entries conflict seldom; without any there is none."""
    ordered = sorted(acceptances, key=lambda item: [part or "" for part in _place(item)])
    if not ordered:
        path(config).unlink(missing_ok=True)
        return
    text = "\n".join([_HEADER, *map(_entry, ordered)])
    write_atomically(path(config), text.encode())


def added(acceptances: Iterable[Acceptance], new: Acceptance) -> list[Acceptance]:
    """`acceptances` with `new` in the place of an earlier one of the same metric."""
    return [*(item for item in acceptances if _place(item) != _place(new)), new]


def _place(item: Acceptance) -> tuple[str | None, ...]:
    return item.run, item.profile, *item.key


def _entry(item: Acceptance) -> str:
    order = ("run", "profile", "metric", "split", "slice", "baseline", "value", "reason", "commit", "date")
    values = ((name, getattr(item, name)) for name in order)
    return "\n".join(["[[accepted]]", *(f"{name} = {_toml(value)}" for name, value in values if value is not None), ""])


def _toml(value: str | float) -> str:
    # JSON's strings are TOML's basic strings, but for one control character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else repr(value)
