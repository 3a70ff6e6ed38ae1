"""The OCI target beside the contract: the token service, what other clients read, names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from fakes.loopback import Answer, Request, serving
from fakes.oci_server import PASSWORD, USER, OciServer, oci_server_with_tokens
from fakes.packages import deployed, package
from mlci.errors import DeployError
from mlci.plugins.targets import http
from mlci.plugins.targets.interface import TargetSite
from mlci.plugins.targets.oci import OciTarget
from mlci.plugins.targets.oci_registry import Registry


def target(tmp_path: Path, repository: str, **environ: str) -> OciTarget:
    site = TargetSite(folder=tmp_path, environ=environ)
    return OciTarget(repository=repository, plain_http=True, deadline_s=5, site=site)


def deploy(tmp_path: Path, server: OciServer) -> OciTarget:
    made = package(tmp_path / "packages")
    known = target(tmp_path, f"{server.host}/team", MLCI_OCI_USERNAME=USER, MLCI_OCI_PASSWORD=PASSWORD)
    known.upload(made)
    known.switch("churn", deployed(made), expected=None)
    assert known.status("churn").current == deployed(made)
    return known


def test_tokens__of_the_service_that_the_registry_names(tmp_path: Path) -> None:
    with oci_server_with_tokens(tmp_path) as server:
        deploy(tmp_path, server)
        wrong = target(tmp_path, f"{server.host}/team", MLCI_OCI_USERNAME=USER, MLCI_OCI_PASSWORD="not this one")
        with pytest.raises(DeployError, match="token service: HTTP 401") as caught:
            wrong.status("churn")
        assert "MLCI_OCI_PASSWORD" in str(caught.value.hint)
        assert "not this one" not in caught.value.message
        nobody = target(tmp_path, f"{server.host}/team")
        with pytest.raises(DeployError, match="token service: HTTP 401"):
            nobody.status("churn")


def test_manifest__is_what_oras_pulls(tmp_path: Path) -> None:
    with oci_server_with_tokens(tmp_path) as server:
        deploy(tmp_path, server)
        [stored] = [
            content
            for path in (server.root / "docker/registry/v2/blobs").rglob("data")
            if (content := path.read_bytes()).startswith(b'{\n  "schemaVersion"')
        ]
    found = json.loads(stored)
    assert found["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert found["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert found["config"]["digest"] == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    titles = [layer["annotations"]["org.opencontainers.image.title"] for layer in found["layers"]]
    assert titles == ["model.bin", "card.md", "empty.txt"]


@pytest.mark.parametrize(
    ("repository", "model"),
    [("registry.example/team", "Churn"), ("registry.example", "x_"), ("user:pass@registry.example/team", "churn")],
)
def test_repository__must_be_one(tmp_path: Path, repository: str, model: str) -> None:
    with pytest.raises(DeployError) as caught:
        target(tmp_path, repository).status(model)
    assert "pass" not in caught.value.message.replace("password", "")


@pytest.mark.parametrize("challenge", ["Basic realm=x", 'Bearer realm="ftp://there/token"', "Bearer", ""])
def test_challenge__that_cannot_be_answered(tmp_path: Path, challenge: str) -> None:
    with (
        serving(lambda _: Answer(401, headers={"WWW-Authenticate": challenge})) as url,
        pytest.raises(DeployError, match=r"^OCI registry "),
    ):
        target(tmp_path, f"{url.removeprefix('http://')}/team").status("churn")


def test_credentials__stay_with_the_registry() -> None:
    elsewhere: list[Request] = []

    def storage(request: Request) -> Answer:
        elsewhere.append(request)
        return Answer(201)

    with serving(storage) as other:

        def answer(request: Request) -> Answer:
            if "authorization" not in request.headers:
                return Answer(401, headers={"WWW-Authenticate": "Basic realm=x"})
            return Answer(202, headers={"Location": f"{other}/upload?state=1"})

        with serving(answer) as url:
            registry = Registry(url, "team/churn", USER, PASSWORD, http.Web(deadline_s=5))
            registry.put_blob("sha256:00", b"content")
    assert [(request.body, request.query) for request in elsewhere] == [
        (b"content", {"state": "1", "digest": "sha256:00"})
    ]
    assert "authorization" not in elsewhere[0].headers
    assert PASSWORD not in repr(registry)


def test_tags__all_pages() -> None:
    def answer(request: Request) -> Answer:
        if "last" in request.query:
            return Answer(body=b'{"tags": ["v2.0.0"]}')
        link = '</v2/team/churn/tags/list?n=1&last=v1.0.0>; rel="next"'
        return Answer(body=b'{"tags": ["v1.0.0"]}', headers={"Link": link})

    with serving(answer) as url:
        assert Registry(url, "team/churn", "", "", http.Web(deadline_s=5)).tags() == ["v1.0.0", "v2.0.0"]


def test_blob__that_breaks_off() -> None:
    broken = Answer(body=b"abc", headers={"Content-Length": "10", "Connection": "close"})
    with serving(lambda _: broken) as url, pytest.raises(DeployError, match="broke off"):
        Registry(url, "team/churn", "", "", http.Web(deadline_s=5)).measure_blob("sha256:00")
