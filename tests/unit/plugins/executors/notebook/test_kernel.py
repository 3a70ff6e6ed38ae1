"""A kernel by itself: started in both ways, ready, heard to the last message, dead when it is dead."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from mlci.plugins.executors.notebook.kernel import Kernel, KernelDiedError
from mlci.plugins.executors.notebook.kernels import PYTHON_KERNEL, manager_for
from mlci.plugins.executors.notebook.servers import Forkable, KernelServers

pytestmark = [pytest.mark.xdist_group("kernels"), pytest.mark.timeout(60)]
ENVIRON = {**os.environ, "MINE": "1"}


def kernel(module: str, environ: dict[str, str] = ENVIRON) -> Forkable:
    """One that is forked with `module` imported."""
    return Forkable(sys.executable, environ, Path.cwd(), [module])


JSON = kernel("json")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="fork servers need Linux")


@dataclass
class Talk:
    """A kernel and what it said."""

    kernel: Kernel
    log: list[bytes] = field(default_factory=list)

    def run(self, code: str) -> str:
        """Run a cell to its end; the text that it printed, or the error's name."""
        request = self.kernel.execute(code, stop_on_error=True)
        text, replied, idle = "", False, False
        while not (replied and idle):
            for channel, message in self.kernel.messages(0.2):
                if message["parent_header"].get("msg_id") != request:
                    continue
                content = message["content"]
                replied = replied or channel == "shell"
                idle = idle or content.get("execution_state") == "idle"
                text += content.get("text", "") + content.get("ename", "") * (channel == "iopub")
        return text

    def listen_to_the_end(self) -> None:
        """Until it dies."""
        while True:
            list(self.kernel.messages(0.2))


@pytest.fixture(scope="module")
def servers() -> Iterator[KernelServers]:
    servers = KernelServers()
    yield servers
    servers.close()


@pytest.fixture(params=["spawned", pytest.param("forked", marks=LINUX)])
def talk(request: pytest.FixtureRequest, servers: KernelServers, tmp_path: Path) -> Iterator[Talk]:
    server = None
    if request.param == "forked":
        servers.start(JSON)
        server = servers.address(JSON)
        assert server is not None
    yield from talking(server, tmp_path)


def talking(server: Path | None, folder: Path, **environ: str) -> Iterator[Talk]:
    # Paths of Unix sockets are short.
    log: list[bytes] = []
    place = Path(os.path.realpath(folder)).parent / f"k{time.monotonic_ns() % 10**6}"
    place.mkdir()
    kernel = Kernel(manager_for(PYTHON_KERNEL, sys.executable, server, str(place)), on_log=log.append)
    try:
        kernel.start(environ={**ENVIRON, **environ}, cwd=str(folder), arguments=[])
        kernel.wait_until_ready(60)
        yield Talk(kernel, log)
    finally:
        kernel.kill()
        kernel.close()


def test_kernel__environment_folder_and_arguments(talk: Talk, tmp_path: Path) -> None:
    assert talk.run("import os, sys; print(os.environ['MINE'], os.getcwd(), sys.argv[0].split('/')[-1])").split() == [
        "1",
        str(tmp_path),
        "ipykernel_launcher.py",
    ]


def test_kernel__the_path_is_as_ipykernel_launcher_makes_it(talk: Talk) -> None:
    assert talk.run(
        "import sys; print(sys.path[0] == '' or sys.path.count('') == 1, any('userlib' in p for p in sys.path))"
    ).split() == ["True", "False"]


def test_kernel__has_a_session_of_its_own(talk: Talk) -> None:
    assert int(talk.run("import os; print(os.getsid(0))")) == talk.kernel.pid != os.getsid(0)


def test_kernel__random_numbers_are_nobody_elses(talk: Talk, servers: KernelServers, tmp_path: Path) -> None:
    code = "import random; print(random.random())"
    server = servers.address(JSON)
    [other] = [other.run(code) for other in talking(server, tmp_path)]
    assert talk.run(code) != other


def test_messages__a_flood_is_heard_to_the_last_line(talk: Talk) -> None:
    text = talk.run("for i in range(5000): print(i, flush=True)")
    assert text.split() == [str(i) for i in range(5000)]


