"""Signs a release's `SHA256SUMS`, which names every other file, with OpenSSF model-signing; and checks signatures."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlci.config.release_tables import ModelTable
from mlci.errors import DeployError, UsageError
from mlci.releasing.folder import SIGNATURE, SUMS

KEY, PASSWORD = "MLCI_SIGNING_KEY", "MLCI_SIGNING_KEY_PASSWORD"


def sign(folder: Path, table: ModelTable, environ: Mapping[str, str]) -> None:
    """Write the signature, if the model's releases are signed.

    Args:
        folder: The release.
        table: Says how.
        environ: Names the file of the private key, where one is used.

    Raises:
        UsageError: There is no key, no identity, or the library is not installed.
    """
    signer = ready(table, environ)
    if signer is None:
        return
    try:
        signer.sign(folder / SUMS, folder / SIGNATURE)
    except Exception as error:
        # Its libraries raise what they like, and their words may hold a token.
        raise UsageError(f"the release could not be signed ({type(error).__name__})", hint=_HINT[table.sign]) from None


def ready(table: ModelTable, environ: Mapping[str, str]) -> Any | None:  # noqa: ANN401 - model-signing's own
    """What signs, or None where nothing is signed: asked before anything is made that could not be finished.

    Raises:
        UsageError: There is no key, or the library is not installed.
    """
    if table.sign == "no":
        return None
    signer = _library("signing").Config()
    if table.sign == "sigstore":
        # In CI the job's own identity, with `id-token: write`.
        return signer.use_sigstore_signer(use_ambient_credentials=True)
    key = environ.get(KEY)
    if not key or not Path(key).is_file():
        raise UsageError(f"the release is to be signed, and {KEY} names no file", hint="Name the private key's file.")
    return signer.use_elliptic_key_signer(private_key=Path(key), password=environ.get(PASSWORD))


def check_signature(folder: Path, table: ModelTable, root: Path) -> None:
    """Check the signature, if the model's releases are signed.

    Args:
        folder: The release.
        table: Says how, and by whom.
        root: The folder of the configuration, which names the public key from there.

    Raises:
        DeployError: There is none, or it is another's.
    """
    if table.sign == "no":
        return
    if not (folder / SIGNATURE).is_file():
        raise DeployError(f"{folder.name}/{SIGNATURE}: there is none, and releases of this model are signed")
    verifier = _library("verifying").Config()
    if table.sign == "key":
        verifier = verifier.use_elliptic_key_verifier(public_key=root / (table.public_key or ""))
    else:
        verifier = verifier.use_sigstore_verifier(identity=table.signer, oidc_issuer=table.signer_issuer)
    try:
        verifier.verify(folder / SUMS, folder / SIGNATURE)
    except Exception as error:
        # Whatever is wrong with it, it is no good signature.
        raise DeployError(
            f"{folder.name}/{SIGNATURE} does not sign {SUMS} ({type(error).__name__})", hint="Nothing was deployed."
        ) from None


_HINT = {
    "key": f"{KEY} must be an elliptic-curve key, {PASSWORD} its password.",
    "sigstore": "The job needs `id-token: write` and the network.",
}


def _library(module: str) -> Any:  # noqa: ANN401 - a module that publishes no types of its own
    try:
        return importlib.import_module(f"model_signing.{module}")
    except ImportError:
        raise UsageError("signatures need model-signing", hint='Install it: pip install "mlci[sign]".') from None
