"""What tests of several folders share: a server that takes long to start, once a session."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from fakes.mlflow_server import MlflowServer, mlflow_server

# A shell that starts the tests in the background has them ignore it, and they all processes that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A tracking server; tests that ask for it belong to the xdist group "mlflow"."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server
