"""A target behind a user's own script, told what to do by its environment."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mlci import process
from mlci.errors import CancelledError, DeployError
from mlci.plugins.targets import manifest, rules
from mlci.plugins.targets.interface import Deployed, Package, TargetSite, TargetStatus
from mlci.plugins.targets.refusals import refusals

CONFLICT_EXIT = 75  # sysexits: EX_TEMPFAIL
_OUTPUT_BYTES = 8192


@dataclass(frozen=True, kw_only=True)
class CommandTarget:
    """Runs `command` with MLCI_TARGET_ACTION `upload`, `switch` or `status`.

    It runs in the checkout, not in the folder of the release's files: `python -m x` or `./x` would run what a release
    brings. It sees mlci's environment without tokens and files of GitHub Actions. What it says that it holds is
    compared after every action.

    Args:
        command: Program and arguments.
        stages: Whether `upload` leaves what is served as it is.
        timeout_s: For one action, in seconds.
        site: Where mlci runs.
    """

    name: ClassVar[str] = "command"

    command: Sequence[str]
    stages: bool = True
    timeout_s: float = 1800.0
    site: TargetSite

    def status(self, model: str) -> TargetStatus:
        """What the script writes into MLCI_TARGET_STATUS, see `Target.status`."""
        with refusals(self):
            return self._status(model)

    def upload(self, package: Package) -> None:
        """Let the script take the files, see `Target.upload`."""
        with refusals(self):
            rules.check_package(package)
            if rules.is_held(package, self._status(package.model).kept):
                return
            self._run(
                "upload",
                package.model,
                Deployed(version=package.version, digest=package.digest),
                {"MLCI_FILES": str(package.folder.absolute())},
                stdin=manifest.encode(manifest.manifest_of(package)),
            )
            if not rules.is_held(package, self._status(package.model).kept):
                raise DeployError(f"the command does not say that it holds {package.version}")

    def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
        """Let the script serve a version, see `Target.switch`."""
        with refusals(self):
            rules.check_version(to.version)
            if not rules.may_switch(self._status(model), to, expected):
                return
            variables = {
                "MLCI_EXPECTED_VERSION": expected.version if expected else "",
                "MLCI_EXPECTED_DIGEST": expected.digest if expected else "",
            }
            done = self._run("switch", model, to, variables)
            current = self._status(model).current
            if current != to:
                if done:
                    raise DeployError(f"the command was told to serve {to.version} and does not")
                raise rules.conflict(to, expected, current)

    def describe(self) -> str:
        """The program, without its arguments: they may be anything."""
        return f"command {Path(self.command[0]).name if self.command else '(none)'}"

    def _status(self, model: str) -> TargetStatus:
        rules.check_model(model)
        with tempfile.TemporaryDirectory(prefix="mlci-target-") as folder:
            file = Path(folder, "status.json")
            self._run("status", model, None, {"MLCI_TARGET_STATUS": str(file)})
            if not file.is_file():
                raise DeployError("the command wrote no status into the file that MLCI_TARGET_STATUS names")
            with file.open("rb") as written:
                return manifest.read_status(written.read(manifest.MAX_BYTES + 1), "the status")

    def _run(
        self, action: str, model: str, version: Deployed | None, variables: Mapping[str, str], stdin: bytes = b""
    ) -> bool:
        """Run the script; False where it says that somebody else was first."""
        if not self.command or isinstance(self.command, str):
            raise DeployError("no command: it is a list of a program and its arguments")
        output = bytearray()

        def keep(chunk: bytes) -> None:
            output.extend(chunk)
            del output[:-_OUTPUT_BYTES]

        told = {"MLCI_TARGET_ACTION": action, "MLCI_MODEL": model, **variables}
        if version:
            told |= {"MLCI_VERSION": version.version, "MLCI_DIGEST": version.digest}
        with process.Cancellation().listening() as cancellation:
            ended = process.supervise(
                self.command,
                cwd=self.site.folder,
                environ=process.child_environ(self.site.environ, extra=told),
                on_output=keep,
                timeout_s=self.timeout_s,
                cancellation=cancellation,
                stdin=stdin,
            )
        if ended.cancelled:
            raise CancelledError(f"{self.describe()}: {action} was cancelled", hint="Run it again: it does no harm.")
        if ended.timed_out:
            raise DeployError(f"{action} took longer than {self.timeout_s:g} s")
        if action == "switch" and ended.returncode == CONFLICT_EXIT:
            return False
        if ended.returncode:
            lines = ["no output", *filter(str.strip, output.decode(errors="replace").splitlines())]
            raise DeployError(f"{action} ended with exit code {ended.returncode}: {lines[-1]}")
        return True
