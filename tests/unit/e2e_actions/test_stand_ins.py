"""The stand-ins for the actions that the workflows use behave as the real ones do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from fakes.git_server import READ, git_server
from fakes.repositories import Repository, repository

ACTIONS = Path(__file__).parents[2] / "e2e/actions"
RUN = {"GITHUB_RUN_ID": "7", "GITHUB_REPOSITORY": "team/models", "GITHUB_SERVER_URL": "http://server"}


class Artifacts(BaseHTTPRequestHandler):
    """Holds the artifacts of all runs, as the fake GitHub does."""

    held: dict[tuple[str, str, str], bytes]

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.key in self.held and "overwrite=true" not in self.path:
            self.answer(409, b"{}")
            return
        self.held[self.key] = content
        self.answer(201, json.dumps({"id": len(self.held)}).encode())

    def do_GET(self) -> None:
        run, repository, name = self.key
        if name:
            content = self.held.get(self.key)
            self.answer(404 if content is None else 200, content or b"")
        else:
            self.answer(200, json.dumps([key[2] for key in self.held if key[:2] == (run, repository)]).encode())

    @property
    def key(self) -> tuple[str, str, str]:
        query = dict(parse_qsl(urlsplit(self.path).query))
        return query["run_id"], query["repository"], query.get("name", "")

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Machine:
    """A runner with a workspace; `inputs` are the action's, as its manifest hands them on."""

    folder: Path
    server: str
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def write(self, *names: str) -> None:
        for name in names:
            path = self.workspace / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    def files(self, folder: str) -> dict[str, str]:
        below = self.workspace / folder
        return {
            path.relative_to(below).as_posix(): path.read_text() for path in sorted(below.rglob("*")) if path.is_file()
        }

    def use(self, script: str, *, environ: dict[str, str] | None = None, **inputs: str) -> tuple[int, str]:
        self.workspace.mkdir(parents=True, exist_ok=True)
        files = {name: self.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_PATH")}
        for file in files.values():
            file.write_text("")
        done = subprocess.run(
            [sys.executable, "-I", ACTIONS / script],
            env={
                **os.environ,
                **RUN,
                "MLCI_TEST_ARTIFACTS": self.server,
                "GITHUB_WORKSPACE": str(self.workspace),
                "RUNNER_TEMP": str(self.folder),
                **{name: str(file) for name, file in files.items()},
                **{f"INPUT_{name.upper()}": value for name, value in inputs.items()},
                **(environ or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = files["GITHUB_OUTPUT"].read_text().splitlines()
        self.outputs = dict(line.split("=", 1) for line in lines)
        return done.returncode, done.stdout

    def upload(
        self, path: str, *, name: str = "mlci", hidden: str = "false", none: str = "warn", overwrite: str = "false"
    ) -> tuple[int, str]:
        return self.use(
            "upload-artifact/upload.py",
            name=name,
            path=path,
            include_hidden_files=hidden,
            if_no_files_found=none,
            overwrite=overwrite,
        )

    def download(
        self, *, name: str = "", path: str = "got", pattern: str = "", merge: str = "false"
    ) -> tuple[int, str]:
        return self.use(
            "download-artifact/download.py",
            name=name,
            path=path,
            pattern=pattern,
            merge_multiple=merge,
            repository=RUN["GITHUB_REPOSITORY"],
            run_id=RUN["GITHUB_RUN_ID"],
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    handler = type("Handler", (Artifacts,), {"held": {}})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Machine(tmp_path, f"http://127.0.0.1:{http.server_address[1]}")
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("path", "hidden", "found"),
    [
        (".mlci/", "true", [".gitignore", "outputs/train/log.txt", "run.json"]),
        (".mlci", "true", [".gitignore", "outputs/train/log.txt", "run.json"]),
        (".mlci/", "false", []),
        (".mlci/outputs", "false", ["train/log.txt"]),
        ("wine/.mlci/", "true", ["run.json"]),
        (".mlci/run.json", "false", ["run.json"]),
        (".mlci/*.json", "true", ["run.json"]),
        (".mlci/**/*.txt", "true", ["outputs/train/log.txt"]),
        (".mlci/run.json\nwine/.mlci", "true", [".mlci/run.json", "wine/.mlci/run.json"]),
        (".mlci\n!.mlci/outputs", "true", [".gitignore", "run.json"]),
        (".mlci\n.mlci/outputs", "true", [".gitignore", "outputs/train/log.txt", "run.json"]),
    ],
)
def test_upload__takes_what_the_real_one_takes(machine: Machine, path: str, hidden: str, found: list[str]) -> None:
    machine.write(".mlci/run.json", ".mlci/.gitignore", ".mlci/outputs/train/log.txt", "wine/.mlci/run.json", "a.py")
    code, log = machine.upload(path, hidden=hidden)
    assert code == 0, log
    if not found:
        assert "::warning::No files were found" in log
        assert "artifact-id" not in machine.outputs
        return
    assert machine.outputs["artifact-url"].endswith(
        f"team/models/actions/runs/7/artifacts/{machine.outputs['artifact-id']}"
    )
    assert machine.download(name="mlci")[0] == 0
    assert sorted(machine.files("got")) == found


@pytest.mark.parametrize(
    ("none", "code", "said"), [("error", 1, "::error::No files"), ("warn", 0, "::warning::"), ("ignore", 0, "No files")]
)
def test_upload__of_nothing(machine: Machine, none: str, code: int, said: str) -> None:
    found, log = machine.upload(".mlci/", hidden="true", none=none)
    assert found == code
    assert log.startswith(said)


def test_upload__of_a_name_that_is_taken(machine: Machine) -> None:
    machine.write("a.txt")
    assert machine.upload("a.txt")[0] == 0
    code, log = machine.upload("a.txt")
    assert code == 1
    assert "(409) Conflict" in log
    machine.write("b.txt")
    assert machine.upload("b.txt", overwrite="true")[0] == 0
    machine.download(name="mlci")
    assert machine.files("got") == {"b.txt": "b.txt"}


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a*"])
def test_upload__refuses_names_that_the_real_one_refuses(machine: Machine, name: str) -> None:
    machine.write("a.txt")
    code, log = machine.upload("a.txt", name=name)
    assert code == 1
    assert "not valid" in log


def test_download__of_a_name_that_is_not_there(machine: Machine) -> None:
    code, log = machine.download(name="mlci")
    assert code == 1
    assert "::error::Unable to download artifact(s): Artifact not found for name: mlci" in log


@pytest.mark.parametrize(
    ("pattern", "merge", "found"),
    [
        ("", "false", ["mlci-a/a.txt", "mlci-b/b.txt", "other/c.txt"]),
        ("mlci-*", "false", ["mlci-a/a.txt", "mlci-b/b.txt"]),
        ("mlci-*", "true", ["a.txt", "b.txt"]),
        ("mlci-a*", "false", ["a.txt"]),
        ("nothing-*", "false", []),
    ],
)
def test_download__of_several(machine: Machine, pattern: str, merge: str, found: list[str]) -> None:
    machine.write("a.txt", "b.txt", "c.txt")
    for name, file in (("mlci-a", "a.txt"), ("mlci-b", "b.txt"), ("other", "c.txt")):
        machine.upload(file, name=name)
    code, log = machine.download(pattern=pattern, merge=merge)
    assert code == 0, log
    assert sorted(machine.files("got")) == found
    assert machine.outputs["download-path"] == str(machine.workspace / "got")


def test_setup_python__puts_the_same_python_forward(machine: Machine) -> None:
    assert machine.use("setup-python/setup.py")[0] == 0
    folder = (machine.folder / "GITHUB_PATH").read_text().strip()
    for name in ("python", "python3"):
        said = subprocess.run(
            [f"{folder}/{name}", "-c", "import sys; print(sys.prefix)"], capture_output=True, check=True
        )
        assert said.stdout.decode().strip() == sys.prefix
    assert machine.outputs["python-path"] == f"{folder}/python"


@pytest.mark.parametrize(("ref", "depth", "commits"), [("", "1", 1), ("side", "1", 1), ("", "0", 2)])
def test_checkout__fetches_with_the_token_and_leaves_none(
    machine: Machine, tmp_path: Path, ref: str, depth: str, commits: int
) -> None:
    with git_server(tmp_path / "server") as server:
        url = server.create()
        work = repository(tmp_path / "work")
        work.commits(2)
        main = work.git("rev-parse", "HEAD")
        work.git("switch", "--quiet", "--create", "side")
        side = work.commit()
        work.git("push", "--quiet", url, "main", "side")
        server.tokens = {"canary": READ}
        code, log = machine.use(
            "checkout/checkout.py",
            environ={"GITHUB_SERVER_URL": server.url, "GITHUB_SHA": main},
            repository="team/models",
            ref=ref,
            path=".",
            token="canary",
            fetch_depth=depth,
            persist_credentials="false",
        )
    assert code == 0, log
    here = Repository(machine.workspace)
    assert here.git("rev-parse", "HEAD") == machine.outputs["commit"] == (side if ref else main)
    assert int(here.git("rev-list", "--count", "HEAD")) == commits
    assert "extraheader" not in (machine.workspace / ".git/config").read_text()
