"""What all workflow runs of a session share."""

from __future__ import annotations

import fcntl
import pickle
from pathlib import Path

import pytest

from e2e.runner import Installed, installation


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Installed:
    """One installation, which the workers share: whoever comes first makes it.

    It holds S3's extra, which only the deployments need: a second one would take as long as ten jobs.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "installed"
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / "made"
        if not made.exists():
            made.write_bytes(pickle.dumps(installation(folder, extras="s3")))
        found: Installed = pickle.loads(made.read_bytes())  # noqa: S301 - written above
        return found
