"""`mlci comment --from-run`: what a fork's workflow run left is data, and whatever is odd about it is refused."""

from __future__ import annotations

import io
import json
import stat
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.comparisons import failed, measured, skipped
from fakes.scenes import CONFIG, Scene, record_file, scene, zipped
from mlci.commands.comment import comment
from mlci.core.documents import Metric, PredictionsFile, Record, digest
from mlci.errors import ForgeError, UsageError


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path, fork=True) as made:
        made.work.git("switch", "--quiet", "main")  # workflow_run runs on the default branch
        yield made


def report(team: Scene, from_run: str = "event") -> dict[str, str]:
    environ = team.environ("workflow_run", run=77, workflow_run={"id": 41, "event": "pull_request", "run_attempt": 1})
    return comment(team.project(environ, sys.stdout), team.forge(), from_run=from_run)


def honest(team: Scene, **metrics: float) -> bytes:
    return record_file(measured(commit=team.merge, metrics=metrics or {"accuracy": 0.8}))


def claiming(**changes: Any) -> Callable[[Scene], bytes]:
    """A record of which something is changed, as plain JSON."""

    def make(team: Scene) -> bytes:
        document = json.loads(honest(team))
        document["records"][0] |= changes
        return json.dumps(document).encode()

    return make


def test_from_run__reports_a_fork(team: Scene) -> None:
    team.ran(zipped(record__json=honest(team), outputs_log="anything"))
    report(team)
    [body] = team.comments
    assert body.startswith("### ❌ mlci: fail, blocking: 1 metric worse than allowed")
    assert "Code of a fork reported these numbers; mlci compared them again." in body
    assert f"Commit `{team.head[:7]}`, baseline `{team.main[:7]}` (the merge base)" in body
    assert "run=41 attempt=1" in body
    assert "/actions/runs/41#artifacts)" in body
    assert team.statuses["mlci/main"][0] == "failure"


def test_from_run__compares_with_the_default_branch_s_rules_not_with_what_the_fork_says(team: Scene) -> None:
    team.ran(zipped(record__json=honest(team), comparison__json='{"verdict": "pass"}', report__md="# All well"))
    report(team)
    assert team.comments[0].startswith("### ❌")


def test_from_run__a_run_of_the_repository_itself(team: Scene) -> None:
    team.pull.head_repository = team.github
    team.ran(zipped(record__json=honest(team, accuracy=0.9)), fork=False)
    report(team)
    assert team.comments[0].startswith("### ✅")
    assert "fork" not in team.comments[0]


@pytest.mark.parametrize("place", ["outputs/train/p.csv", "brought/{digest}"], ids=["one-machine", "several"])
def test_from_run__predictions_of_a_fork_are_compared_example_by_example(team: Scene, place: str) -> None:
    team.configure(CONFIG.replace("[runs.train]\n", '[runs.train]\npredictions = "p.csv"\n'))

    def predictions(wrong: int) -> tuple[bytes, Record]:
        rows = [f"{number},yes,{'no' if number < wrong else 'yes'}" for number in range(1000)]
        content = "\n".join(["id,label,prediction", *rows]).encode()
        file = PredictionsFile(path="p.csv", sha256=digest(content), size=len(content), stored="outputs/train/p.csv")
        made = measured(metrics={"accuracy": 1 - wrong / 1000}, predictions=(file,), deterministic=True)
        return content, made

    content, before = predictions(10)
    store = team.project(team.environ()).store
    before = msgspec.structs.replace(before, origin=msgspec.structs.replace(before.origin, commit=team.main))
    newer = msgspec.structs.replace(before.origin, run_id="99")
    store.save([msgspec.structs.replace(before, origin=newer)], blobs={digest(content): content})
    content, now = predictions(15)
    record = msgspec.structs.replace(now, origin=msgspec.structs.replace(now.origin, commit=team.merge))
    files: dict[str, Any] = {place.format(digest=digest(content)): content}
    team.ran(zipped(record__json=record_file(record), **files))
    report(team)
    assert "deterministic, 1,000 examples" in team.comments[0]


def test_from_run__by_id(team: Scene) -> None:
    team.ran(zipped(record__json=honest(team)))
    report(team, from_run="41")
    assert len(team.comments) == 1


