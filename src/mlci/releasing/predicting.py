"""Predicts by loading the model: runs the user's command on a copy of the release's files, without the answers."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlci import process
from mlci.core.release import Release
from mlci.errors import CancelledError, VerifyError
from mlci.releasing.folder import ReleaseFolder
from mlci.releasing.golden import MAX_BYTES, Golden, Prediction, read_predictions
from mlci.render.text import plain
from mlci.running.jobs import fill

_KEPT = 64 * 1024  # bytes of what the command prints
_SHOWN_LINES = 5
# What could turn a clean environment into another one.
_UNCLEAN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "CONDA_PREFIX")


def by_command(
    words: Sequence[str],
    found: ReleaseFolder,
    examples: Sequence[Golden],
    *,
    python: str,
    root: Path,
    environ: Mapping[str, str],
    end: float,
) -> tuple[Prediction, ...]:
    """Run `verify.command` and read what it predicts.

    It runs in a folder of its own that holds copies of the release's files, so that nothing that it writes changes
    them; the golden file is not among them. `{root}` in a word is the configuration's folder, for a loader that lies in
    the repository; "python" is the environment's interpreter.

    Args:
        words: Program and arguments.
        found: The release.
        examples: What to predict; their predictions stay here.
        python: The interpreter, absolute.
        root: The configuration's folder.
        environ: mlci's own environment.
        end: When it has to be done, in seconds of `time.monotonic`.

    Raises:
        VerifyError: It does not start, fails, takes too long, or writes no predictions.
        DocumentError: What it writes is no list of predictions.
        CancelledError: mlci was told to stop.
    """
    with tempfile.TemporaryDirectory(prefix="mlci-verify-", ignore_cleanup_errors=True) as scratch:
        files = Path(scratch, "files")
        files.mkdir()
        for file in found.release.files:
            if file.kind != "golden" and (found.folder / file.name).is_file():
                shutil.copyfile(found.folder / file.name, files / file.name)
        asked, written = Path(scratch, "golden.jsonl"), Path(scratch, "predictions.jsonl")
        asked.write_text(
            "".join(json.dumps({"id": example.id, "input": example.input}) + "\n" for example in examples),
            encoding="utf-8",
        )
        argv = [fill(word, {"root": str(root)}) for word in words]
        if argv[0] in ("python", "python3"):
            argv[0] = python
        child = _environ(environ, python, found.release, asked, written)
        _run(argv, words, cwd=files, root=root, environ=child, end=end)
        if written.is_symlink() or not written.is_file():
            raise VerifyError(
                "verify.command wrote no predictions",
                hint="It writes JSON lines of {id, prediction} to the path in MLCI_PREDICTIONS.",
            )
        if written.stat().st_size > MAX_BYTES:
            raise VerifyError(f"the predictions are larger than {MAX_BYTES:,} bytes")
        return read_predictions(written.read_bytes(), "predictions")


def _environ(
    environ: Mapping[str, str], python: str, release: Release, asked: Path, written: Path
) -> Mapping[str, str]:
    folder = Path(python).parent
    extra = {
        "PATH": os.pathsep.join([str(folder), environ.get("PATH", os.defpath)]),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "MLCI_GOLDEN": str(asked),
        "MLCI_PREDICTIONS": str(written),
        "MLCI_MODEL": release.model,
        "MLCI_VERSION": release.version,
        **({"VIRTUAL_ENV": str(folder.parent)} if (folder.parent / "pyvenv.cfg").is_file() else {}),
    }
    clean = {name: value for name, value in environ.items() if name not in _UNCLEAN}
    return process.child_environ(clean, extra=extra)


def _run(
    argv: Sequence[str],
    words: Sequence[str],
    *,
    cwd: Path,
    root: Path,
    environ: Mapping[str, str],
    end: float,
) -> None:
    printed = bytearray()

    def keep(chunk: bytes) -> None:
        printed.extend(chunk)
        del printed[:-_KEPT]

    try:
        with process.Cancellation().listening() as cancellation:
            done = process.supervise(
                argv,
                cwd=cwd,
                environ=environ,
                on_output=keep,
                timeout_s=max(0.1, end - time.monotonic()),
                cancellation=cancellation,
            )
    except OSError as error:
        raise VerifyError(f"verify.command: {plain(argv[0])}: {error.strerror}") from None
    if done.cancelled:
        raise CancelledError("stopped while the model was being verified")
    if done.timed_out:
        raise VerifyError("verify.command did not end in time", hint="Raise verify.timeout, which is for all of it.")
    if done.returncode != 0:
        how = f"exited {done.returncode}" if done.returncode > 0 else f"was ended by signal {-done.returncode}"
        memory = ", out of memory" if done.out_of_memory else ""
        raise VerifyError(f"verify.command {how}{memory}{_last_lines(printed)}", hint=_hint(words, cwd, root))


def _last_lines(printed: bytes | bytearray) -> str:
    printed_lines = printed.decode(errors="replace").splitlines()
    lines = [line for line in printed_lines if line.strip() and not line.startswith("Traceback (most recent")]
    return "".join(f"\n  {plain(line)}" for line in lines[-_SHOWN_LINES:])


def _hint(words: Sequence[str], cwd: Path, root: Path) -> str | None:
    """Where a word names a file of the repository that is not in the release."""
    for word in words[1:]:
        if not Path(word).is_absolute() and not (cwd / word).exists() and (root / word).is_file():
            return (
                f'It runs in the folder of the release\'s files: say "{{root}}/{word}" for the one of the repository.'
            )
    return None
