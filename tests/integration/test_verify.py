"""`mlci verify`: what a release predicts against what the lab predicted, by loading it and over HTTP."""

from __future__ import annotations

import hashlib
import json
import platform
import socket
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.command_line import Done, Workbench, workbench
from fakes.loopback import Answer, Request, free_port, serving
from fakes.records import record
from mlci.actions import Actions
from mlci.core.documents import Environment, encode
from mlci.core.release import Deployment, Release, ReleaseFile, Verification
from mlci.errors import DocumentError, VerifyError
from mlci.project import Invocation, Project
from mlci.releasing import asking
from mlci.releasing import folder as layout
from mlci.releasing.gathering import describe
from mlci.releasing.golden import Golden
from mlci.releasing.verification import load

CONFIG = """
[runs.churn]
command = ["python", "train.py"]

[targets.production]
kind = "folder"
url = "{url}"

[models.churn.verify]
{verify}
"""
BY_COMMAND = 'command = ["python", "predict.py"]\n'
PREDICT = """
import json, os
factor = float(open("model.bin").read())
with open(os.environ["MLCI_GOLDEN"]) as asked, open(os.environ["MLCI_PREDICTIONS"], "w") as out:
    for line in asked:
        example = json.loads(line)
        assert set(example) == {"id", "input"}, example
        out.write(json.dumps({"id": example["id"], "prediction": factor * example["input"], "latency_s": 0.01}) + "\\n")
"""
GOLDEN = "".join(
    json.dumps({"id": f"c{number}", "input": number, "prediction": 0.9 * number, "latency_s": 0.001}) + "\n"
    for number in range(8)
)


class Bench:
    """A repository with a release in it."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.folder = bench.folder / ".mlci" / layout.FOLDER
        self.digest = ""

    def configure(self, verify: str = BY_COMMAND, url: str = "http://127.0.0.1:1") -> None:
        self.bench.write(mlci__toml=CONFIG.format(verify=verify, url=url))

    def release(self, model: str = "0.9", predict: str = PREDICT, golden: str | None = GOLDEN, **packages: str) -> None:
        """Make one by hand."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files: list[ReleaseFile] = []
        for name, text in {"model.bin": model, "predict.py": predict}.items():
            (self.folder / name).write_text(text)
            files.append(describe(self.folder / name, "artifact"))
        if golden is not None:
            (self.folder / "golden.jsonl").write_text(golden)
            files.append(describe(self.folder / "golden.jsonl", "golden"))
        environment = Environment(
            python=platform.python_version(),
            implementation=platform.python_implementation(),
            packages=packages,
        )
        document = Release(
            model="churn",
            version="v0.1.0",
            tag="churn@v0.1.0",
            commit="a" * 40,
            created_at="2026-01-02T03:04:05+00:00",
            record=msgspec.structs.replace(record(), environment=environment),
            files=tuple(files),
        )
        self.digest = layout.write(self.folder, document)

    def verify(self, *arguments: str, python: str | None = sys.executable, **environ: str) -> Done:
        given = ("--python", python) if python else ()
        return self.bench.mlci("verify", *given, *arguments, **environ)

    @property
    def path(self) -> Path:
        return self.bench.folder / ".mlci/verification.json"

    @property
    def document(self) -> Any:
        return json.loads(self.path.read_text())

    def load(self, digest: str | None = None) -> Verification:
        environ = self.bench.environ
        invocation = Invocation(environ, self.bench.folder, None, lambda _: None, Actions(environ, sys.stdout))
        return load(Project.open(invocation), digest or self.digest)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(workbench(tmp_path))
    made.configure()
    made.release()
    return made


def test_verify__by_loading(bench: Bench) -> None:
    done = bench.verify()
    assert done.code == 0, done.err
    assert done.out == "verified churn v0.1.0: 8 golden examples agree, 0.01 s each\n"
    assert "not in a clean environment of the recorded packages" in done.err
    found = bench.load()
    assert (found.method, found.passed, found.compared, found.differing) == ("load", True, 8, 0)
    assert (found.lab_latency_s, found.latency_s, found.digest) == (0.001, 0.01, bench.digest)


