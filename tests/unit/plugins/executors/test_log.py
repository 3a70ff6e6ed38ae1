"""The log of an execution: whole and without secrets, however it comes, and of bounded size."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlci.core.redaction import Redactor
from mlci.plugins.executors.interface import Job, OutputLimits
from mlci.plugins.executors.log import Log


def job(folder: Path, *secrets: str, total: int = 1000) -> Job:
    return Job(
        name="a",
        label="a",
        source="a.py",
        cwd=folder,
        environ={},
        outputs=folder,
        repository=folder,
        limits=OutputLimits(total=total),
        redactor=Redactor(secrets),
    )


def logged(folder: Path) -> str:
    return (folder / "log.txt").read_text()


def test_write__what_was_printed(tmp_path: Path) -> None:
    with Log(job(tmp_path)) as log:
        assert log.write(b"one\n") == "one\n"
        assert logged(tmp_path) == "one\n"  # at once: mlci may be killed
        log.write(b"two\n")
        assert log.close() == "log.txt"
    assert logged(tmp_path) == "one\ntwo\n"
    assert log.tail == "one\ntwo\n"
    assert log.spilled == ()


def test_close__nothing_was_printed(tmp_path: Path) -> None:
    with Log(job(tmp_path)) as log:
        log.write(b"")
        assert log.close() is None
    assert list(tmp_path.iterdir()) == []


def test_write__a_character_in_two_pieces_and_one_that_is_none(tmp_path: Path) -> None:
    with Log(job(tmp_path)) as log:
        for piece in (b"\xe2\x82", b"\xac ", b"\xff!", b" \xe2\x82"):
            log.write(piece)
    assert logged(tmp_path) == "€ \ufffd! \ufffd"


def test_write__a_secret_in_two_pieces(tmp_path: Path) -> None:
    with Log(job(tmp_path, "hush-hush")) as log:
        assert log.write(b"it is hush") == "it is "
        assert log.write(b"-hush!\nand hus") == "***!\nand "
    assert logged(tmp_path) == log.tail == "it is ***!\nand hus"


@pytest.mark.parametrize("piece", [7, 400, 5000], ids=["in small pieces", "in large pieces", "at once"])
def test_write__more_than_the_limit_keeps_head_and_tail_and_all_of_it_beside(tmp_path: Path, piece: int) -> None:
    text = "".join(f"line {number}\n" for number in range(500))
    with Log(job(tmp_path)) as log:
        for start in range(0, len(text), piece):
            log.write(text[start : start + piece].encode())
        log.close()
    kept = logged(tmp_path)
    assert kept.startswith("line 0\nline 1\n")
    assert kept.endswith("line 498\nline 499\n")
    assert "bytes left out; all of it: outputs-in-full/log.txt]" in kept
    assert 1000 <= len(kept) < 1000 + 100 + piece
    assert log.spilled == ("outputs-in-full/log.txt",)
    assert (tmp_path / "outputs-in-full" / "log.txt").read_text() == text


def test_write__the_cut_is_never_within_a_character(tmp_path: Path) -> None:
    with Log(job(tmp_path, total=101)) as log:
        for _ in range(100):
            log.write("€".encode())
    head, _, rest = logged(tmp_path).partition("\n[")
    assert set(head) == {"€"}
    assert set(rest.partition("]\n")[2]) == {"€"}


def test_tail__of_very_much(tmp_path: Path) -> None:
    with Log(job(tmp_path, total=10_000_000)) as log:
        for number in range(50_000):
            log.write(b"line %d\n" % number)
    assert log.tail.endswith("line 49998\nline 49999\n")
    assert len(log.tail) == 64 * 1024