@pytest.mark.parametrize("asked", ["latest", "41; rm", "9" * 30])
def test_from_run__anything_else_is_refused(team: Scene, asked: str) -> None:
    with pytest.raises(UsageError, match="--from-run"):
        report(team, from_run=asked)


def test_from_run__a_baseline_at_the_merge_base_of_a_head_that_was_checked_out(team: Scene) -> None:
    team.ran(zipped(record__json=record_file(measured(commit=team.head, metrics={"accuracy": 0.8}))))
    report(team)
    assert f"baseline `{team.main[:7]}` (the merge base)" in team.comments[0]


@pytest.mark.parametrize("claimed", ["f" * 40, None])
def test_from_run__a_commit_that_the_forge_does_not_know_chooses_nothing(team: Scene, claimed: str | None) -> None:
    team.ran(zipped(record__json=record_file(measured(commit=claimed, metrics={"accuracy": 0.8}))))  # type: ignore[arg-type]
    report(team)
    assert f"Commit `{team.head[:7]}`, baseline `{team.main[:7]}`" in team.comments[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": "closed"}, "no open pull request has the head stranger:deeper-trees"),
        ({"head_sha": "d" * 40}, "no open pull request has the head stranger:deeper-trees"),
    ],
)
def test_from_run__a_pull_request_that_does_not_fit_gets_nothing(
    team: Scene, change: dict[str, Any], said: str
) -> None:
    team.ran(zipped(record__json=honest(team)))
    for name, value in change.items():
        setattr(team.pull, name, value)
    report(team)
    assert team.comments == []
    assert team.github.statuses == []
    assert any(said in line for line in team.said)


def test_from_run__a_fork_s_branch_of_the_same_name_is_not_ours(team: Scene) -> None:
    team.pull.head_repository = team.github
    team.ran(zipped(record__json=honest(team)))
    report(team)
    assert team.comments == []
    assert team.github.statuses == []


def test_from_run__a_run_of_another_repository(team: Scene) -> None:
    team.ran(zipped(record__json=honest(team)))
    environ = team.environ("workflow_run", workflow_run={"id": 41, "event": "pull_request"})
    environ["GITHUB_REPOSITORY_ID"] = "999"
    comment(team.project(environ), team.forge(), from_run="event")
    assert team.comments == []


@pytest.mark.parametrize("event", ["schedule", "workflow_dispatch", "issue_comment", "release"])
def test_from_run__a_run_of_an_event_without_pull_request(team: Scene, event: str) -> None:
    team.ran(zipped(record__json=honest(team)), event=event)
    report(team)
    assert team.comments == []


def test_from_run__no_such_run(team: Scene) -> None:
    with pytest.raises(ForgeError, match="there is no workflow run 12345"):
        report(team, from_run="12345")


def with_entry(name: str, *, mode: int = 0, data: bytes = b"x") -> Callable[[Scene], bytes]:
    def make(team: Scene) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("record.json", honest(team))
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, data)
        return buffer.getvalue()

    return make


def bomb(_team: Scene) -> bytes:
    return zipped(record__json=b'{"made_from": [' + b" " * 50_000_000 + b"]}")


def many(_team: Scene) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(100_000):
            archive.writestr(f"f{number}", b"")
    return buffer.getvalue()


def latin(_team: Scene) -> bytes:
    return with_entry("plots/x.png")(_team).replace(b"plots/x.png", b"plots/\xe9.png")


def twice(team: Scene) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("record.json", honest(team))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("record.json", honest(team, accuracy=0.99))
    return buffer.getvalue()


def zip64(team: Scene) -> bytes:
    """A small list of files at the end, and before it the large one that zipfile believes."""
    plain = zipped(record__json=honest(team))
    end, start = plain.rfind(b"PK\x05\x06"), plain.find(b"PK\x01\x02")
    entry, count = plain[start:end], 30_000
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, count * len(entry), start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + count * len(entry), 1)
    return plain[:start] + entry * count + large + locator + plain[end:]


def predictions(count: int, size: int = 1) -> list[dict[str, Any]]:
    return [{"path": "p", "sha256": f"{number:064x}", "size": size, "seed": number} for number in range(count)]