def test_verify__a_model_that_predicts_otherwise(bench: Bench) -> None:
    bench.release(model="0.8")
    done = bench.verify("--json")
    assert done.code == 7
    assert "error: churn v0.1.0 is not verified: 7 of 8 golden examples differ\n" in done.err  # of 0 none differs
    assert "  c1: the lab predicted 0.9, now 0.8\n" in done.err
    assert "  and 2 more\n" in done.err
    assert json.loads(done.out) == bench.document
    assert (bench.document["passed"], bench.document["differing"]) == (False, 7)
    assert bench.document["mismatches"][0] == {"id": "c1", "expected": "0.9", "got": "0.8"}
    with pytest.raises(VerifyError, match="7 of 8 golden examples differ"):
        bench.load()


def test_verify__the_answers_are_not_given(bench: Bench) -> None:
    look = "\nassert sorted(os.listdir()) == ['model.bin', 'predict.py'], os.listdir()\n"
    environment = (
        "assert os.environ['MLCI_MODEL'] + os.environ['MLCI_VERSION'] == 'churnv0.1.0'\n"
        "assert not {'GITHUB_TOKEN', 'PYTHONPATH', 'ACTIONS_RUNTIME_TOKEN'} & set(os.environ)\n"
    )
    bench.release(predict=PREDICT + look + environment)
    done = bench.verify(GITHUB_TOKEN="ghs_mine", PYTHONPATH="/nowhere", ACTIONS_RUNTIME_TOKEN="x")
    assert done.code == 0, done.err  # on a laptop a token is no reason to refuse


def test_verify__what_the_model_writes_does_not_change_the_release(bench: Bench) -> None:
    bench.release(predict=PREDICT + "\nopen('model.bin', 'w').write('1'); open('more', 'w').write('1')\n")
    assert bench.verify().code == 0
    assert layout.read(bench.folder).digest == bench.digest
    assert bench.verify().code == 0


def test_verify__a_loader_of_the_repository(bench: Bench) -> None:
    bench.release(predict="raise SystemExit('not this one')")
    bench.bench.write(loader__py=PREDICT)
    bench.configure('command = ["python", "loader.py"]')
    done = bench.verify()
    assert (done.code, 'say "{root}/loader.py"' in done.err) == (7, True)
    bench.configure('command = ["python", "{root}/loader.py"]')
    done = bench.verify()
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("predict", "reason"),
    [
        ("raise ValueError('no such weight ::error::x')", "verify.command exited 1\n"),
        ("import os; os.kill(os.getpid(), 9)", "verify.command was ended by signal 9"),
        ("", "verify.command wrote no predictions"),
        ("import os; os.symlink('model.bin', os.environ['MLCI_PREDICTIONS'])", "verify.command wrote no predictions"),
        ("import os; open(os.environ['MLCI_PREDICTIONS'], 'w').write('{}')", "predictions: line 1: no 'id'"),
        ("import os; open(os.environ['MLCI_PREDICTIONS'], 'w').write('[NaN]')", "predictions: line 1: NaN is not JSON"),
        ("import os; open(os.environ['MLCI_PREDICTIONS'], 'w')", "8 of 8 golden examples differ"),
    ],
)
def test_verify__a_command_that_does_not_predict(bench: Bench, predict: str, reason: str) -> None:
    bench.release(predict=predict)
    done = bench.verify()
    assert done.code == 7
    assert f"error: churn v0.1.0 is not verified: {reason}" in done.err
    assert "\n::error" not in done.err
    assert bench.document["passed"] is False


def test_verify__a_command_that_takes_too_long(bench: Bench) -> None:
    bench.release(predict="import time; time.sleep(100)")
    bench.configure(BY_COMMAND + 'timeout = "1s"')
    started = time.monotonic()
    done = bench.verify()
    assert (done.code, "verify.command did not end in time" in done.err) == (7, True)
    assert time.monotonic() - started < 30


