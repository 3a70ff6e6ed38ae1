"""Runs for tests, resolved from a configuration as mlci itself resolves them."""

from __future__ import annotations

from pathlib import Path

from fakes.repositories import ENVIRON, repository
from mlci.config import Config, Run, load, resolve


def configured(folder: Path, text: str, profile: str = "default", **files: str) -> tuple[Config, dict[str, Run]]:
    """The configuration `text` and its runs; in the names of `files`, written first, `__` stands for the dot."""
    if not (folder / ".git").exists():
        repository(folder)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "mlci.toml").write_text(text)
    config = load(folder, file=None, environ=ENVIRON)
    return config, resolve(config, profile)
