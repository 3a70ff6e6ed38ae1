"""The fork server: what it will not fork it says, and what is not meant for it harms it not."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlci import userlib

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="fork servers need Linux")
FILE = Path(userlib.__file__).parent / "mlci_kernel_server.py"


def test_server__is_python_3_9() -> None:
    ast.parse(FILE.read_text(), feature_version=(3, 9))


def serve(folder: Path, *preload: str, **environ: str) -> tuple[Any, int]:
    """What a server says first, and how it ends when its stdin does."""
    done = subprocess.run(
        [sys.executable, str(FILE), str(folder / "s")],
        input=json.dumps({"preload": preload}) + "\n",
        env=os.environ | {"PYTHONPATH": str(folder)} | environ,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    return json.loads(done.stdout), done.returncode


def test_serve__until_its_stdin_ends(tmp_path: Path) -> None:
    assert serve(tmp_path, "json") == ({"ready": True}, 0)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
            "the preloaded modules leave 2 threads",
        ),
        ("raise RuntimeError('no licence')", "cannot import module: RuntimeError: no licence"),
        ("import nothing_such", "cannot import module: ModuleNotFoundError: No module named 'nothing_such'"),
    ],
    ids=["threads", "raises", "imports what is not there"],
)
def test_serve__says_what_cannot_be_forked(tmp_path: Path, code: str, why: str) -> None:
    (tmp_path / "module.py").write_text(code)
    assert serve(tmp_path, "module") == ({"unfit": why}, 0)


def test_serve__imports_with_one_thread_and_the_kernels_own_backend(tmp_path: Path) -> None:
    names = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MPLBACKEND"
    (tmp_path / "module.py").write_text(f"import os\nraise Exception([os.environ[name] for name in {names!r}])")
    told, _ = serve(tmp_path, "module", OMP_NUM_THREADS="7")
    assert told["unfit"].endswith("['1', '1', 'module://matplotlib_inline.backend_inline']")


def test_serve__what_modules_print_is_no_word_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("import os\nprint('imported')\nos.write(1, b'as well')")
    assert serve(tmp_path, "module") == ({"ready": True}, 0)


@pytest.mark.parametrize("request_bytes", [b"", b"\0" * 8, b"\0" * 7 + b"\2{}"], ids=["none", "empty", "no descriptor"])
def test_serve__a_garbled_request_harms_nobody(tmp_path: Path, request_bytes: bytes) -> None:

    server = subprocess.Popen(
        [sys.executable, str(FILE), str(tmp_path / "s")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdin
    assert server.stdout
    server.stdin.write(b"{}\n")
    server.stdin.flush()
    assert json.loads(server.stdout.readline()) == {"ready": True}
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(tmp_path / "s"))
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""
    assert server.poll() is None
    server.communicate()
    assert server.returncode == 0
