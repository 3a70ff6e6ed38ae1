"""Every mistake in a configuration is one line: file, key path, what was expected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fakes.repositories import ENVIRON, repository
from mlci.config import Config, load, resolve
from mlci.config.tables import CostTable
from mlci.errors import ConfigError

RUN = '[runs.train]\nscript = "train.py"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = repository(tmp_path / "repository")
    (made.folder / "train.py").touch()
    (made.folder / "note.ipynb").write_text("{}")
    (tmp_path / "outside.py").touch()
    (made.folder / "link.py").symlink_to(tmp_path / "outside.py")
    return made.folder


def loaded(root: Path, text: str, name: str = "mlci.toml") -> Config:
    (root / name).write_text(text)
    return load(root, file=None, environ=ENVIRON)


MISTAKES = [
    # text, the whole message (without "mlci.toml: "), the hint
    ('[runs.train]\nscrpt = "train.py"', "runs.train.scrpt: no such key", "Did you mean 'script'?"),
    ("[gates]", "gates: no such key", "Did you mean 'gate'?"),
    (
        "zzz = 1",
        "zzz: no such key",
        "Known here: artifacts, baseline, cost, defaults, gate, id, metrics, models, monitor, profiles, report, runs, "
        "targets.",
    ),
    ("[runs.train]\nscript = 3", "runs.train.script: expected a string, got 3", None),
    (f"{RUN}seeds = 3", "runs.train.seeds: expected a list of whole numbers, got 3", None),
    (f'{RUN}seeds = [0, "1"]', "runs.train.seeds[1]: expected a whole number, got '1'", None),
    *(
        (
            f"{RUN}parameters = {{ x = {written} }}",
            f"runs.train.parameters.x{inner}: expected a string, a finite number, true or false, got {shown}",
            "Write it as a string, in quotes.",
        )
        for written, inner, shown in (
            ("2024-01-31", "", "2024-01-31"),
            ("[1, inf]", "[1]", "inf"),
            ("{ y = 1_000_000_000_000_000_000_000 }", ".y", 10**21),
        )
    ),
    (f"{RUN}seeds = [1, 1]", "runs.train.seeds: the same seed stands twice", None),
    (
        f'{RUN}timeout = "soon"',
        'runs.train.timeout: expected a duration such as "90s", "30m" or "1h30m", got \'soon\'',
        None,
    ),
    (f"{RUN}timeout = 30", 'runs.train.timeout: expected a duration such as "90s", "30m" or "1h30m", got 30', None),
    (
        f'{RUN}notebook = "note.ipynb"',
        "runs.train: expected exactly one of notebook, script, command and committed, got notebook and script",
        None,
    ),
    *(
        (f"[runs.dvc]\ncommitted = true\n{lines}", f"runs.dvc.{said}", None)
        for lines, said in (
            ("", "metrics: expected the files that git holds, or the dvc.yaml that lists them"),
            ('metrics = ["*.json"]', "metrics[0]: expected the path of one file, got '*.json'"),
            ('metrics = ["a.json", "auto"]', "metrics[1]: expected the path of one file, got 'auto'"),
            (
                'metrics = ["m.json"]\nonly = { paths = "inputs" }',
                "only.paths: a committed run costs nothing and is always compared",
            ),
            *(
                (
                    f'metrics = ["m.json"]\n{key} = {value}',
                    f"{key}: a committed run is not executed: it has metrics only",
                )
                for key, value in (
                    ("seeds", "[1, 2]"),
                    ("artifacts", '["model.bin"]'),
                    ("parameters", "{ trees = 3 }"),
                    ("needs", '["train"]'),
                    ("timeout", '"3m"'),
                )
            ),
        )
    ),
    (
        "[runs.dvc]\ncommitted = false",
        "runs.dvc: expected exactly one of notebook, script, command and committed, got none",
        None,
    ),
    ("[defaults]\ncommitted = true", "defaults.committed: only a run can say this", "Move it to [runs.NAME]."),
    (
        f'{RUN}metrics = ["http://mlflow.internal:5000"]',
        'runs.train.metrics[0]: a server is asked with format = "mlflow" only',
        None,
    ),
    (
        f'{RUN}metrics = ["m.json", {{ path = "$MLFLOW_TRACKING_URI", format = "json" }}]',
        'runs.train.metrics[1]: a server is asked with format = "mlflow" only',
        None,
    ),
    (
        f'{RUN}metrics = [{{ path = "m.json", experiment = "churn" }}]',
        "runs.train.metrics[0]: experiment goes with the address of a tracking server",
        None,
    ),
    ("[runs.train]", "runs.train: expected exactly one of notebook, script, command and committed, got none", None),
    ("[runs.train]\ncommand = []", "runs.train.command: expected a list of strings, at least 1, got []", None),
    (
        '[runs.train]\ncommand = ["make"]\nargs = ["x"]',
        "runs.train.args: a command takes no args; they go with script",
        None,
    ),
    (f'{RUN}needs = ["trian"]', "runs.train.needs.trian: no such key", "Did you mean 'train'?"),
    (f'{RUN}needs = ["train"]', "runs.train.needs: a cycle: train -> train", None),
    (
        '[runs."a b"]\nscript = "train.py"',
        'runs."a b": expected a name of letters, digits, ".", "_" and "-" (at most 64, no "..")',
        None,
    ),
    ('id = "a/b"', 'id: expected a name of letters, digits, ".", "_" and "-" (at most 64, no ".."), got \'a/b\'', None),
    (
        f'{RUN}[metrics.loss]\nmax-regression = "lots"',
        'metrics."loss": max-regression: expected a number or a percentage such as "2%", got \'lots\'',
        None,
    ),
    (
        f"{RUN}[metrics.loss]\nmax-drop = -1",
        'metrics."loss": max-drop: expected a tolerance of at least 0, got -1',
        None,
    ),
    (f"{RUN}[metrics.loss]\nmin = 2\nmax = 1", 'metrics."loss": min 2 is above max 1', None),
    (f"{RUN}[metrics.loss]\nmin-n = 0", "metrics.loss.min-n: expected a whole number of at least 1, got 0", None),
    (
        f'{RUN}[metrics.loss]\ndirection = "up"',
        'metrics.loss.direction: expected "higher" or "lower" or "maximize" or "minimize", got \'up\'',
        None,
    ),
    (f'{RUN}[gate]\nmode = "maybe"', 'gate.mode: expected "enforce" or "report", got \'maybe\'', None),
    (f'{RUN}[baseline]\nmissing = "no"', 'baseline.missing: expected "report" or "run" or "fail", got \'no\'', None),
    (f"{RUN}[models.chrun]", "models.chrun.run.chrun: no such key", "Known here: train."),
    (f'{RUN}[models."a.b"]', 'models."a.b": expected a name of letters, digits, "-" and "_"', None),
    (f'{RUN}[models.m]\nrun = "train"\nstages = ["a", "a"]', "models.m.stages: the same stage stands twice", None),
    (f"{RUN}[cost]\ncpu-hour = -1", "cost.cpu-hour: expected a number of at least 0, got -1", None),
    (f"{RUN}[cost]\ncpu-hours = 1", "cost.cpu-hours: no such key", "Did you mean 'cpu-hour'?"),
    (
        f'{RUN}silence-timeout = "a while"',
        'runs.train.silence-timeout: expected a duration such as "90s", "30m" or "1h30m", got \'a while\'',
        None,
    ),
    *(
        (
            f"{RUN}{key} = {written}",
            f"runs.train.{key.replace('resources', 'resources.memory')}: "
            f'expected a size such as "512K", "1.5M" or "8G", got {shown}',
            None,
        )
        for key, written, shown in (
            ("max-output", "64", "64"),
            ("max-cell-output", "'much'", "'much'"),
            ("resources", "{ memory = '8 apples' }", "'8 apples'"),
        )
    ),
    (f"{RUN}resources = {{ gpus = 1 }}", "runs.train.resources.gpus: no such key", "Did you mean 'gpu'?"),
    (f"{RUN}resources = {{ gpu = -1 }}", "runs.train.resources.gpu: expected a number of at least 0, got -1", None),
    (f'{RUN}[defaults]\nscript = "train.py"', "defaults.script: only a run can say this", "Move it to [runs.NAME]."),
    (f'{RUN}[profiles.a]\nneeds = ["train"]', "profiles.a.needs: only a run can say this", "Move it to [runs.NAME]."),
    (
        f'{RUN}[profiles.a]\nevents = ["push"]\n[profiles.b]\nevents = ["push"]',
        "profiles.b.events: 'push' already chooses the profile 'a'",
        None,
    ),
    (
        f"{RUN}seeds = [1]\nparameters = {{ seed = 3 }}",
        "runs.train.parameters.seed: the seeds list gives this parameter",
        "Remove one of the two.",
    ),
    (f"{RUN}metrics = [{{ format = 'json' }}]", "runs.train.metrics[0].path: expected a string, it is absent", None),
    ("[runs.a]\nrun = =", "not TOML: Invalid value (at line 2, column 7)", None),
]


@pytest.mark.parametrize(("text", "message", "hint"), MISTAKES, ids=[item[1][:50] for item in MISTAKES])
def test_load__mistakes(root: Path, text: str, message: str, hint: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(root, text)
    assert caught.value.message == f"mlci.toml: {message}"
    assert caught.value.hint == hint


PATHS = [
    ('script = "trian.py"', "script: there is no file 'trian.py'"),
    ('script = "../outside.py"', "script: '../outside.py' leaves the repository"),
    ('script = "link.py"', "script: 'link.py' leaves the repository"),
    ('script = "/etc/passwd"', "script: expected a relative path with forward slashes, got '/etc/passwd'"),
    (r'script = "a\\b.py"', r"script: expected a relative path with forward slashes, got 'a\\b.py'"),
    ('script = ""', "script: expected a relative path with forward slashes, got ''"),
    ('notebook = "train.txt"', "notebook: there is no file 'train.txt'"),
    ('notebook = "*.txt"', "notebook: no file matches '*.txt'"),
    ('script = "train.py"\ncwd = "nowhere"', "cwd: there is no folder 'nowhere'"),
    ('script = "train.py"\ncwd = ".."', "cwd: '..' leaves the repository"),
    ('script = "train.py"\ninputs = ["data.csv"]', "inputs: there is no file 'data.csv'"),
    ('script = "train.py"\nmetrics = ["../../m.json"]', "metrics: '../../m.json' leaves the repository"),
    ('script = "train.py"\nartifacts = ["../*.bin"]', "artifacts: '../*.bin' leaves the repository"),
    ('script = "train.py"\npredictions = "/tmp/p.csv"', "predictions: expected a relative path"),
    ('script = "train.py"\ncheckpoint = "../ckpt"', "checkpoint: '../ckpt' leaves the repository"),
    ('script = "train.py"\nreuse = true', "reuse: a run that is reused must declare its inputs"),
]


@pytest.mark.parametrize(("text", "message"), PATHS, ids=[item[1][:60] for item in PATHS])
def test_resolve__paths_that_are_not_there_or_leave_the_repository(root: Path, text: str, message: str) -> None:
    config = loaded(root, f"[runs.train]\n{text}")
    with pytest.raises(ConfigError) as caught:
        resolve(config, "default")
    assert caught.value.message.startswith(f"mlci.toml: runs.train.{message}")


def test_load__a_cycle_of_three(root: Path) -> None:
    runs = "".join(f'[runs.{name}]\nscript = "train.py"\nneeds = ["{need}"]\n' for name, need in ("ab", "bc", "ca"))
    with pytest.raises(ConfigError, match=re.escape("needs: a cycle: ")):
        loaded(root, runs)


def test_load__tool_table_in_pyproject(root: Path) -> None:
    config = loaded(root, '[tool.mlci.runs.train]\nscript = "train.py"\n', "pyproject.toml")
    assert list(config.settings.runs) == ["train"]


def test_load__both_files_is_an_error(root: Path) -> None:
    loaded(root, RUN)
    with pytest.raises(ConfigError, match=r"both mlci.toml and \[tool.mlci\] in pyproject.toml configure mlci"):
        loaded(root, '[tool.mlci.runs.train]\nscript = "train.py"\n', "pyproject.toml")


def test_load__goes_up_to_the_repository_s_top_and_no_further(root: Path) -> None:
    (root / "deep/er").mkdir(parents=True)
    loaded(root, RUN)
    assert load(root / "deep/er", file=None, environ=ENVIRON).root == root.resolve()
    (root / "mlci.toml").rename(root.parent / "mlci.toml")
    with pytest.raises(ConfigError, match=r"no mlci.toml"):
        load(root / "deep", file=None, environ=ENVIRON)


def test_load__a_file_that_is_named(root: Path) -> None:
    (root / "other.toml").write_text(RUN)
    assert load(root, file=root / "other.toml", environ=ENVIRON).shown == "other.toml"
    with pytest.raises(ConfigError, match=r"gone.toml: cannot be read: No such file"):
        load(root, file=root / "gone.toml", environ=ENVIRON)
    with pytest.raises(ConfigError, match="not a file"):
        load(root, file=Path("/dev/zero"), environ=ENVIRON)
    with pytest.raises(ConfigError, match="larger than"):
        loaded(root, "#" * 1_100_000)


def test_load__prices(root: Path) -> None:
    assert loaded(root, RUN).settings.cost == CostTable()
    config = loaded(root, f'{RUN}[cost]\ncpu-hour = 0.05\ngpu-hour = 2\ncurrency = "EUR"\n')
    assert config.settings.cost == CostTable(cpu_hour=0.05, gpu_hour=2.0, currency="EUR")


def test_rules__own_ones_are_a_tier_before_all(root: Path) -> None:
    config = loaded(root, f"{RUN}[runs.train.rules.loss]\nmax = 1\n[metrics.loss]\nmax = 2\n")
    assert [[rule.max for rule in tier] for tier in config.rules("train")] == [[1], [2]]
    assert [[rule.max for rule in tier] for tier in config.rules("other")] == [[], [2]]


def test_rules__of_a_table_whose_glob_makes_several_runs(tmp_path: Path) -> None:
    (tmp_path / "mlci.toml").write_text(
        '[runs.nb]\nnotebook = "nb/*.ipynb"\n[runs.nb.rules.accuracy]\nmin = 0.9\n'
        '[runs."nb.deep"]\nscript = "deep.py"\n[runs."nb.deep".rules.loss]\nmax = 1.0\n'
    )
    config = load(tmp_path, file=None, environ=ENVIRON)
    assert [rule.pattern for rule in config.rules("nb.train")[0]] == ["accuracy"]
    assert [rule.pattern for rule in config.rules("nb.deep")[0]] == ["loss"]
    assert config.rules("other")[0] == ()