def test_verify__a_program_that_is_not_there(bench: Bench) -> None:
    bench.configure('command = ["no-such-program"]')
    done = bench.verify()
    assert (done.code, "verify.command: no-such-program: No such file or directory" in done.err) == (7, True)


def test_verify__slower_than_allowed(bench: Bench) -> None:
    bench.configure(BY_COMMAND + "max-latency = 5")
    done = bench.verify()
    assert done.code == 7
    assert "a prediction takes 0.01 s, more than 5 times the lab's 0.001 s" in done.err
    bench.configure(BY_COMMAND + "max-latency = 20")
    assert bench.verify().code == 0


def test_verify__within_the_tolerance(bench: Bench) -> None:
    bench.release(model="0.9001")
    assert bench.verify().code == 7
    bench.configure(BY_COMMAND + "tolerance = 0.001")
    assert bench.verify().code == 0


def test_verify__a_release_without_golden_examples(bench: Bench) -> None:
    assert bench.verify().code == 0
    for file in bench.folder.iterdir():
        file.unlink()
    bench.release(golden=None)
    done = bench.verify()
    assert done.code == 7
    assert "error: the release churn@v0.1.0 has no golden examples" in done.err
    assert not bench.path.exists()  # nor an answer of before


def test_verify__a_file_that_was_changed(bench: Bench) -> None:
    (bench.folder / "model.bin").write_text("0.91")
    done = bench.verify()
    assert (done.code, "model.bin: not what SHA256SUMS says" in done.err) == (7, True)


