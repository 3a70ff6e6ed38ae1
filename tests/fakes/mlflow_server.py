"""A real MLflow tracking server on loopback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fakes.loopback import free_port, running


@dataclass(frozen=True)
class MlflowServer:
    """Where it is, and where it keeps files."""

    url: str
    artifacts: Path


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MlflowServer]:
    """Serves what lies in `folder` until the block ends."""
    port = free_port()
    made = MlflowServer(f"http://127.0.0.1:{port}", folder / "artifacts")
    argv = [sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}", "--workers=1"]
    argv += ["--backend-store-uri=sqlite:///mlflow.db", f"--artifacts-destination={made.artifacts}"]
    # Its jobs, which nobody here asks for, would be eight more processes.
    environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running(argv, ready=f"{made.url}/health", cwd=folder, environ=environ, within_s=120):
        yield made
