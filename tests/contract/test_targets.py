"""What every deploy target does, over every target, against real servers on loopback."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import fsspec
import pytest
from botocore.loaders import JSONFileLoader  # type: ignore[import-untyped]
from mlflow import MlflowClient

from fakes import deploy_script
from fakes.hub_server import Hub
from fakes.loopback import Answer, serving
from fakes.mlflow_server import MlflowServer
from fakes.oci_server import PASSWORD, USER, OciServer, oci_server
from fakes.packages import deployed, package
from fakes.s3_server import S3Server, s3_server
from fakes.webhook_receiver import Receiver
from mlci.errors import ConflictError, DeployError
from mlci.plugins import registry
from mlci.plugins.targets import rules
from mlci.plugins.targets.command import CommandTarget
from mlci.plugins.targets.folder import FolderTarget
from mlci.plugins.targets.huggingface import HuggingFaceTarget
from mlci.plugins.targets.interface import Package, PackageFile, Target, TargetSite, TargetStatus
from mlci.plugins.targets.mlflow import MlflowTarget
from mlci.plugins.targets.object_store import ObjectStoreTarget
from mlci.plugins.targets.oci import OciTarget
from mlci.plugins.targets.webhook import WebhookTarget

# huggingface_hub 2.4 gives its HTTP client a stream in the way that this client calls old.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

SECRET = "s3cret-of-the-target"


@dataclass(kw_only=True)
class Bench:
    """A kind of target.

    `target()` opens it as a new process would, `denied()` without credentials; `state()` differs when anything was
    written. `spoil` changes the file `model.bin` of a package where it lies, None where the other side checks itself.
    `swaps` says that of two that switch in the same instant only one wins.
    """

    target: Callable[[], Target]
    denied: Callable[[], Target]
    state: Callable[[], object]
    spoil: Callable[[Package], None] | None = None
    swaps: bool = False
    secrets: list[str] = field(default_factory=lambda: [SECRET])


@dataclass
class Making:
    """What a bench is made of."""

    folder: Path
    servers: Servers
    patch: pytest.MonkeyPatch
    stack: ExitStack

    def site(self, **environ: str) -> TargetSite:
        """Where mlci runs, with these variables."""
        checkout = self.folder / "checkout"
        checkout.mkdir(exist_ok=True)
        return TargetSite(folder=checkout, environ={"PATH": os.environ["PATH"], **environ})

    def serving(self, answer: Callable[..., Answer]) -> str:
        """A server until the test ends."""
        return self.stack.enter_context(serving(answer))


class Servers:
    """The servers that are slow to start, once a session each, when first asked for."""

    def __init__(self, folder: Path, stack: ExitStack, mlflow: Callable[[], MlflowServer]) -> None:
        self._folder = folder
        self._stack = stack
        self._mlflow = mlflow
        self._started: dict[str, Any] = {}

    def s3(self) -> S3Server:
        return cast("S3Server", self._once("s3", s3_server))

    def oci(self) -> OciServer:
        return cast("OciServer", self._once("oci", lambda: oci_server(self._made("oci"))))

    def mlflow(self) -> MlflowServer:
        return self._mlflow()

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    def _once(self, name: str, start: Callable[[], AbstractContextManager[Any]]) -> Any:
        if name not in self._started:
            self._started[name] = self._stack.enter_context(start())
        return self._started[name]


def folder_bench(making: Making) -> Bench:
    (making.folder / "a file").write_text("")
    models = making.site().folder / "models"
    return Bench(
        target=lambda: FolderTarget(path="models", site=making.site()),
        denied=lambda: FolderTarget(path="../a file", site=making.site()),
        state=lambda: files_of(models),
        spoil=lambda _: overwrite(models / "churn/versions/v1.0.0/model.bin"),
        swaps=True,
    )


def file_bench(making: Making) -> Bench:
    (making.folder / "a file").write_text("")
    models = making.site().folder / "models"
    return Bench(
        target=lambda: ObjectStoreTarget(url=models.as_uri(), site=making.site()),
        denied=lambda: ObjectStoreTarget(url="../a file", site=making.site()),
        state=lambda: files_of(models),
        spoil=lambda _: overwrite(models / "churn/v1.0.0/model.bin"),
    )


@cache
def parsed_once(path: str, parse: Any = JSONFileLoader.load_file) -> Any:
    return parse(JSONFileLoader(), path)


def s3_bench(making: Making) -> Bench:
    server, bucket = making.servers.s3(), f"b{uuid.uuid4().hex}"
    making.patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    making.patch.setenv("HOME", str(making.folder))
    making.patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # Each opening has a session of its own, which would parse megabytes of botocore's own files again.
    making.patch.setattr(JSONFileLoader, "load_file", lambda _, path: parsed_once(path))
    options = {"endpoint_url": server.url}
    signed = {"key": "AKIAEXAMPLE", "secret": SECRET}
    files = fsspec.filesystem("s3", **options, **signed, skip_instance_cache=True)
    files.mkdir(bucket)

    def opened(*, known: bool) -> Target:
        for name, value in (("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", SECRET)):
            making.patch.setenv(name, value) if known else making.patch.delenv(name, raising=False)
        site = making.site(AWS_SECRET_ACCESS_KEY=SECRET)
        return ObjectStoreTarget(url=f"s3://{bucket}/models", options=options, site=site)

    return Bench(
        target=lambda: opened(known=True),
        denied=lambda: opened(known=False),
        state=lambda: list(server.writes),
        spoil=lambda _: files.pipe_file(f"{bucket}/models/churn/v1.0.0/model.bin", b"weights of another"),
        swaps=True,
    )


def memory_bench(making: Making) -> Bench:
    root = f"/{uuid.uuid4().hex}"
    files = fsspec.filesystem("memory")
    return Bench(
        target=lambda: ObjectStoreTarget(url=f"memory:/{root}", site=making.site()),
        denied=lambda: ObjectStoreTarget(url="nothing://like/this", site=making.site()),
        state=lambda: {name: files.modified(name) for name in files.find(root)},
        spoil=lambda _: files.pipe_file(f"{root}/churn/v1.0.0/model.bin", b"weights of another"),
    )


def oci_bench(making: Making) -> Bench:
    server, repository = making.servers.oci(), f"r{uuid.uuid4().hex}/models"

    def opened(**environ: str) -> Target:
        return OciTarget(repository=f"{server.host}/{repository}", plain_http=True, site=making.site(**environ))

    def spoil(what: Package) -> None:
        digest = what.files[0].sha256
        overwrite(server.root / f"docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data")

    return Bench(
        target=lambda: opened(MLCI_OCI_USERNAME=USER, MLCI_OCI_PASSWORD=PASSWORD),
        denied=lambda: opened(MLCI_OCI_USERNAME=USER, MLCI_OCI_PASSWORD=SECRET),
        state=lambda: files_of(server.root / f"docker/registry/v2/repositories/{repository}"),
        spoil=spoil,
        secrets=[SECRET, PASSWORD],
    )


def mlflow_bench(making: Making) -> Bench:
    server, name = making.servers.mlflow(), uuid.uuid4().hex
    url = server.url
    refusing = making.serving(lambda _: Answer(401, b'{"error_code": "UNAUTHENTICATED", "message": "who are you"}'))
    making.patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    making.patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

    def opened(uri: str) -> Target:
        return MlflowTarget(tracking_uri=uri, registered_name=name, experiment=name, site=making.site())

    def state() -> object:
        client = MlflowClient(url, registry_uri=url)
        found = client.search_model_versions(f"name='{name}'")
        return files_of(server.artifacts), [repr(item) for item in found]

    def spoil(what: Package) -> None:
        content = (what.folder / "model.bin").read_bytes()
        for path in server.artifacts.rglob("model.bin"):
            if path.read_bytes() == content:
                overwrite(path)

    return Bench(target=lambda: opened(url), denied=lambda: opened(refusing), state=state, spoil=spoil)


def huggingface_bench(making: Making) -> Bench:
    hub = Hub(token=SECRET)
    hub.url = making.serving(hub)
    # Its own storage protocol is not documented; the one before it is, and the Hub still takes it.
    making.patch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    making.patch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(making.folder / "token"))

    def opened(**environ: str) -> Target:
        return HuggingFaceTarget(repo_id="team/churn", endpoint=hub.url, site=making.site(**environ))

    def spoil(what: Package) -> None:
        oid = what.files[0].sha256
        hub.large[oid] = hub.large[oid].upper()

    return Bench(
        target=lambda: opened(HF_TOKEN=SECRET),
        denied=opened,
        state=lambda: list(hub.writes),
        spoil=spoil,
        swaps=True,
    )


def webhook_bench(making: Making) -> Bench:
    receiver = Receiver(secret=SECRET, files=making.folder / "packages")
    url = making.serving(receiver)

    def opened(**environ: str) -> Target:
        files = f"{url}/{{model}}-{{version}}/"
        return WebhookTarget(
            url=f"{url}/hook?key={SECRET}", files_url=files, deadline_s=10, site=making.site(**environ)
        )

    return Bench(
        target=lambda: opened(MLCI_WEBHOOK_SECRET=SECRET),
        denied=lambda: opened(MLCI_WEBHOOK_SECRET=f"not {SECRET}"),
        state=lambda: list(receiver.keys),
        swaps=True,
    )


def command_bench(making: Making) -> Bench:
    root = making.folder / "served"

    def opened(**environ: str) -> Target:
        site = making.site(DEPLOY_ROOT=str(root), GITHUB_TOKEN=SECRET, **environ)
        return cast("Target", CommandTarget(command=[sys.executable, str(deploy_script.__file__)], site=site))

    return Bench(target=lambda: opened(DEPLOY_TOKEN=SECRET), denied=opened, state=lambda: files_of(root))


BENCHES: dict[str, Callable[[Making], Bench]] = {
    "folder": folder_bench,
    "object store: file": file_bench,
    "object store: memory": memory_bench,
    "object store: s3": s3_bench,
    "oci": oci_bench,
    "mlflow": mlflow_bench,
    "huggingface": huggingface_bench,
    "webhook": webhook_bench,
    "command": command_bench,
}
# Servers that take seconds to start are started by one of the workers only.
MARKS = {"mlflow": [pytest.mark.slow, pytest.mark.xdist_group("mlflow")]}


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("servers"), stack, lambda: request.getfixturevalue("mlflow"))


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, [])) for name in BENCHES])
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield BENCHES[request.param](Making(tmp_path, servers, monkeypatch, stack))


@pytest.fixture
def first(tmp_path: Path) -> Package:
    # Some servers are shared by the tests and keep contents by their digest: each test has its own.
    return package(tmp_path / "packages", model__bin=f"weights {uuid.uuid4().hex}".encode(), card__md=b"#", empty=b"")


@pytest.fixture
def second(tmp_path: Path) -> Package:
    return package(
        tmp_path / "packages", "v1.10.0", model__bin=f"weights {uuid.uuid4().hex}".encode(), notes__md=b"new"
    )


def deploy(bench: Bench, what: Package, *, instead_of: Package | None = None) -> None:
    bench.target().upload(what)
    bench.target().switch(what.model, deployed(what), expected=deployed(instead_of) if instead_of else None)


def test_status__of_nothing(bench: Bench) -> None:
    assert bench.target().status("churn") == TargetStatus(current=None)


def test_deploy__upload_then_switch(bench: Bench, first: Package) -> None:
    bench.target().upload(first)
    if bench.target().stages:
        assert bench.target().status("churn") == TargetStatus(current=None, kept=(deployed(first),))
    bench.target().switch("churn", deployed(first), expected=None)
    assert bench.target().status("churn") == TargetStatus(current=deployed(first), kept=(deployed(first),))


def test_deploy__again_rewrites_nothing(bench: Bench, first: Package) -> None:
    deploy(bench, first)
    before = bench.state()
    deploy(bench, first)
    assert bench.state() == before


def test_deploy__a_second_version_and_back(bench: Bench, first: Package, second: Package) -> None:
    both = (deployed(first), deployed(second))
    deploy(bench, first)
    bench.target().upload(second)
    if bench.target().stages:
        assert bench.target().status("churn") == TargetStatus(current=deployed(first), kept=both)
    bench.target().switch("churn", deployed(second), expected=deployed(first))
    assert bench.target().status("churn") == TargetStatus(current=deployed(second), kept=both)
    bench.target().switch("churn", deployed(first), expected=deployed(second))
    assert bench.target().status("churn") == TargetStatus(current=deployed(first), kept=both)
    bench.target().switch("churn", deployed(second), expected=deployed(first))
    assert bench.target().status("churn").current == deployed(second)


def test_upload__refuses_a_file_of_another_digest(bench: Bench, first: Package, second: Package) -> None:
    deploy(bench, first)
    overwrite(second.folder / "model.bin")
    with pytest.raises(DeployError, match=r"model\.bin has another digest"):
        bench.target().upload(second)
    assert bench.target().status("churn") == TargetStatus(current=deployed(first), kept=(deployed(first),))


def test_upload__notices_what_was_spoiled_there(bench: Bench, first: Package) -> None:
    if bench.spoil is None:
        pytest.skip("the other side checks what it holds")
    deploy(bench, first)
    bench.spoil(first)
    with pytest.raises(DeployError, match=r"model\.bin has another digest there"):
        bench.target().upload(first)


def test_upload__killed_before_it_is_whole(bench: Bench, first: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: PackageFile, __: int, ___: str, where: str) -> None:
        if where == "there":
            raise KeyboardInterrupt

    if bench.spoil is None:
        pytest.skip("the other side decides when a version is whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the patch ends with it
        patch.setattr(rules, "check_file", killed)
        bench.target().upload(first)
    assert bench.target().status("churn") == TargetStatus(current=None)
    deploy(bench, first)
    assert bench.target().status("churn") == TargetStatus(current=deployed(first), kept=(deployed(first),))


def test_upload__never_overwrites_a_version(bench: Bench, first: Package, tmp_path: Path) -> None:
    deploy(bench, first)
    with pytest.raises(DeployError, match=r"v1\.0\.0 is there already, made of other files"):
        bench.target().upload(package(tmp_path / "others", model__bin=b"weights of v1.0.0, again"))
    assert bench.target().status("churn") == TargetStatus(current=deployed(first), kept=(deployed(first),))


@pytest.mark.parametrize(("model", "version"), [("../up", "v1.0.0"), ("churn", "v1/../.."), ("churn", "latest")])
def test_upload__names_do_not_become_paths(bench: Bench, first: Package, model: str, version: str) -> None:
    before = bench.state()
    with pytest.raises(DeployError, match="is not a"):
        bench.target().upload(dataclasses.replace(first, model=model, version=version))
    assert bench.state() == before


def test_upload__file_names_do_not_become_paths(bench: Bench, first: Package) -> None:
    before = bench.state()
    for name in ("../model.bin", "a/model.bin", "mlci.json", ".hidden", ""):
        renamed = dataclasses.replace(first.files[0], name=name)
        with pytest.raises(DeployError, match="cannot be the name"):
            bench.target().upload(dataclasses.replace(first, files=(renamed,)))
    assert bench.state() == before


def test_switch__to_what_was_not_uploaded(bench: Bench, first: Package, second: Package) -> None:
    deploy(bench, first)
    with pytest.raises(DeployError, match="was not uploaded"):
        bench.target().switch("churn", deployed(second), expected=deployed(first))
    assert bench.target().status("churn").current == deployed(first)


def test_switch__the_second_of_two_is_told(bench: Bench, first: Package, second: Package, tmp_path: Path) -> None:
    third = package(tmp_path / "packages", "v2.0.0")
    deploy(bench, first)
    bench.target().upload(second)
    bench.target().upload(third)
    winner, loser = bench.target(), bench.target()
    winner.switch("churn", deployed(second), expected=deployed(first))
    with pytest.raises(ConflictError, match=r"v1\.10\.0 is served instead of v1\.0\.0") as caught:
        loser.switch("churn", deployed(third), expected=deployed(first))
    assert caught.value.exit_code == 7
    assert bench.target().status("churn").current == deployed(second)


@pytest.mark.parametrize("attempt", range(2))
def test_switch__two_in_the_same_instant(
    bench: Bench, first: Package, second: Package, tmp_path: Path, attempt: int
) -> None:
    if not bench.swaps:
        pytest.skip("the other side cannot compare and swap, or it is the user's script that does: documented")
    third = package(tmp_path / "packages", "v2.0.0")
    if attempt:  # else both are the first ones
        deploy(bench, first)
    bench.target().upload(second)
    bench.target().upload(third)
    ready, ends = threading.Barrier(2), {}

    def switch(target: Target, to: Package) -> None:
        ready.wait()
        try:
            target.switch("churn", deployed(to), expected=deployed(first) if attempt else None)
            ends[to.version] = "won"
        except ConflictError:
            ends[to.version] = "lost"

    threads = [threading.Thread(target=switch, args=(bench.target(), to)) for to in (second, third)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends.values()) == ["lost", "won"]
    current = bench.target().status("churn").current
    assert current is not None
    assert ends[current.version] == "won"


def test_denied__is_one_line_without_secrets(bench: Bench, first: Package) -> None:
    target = bench.denied()
    attempts: list[Callable[[], object]] = [
        lambda: target.status("churn"),
        lambda: target.upload(first),
        lambda: target.switch("churn", deployed(first), expected=None),
    ]
    for attempt in attempts:
        with pytest.raises(DeployError) as caught:
            attempt()
        assert caught.value.exit_code == 7
        assert caught.value.message.startswith(target.describe())
        assert "\n" not in caught.value.message
        assert caught.value.__cause__ is None
        for secret in bench.secrets:
            assert secret not in f"{caught.value.message} {caught.value.hint} {target.describe()} {target!r}"


@pytest.mark.parametrize("name", ["folder", "object-store", "oci", "mlflow", "huggingface", "webhook", "command"])
def test_targets__register_under_their_names(name: str) -> None:
    assert registry.plugin_class("targets", name).name == name


def files_of(folder: Path) -> dict[str, int]:
    """Every file and link below, with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


def overwrite(path: Path) -> None:
    """Other bytes, as many."""
    path.write_bytes(path.read_bytes().upper())
