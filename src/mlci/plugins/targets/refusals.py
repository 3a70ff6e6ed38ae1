"""Turns what libraries raise into one line that names the target and shows no credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn, Protocol

from mlci.errors import DeployError, MlciError
from mlci.plugins.targets.interface import TargetSite

_MAX_CHARACTERS = 400
_MIN_SECRET = 6  # shorter values would be struck out of ordinary words
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|KEY|CONNECTION_STRING", re.IGNORECASE)
# Not refusals of a target but mistakes of mlci: they keep their traceback.
_BUGS = (AssertionError, AttributeError, LookupError, NameError, NotImplementedError, RecursionError, TypeError)


class Named(Protocol):
    """What an error says of a target."""

    @property
    def site(self) -> TargetSite:
        """Where mlci runs."""
        ...

    def describe(self) -> str:
        """Where models go."""
        ...


@contextmanager
def refusals(target: Named, *, extra: str | None = None, hint: str | None = None) -> Iterator[None]:
    """Raise DeployError for every failure inside.

    Args:
        target: Named in the message.
        extra: The extra of mlci that brings the library which is used inside.
        hint: For failures that have no better one: where its credentials come from.
    """
    try:
        yield
    except DeployError as error:
        _raise(type(error), target, error.message, error.hint)
    except (MlciError, *_BUGS):
        raise
    except ImportError as error:
        _raise(DeployError, target, _words(error), f'Run: pip install "mlci[{extra}]"' if extra else None)
    except Exception as error:
        _raise(DeployError, target, _words(error), hint)


def redacted(text: str, environ: Mapping[str, str]) -> str:
    """One line of `text` without the values of secret variables, passwords in URLs, and queries of URLs."""
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    for value in sorted(_secrets(environ), key=len, reverse=True):
        line = line.replace(value, "***")
    line = re.sub(r"(\w://)[^\s/@]+@", r"\1***@", line)
    line = re.sub(r"(\w://[^\s?'\"]+)\?[^\s'\"]+", r"\1?***", line)
    return line if len(line) <= _MAX_CHARACTERS else f"{line[: _MAX_CHARACTERS - 1]}…"


def _secrets(environ: Mapping[str, str]) -> set[str]:
    return {value for name, value in environ.items() if _SECRET_NAME.search(name) and len(value) >= _MIN_SECRET}


def _raise(kind: type[DeployError], target: Named, message: str, hint: str | None) -> NoReturn:
    line = redacted(f"{target.describe()}: {message}", target.site.environ)
    raise kind(line, hint=hint and redacted(hint, target.site.environ)) from None


def _words(error: BaseException) -> str:
    """What an exception says, with its kind where the words alone would be bare."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    text = str(error).strip()
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{words} ({_words(error.__cause__)})" if error.__cause__ else words
