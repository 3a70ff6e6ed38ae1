"""How mlci talks to the remote of a clone and leaves no trace in the clone: private repositories."""

from __future__ import annotations

import base64
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from mlci import process
from mlci.git.command import Config, Git, common_folder, text

if sys.platform != "win32":
    import fcntl

_REMOTE = "mlci"  # what private repositories call the remote, through the environment only
_MAX_PACKS = 50
_PAUSES_S = (0.5, 2.0)
_STUMBLE = re.compile(rb"returned error: (5\d\d|429)|unexpected disconnect|early EOF|Connection (reset|timed out)")
# How a clone reaches its remote; a private repository must reach it the same way.
_TRANSPORT = r"^(http|credential|ssh|protocol)\.|^core\.(sshcommand|gitproxy)$"


def authorization(url: str, token: str | None) -> Config:
    """Git configuration that sends `token` to the host of `url` and to no other; empty where there is none.

    Without a token the password that somebody put into `url` is sent, as git itself would.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return ()
    host = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/", "", ""))
    user, password = ("x-access-token", token) if token else (unquote(parts.username or ""), parts.password)
    if not password:
        return ((f"credential.{host}.username", user),) if user else ()
    secret = base64.b64encode(f"{user}:{unquote(password)}".encode()).decode()
    key = f"http.{host}.extraheader"
    # The empty value drops a header that actions/checkout may have left in the configuration.
    return ((key, ""), (key, f"Authorization: Basic {secret}"))


def without_credentials(url: str) -> str:
    """`url` without the user and password that somebody may have put into it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@dataclass(frozen=True)
class Remote:
    """A remote of the user's repository, ready to be used from a private one under the name `name`."""

    url: str  # without credentials
    config: Config = field(repr=False)
    name: str = _REMOTE


def remote(folder: Path, name: str, environ: Mapping[str, str], *, token: str | None, server_url: str) -> Remote | None:
    """The remote `name` of the repository at `folder`, or None where it has no such remote.

    Args:
        folder: The user's repository.
        name: A remote's name, never a URL: configuration must not choose where a token goes.
        environ: The environment to start git with.
        token: Sent to a remote on `server_url` only.
        server_url: The server that gave the token, such as "https://github.com".
    """
    git = Git(folder, environ)
    fetch_url = git.answer("remote", "get-url", "--", name)
    if not fetch_url:
        return None
    push_url = git.answer("remote", "get-url", "--push", "--", name) or fetch_url
    config = [
        *_transport(git),
        ("core.hooksPath", os.devnull),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
        ("protocol.version", "2"),
        ("http.lowSpeedLimit", "1"),
        ("http.lowSpeedTime", "60"),
        (f"remote.{_REMOTE}.url", _resolved(fetch_url, git)),
        (f"remote.{_REMOTE}.pushurl", _resolved(push_url, git)),
        # Said here, git has no reason to write it into the configuration.
        (f"remote.{_REMOTE}.promisor", "true"),
        (f"remote.{_REMOTE}.partialclonefilter", "blob:none"),
    ]
    for url in dict.fromkeys((fetch_url, push_url)):
        config += authorization(url, token if _server(url) == _server(server_url) else None)
    return Remote(without_credentials(fetch_url), tuple(config))


def talk(git: Git, *arguments: str, stdin: bytes | None = None) -> process.Completed:
    """Run a command that talks to a server, again when the server or the connection stumbles.

    Such a command must do no harm when it runs twice: the first may have arrived, its answer been lost.
    """
    for pause_s in _PAUSES_S:
        done = git.attempt(*arguments, stdin=stdin)
        if done.returncode == 0 or not _STUMBLE.search(done.stderr):
            return done
        time.sleep(pause_s)
    return git.attempt(*arguments, stdin=stdin)


@contextmanager
def private_repository(folder: Path, name: str, environ: Mapping[str, str], config: Config) -> Iterator[Git]:
    """A bare repository of mlci's own, in which fetching and writing cannot touch the user's.

    It lies under the `mlci/` of the user's git folder and is only a cache. Where that cannot be written, or
    another process is using it, it is a temporary one: processes neither wait for nor disturb each other.

    Args:
        folder: The user's repository.
        name: Which of mlci's repositories.
        environ: The environment to start git with.
        config: As of `Git`.
    """
    with ExitStack() as stack:
        bare = stack.enter_context(_locked(folder, name, environ))
        if bare is None:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="mlci-"))
            bare = Path(temporary) / f"{name}.git"
        if len(list(bare.glob("objects/pack/*.pack"))) > _MAX_PACKS:
            shutil.rmtree(bare)
        for stale in (*bare.glob("*.lock"), *bare.glob("refs/**/*.lock")):
            stale.unlink()  # left by a git that was killed: we hold the only lock that counts
        if not (bare / "HEAD").is_file():
            hashing = Git(folder, environ).answer("rev-parse", "--show-object-format") or "sha1"
            bare.mkdir(exist_ok=True)
            Git(bare, environ).run("init", "--quiet", "--bare", "--template=", f"--object-format={hashing}", ".")
        yield Git(bare, environ, config, {"GIT_DIR": str(bare)})


@contextmanager
def _locked(folder: Path, name: str, environ: Mapping[str, str]) -> Iterator[Path | None]:
    """A place under the user's git folder, for this process alone; None where it cannot be had."""
    common = common_folder(folder, environ)
    if sys.platform == "win32" or common is None:
        yield None
        return
    place = common / "mlci"
    try:
        place.mkdir(exist_ok=True)
        lock = (place / f"{name}.lock").open("wb")
    except OSError:
        yield None
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield place / f"{name}.git"


def _transport(git: Git) -> Iterator[tuple[str, str]]:
    found = git.attempt("config", "--local", "--includes", "-z", "--get-regexp", _TRANSPORT).stdout
    for item in filter(None, text(found).split("\0")):
        key, given, value = item.partition("\n")
        yield key, value if given else "true"  # a key without "=" is a true boolean, an empty one a false


def _resolved(url: str, git: Git) -> str:
    """`url` without credentials; a relative path as seen from the user's work tree made absolute."""
    if "://" in url or re.match(r"[^/\\]+:", url):
        return without_credentials(url)
    base = git.answer("rev-parse", "--show-toplevel") or git.folder
    return str((Path(base) / url).resolve())


def _server(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()
