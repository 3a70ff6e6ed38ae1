"""A checkpoint reaches the next attempt of the very same execution, whatever ends the one before; and no other one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.runs import configured
from mlci.core.documents import Attempt
from mlci.errors import ConfigError
from mlci.running.checkpoints import Checkpoint, key_of, of
from mlci.running.inputs import fingerprint
from mlci.workspace import Workspace

KEY, OTHER = "a" * 64, "b" * 64
FIRST, SECOND, THIRD = (f"2024-05-01T1{hour}:00:00Z" for hour in range(3))
FAILED = Attempt(status="failed", started_at=FIRST, duration_s=60.0, run_url="https://example.com/1")
CONFIG = '[runs.train]\nscript = "train.py"\ncheckpoint = "ckpt"\nparameters = { rate = 0.1 }\ninputs = ["data.csv"]\n'


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(
        folder=tmp_path / "ckpt", shown="ckpt", root=tmp_path / ".mlci/checkpoints", place="default/train"
    )


def write(checkpoint: Checkpoint, text: str = "epoch 1") -> None:
    (checkpoint.folder / "deep").mkdir(parents=True, exist_ok=True)
    (checkpoint.folder / "deep/state").write_text(text)


def there(checkpoint: Checkpoint) -> str | None:
    state = checkpoint.folder / "deep/state"
    return state.read_text() if state.exists() else None


def failing(checkpoint: Checkpoint, key: str = KEY, attempt: Attempt = FAILED, text: str = "epoch 1") -> None:
    """An attempt that writes a checkpoint and fails."""
    checkpoint.begin(key, started_at=attempt.started_at)
    write(checkpoint, text)
    assert checkpoint.keep(key, attempt) == ()


def test_begin__the_first_attempt_finds_nothing(checkpoint: Checkpoint) -> None:
    start = checkpoint.begin(KEY, started_at=FIRST)
    assert (start.attempts, start.notes) == ((), ())


def test_begin__the_next_attempt_finds_the_checkpoint_again(checkpoint: Checkpoint) -> None:
    failing(checkpoint)
    assert not checkpoint.folder.exists()
    start = checkpoint.begin(KEY, started_at=SECOND)
    assert (start.attempts, start.notes) == ((FAILED,), ())
    assert there(checkpoint) == "epoch 1"


def test_begin__attempts_add_up_the_oldest_first(checkpoint: Checkpoint) -> None:
    failing(checkpoint)
    second = Attempt(status="timed-out", started_at=SECOND, duration_s=1.0)
    failing(checkpoint, attempt=second, text="epoch 2")
    assert checkpoint.begin(KEY, started_at=THIRD).attempts == (FAILED, second)
    assert there(checkpoint) == "epoch 2"


def test_begin__an_attempt_that_wrote_nothing_new_hands_on_what_it_found(checkpoint: Checkpoint) -> None:
    failing(checkpoint)
    checkpoint.begin(KEY, started_at=SECOND)
    second = Attempt(status="crashed", started_at=SECOND, duration_s=1.0)
    checkpoint.keep(KEY, second)
    assert checkpoint.begin(KEY, started_at=THIRD).attempts == (FAILED, second)
    assert there(checkpoint) == "epoch 1"


def test_begin__only_the_last_attempts_are_listed(checkpoint: Checkpoint) -> None:
    for number in range(25):
        failing(checkpoint, attempt=msgspec.structs.replace(FAILED, started_at=f"2024-05-{number + 1:02}"))
    attempts = checkpoint.begin(KEY, started_at=SECOND).attempts
    assert [attempts[0].started_at, attempts[-1].started_at, len(attempts)] == ["2024-05-06", "2024-05-25", 20]


def test_begin__another_key_is_not_given_the_checkpoint_and_does_not_lose_it(checkpoint: Checkpoint) -> None:
    failing(checkpoint)
    start = checkpoint.begin(OTHER, started_at=SECOND)
    assert start.attempts == ()
    assert start.notes == ("ckpt: the checkpoint that is kept is of other code, inputs or parameters",)
    assert there(checkpoint) is None
    checkpoint.keep(OTHER, Attempt(status="failed", started_at=SECOND, duration_s=1.0))
    assert checkpoint.begin(KEY, started_at=THIRD).attempts == (FAILED,)
    assert there(checkpoint) == "epoch 1"


def test_keep__another_key_s_checkpoint_takes_the_place(checkpoint: Checkpoint) -> None:
    failing(checkpoint)
    failing(checkpoint, OTHER, text="other")
    assert checkpoint.begin(KEY, started_at=THIRD).attempts == ()
    assert there(checkpoint) is None


def test_keep__an_attempt_that_left_nothing_is_not_gone_on_from(checkpoint: Checkpoint) -> None:
    checkpoint.begin(KEY, started_at=FIRST)
    checkpoint.folder.mkdir()
    checkpoint.keep(KEY, FAILED)
    assert checkpoint.begin(KEY, started_at=SECOND).attempts == ()


def test_keep__of_a_checkpoint_that_the_attempt_removed_nothing_is_left(checkpoint: Checkpoint) -> None:
    failing(checkpoint)
    checkpoint.begin(KEY, started_at=SECOND)
    (checkpoint.folder / "deep/state").unlink()
    (checkpoint.folder / "deep").rmdir()
    checkpoint.keep(KEY, Attempt(status="failed", started_at=SECOND, duration_s=1.0))
    assert checkpoint.begin(KEY, started_at=THIRD).attempts == ()


def test_drop__after_a_success_the_next_execution_begins_anew(checkpoint: Checkpoint) -> None:
    failing(checkpoint)
    checkpoint.begin(KEY, started_at=SECOND)
    assert checkpoint.drop() == ()
    assert there(checkpoint) == "epoch 1"  # the user's to look at
    start = checkpoint.begin(KEY, started_at=THIRD)
    assert (start.attempts, start.notes) == ((), ())
    assert there(checkpoint) is None


def test_begin__what_somebody_else_left_is_moved_aside_and_said(checkpoint: Checkpoint) -> None:
    write(checkpoint, "by hand")
    [note] = checkpoint.begin(KEY, started_at=FIRST).notes
    assert there(checkpoint) is None
    said, _, aside = note.partition(": moved to ")
    assert said == "ckpt: what lay there is no checkpoint of mlci's"
    assert (checkpoint.folder.parent / aside / "deep/state").read_text() == "by hand"


KILLED = """
import os, signal, sys
from pathlib import Path
from mlci.core.documents import Attempt
from mlci.running.checkpoints import Checkpoint

