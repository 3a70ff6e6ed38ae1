"""Debian's docker-registry on loopback, with a password or with the token service that registries use."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import shutil
import textwrap
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fakes.loopback import Answer, Request, free_port, running, serving

USER, PASSWORD = "team", "registry-password"
_BCRYPT = "team:$2b$04$yyMp0EL8Rariv.sn8vo.luJIf4//jANZsNbjk7Xenuk/vdnCYwbAe\n"  # of PASSWORD
_SERVICE, _ISSUER = "registry", "tests"


@dataclass(frozen=True)
class OciServer:
    """The registry: its address and where it keeps its files."""

    host: str
    root: Path


@contextmanager
def oci_server(folder: Path, *, auth: str | None = None) -> Iterator[OciServer]:
    """The registry on a free port, until the block ends; `auth` is YAML, by default one of USER and PASSWORD."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
    host, root = f"127.0.0.1:{free_port()}", folder / "registry"
    (folder / "htpasswd").write_text(_BCRYPT)
    auth = auth or f"htpasswd:\n  realm: basic\n  path: {folder / 'htpasswd'}\n"
    config = (
        f"version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n"
        f"storage:\n  filesystem:\n    rootdirectory: {root}\n"
        f"http:\n  addr: {host}\nauth:\n{textwrap.indent(auth, '  ')}"
    )
    (folder / "config.yml").write_text(config)
    environ = {"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
    with running([program, "serve", folder / "config.yml"], ready=f"http://{host}/v2/", cwd=folder, environ=environ):
        yield OciServer(host, root)


@contextmanager
def oci_server_with_tokens(folder: Path) -> Iterator[OciServer]:
    """The registry with a token service of ours, which asks for USER and PASSWORD."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ISSUER)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "bundle.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]

    def token(request: Request) -> Answer:
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {wanted}":
            return Answer(401, b"wrong password")
        kind, repository, actions = request.query["scope"].split(":")
        claims = {
            "iss": _ISSUER,
            "sub": USER,
            "aud": request.query["service"],
            "iat": int(time.time()),
            "nbf": int(time.time()) - 5,
            "exp": int(time.time()) + 60,
            "jti": uuid.uuid4().hex,
            "access": [{"type": kind, "name": repository, "actions": actions.split(",")}],
        }
        made = jwt.encode(claims, key, algorithm="ES256", headers={"x5c": chain})
        return Answer(body=json.dumps({"token": made}).encode())

    with serving(token) as realm:
        bundle = folder / "bundle.pem"
        auth = (
            f"token:\n  realm: {realm}/token\n  service: {_SERVICE}\n  issuer: {_ISSUER}\n  rootcertbundle: {bundle}\n"
        )
        with oci_server(folder, auth=auth) as server:
            yield server
