"""Checks a commit out, with what actions/checkout leaves behind."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path


def main() -> None:
    """Check out what the inputs say."""
    folder = Path(os.environ["GITHUB_WORKSPACE"], os.environ["INPUT_PATH"])
    folder.mkdir(parents=True, exist_ok=True)
    server = os.environ["GITHUB_SERVER_URL"]
    credentials = base64.b64encode(f"x-access-token:{os.environ['INPUT_TOKEN']}".encode()).decode()
    key, header = f"http.{server}/.extraheader", f"AUTHORIZATION: basic {credentials}"
    environ = os.environ | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": key, "GIT_CONFIG_VALUE_0": header}

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=environ, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("remote", "add", "origin", f"{server}/{os.environ['INPUT_REPOSITORY']}.git")
    depth = int(os.environ["INPUT_FETCH_DEPTH"])
    if depth:
        git(
            "fetch",
            "--quiet",
            "--no-tags",
            f"--depth={depth}",
            "origin",
            os.environ["INPUT_REF"] or os.environ["GITHUB_SHA"],
        )
    else:
        git("fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        git("fetch", "--quiet", "origin", os.environ["INPUT_REF"] or os.environ["GITHUB_SHA"])
    git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
    if os.environ["INPUT_PERSIST_CREDENTIALS"].lower() == "true":
        git("config", "--local", key, header)
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
        output.write(f"commit={git('rev-parse', 'HEAD')}\n")


if __name__ == "__main__":
    main()
