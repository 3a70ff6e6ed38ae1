"""The user's interpreters: whether they run, have a kernel for notebooks, and what the code imports."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlci import process
from mlci.config import Run
from mlci.core.finding import Finding
from mlci.diagnosing import code
from mlci.diagnosing.patient import Patient
from mlci.errors import EnvironmentMissingError, MlciError
from mlci.render.text import plain
from mlci.running import interpreter

_OLDEST = (3, 9)
_BY_HAND = "--python"  # as `interpreter.find` calls it
_PROBE_S = 60
_SHOWN = 5
# Runs in the user's interpreter, apart from the repository (-I): standard library only, nothing is imported for it.
_FIND = """
import importlib.util, json, site, sys
if sys.prefix == sys.base_prefix:
    sys.path.append(site.getusersitepackages())
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except Exception:
        return True
print(json.dumps([name for name in json.load(sys.stdin) if not there(name)]))
"""
# Distributions that are not called as what they are imported by.
_CALLED = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "cv2": "opencv-python",
    "PIL": "pillow",
    "yaml": "PyYAML",
    "bs4": "beautifulsoup4",
    "dotenv": "python-dotenv",
    "dateutil": "python-dateutil",
}


def check(patient: Patient) -> Iterable[Finding]:
    """What keeps runs from starting."""
    known: dict[str, interpreter.Interpreter | MlciError] = {}
    for run in patient.every_run:
        if run.kind == "committed":
            continue
        try:
            path, where = interpreter.find(
                patient.root, asked=patient.python, configured=run.table.python, environ=patient.environ
            )
        except EnvironmentMissingError as error:
            if error.message not in known:  # of several runs that name the same the first is enough
                known[error.message] = error
                yield _broken(patient, run, error)
            continue
        if path not in known and where != _BY_HAND and _in_git(patient, path):
            known[path] = EnvironmentMissingError("it was not started")
            yield _not_started(patient, run, path)
        if path not in known:
            known[path] = _asked(patient, path)
            yield from _itself(patient, run, path, where, known[path])
        found = known[path]
        if isinstance(found, interpreter.Interpreter):
            yield from _fit(patient, run, found)


def _in_git(patient: Patient, path: str) -> bool:
    """Whether git brings the interpreter, or the environment around it: then it is code of the repository."""
    root = patient.root.resolve()
    named = root / Path(path).relative_to(patient.root) if Path(path).is_relative_to(patient.root) else Path(path)
    shown = [patient.shown(place) for place in (named, Path(path).resolve())]
    around = [str(place) for name in shown if name for place in (Path(name), *Path(name).parents)]
    settings = [f"{place}/pyvenv.cfg" for place in around]
    return not patient.tracked.isdisjoint([*around, *settings])


def _not_started(patient: Patient, run: Run, path: str) -> Finding:
    return patient.at_run(
        run,
        "python",
        slug="interpreter/in-git",
        level="unknown",
        found=f"{plain(path)} is in git, and so code of the repository, which is not run here",
        remedy="Keep environments out of git; or, if you trust it, name it yourself: mlci doctor --python PATH",
    )


def _asked(patient: Patient, path: str) -> interpreter.Interpreter | MlciError:
    try:
        return interpreter.probe(path, environ=patient.environ)()
    except EnvironmentMissingError as error:
        return error


def _itself(
    patient: Patient, run: Run, path: str, where: str, found: interpreter.Interpreter | MlciError
) -> Iterator[Finding]:
    if isinstance(found, MlciError):
        yield _broken(patient, run, found)
        return
    version = found.environment.python or "unknown"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST:
        yield patient.at_run(
            run,
            "python",
            slug="interpreter/old",
            level="error",
            found=f"{path} is Python {version}",
            remedy="Name one of 3.9 or newer: python = ... in the run, or --python.",
        )
    else:
        yield Finding(slug="interpreter/ok", level="ok", subject=path, found=f"Python {version}, by {where}")


def _broken(patient: Patient, run: Run, error: MlciError) -> Finding:
    return patient.at_run(
        run,
        "python",
        slug="interpreter/missing",
        level="error",
        found=error.message,
        remedy=error.hint or "Name one: python = ... in the run, or --python.",
    )


def _fit(patient: Patient, run: Run, found: interpreter.Interpreter) -> Iterator[Finding]:
    if run.kind == "notebook" and run.path is not None:
        try:
            other = code.kernel_of(run.path, found.path)
        except MlciError as error:
            yield patient.at_run(
                run, "notebook", slug="interpreter/kernel", level="error", found=error.message, remedy=error.hint or ""
            )
            return
        if other is not None:
            return  # another language: its own kernel knows what it has
        try:
            interpreter.require_ipykernel(found, run.name)
        except EnvironmentMissingError as error:
            yield patient.at_run(
                run,
                "notebook",
                slug="interpreter/ipykernel",
                level="error",
                found=f"{found.path} has no ipykernel, which notebooks need",
                remedy=error.hint or "",
            )
    lacking = _lacking(patient, found.path, code.imported(patient, run))
    if lacking:
        shown = ", ".join(plain(name, limit=60) for name in lacking[:_SHOWN])
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        yield patient.at_run(
            run,
            run.kind,
            slug="interpreter/imports",
            level="warning",
            found=f"its code imports {shown}{more}, which {found.path} does not have",
            remedy=_install(patient, found.path, lacking),
        )


def _lacking(patient: Patient, python: str, names: Iterable[str]) -> list[str]:
    """Of the names those that the interpreter would not find."""
    wanted = sorted(names)
    if not wanted:
        return []
    try:
        done = process.capture(
            [python, "-I", "-c", _FIND],
            cwd=patient.root,
            environ=process.child_environ(patient.environ),
            stdin=json.dumps(wanted).encode(),
            timeout_s=_PROBE_S,
        )
        told = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return []
    return [name for name in told if name in wanted] if isinstance(told, list) else []


def _install(patient: Patient, python: str, names: list[str]) -> str:
    for listed in ("requirements.txt", "environment.yml"):
        if (patient.root / listed).is_file():
            file = listed
            break
    else:
        file = ""
    wanted = " ".join(_CALLED.get(name, name) for name in names[:_SHOWN])
    if file == "requirements.txt":
        return f"Run: {python} -m pip install -r requirements.txt (does it list {wanted}?)"
    if file:
        return f"Add {wanted} to {file}, and update the environment."
    return f"Run: {python} -m pip install {plain(wanted)}"