folder, root, place, key, started_at, what, at = sys.argv[1:]
checkpoint = Checkpoint(folder=Path(folder), shown="ckpt", root=Path(root), place=place)
count = 0

def die_at(event, _args):
    global count
    if event.startswith(("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.", "tempfile.")):
        count += 1
        if count == int(at):
            os.kill(os.getpid(), signal.SIGKILL)

if what == "keep":
    sys.addaudithook(die_at)
    checkpoint.keep(key, Attempt(status="failed", started_at=started_at, duration_s=60.0))
else:
    if what == "begin":
        sys.addaudithook(die_at)
    checkpoint.begin(key, started_at=started_at)
    if what == "write":
        (checkpoint.folder / "deep").mkdir(parents=True, exist_ok=True)
        (checkpoint.folder / "deep/state").write_text("epoch 1")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(checkpoint: Checkpoint, what: str, *, key: str = KEY, started_at: str = FIRST, at: int = 0) -> bool:
    """Whether a process that did it was killed; at its `at`th step in the file system."""
    arguments = [str(checkpoint.folder), str(checkpoint.root), checkpoint.place, key, started_at, what, str(at)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def test_begin__after_mlci_itself_was_killed_the_checkpoint_counts(checkpoint: Checkpoint) -> None:
    assert killed(checkpoint, "write")
    [attempt] = checkpoint.begin(KEY, started_at=SECOND).attempts
    assert (attempt.status, attempt.started_at) == ("crashed", FIRST)
    assert there(checkpoint) == "epoch 1"


def test_begin__what_a_killed_mlci_left_is_nobody_else_s(checkpoint: Checkpoint) -> None:
    assert killed(checkpoint, "write")
    assert checkpoint.begin(OTHER, started_at=SECOND).attempts == ()
    assert there(checkpoint) is None
    checkpoint.keep(OTHER, FAILED)
    assert [item.started_at for item in checkpoint.begin(KEY, started_at=THIRD).attempts] == [FIRST]
    assert there(checkpoint) == "epoch 1"


def test_begin__of_two_runs_with_one_folder_each_gets_its_own(checkpoint: Checkpoint) -> None:
    second = replace(checkpoint, place="default/other")
    assert killed(checkpoint, "write")
    assert second.begin(OTHER, started_at=SECOND).attempts == ()
    write(second, "of the other")
    second.drop()
    assert [item.started_at for item in checkpoint.begin(KEY, started_at=THIRD).attempts] == [FIRST]
    assert there(checkpoint) == "epoch 1"


@pytest.fixture
def elsewhere(checkpoint: Checkpoint) -> Iterator[Checkpoint]:
    """The same with its workspace on another file system."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == checkpoint.folder.parent.stat().st_dev:
        pytest.skip("there is one file system only")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield replace(checkpoint, root=Path(folder) / ".mlci/checkpoints")


def test_keep__on_another_file_system(elsewhere: Checkpoint) -> None:
    failing(elsewhere)
    assert not elsewhere.folder.exists()
    assert elsewhere.begin(KEY, started_at=SECOND).attempts == (FAILED,)
    assert there(elsewhere) == "epoch 1"


def test_keep__a_copy_follows_no_link_and_waits_for_no_pipe(elsewhere: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    elsewhere.begin(KEY, started_at=FIRST)
    write(elsewhere)
    (elsewhere.folder / "link").symlink_to(tmp_path / "secret")
    (elsewhere.folder / "folder").symlink_to(tmp_path)
    os.mkfifo(elsewhere.folder / "pipe")
    assert elsewhere.keep(KEY, FAILED) == ()
    assert not [
        path
        for path in elsewhere.root.rglob("*")
        if path.is_file() and path.read_text() == "secret" and not path.is_symlink()
    ]
    elsewhere.begin(KEY, started_at=SECOND)
    assert (elsewhere.folder / "link").readlink() == tmp_path / "secret"
    assert (elsewhere.folder / "folder").is_symlink()


@pytest.mark.fault
@pytest.mark.parametrize("where", ["checkpoint", "elsewhere"])
@pytest.mark.parametrize("what", ["keep", "begin"])
def test_checkpoint__survives_a_kill_at_every_step(what: str, where: str, request: pytest.FixtureRequest) -> None:
    checkpoint: Checkpoint = request.getfixturevalue(where)
    failing(checkpoint)
    if what == "keep":
        checkpoint.begin(KEY, started_at=SECOND)
        write(checkpoint, "epoch 1")
    at = 1
    while killed(checkpoint, what, started_at=SECOND, at=at):
        start = checkpoint.begin(KEY, started_at=THIRD)
        assert there(checkpoint) == "epoch 1", f"step {at}"
        assert start.attempts[0] == FAILED, f"step {at}"
        assert start.notes == (), f"step {at}"
        checkpoint.keep(KEY, Attempt(status="failed", started_at=THIRD, duration_s=1.0))
        if what == "keep":
            checkpoint.begin(KEY, started_at=SECOND)
        at += 1
    assert at > 3  # it has more steps than a rename


def test_keep__a_link_in_place_of_the_folder_is_not_followed(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/state").write_text("secret")
    checkpoint.begin(KEY, started_at=FIRST)
    checkpoint.folder.symlink_to(tmp_path / "elsewhere")
    assert checkpoint.keep(KEY, FAILED) == ("ckpt: no checkpoint is kept, since it is no folder",)
    assert checkpoint.begin(KEY, started_at=SECOND).attempts == ()
    assert (tmp_path / "elsewhere/state").exists()


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        '{"format": 99}',
        '{"key": "../../..", "attempts": []}',
        f'{{"key": "{KEY}", "attempts": [{{"status": "fine", "started_at": "x", "duration_s": 1}}]}}',
    ],
)
def test_begin__attempts_that_cannot_be_read_are_not_believed(checkpoint: Checkpoint, text: str) -> None:
    failing(checkpoint)
    (checkpoint.root / "kept/default/train/attempts.json").write_text(text)
    start = checkpoint.begin(KEY, started_at=SECOND)
    assert start.attempts == ()
    [note] = start.notes
    assert note.startswith("ckpt: a checkpoint may be lost: attempts.json: ")
    write(checkpoint, "anew")
    checkpoint.keep(KEY, FAILED)
    assert checkpoint.begin(KEY, started_at=THIRD).attempts == (FAILED,)
    assert there(checkpoint) == "anew"


@pytest.mark.parametrize("place", ["../../../victim", "/victim", "a/../../victim"])
def test_begin__a_place_outside_of_the_workspace_is_not_believed(checkpoint: Checkpoint, place: str) -> None:
    checkpoint.begin(KEY, started_at=FIRST)
    [holder] = checkpoint.root.glob("folders/*/holder.json")
    holder.write_text(holder.read_text().replace("default/train", place))
    [note] = checkpoint.begin(KEY, started_at=SECOND).notes
    assert "holder.json: not a Holder" in note


def test_of__where_things_lie(tmp_path: Path) -> None:
    config, runs = configured(tmp_path, CONFIG, train__py="", data__csv="1")
    workspace = Workspace(config.root / ".mlci")
    assert of(config, runs["train"], 3, workspace) == Checkpoint(
        folder=config.root / "ckpt",
        shown="ckpt",
        root=workspace.folder / "checkpoints",
        place="default/train/seed-3",
    )
    without = configured(tmp_path, '[runs.train]\nscript = "train.py"\n')[1]["train"]
    assert of(config, without, None, workspace) is None


@pytest.mark.parametrize("folder", [".", "src", "src/deep/..", ".mlci", ".mlci/checkpoints"])
def test_of__a_folder_that_holds_more_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "src").mkdir()
    text = f'[runs.train]\nscript = "src/train.py"\ncheckpoint = "{folder}"\n'
    (tmp_path / "src/train.py").touch()
    config, runs = configured(tmp_path, text)
    with pytest.raises(ConfigError, match=r"runs\.train\.checkpoint: expected a folder of checkpoints alone"):
        of(config, runs["train"], None, Workspace(config.root / ".mlci"))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"text": CONFIG.replace("0.1", "0.2")}, False, id="a parameter"),
        pytest.param({"text": CONFIG + "deterministic = true\n"}, False, id="how it runs"),
        pytest.param({"text": CONFIG + 'timeout = "1h"\n'}, True, id="a deadline"),
        pytest.param({"train__py": "print(1)"}, False, id="the code"),
        pytest.param({"data__csv": "2"}, False, id="an input"),
        pytest.param({"seed": 2}, False, id="the seed"),
    ],
)
def test_key_of__is_of_what_would_be_computed(tmp_path: Path, change: dict[str, Any], same: bool) -> None:
    def key(text: str = CONFIG, train__py: str = "", data__csv: str = "1", seed: int | None = None) -> str:
        config, runs = configured(tmp_path, text, train__py=train__py, data__csv=data__csv)
        run = runs["train"]
        return key_of(run, run.table.parameters, seed, fingerprint(config, run))

    assert (key() == key(**change)) is same