def test_verify__no_release(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = bench.verify("--release", str(tmp_path / "empty"))
    assert (done.code, "empty/SHA256SUMS: there is none" in done.err) == (7, True)


@pytest.mark.parametrize("token", ["GITHUB_TOKEN", "MLCI_GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
def test_verify__holds_no_token(bench: Bench, token: str) -> None:
    done = bench.verify(GITHUB_ACTIONS="true", **{token: "ghs_secret"})
    assert done.code == 2
    assert f"error: {token} is set: verify loads models, so it holds no token" in done.err
    assert "ghs_secret" not in done.out + done.err
    assert not bench.path.exists()
    assert bench.verify(GITHUB_ACTIONS="true", **{token: ""}).code == 0


@pytest.mark.parametrize(
    ("verify", "arguments", "code", "message"),
    [
        ("", (), 3, "mlci.toml: models.churn.verify: neither command nor url is set"),
        ("", ("--method", "load"), 3, "mlci.toml: models.churn.verify.command: not set"),
        ("", ("--url", "file:///etc/passwd"), 2, "none of http or https"),
        ("", ("--target", "prodution"), 3, "mlci.toml: targets.prodution: no such key"),
    ],
)
def test_verify__a_configuration_that_does_not_say_how(
    bench: Bench, verify: str, arguments: tuple[str, ...], code: int, message: str
) -> None:
    bench.configure(verify)
    done = bench.verify(*arguments)
    assert (done.code, message in done.err) == (code, True), done.err


def test_load__is_bound_to_the_release(bench: Bench) -> None:
    with pytest.raises(VerifyError, match=r"\.mlci/verification\.json: there is none"):
        bench.load()
    bench.verify()
    assert bench.load().passed
    with pytest.raises(
        VerifyError, match=r"is of another release \(churn v0\.1\.0, [0-9a-f]{12}\), not of 000000000000"
    ):
        bench.load("0" * 64)
    good = bench.load()
    for lie in ({"compared": 0}, {"differing": 1}):
        bench.path.write_bytes(encode(msgspec.structs.replace(good, **lie)))
        with pytest.raises(VerifyError, match="does not agree with itself"):
            bench.load()
    bench.path.write_bytes(b"{}")
    with pytest.raises(DocumentError, match="not a Verification"):
        bench.load()


# In a clean environment


def wheel(folder: Path, name: str, version: str, **modules: str) -> None:
    """A wheel of modules."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {f"{module}.py": text for module, text in modules.items()} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: not-recorded\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))


CLEAN = "\nimport tiny, sys; assert tiny.VERSION == 1, tiny; assert sys.prefix != sys.base_prefix\n"


@pytest.fixture
def indexed(bench: Bench, tmp_path: Path) -> Iterator[Callable[[], Done]]:
    """Verifies with an index of the test's own."""
    wheels = tmp_path / "wheels"
    wheel(wheels, "tiny", "1.0", tiny="VERSION = 1")
    wheel(wheels, "tiny", "2.0", tiny="VERSION = 2")
    wheel(wheels, "ours", "0.1", ours="raise SystemExit('a stranger')")
    bench.bench.write(pyproject__toml='[project]\nname = "Ours"\nversion = "0.1"\n')

    def index(request: Request) -> Answer:
        name = request.path.strip("/").rpartition("/")[2]
        if name.endswith(".whl"):
            return Answer(body=(wheels / name).read_bytes())
        links = "".join(f'<a href="/{path.name}">{path.name}</a>' for path in wheels.glob(f"{name}-*.whl"))
        return Answer(body=links.encode(), headers={"Content-Type": "text/html"}) if links else Answer(status=404)

    with serving(index) as url:
        yield lambda: bench.verify(python=None, UV_DEFAULT_INDEX=f"{url}/simple")


def test_verify__in_a_clean_environment_of_the_recorded_packages(bench: Bench, indexed: Callable[[], Done]) -> None:
    absent = "\nimport importlib.util as found; assert not any(map(found.find_spec, ('msgspec', 'ours', 'mlci')))\n"
    bench.release(
        predict=CLEAN + absent + PREDICT, tiny="1.0", ours="0.1", mlci="0.1.0", **{"from-a-folder": "3", "tiny2": "4"}
    )
    first = indexed()
    assert first.code == 0, first.err
    left_out = (
        "not in the clean environment, as they are from no index: mlci==0.1.0, ours==0.1, from-a-folder==3, tiny2==4"
    )
    assert left_out in first.err
    assert "made a clean environment" in first.err
    again = indexed()
    assert again.code == 0, again.err
    assert left_out in again.err
    assert "verifying in the clean environment of the last time" in again.err


def test_verify__a_clean_environment_lacks_what_was_not_recorded(bench: Bench, indexed: Callable[[], Done]) -> None:
    bench.release(predict=CLEAN + PREDICT)
    done = indexed()
    assert done.code == 7
    assert "ModuleNotFoundError: No module named 'tiny'" in done.err


def test_verify__an_environment_of_another_version_is_another(bench: Bench, indexed: Callable[[], Done]) -> None:
    bench.release(predict=CLEAN + PREDICT, tiny="1.0")
    assert indexed().code == 0
    bench.release(predict=CLEAN + PREDICT, tiny="2.0")
    assert indexed().code == 7


def test_verify__an_environment_that_was_half_made_is_made_again(bench: Bench, indexed: Callable[[], Done]) -> None:
    bench.release(predict=CLEAN + PREDICT, tiny="1.0")
    indexed()
    [ready] = bench.bench.home.glob(".cache/mlci/environments/*/mlci-ready.json")
    ready.unlink()
    done = indexed()
    assert (done.code, "made a clean environment" in done.err) == (0, True)


def test_verify__an_index_out_of_reach_is_no_reason_to_leave_packages_out(bench: Bench) -> None:
    bench.release(tiny="1.0")
    environ = {"UV_DEFAULT_INDEX": f"http://127.0.0.1:{free_port()}/simple", "UV_HTTP_RETRIES": "0"}
    done = bench.verify(python=None, **environ)
    assert done.code == 7
    assert "the recorded packages cannot be installed" in done.err
    assert "made a clean environment" not in done.err
    assert list(bench.bench.home.glob(".cache/mlci/environments/*")) == []


# Over HTTP


def predicting(factor: float, field: str | None = "score") -> Callable[[Request], Answer]:
    """Serves a model."""

    def answer(request: Request) -> Answer:
        assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
        value = factor * json.loads(request.body)
        return Answer(body=json.dumps({field: value, "other": 1} if field else value).encode())

    return answer


def test_verify__over_http(bench: Bench) -> None:
    with serving(predicting(0.9)) as url:
        bench.configure(f'url = "{url}/predict"\nfield = "score"')
        done = bench.verify(python=None)
    assert done.code == 0, done.err
    assert (bench.load().method, bench.load().compared) == ("http", 8)
    assert 0 < (bench.load().latency_s or 0) < 5


def test_verify__over_http_whatever_the_address_comes_from(bench: Bench) -> None:
    with serving(predicting(0.9, None)) as url:
        assert bench.verify("--url", url).code == 0  # although there is a command
        bench.configure("", url)
        assert bench.verify("--target", "production").code == 0
        assert bench.load().method == "http"
        assert bench.verify("--method", "http").code == 3


def test_verify__over_http_not_before_the_address_answers_for_the_version(bench: Bench) -> None:
    document = Deployment(
        model="churn", version="v0.1.0", digest=bench.digest, target="production", state="uploaded", previous="v0.0.9"
    )
    (bench.folder.parent / "deployment.json").write_bytes(encode(document))
    with serving(predicting(0.9)) as url:
        bench.configure(f'url = "{url}"\nfield = "score"')
        done = bench.verify()
        assert done.code == 2
        assert "production still serves v0.0.9, so its address does not answer for v0.1.0" in done.err
        assert bench.verify("--url", url).code == 0


def test_verify__over_http_another_model(bench: Bench) -> None:
    with serving(predicting(0.5)) as url:
        bench.configure(f'url = "{url}"\nfield = "score"')
        done = bench.verify()
    assert done.code == 7
    assert "c2: the lab predicted 1.8, now 1.0" in done.err


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(body=b"<html>"), "example c0: the answer: not JSON"),
        (Answer(body=b'{"score": NaN}'), "example c0: the answer: NaN is not JSON"),
        (Answer(body=b'{"a": 1, "b": 2}'), "example c0: the answer has no 'score'; it is an object with a, b"),
        (Answer(body=b"[1]"), "example c0: the answer has no 'score'; it is list"),
        (Answer(status=500, body=b"no\nweights ::error::"), "example c0: HTTP 500: no weights ::error::"),
        (Answer(status=404), "example c0: HTTP 404\n"),
        (Answer(status=302, headers={"Location": "/other"}), "HTTP 302, a redirect that is not followed"),
        (
            Answer(status=307, headers={"Location": "http://localhost:1/predict"}),
            "HTTP 307, a redirect that is not followed",
        ),
        (Answer(status=307, headers={"Location": "/again"}), "example c0: too many redirects"),
    ],
)
def test_verify__over_http_what_is_no_prediction(bench: Bench, answer: Answer, message: str) -> None:
    with serving(lambda _: answer) as url:
        bench.configure(f'url = "{url}/predict?key=hidden"\nfield = "score"')
        done = bench.verify()
    assert done.code == 7
    assert message in done.err
    assert "hidden" not in done.out + done.err + bench.path.read_text()
    assert bench.document["passed"] is False