def record_of(make: Callable[[Scene], bytes]) -> Callable[[Scene], bytes]:
    return lambda team: zipped(record__json=make(team))


def with_metric(value: str) -> Callable[[Scene], bytes]:
    return lambda team: honest(team).replace(b"0.8", value.encode())


ARTIFACTS: dict[str, tuple[Callable[[Scene], bytes], str]] = {
    "path that leaves": (with_entry("../record.json"), "its path leaves the folder"),
    "path that leaves further in": (with_entry("a/../../record.json"), "its path leaves the folder"),
    "absolute path": (with_entry("/etc/passwd"), "its path leaves the folder"),
    "drive": (with_entry("C:/windows"), "not a path with forward slashes"),
    "backslashes": (with_entry("a\\b"), "not a path with forward slashes"),
    "link": (with_entry("link", mode=stat.S_IFLNK | 0o777, data=b"/etc/passwd"), "neither a file nor a folder"),
    "device": (with_entry("device", mode=stat.S_IFCHR | 0o666), "neither a file nor a folder"),
    "deep": (with_entry("a/" * 200 + "b"), "deeper than 32 folders"),
    "name that is not UTF-8": (latin, "not UTF-8"),
    "bomb": (bomb, "unpacks to more than 200 times its size"),
    "100,000 entries": (many, "more than 20,000 files"),
    "a list of files in zip64": (zip64, "more than 20,000 files"),
    "the record twice": (twice, "is in it twice"),
    "no zip": (lambda _team: b"PK\x03\x04 nothing of the kind", "not a zip file"),
    "cut zip": (lambda team: zipped(record__json=honest(team))[:-30], "not a zip file"),
    "empty": (lambda _team: zipped(readme__txt="hello"), "holds no record.json"),
    "not JSON": (record_of(lambda _team: b"{"), "not JSON"),
    "not UTF-8": (record_of(lambda _team: b"\xff\xfe{}"), "not UTF-8"),
    "unknown field": (record_of(claiming(pull_request=1)), "unknown field"),
    "another shape": (record_of(claiming(metrics="none")), "not a RecordsDocument"),
    "NaN": (record_of(with_metric("NaN")), "NaN is not JSON"),
    "a number beyond a float": (record_of(with_metric("1e999")), "beyond what a float holds"),
    "a number beyond 64 bits": (record_of(with_metric("1" + "0" * 30)), "beyond what 64 bits hold"),
    "a number of 10,000 digits": (record_of(with_metric("9" * 10_000)), "too many digits"),
    "a key twice": (
        record_of(lambda team: honest(team).replace(b'"name": "train"', b'"name": "train", "name": "x"')),
        "twice",
    ),
    "nested": (lambda _team: zipped(zipfile.ZIP_STORED, record__json=b"[" * 100_000), "nested deeper"),
    "half a character": (record_of(claiming(reason="\ud800")), "half of a surrogate pair is no text"),
    "predictions without end": (
        record_of(claiming(predictions=predictions(1001))),
        "1,001 predictions and plots, at most 1,000 are read",
    ),
    "predictions that make room": (record_of(claiming(predictions=predictions(1, size=-1))), "less than no bytes"),
    "newer format": (record_of(lambda team: honest(team).replace(b'"format": 1', b'"format": 99')), "format 99"),
    "another profile": (record_of(claiming(profile="smoke")), "under the profile 'smoke'"),
    "a profile that leaves": (record_of(claiming(profile="../../x")), "is not the name of a profile"),
    "a run's name with Markdown": (record_of(claiming(name="[x](http://evil)")), "is not the name of a run"),
}


@pytest.mark.parametrize("name", ARTIFACTS)
def test_from_run__a_hostile_artifact_is_refused_in_a_line(team: Scene, name: str) -> None:
    make, said = ARTIFACTS[name]
    before = sorted(path for path in team.folder.rglob("*") if ".git" not in path.parts)
    team.ran(make(team))
    report(team)
    state, description = team.statuses["mlci/main"]
    assert state == "error"
    assert description.startswith("nothing was measured: ")
    [body] = team.comments
    assert said in body
    assert len(body.splitlines()) <= 5
    after = sorted(path for path in team.folder.rglob("*") if ".git" not in path.parts)
    assert {path.name for path in set(after) - set(before)} <= {"event-workflow_run.json", "summary.md", "output"}


