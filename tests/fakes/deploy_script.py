"""A user's deploy script, as docs/reference/targets.md describes it; run by the `command` target."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Serve models from the folder that DEPLOY_ROOT names; DEPLOY_TOKEN is the credential."""
    told = os.environ
    if "DEPLOY_TOKEN" not in told:
        sys.exit("DEPLOY_TOKEN is not set")
    if "GITHUB_TOKEN" in told:
        sys.exit("GITHUB_TOKEN is visible")
    root = Path(told["DEPLOY_ROOT"], told["MLCI_MODEL"])
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = root / "state.json"
        held: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {"current": None, "kept": []}
        if told["MLCI_TARGET_ACTION"] == "status":
            Path(told["MLCI_TARGET_STATUS"]).write_text(json.dumps(held))
            return
        version = {"version": told["MLCI_VERSION"], "digest": told["MLCI_DIGEST"]}
        if told["MLCI_TARGET_ACTION"] == "upload":
            for file in json.load(sys.stdin)["files"]:
                content = Path(told["MLCI_FILES"], file["name"]).read_bytes()
                if hashlib.sha256(content).hexdigest() != file["sha256"]:
                    sys.exit("wrong digest")
            shutil.copytree(told["MLCI_FILES"], root / told["MLCI_VERSION"], dirs_exist_ok=True)
            held["kept"].append(version)
        else:
            current = held["current"] or {"version": "", "digest": ""}
            if current["version"] != told["MLCI_EXPECTED_VERSION"]:
                sys.exit(75)
            held["current"] = version
        state.write_text(json.dumps(held))


if __name__ == "__main__":
    main()