def test_predict__an_answer_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_MAX_ANSWER", 10)
    with serving(lambda _: Answer(body=b"1" * 11)) as url:
        endpoint = asking.Endpoint(url=url, field=None, end=time.monotonic() + 60)
        with pytest.raises(VerifyError, match="example a: the answer is larger than 10 bytes"):
            endpoint.predict([Golden(id="a", input=1, prediction=1)])


def test_verify__over_http_follows_to_the_same_server(bench: Bench) -> None:
    model = predicting(0.9)

    def moved(request: Request) -> Answer:
        return Answer(status=308, headers={"Location": "/v2"}) if request.path == "/" else model(request)

    with serving(moved) as url:
        bench.configure(f'url = "{url}"\nfield = "score"')
        assert bench.verify().code == 0


def test_verify__over_http_waits_for_one_that_is_starting(bench: Bench) -> None:
    model, seen = predicting(0.9), []

    def starting(request: Request) -> Answer:
        seen.append(request)
        return Answer(status=503) if len(seen) < 3 else model(request)

    with serving(starting) as url:
        bench.configure(f'url = "{url}"\nfield = "score"')
        assert bench.verify().code == 0
    assert len(seen) == 2 + 8


def test_verify__over_http_out_of_reach(bench: Bench) -> None:
    bench.configure(f'url = "http://127.0.0.1:{free_port()}"\ntimeout = "2s"')
    done = bench.verify()
    assert (done.code, "example c0: not reached (NewConnectionError)" in done.err) == (7, True), done.err


