"""Runs whole workflows with act, a real workflow runner, on this machine and without containers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# How this machine reaches the registries from which the action installs itself.
_PASSED = ("PIP_", "UV_", "SSL_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass
class Finished:
    """A workflow run that has ended."""

    succeeded: bool
    lines: list[dict[str, Any]] = field(repr=False)

    @property
    def log(self) -> str:
        """Everything that the runner said."""
        return "\n".join(str(line.get("msg", "")) for line in self.lines)

    @property
    def outputs(self) -> dict[str, str]:
        """Every output that a step set, the last one of a name."""
        return {
            line["name"]: line["arg"] for line in self.lines if line.get("command") == "set-output" and "name" in line
        }

    @property
    def summary(self) -> str:
        """What the job's summary shows."""
        return "\n".join(str(line["content"]) for line in self.lines if line.get("command") == "summary")


def act(event: str, payload: dict[str, Any], *, repository: Path, scratch: Path, token: str, server: str) -> Finished:
    """Run the workflows of `repository` that want `event`.

    Args:
        event: Its name.
        payload: What GitHub would send with it.
        repository: A checkout, in the state in which `actions/checkout` would leave it.
        scratch: A folder of the test's own.
        token: The job's GITHUB_TOKEN.
        server: The URL of the git server, as `GITHUB_SERVER_URL`.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    file = scratch / "event.json"
    file.write_text(json.dumps(payload))
    variables = {name: value for name, value in os.environ.items() if name.upper().startswith(_PASSED)}
    variables |= {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY_ID": str(payload["repository"]["id"])}
    program = Path(sys.executable).with_name("act")
    done = subprocess.run(
        [
            *(program, event, "--json", "--eventpath", file),
            *("--platform", "ubuntu-latest=-self-hosted", "--secret", f"GITHUB_TOKEN={token}"),
            *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
        ],
        cwd=repository,
        env=os.environ | {"XDG_CACHE_HOME": str(scratch / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return Finished(succeeded=done.returncode == 0, lines=lines)
