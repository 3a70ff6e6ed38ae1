"""Uploads files as an artifact, by the rules of actions/upload-artifact."""

# ruff: noqa: S310 - the address is that of the tests' own server

from __future__ import annotations

import glob
import io
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

_INVALID = '":<>|*?\r\n\\/'


def fail(message: str) -> NoReturn:
    """End the step with an error that the run shows."""
    print(f"::error::{message}")
    sys.exit(1)


def find(patterns: Iterable[str], workspace: Path, *, hidden: bool) -> tuple[list[Path], Path | None]:
    """The files that the patterns name, and the folder that becomes the artifact's root.

    A path's last name counts as hidden too: `.mlci/` uploads nothing without include-hidden-files.
    """
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    roots = _search_paths(wanted, workspace)
    left_out = {file for pattern in unwanted for file in _matches(pattern, workspace)}
    files: set[Path] = set()
    for pattern in wanted:
        root = _search_path(pattern, workspace)
        for file in _matches(pattern, workspace) - left_out:
            names = (root.name, *file.relative_to(root).parts)
            if hidden or not any(name.startswith(".") for name in names):
                files.add(file)
    if len(roots) > 1:
        return sorted(files), Path(os.path.commonpath(roots))
    if roots and files == {roots[0]}:
        return sorted(files), roots[0].parent
    return sorted(files), roots[0] if roots else None


def _search_path(pattern: str, workspace: Path) -> Path:
    """Where the search of a pattern starts: all that stands before its first wildcard."""
    parts = []
    for part in Path(workspace, os.path.normpath(pattern)).parts:
        if re.search(r"[*?[]", part):
            break
        parts.append(part)
    return Path(*parts)


def _search_paths(patterns: Iterable[str], workspace: Path) -> list[Path]:
    """Where all searches start, less what lies below another."""
    paths = list(dict.fromkeys(_search_path(pattern, workspace) for pattern in patterns))
    return [path for path in paths if not any(other in path.parents for other in paths)]


def _matches(pattern: str, workspace: Path) -> set[Path]:
    """The files that a pattern names, or that lie below a folder that it names."""
    found: set[Path] = set()
    absolute = Path(workspace, os.path.normpath(pattern))
    for name in glob.glob(str(absolute), recursive=True, include_hidden=True):  # noqa: PTH207 - its ** finds files too
        path = Path(name)
        if path.is_dir():
            found.update(file for file in path.rglob("*") if file.is_file())
        else:
            found.add(path)
    return found


def pack(files: Iterable[Path], root: Path) -> bytes:
    """The files as a zip archive, named as they lie below the root."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(root).as_posix())
    return buffer.getvalue()


def store(**query: str) -> str:
    """The address of this run's artifacts on the fake."""
    known = {"run_id": os.environ["GITHUB_RUN_ID"], "repository": os.environ["GITHUB_REPOSITORY"]}
    return f"{os.environ['MLCI_TEST_ARTIFACTS']}/_fake/artifacts?{urllib.parse.urlencode(known | query)}"


def main() -> None:
    """Upload what the inputs say."""
    name = os.environ["INPUT_NAME"]
    if not name or any(character in name for character in _INVALID):
        fail(f"The artifact name is not valid: {name!r}")
    patterns = [line.strip() for line in os.environ["INPUT_PATH"].splitlines() if line.strip()]
    files, root = find(
        patterns,
        Path(os.environ["GITHUB_WORKSPACE"]),
        hidden=os.environ["INPUT_INCLUDE_HIDDEN_FILES"].lower() == "true",
    )
    if not files or root is None:
        missing = f"No files were found with the provided path: {', '.join(patterns)}. No artifacts will be uploaded."
        match os.environ["INPUT_IF_NO_FILES_FOUND"]:
            case "error":
                fail(missing)
            case "ignore":
                print(missing)
            case _:
                print(f"::warning::{missing}")
        return
    request = urllib.request.Request(
        store(name=name, overwrite=os.environ["INPUT_OVERWRITE"].lower()),
        data=pack(files, root),
        headers={"Content-Type": "application/zip"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request) as answer:
            number = json.load(answer)["id"]
    except urllib.error.HTTPError as error:
        fail(f"({error.code}) {error.reason}: {name}")  # 409 where the run has an artifact of this name
    run = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}".format_map(os.environ)
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
        output.write(f"artifact-id={number}\nartifact-url={run}/artifacts/{number}\n")
    print(f"Artifact {name} has been uploaded: {len(files)} files")


if __name__ == "__main__":
    main()