@contextmanager
def dripping() -> Iterator[str]:
    """A server that always has one more byte."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"1")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        stop.set()
        thread.join()


@contextmanager
def sleeping() -> Iterator[str]:
    """A server that thinks."""
    stop = threading.Event()

    def answer(_: Request) -> Answer:
        stop.wait(20)
        return Answer(body=b"1")

    with serving(answer) as url:
        yield url
        stop.set()


@pytest.mark.parametrize("server", [dripping, sleeping])
def test_verify__over_http_too_slow(bench: Bench, server: Any) -> None:
    with server() as url:
        bench.configure(f'url = "{url}"\ntimeout = "1s"')
        started = time.monotonic()
        done = bench.verify()
        took = time.monotonic() - started
    assert (done.code, "example c0: no answer in time" in done.err) == (7, True), done.err
    assert took < 30


# The whole way

TRAIN = """
import json, pickle, time
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

data = load_breast_cancer()
inputs, labels = data.data[:, :4] / data.data[:, :4].max(axis=0), data.target
model = LogisticRegression().fit(inputs[:400], labels[:400])
json.dump({"accuracy": model.score(inputs[400:], labels[400:])}, open("metrics.json", "w"))
pickle.dump(model, open("model.pickle", "wb"))
with open("golden.jsonl", "w") as file:
    for number, row in enumerate(inputs[400:].tolist()):
        start = time.perf_counter()
        prediction = model.predict_proba([row])[0].tolist()
        example = {"id": number, "input": row, "prediction": prediction, "latency_s": time.perf_counter() - start}
        file.write(json.dumps(example) + "\\n")
"""
LOADER = """
import json, os, pickle
model = pickle.load(open("model.pickle", "rb"))
with open(os.environ["MLCI_GOLDEN"]) as asked, open(os.environ["MLCI_PREDICTIONS"], "w") as out:
    for line in asked:
        example = json.loads(line)
        row = [value * SCALE for value in example["input"]]
        out.write(json.dumps({"id": example["id"], "prediction": model.predict_proba([row])[0].tolist()}) + "\\n")
"""
WHOLE = """
[runs.tumours]
command = ["python", "train.py"]
metrics = ["metrics.json"]
artifacts = ["model.pickle", "golden.jsonl"]

[models.tumours]
golden = "golden.jsonl"
golden-count = 20

[models.tumours.verify]
command = ["python", "{root}/loader.py"]

[baseline]
store = "folder"
options = { path = "baselines" }
"""


def test_verify__a_model_of_scikit_learn_from_its_run_to_its_verification(tmp_path: Path) -> None:
    made = Bench(workbench(tmp_path))
    made.bench.write(
        mlci__toml=WHOLE,
        train__py=TRAIN,
        loader__py=LOADER.replace("SCALE", "1"),
        __gitignore="baselines/\n*.json\n*.jsonl\n*.pickle\n",
    )
    made.bench.commit()
    for command in (["run"], ["record"], ["baseline", "save"], ["release"]):
        done = made.bench.mlci(*command)
        assert done.code == 0, done.err
    done = made.verify()
    assert done.code == 0, done.err
    assert done.out == "verified tumours v0.1.0: 20 golden examples agree\n"
    sums = hashlib.sha256((made.folder / "SHA256SUMS").read_bytes()).hexdigest()
    assert made.load(sums).lab_latency_s is not None
    # What serves it forgets the scale that it was trained with.
    made.bench.write(loader__py=LOADER.replace("SCALE", "100"))
    done = made.verify()
    assert done.code == 7
    assert "is not verified: 20 of 20 golden examples differ" in done.err
    assert "[0] = " in done.err