@pytest.mark.parametrize("code", ["import os; os._exit(3)", "import os; os.kill(os.getpid(), 9)"], ids=["exit", "kill"])
def test_messages__death_is_noticed_at_once(talk: Talk, code: str) -> None:
    with pytest.raises(KernelDiedError):
        talk.run(code)
    assert talk.kernel.exit_status == (3 if "exit" in code else -signal.SIGKILL)


def test_interrupt__shows_where_it_was(talk: Talk) -> None:
    request = talk.kernel.execute("import time\ntime.sleep(60)", stop_on_error=True)
    time.sleep(0.5)
    talk.kernel.interrupt()
    seen: list[str] = []
    while "error" not in seen:
        seen += [
            message["msg_type"]
            for _, message in talk.kernel.messages(0.2)
            if message["parent_header"].get("msg_id") == request
        ]


def test_send_signal__abort_leaves_all_stacks_in_the_log(talk: Talk) -> None:
    talk.kernel.execute("import time\ndef deep():\n    time.sleep(60)\ndeep()", stop_on_error=True)
    time.sleep(0.5)
    talk.kernel.send_signal(signal.SIGABRT)
    with pytest.raises(KernelDiedError):
        talk.listen_to_the_end()
    assert b"in deep" in b"".join(talk.log)


def test_ask_to_end__runs_exit_handlers(talk: Talk, tmp_path: Path) -> None:
    talk.run("import atexit; atexit.register(lambda: open('ended', 'w').close())")
    talk.kernel.ask_to_end()
    talk.kernel.close()
    assert (tmp_path / "ended").exists()


@LINUX
def test_forked__what_outlives_the_kernel_in_a_session_of_its_own_is_ended(
    servers: KernelServers, tmp_path: Path
) -> None:
    servers.start(JSON)
    server = servers.address(JSON)
    code = (
        "import subprocess, sys\n"
        'inner = \'import subprocess, sys; p = subprocess.Popen(["sleep", "600"], start_new_session=True, env={}, '
        "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); print(p.pid)'\n"
        "print(subprocess.run([sys.executable, '-c', inner], capture_output=True, text=True).stdout)"
    )
    for talk in talking(server, tmp_path):
        orphan = int(talk.run(code))
        assert psutil.pid_exists(orphan)
        with pytest.raises(KernelDiedError):
            talk.run("import os; os._exit(1)")
        talk.kernel.close()
        assert talk.kernel.leftovers == 1
        assert not psutil.pid_exists(orphan)


@LINUX
def test_forked__ends_with_its_server(tmp_path: Path) -> None:
    servers = KernelServers()
    servers.start(kernel("sys"))
    for talk in talking(servers.address(kernel("sys")), tmp_path):
        pid = talk.kernel.pid
        servers.close()
        with pytest.raises(KernelDiedError):
            talk.run("1")
        assert not psutil.pid_exists(pid or 0)


@LINUX
def test_address__none_where_modules_leave_threads(tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    environ = {**ENVIRON, "PYTHONPATH": str(tmp_path)}
    servers = KernelServers()
    servers.start(kernel("threaded", environ))
    assert servers.address(kernel("threaded", environ)) is None
    assert "2 threads" in (servers.refusal(kernel("threaded", environ)) or "")
    servers.close()


@LINUX
def test_forked__has_what_modules_add_to_the_environment_when_they_are_imported(tmp_path: Path) -> None:
    (tmp_path / "adding.py").write_text("import os\nos.environ['ADDED'] = 'yes'\nos.environ.setdefault('MINE', 'no')\n")
    environ = {**ENVIRON, "PYTHONPATH": str(tmp_path)}
    servers = KernelServers()
    servers.start(kernel("adding", environ))
    server = servers.address(kernel("adding", environ))
    assert server is not None
    code = "import os; print(os.environ['ADDED'], os.environ['MINE'], os.environ.get('OMP_NUM_THREADS'))"
    for talk in talking(server, tmp_path):
        assert talk.run(code).split() == ["yes", "1", "None"]
    servers.close()


@LINUX
def test_refusal__names_a_module_that_is_not_there() -> None:
    servers = KernelServers()
    servers.start(kernel("no_such_module"))
    assert "no_such_module" in (servers.refusal(kernel("no_such_module")) or "")
    servers.close()


def test_start__an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    kernel = Kernel(manager_for(PYTHON_KERNEL, str(tmp_path / "python"), None, str(tmp_path)))
    with pytest.raises(KernelDiedError):
        kernel.start(environ=ENVIRON, cwd=str(tmp_path), arguments=[])
    kernel.close()