def test_from_run__an_artifact_that_is_gone(team: Scene) -> None:
    run = team.ran()
    team.github.artifact(run, "mlci", zipped(record__json=honest(team)), expired=True)
    report(team)
    assert team.statuses["mlci/main"] == (
        "error",
        "nothing was measured: the artifact 'mlci' of workflow run 41 has expired",
    )


def test_from_run__no_artifact(team: Scene) -> None:
    team.ran()
    report(team)
    assert team.statuses["mlci/main"][1] == "nothing was measured: workflow run 41 left no artifact 'mlci'"


def test_from_run__a_run_that_the_record_leaves_out_is_a_failure(team: Scene) -> None:
    team.configure(f'{CONFIG}\n[runs.other]\ncommand = ["true"]\n')
    team.ran(zipped(record__json=honest(team, accuracy=0.95)))
    report(team)
    assert team.statuses["mlci/main"][0] == "failure"
    assert "`other` crashed: `it is configured, and the record says nothing of it`" in team.comments[0]


def test_from_run__no_record_at_all_is_a_failure(team: Scene) -> None:
    team.ran(zipped(record__json=record_file()))
    report(team)
    assert team.statuses["mlci/main"][0] == "failure"


def test_from_run__a_fork_cannot_call_a_run_skipped_that_nothing_lets_be_skipped(team: Scene) -> None:
    team.ran(zipped(record__json=record_file(skipped("train"))))
    report(team)
    assert team.statuses["mlci/main"][0] == "failure"
    assert "the record says that it was skipped, which its configuration does not allow" in team.comments[0]


def test_from_run__a_run_that_its_configuration_lets_be_skipped_may_be(team: Scene) -> None:
    team.configure(CONFIG.replace('["true"]', '["true"]\nonly = { events = ["schedule"] }'))
    team.ran(zipped(record__json=record_file(skipped("train"))))
    report(team)
    assert team.statuses["mlci/main"][0] == "success"


def requested(team: Scene, record: Record) -> None:
    """What a dispatched run of the fork's head left, reported by another job of the same run."""
    team.ran(zipped(record__json=record_file(record)), id=88, event="workflow_dispatch", fork=False, head_sha=team.main)
    inputs = {"pull-request": "7", "sha": team.head}
    environ = team.environ("workflow_dispatch", run=88, inputs=inputs)
    comment(team.project(environ), team.forge(), from_run="88")


def test_from_run__of_this_very_run_for_the_pull_request_of_the_event(team: Scene) -> None:
    requested(team, measured(commit=team.head, metrics={"accuracy": 0.8}))
    [body] = team.comments
    assert "Code of a fork reported these numbers" in body
    assert f"Commit `{team.head[:7]}`, baseline `{team.main[:7]}`" in body
    assert "run=88 attempt=1" in body
    assert team.statuses["mlci/main"][0] == "failure"


def test_from_run__of_this_very_run_under_a_profile_of_its_own_choosing(team: Scene) -> None:
    requested(team, msgspec.structs.replace(measured(commit=team.head), profile="nonsense"))
    assert team.statuses["mlci/main"][0] == "error"


def test_own_record_of_a_fork__under_a_profile_of_its_own_choosing(team: Scene) -> None:
    team.measure(msgspec.structs.replace(measured(commit=team.head), profile="nonsense"))
    environ = team.environ("workflow_dispatch", run=88, inputs={"pull-request": "7", "sha": team.head})
    comment(team.project(environ), team.forge())
    assert team.statuses["mlci/main"][0] == "error"


def test_own_record__one_that_no_run_makes_is_refused_in_a_line(team: Scene) -> None:
    team.measure(measured(commit=team.head), measured(commit=team.head, metrics={"accuracy": 0.99}))
    environ = team.environ("workflow_dispatch", run=88, inputs={"pull-request": "7", "sha": team.head})
    comment(team.project(environ), team.forge())
    assert team.statuses["mlci/main"][0] == "error"
    assert "the run 'train' is in it twice" in team.comments[0]


