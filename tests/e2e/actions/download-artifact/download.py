"""Downloads artifacts, by the rules of actions/download-artifact."""

# ruff: noqa: S310 - the address is that of the tests' own server

from __future__ import annotations

import fnmatch
import io
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path


def fetch(**query: str) -> bytes:
    """What the fake holds of the run."""
    known = {"run_id": os.environ["INPUT_RUN_ID"], "repository": os.environ["INPUT_REPOSITORY"]}
    address = f"{os.environ['MLCI_TEST_ARTIFACTS']}/_fake/artifacts?{urllib.parse.urlencode(known | query)}"
    with urllib.request.urlopen(address) as answer:
        content: bytes = answer.read()
        return content


def main() -> None:
    """Download what the inputs say."""
    name = os.environ["INPUT_NAME"]
    target = Path(os.environ["GITHUB_WORKSPACE"], Path(os.environ["INPUT_PATH"]).expanduser())
    names = [name] if name else fnmatch.filter(json.loads(fetch()), os.environ["INPUT_PATTERN"] or "*")
    # One artifact goes to the folder itself, even where a pattern found it.
    together = len(names) == 1 or os.environ["INPUT_MERGE_MULTIPLE"].lower() == "true"
    for found in names:
        try:
            content = fetch(name=found)
        except urllib.error.HTTPError as error:
            print(f"::error::Unable to download artifact(s): Artifact not found for name: {found} ({error.code})")
            sys.exit(1)
        folder = target if together else target / found
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(folder)
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
        output.write(f"download-path={target}\n")
    print(f"Total of {len(names)} artifact(s) downloaded")


if __name__ == "__main__":
    main()
