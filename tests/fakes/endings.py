"""Every way in which code can end, and what mlci has to make of it: as notebook, percent script, script and command.

Whatever the code does, it has first logged a metric, said something and left a daemon behind that has neither its
session nor its environment nor its parent.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Literal

from fakes.command_line import notebook

Kind = Literal["notebook", "percent", "script", "command"]
KINDS: tuple[Kind, ...] = ("notebook", "percent", "script", "command")
PAPERMILL = ("notebook", "percent")

HERE = "# here"  # in code: where an annotation belongs
OWN = "the run's own file"
CANARY = f"{random.getrandbits(64):020}"
FIRST = f"""\
import subprocess, mlci_log
daemon = "env -i setsid sleep 86400 0.{CANARY} </dev/null >/dev/null 2>&1 &"
subprocess.run(daemon, shell=True, check=True)
mlci_log.log_metric("before", 0.5)
print("first")"""
LAST = "print('last')"
HELPER = f"def wrong():\n    return 1 / 0  {HERE}\n"


@dataclass(frozen=True, kw_only=True)
class End:
    """What a run comes to."""

    status: str = "succeeded"
    kind: str | None = None  # of the error
    says: str = ""  # in its message
    at: tuple[str, ...] = ()  # the files that are annotated, each at its "# here"
    line: bool = False  # whether the error says in which line of the cell, or of the first of these files, it was
    cells: tuple[str, ...] = ("completed", "completed", "completed")  # of a notebook
    before: bool = True  # whether its beginning was run


def ends(status: str, kind: str, says: str, *at: str, **about: Any) -> End:
    """A notebook that does not succeed does so in its second cell."""
    return End(status=status, kind=kind, says=says, at=at, **{"cells": ("completed", "failed", "pending")} | about)


@dataclass(frozen=True)
class Case:
    """Code, and what it comes to: where papermill runs it as the second of three cells, and as a process."""

    code: str
    notebook: End | None = field(default_factory=End)
    process: End | None = field(default_factory=End)
    keys: str = ""  # more of the run's table
    tag: str | None = None  # of the cell


LATE = "still running after 2 s"
SILENT = "silent for 2 s: no output and no CPU use"
SLEEP = f"import time; time.sleep(600)  {HERE}"
BEGUN = "import os, pathlib, time; pathlib.Path(os.environ['MLCI_RUN'] + '.begun').touch()"
STOPPED = ends("cancelled", "cancelled", "mlci was told to stop", OWN, line=True)
SKIPPED = End(status="skipped", kind="needs", says="needs raises-script, which did not succeed", before=False, cells=())
MISSING = End(status="failed", kind="missing-output", says="'model.bin' is declared and was not written")
TABLE = {
    # -- succeeded --
    "fine": Case("print('fine')"),
    "talks": Case("print('talk ' * 10_000)", keys='max-cell-output = "1K"\nmax-output = "4K"'),
    "exits-0": Case("import sys; sys.exit(0)", End(cells=("completed", "completed", "pending")), End()),
    "expected": Case("1 / 0", End(), None, tag="raises-exception"),
    "busy": Case(
        "import time\nend = time.monotonic() + 4\nwhile time.monotonic() < end: pass", keys='silence-timeout = "2s"'
    ),
    # -- failed --
    "raises": Case(
        f"raise ValueError('no such thing')  {HERE}",
        ends("failed", "exception", "ValueError: no such thing", OWN, line=True),
        ends("failed", "exit-code", "ValueError: no such thing", OWN, line=True),
    ),
    "exits-3": Case(
        f"import sys  {HERE}\nsys.exit(3)",  # of which IPython shows no traceback
        ends("failed", "exception", "SystemExit: 3", OWN),
        ends("failed", "exit-code", "exit status 3"),
    ),
    "missing": Case("pass", MISSING, MISSING, keys='artifacts = ["model.bin"]'),
    "module": Case(
        f"import helper\nhelper.wrong()  {HERE}",
        ends("failed", "exception", "ZeroDivisionError: division by zero", "helper.py", OWN, line=True),
        ends("failed", "exit-code", "ZeroDivisionError: division by zero", "helper.py", line=True),
    ),
    "syntax": Case(
        f"fine = 1\nclosed = 2)  {HERE}",
        ends("failed", "exception", "SyntaxError: unmatched ')'", OWN, line=True),
        ends("failed", "exit-code", "SyntaxError: unmatched ')'", OWN, line=True, before=False),
    ),
    # -- crashed --
    "leaves": Case(
        f"import os  {HERE}\nos._exit(9)",
        ends("crashed", "dead-kernel", "the kernel died while this cell ran (exit status 9)", OWN),
        ends("failed", "exit-code", "exit status 9"),
    ),
    "killed": Case(
        f"import os, signal  {HERE}\nos.kill(os.getpid(), signal.SIGKILL)",
        ends("crashed", "dead-kernel", "the kernel died while this cell ran (SIGKILL)", OWN),
        ends("crashed", "signal", "ended by SIGKILL"),
    ),
    "segfault": Case(
        f"import ctypes\nctypes.string_at(0)  {HERE}",
        ends("crashed", "dead-kernel", "the kernel died while this cell ran (SIGSEGV)", OWN, line=True),
        ends("crashed", "signal", "ended by SIGSEGV", OWN, line=True),
    ),
    "hoards": Case(
        f"held = []  {HERE}\nwhile True: held.append(b'x' * 20_000_000)",
        ends("crashed", "out-of-memory", "MiB: out of memory", OWN),
        ends("crashed", "out-of-memory", "MiB: out of memory"),
    ),
    # -- timed-out --
    "late": Case(
        SLEEP,
        ends("timed-out", "timeout", LATE, OWN, line=True),
        ends("timed-out", "timeout", LATE, OWN, line=True),
        keys='timeout = "2s"',
    ),
    "slow-cell": Case(
        SLEEP,
        ends("timed-out", "timeout", "the cell was still running after 2 s", OWN, line=True),
        None,
        keys='cell-timeout = "2s"',
    ),
    "silent": Case(
        SLEEP,
        ends("timed-out", "timeout", SILENT, OWN, line=True),
        ends("timed-out", "timeout", SILENT, OWN, line=True),
        keys='silence-timeout = "2s"',
    ),
    "deaf": Case(
        f"import time\nwhile True:\n    try: time.sleep(600)  {HERE}\n    except KeyboardInterrupt: pass",
        ends("timed-out", "timeout", LATE, OWN, line=True),
        ends("timed-out", "timeout", LATE, OWN, line=True),
        keys='timeout = "2s"',
    ),
    "in-c": Case(
        "import ctypes, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        f"ctypes.CDLL(None).pause()  {HERE}",
        ends("timed-out", "timeout", LATE, OWN, line=True),
        ends("timed-out", "timeout", LATE, OWN, line=True),
        keys='timeout = "2s"',
    ),
    # -- skipped --
    "needy": Case("print('never')", SKIPPED, SKIPPED, keys='needs = ["raises-script"]'),
    # -- cancelled: by the signal that they are called after, to mlci --
    "SIGINT": Case(f"{BEGUN}; time.sleep(600)  {HERE}", STOPPED, STOPPED),
    "SIGTERM": Case(f"{BEGUN}; time.sleep(600)  {HERE}", STOPPED, STOPPED),
    "SIGINT-deaf": Case(
        f"{BEGUN}  {HERE}\nwhile True:\n    try: time.sleep(600)\n    except KeyboardInterrupt: pass",
        ends("cancelled", "cancelled", "mlci was told to stop", OWN),
        ends("cancelled", "cancelled", "mlci was told to stop"),
    ),
}


@dataclass(frozen=True)
class Run:
    """One line of the table as one kind of run."""

    case: str
    kind: Kind

    @property
    def name(self) -> str:
        """As the configuration calls it."""
        return f"{self.case}-{self.kind}"

    @property
    def file(self) -> str:
        """Its own file."""
        return self.case + {"notebook": ".ipynb", "percent": "_cells.py"}.get(self.kind, ".py")

    @property
    def end(self) -> End | None:
        """What it comes to; None: there is no such run."""
        case = TABLE[self.case]
        return case.notebook if self.kind in PAPERMILL else case.process

    @property
    def expected(self) -> End:
        """What it comes to."""
        assert self.end
        return self.end

    @property
    def table(self) -> str:
        """Its part of the configuration."""
        what = {
            "script": f'script = "{self.file}"',
            "command": f'command = ["sh", "-c", "exec python {self.file}"]',
        }.get(self.kind, f'notebook = "{self.file}"')
        return f"[runs.{self.name}]\n{what}\n{TABLE[self.case].keys}\n"

    @property
    def text(self) -> str:
        """Its file's text."""
        case = TABLE[self.case]
        cells = (FIRST, case.code, LAST)
        if self.kind == "notebook":
            return notebook(*cells, tags={1: case.tag} if case.tag else None)
        if self.kind == "percent":
            tags = f' tags=["{case.tag}"]' if case.tag else ""
            return f"# %%\n{FIRST}\n\n# %%{tags}\n{case.code}\n\n# %%\n{LAST}\n"
        return "\n".join([*cells, ""])


RUNS = [run for case in TABLE for kind in KINDS if (run := Run(case, kind)).end]