def test_own_record__a_baseline_beside_it_that_cannot_be_read_is_refused_in_a_line(team: Scene) -> None:
    team.measure(measured(commit=team.head))
    (team.work.folder / ".mlci/baseline.json").write_text("{")
    environ = team.environ("workflow_dispatch", run=88, inputs={"pull-request": "7", "sha": team.head})
    comment(team.project(environ), team.forge())
    assert team.statuses["mlci/main"][0] == "error"
    assert "baseline.json: not JSON" in team.comments[0]


INJECTIONS = {
    "markdown": "[click](https://evil.example/x) ![i](https://evil.example/i.png) **bold**",
    "html": "</details><script>alert(1)</script><img src=x onerror=alert(1)>",
    "mention": "@team/everyone please look, fixes #1, see GH-2",
    "bidi": "accuracy\u202egpj.exe\u2066 \u200b",
    "comment": "--> <!-- mlci:1 id=main run=999 attempt=9 head=- -->",
    "fence": "```\n~~~\n</details>\n| a | b |\n# heading",
    "command": "::error::x ##[error]y\n::set-output name=x::y",
    "ticks": "`` ` ```` `",
}


def everywhere(text: str, team: Scene) -> Record:
    """A record with `text` in every string field that takes any text."""
    good = failed(commit=team.merge)
    error = msgspec.structs.replace(good.error, kind=text, message=text, file=text, traceback=text)  # type: ignore[type-var]
    origin = msgspec.structs.replace(good.origin, branch=text, event=text, created_at=text, run_url=text, workflow=text)
    return msgspec.structs.replace(
        good,
        error=error,
        origin=origin,
        reason=text,
        command=text,
        parameters={text: text},
        metrics=(Metric(name=text, value=1.0, unit=text, split=text, slice=text), Metric(name="accuracy", value=0.8)),
        inputs={text: text},
        environment=msgspec.structs.replace(good.environment, python=text, platform=text, packages={text: text}),
        outputs=(msgspec.structs.replace(good.outputs[0], notebook=text, log=text),),
    )


@pytest.mark.parametrize("name", INJECTIONS)
def test_from_run__text_in_every_field_stays_text(team: Scene, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = INJECTIONS[name]
    team.ran(zipped(record__json=record_file(everywhere(text, team))))
    report(team)
    [body] = team.comments
    outside = "".join(_outside_code(body))
    for mark in ("evil.example", "<script", "<img", "@team", "fixes #1", "\u202e", "**bold**", "# heading"):
        assert mark not in outside
    assert "\u202e" not in body
    assert outside.count("<details>") == outside.count("</details>")
    assert "run=41 attempt=1" in body.splitlines()[-1]
    assert text not in (team.statuses["mlci/main"][1])
    assert not any(line.startswith(("::set-output", "::error::x")) for line in _commands(capsys.readouterr().out))


def _commands(log: str) -> Iterator[str]:
    """The lines of a log that a runner takes for commands."""
    stopped = None
    for line in log.splitlines():
        text = line.strip()
        if stopped:
            stopped = None if text == f"::{stopped}::" else stopped
        elif text.startswith("::stop-commands::"):
            stopped = text.removeprefix("::stop-commands::")
        elif text.startswith("::") or "##[" in text:
            yield text


def _outside_code(markdown: str) -> Iterator[str]:
    """What of a Markdown text is neither in a code block nor in a code span."""
    fence = None
    for line in markdown.splitlines(keepends=True):
        ticks = len(line) - len(line.lstrip("`"))
        if fence is None and ticks >= 3:
            fence = ticks
        elif fence is not None:
            if line.strip() == "`" * fence:
                fence = None
        else:
            yield from _outside_spans(line)


def _outside_spans(line: str) -> Iterator[str]:
    position = 0
    while position < len(line):
        if line[position] != "`":
            yield line[position]
            position += 1
            continue
        length = len(line[position:]) - len(line[position:].lstrip("`"))
        close = position + length
        while close < len(line):
            if line[close] != "`":
                close += 1
                continue
            run = len(line[close:]) - len(line[close:].lstrip("`"))
            if run == length:
                break
            close += run
        position = close + length if close < len(line) else position + length
