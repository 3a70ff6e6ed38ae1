"""What libraries raise becomes one line without credentials; mlci's own mistakes keep their traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlci.errors import CancelledError, ConflictError, DeployError
from mlci.plugins.targets.interface import TargetSite
from mlci.plugins.targets.refusals import redacted, refusals


class Place:
    """Something that refuses."""

    site = TargetSite(folder=Path(), environ={"PLACE_TOKEN": "abcdef123", "SHORT_KEY": "a"})

    def describe(self) -> str:
        return "a place"


def said(error: BaseException, *, extra: str | None = None) -> DeployError:
    with pytest.raises(DeployError) as caught, refusals(Place(), extra=extra, hint="look there"):
        raise error
    return caught.value


def test_refusals__one_line_of_the_target() -> None:
    assert said(ValueError("two\nlines")).message == "a place: ValueError: two lines"
    assert said(ValueError("two\nlines")).hint == "look there"
    assert said(PermissionError(13, "Permission denied", "x")).message == "a place: Permission denied: x"
    assert said(OSError("busy")).message == "a place: OSError: busy"
    assert said(ValueError()).message == "a place: ValueError"


def test_refusals__say_the_cause() -> None:
    error = RuntimeError("upload failed")
    error.__cause__ = OSError("no space")
    assert said(error).message == "a place: RuntimeError: upload failed (OSError: no space)"


def test_refusals__keep_their_kind_and_hint() -> None:
    found = said(ConflictError("late", hint="again"))
    assert (type(found), found.message, found.hint) == (ConflictError, "a place: late", "again")


def test_refusals__name_the_extra() -> None:
    assert said(ImportError("Install s3fs"), extra="s3").hint == 'Run: pip install "mlci[s3]"'


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), CancelledError("x"), KeyboardInterrupt()])
def test_refusals__let_pass(error: BaseException) -> None:
    with pytest.raises(type(error)), refusals(Place()):
        raise error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token abcdef123 is bad", "token *** is bad"),
        ("a short one", "a short one"),
        ("GET https://me:pass@there/x?sig=1 failed", "GET https://***@there/x?*** failed"),
        ("escape \x1b[31m", "escape [31m"),
        ("x" * 500, "x" * 399 + "…"),
    ],
)
def test_redacted(text: str, shown: str) -> None:
    assert redacted(text, Place.site.environ) == shown
