"""Which files code writes and reads is read off its text, as far as that tells."""

from __future__ import annotations

import pytest

from mlci.adopting.python_code import of_python
from mlci.adopting.signs import Signs


def signs(*cells: str, tagged: int | None = None, path: str = "scripts/train.py") -> Signs:
    found = of_python(cells, tagged, path)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("json.dump(m, open('metrics.json', 'w'))", "metrics.json"),
        ("with open('out/metrics.json', mode='w') as f: json.dump(m, f)", "out/metrics.json"),
        ("Path('metrics.json').write_text(json.dumps(m))", "metrics.json"),
        ("with Path('metrics.json').open('w') as f: f.write('x')", "metrics.json"),
        ("OUT = Path('out')\n(OUT / 'metrics.json').write_text('x')", "out/metrics.json"),
        ("open(os.path.join('out', 'metrics.json'), 'w')", "out/metrics.json"),
        ("name = 'final'\nopen(f'out/{name}.json', 'w')", "out/final.json"),
        ("here = Path(__file__).resolve().parent\n(here / 'scores.json').write_text('x')", "/scripts/scores.json"),
        ("root = Path(__file__).parents[1]\n(root / 'scores.json').write_text('x')", "/scores.json"),
        ("p.add_argument('--out', default='o')\nargs = p.parse_args()\nopen(f'{args.out}/m.json', 'w')", "o/m.json"),
        ("open(os.environ.get('OUT', 'metrics.json'), 'w')", "metrics.json"),
        ("frame.to_csv('results.csv')", "results.csv"),
        ("joblib.dump(model, 'model.joblib')", "model.joblib"),
        ("torch.save(model.state_dict(), 'model.pt')", "model.pt"),
        ("pickle.dump(model, open('model.pkl', 'wb'))", "model.pkl"),
        ("plt.savefig('plot.png', dpi=100)", "plot.png"),
        ("if __name__ == '__main__':\n  open('metrics.json', 'w')", "metrics.json"),
        ("def main():\n  open('metrics.json', 'w')", "metrics.json"),
    ],
)
def test_of_python__finds_the_file_that_is_written(code: str, path: str) -> None:
    assert list(signs(code).writes) == [path]


@pytest.mark.parametrize(
    "code",
    [
        "if args.save: open('metrics.json', 'w')",  # only some executions write it, and a declared file must be there
        "try:\n  fit()\nexcept Error:\n  open('metrics.json', 'w')",
        "open(path, 'w')",
        "name = 'a'\nname = 'b'\nopen(name, 'w')",
        "open('metrics.json')",
        "s.replace('a', 'b')",
    ],
)
def test_of_python__says_nothing_of_what_may_not_be_written(code: str) -> None:
    assert list(signs(code).writes) == []


def test_of_python__what_is_read() -> None:
    found = signs("pd.read_csv('data/x.csv')\nopen('notes.txt').read()\njson.loads(Path('a.json').read_text())")
    assert set(found.reads) == {"data/x.csv", "notes.txt", "a.json"}


@pytest.mark.parametrize("code", ["model.fit(X, y)", "loss.backward()", "xgb.train(p, d)", "Trainer(m).train(x)"])
def test_of_python__fits(code: str) -> None:
    assert signs(code).fits is (code != "Trainer(m).train(x)")


def test_of_python__names_of_metrics_and_no_others() -> None:
    code = "metrics = {'accuracy': a, 'loss': 'mse', 'depth': 3}\nmetrics['test_f1'] = b\nlog_metric('auc', c)"
    found = signs(code)
    assert set(found.names) == {"accuracy", "test_f1", "auc"}
    assert found.logs == {"log"}


def test_of_python__arguments_variables_and_the_parameters_cell() -> None:
    code = "p.add_argument('--seed', type=int)\np.add_argument('--data', required=True)\np.add_argument('file')\n"
    found = signs(code, "os.environ['SEED'], os.getenv('MORE')", "trees = 10\nrate: float = 0.1\nf = g()", tagged=2)
    assert set(found.options) == {"--seed", "--data", "file"}
    assert set(found.required) == {"--data", "file"}
    assert set(found.variables) == {"SEED", "MORE"}
    assert found.parameters == {"trees": 10, "rate": 0.1}


def test_of_python__magics_are_no_mistake_and_other_languages_are_none() -> None:
    assert signs("%matplotlib inline\n!pip install x\nmodel.fit(1)").fits
    assert of_python(["f <- function(x) { x }"], None, "a.ipynb") is None


def test_metrics__are_told_from_other_files() -> None:
    found = signs(
        "m = {'accuracy': 1}",
        *(f"open('{name}', 'w')" for name in ("config.json", "final.json", "eval.csv", "predictions.csv", "model.pt")),
    )
    assert found.metrics == ("eval.csv", "final.json")
    assert found.artifacts == ("model.pt",)
