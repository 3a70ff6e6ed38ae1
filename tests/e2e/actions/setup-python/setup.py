"""Puts an interpreter first on the path, as `python` and `python3`: that of MLCI_TEST_PYTHON, else what runs this."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path


def main() -> None:
    """Write two programs that become the interpreter: a link would lose a virtual environment."""
    folder = Path(os.environ["RUNNER_TEMP"], "setup-python")
    python = os.environ.get("MLCI_TEST_PYTHON") or sys.executable
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("python", "python3"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{python}" "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    with Path(os.environ["GITHUB_PATH"]).open("a", encoding="utf-8") as path:
        path.write(f"{folder}\n")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
        output.write(f"python-version={platform.python_version()}\npython-path={folder / 'python'}\n")


if __name__ == "__main__":
    main()
