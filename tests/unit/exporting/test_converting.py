"""Real-shaped notebooks become scripts that compile and know all their names, or are refused with a reason."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from fakes.notebooks import corpus, from_corpus, notebook_of
from mlci.exporting.converting import Script, Surroundings, convert
from mlci.exporting.findings import Findings
from mlci.exporting.reading import read

REFUSED = {
    "refused_argparse": ["args, _ = parser.parse_known_args(): it would read the script's own command line"],
    "refused_colab": ["from google.colab import drive: it exists in Colab only"],
    "refused_derived": [
        'path = os.path.join(root, "x.csv"): it uses root, and papermill computes it before it sets root'
    ],
    "refused_file": [
        "here = os.path.dirname(__file__): a notebook has no file, and a script has one",
        "if 'ipykernel' in sys.modules: it asks whether this is a notebook",
    ],
    "refused_input": ['name = input("Which model? "): nobody answers a script'],
    "refused_sql": [
        "%sql sqlite://: there is no Python for this magic",
        "rows = %sql SELECT 1: there is no Python for this magic",
    ],
    "refused_undefined": [
        "model = build(trees): no cell says what build is",
        "model = build(trees): no cell says what trees is",
        "print(_): _ is a result that only a notebook keeps",
    ],
    "refused_widgets": [
        "import ipywidgets as widgets: widgets need a notebook to answer them",
        "from ipywidgets import interact: widgets need a notebook to answer them",
    ],
}
MODULES = frozenset({"helper_of_export", "helpers_to_run", "rules"})


def converted(folder: Path, text: str, **surroundings: Any) -> tuple[Script | None, Findings]:
    path = folder / "notebook.ipynb"
    path.write_text(text, encoding="utf-8")
    findings = Findings()
    return convert(read(path, findings), Surroundings(**surroundings), findings), findings


def script_of(folder: Path, text: str, **surroundings: Any) -> str:
    script, findings = converted(folder, notebook_of(text), **surroundings)
    assert script is not None, findings.refused
    return script.text


def ran(text: str, **given: Any) -> dict[str, Any]:
    """The globals that a script leaves, run in this process with arguments for main()."""
    space: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "script", "exec"), space)  # noqa: S102 - what is tested
    with contextlib.redirect_stdout(io.StringIO()):
        space["main"](**given)
    return space


def part(text: str, name: str = "main") -> str:
    """The body of a function of the script, without its docstring."""
    tree = ast.parse(text)
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return "\n".join(ast.unparse(node) for node in function.body[1:])


@pytest.mark.parametrize("name", [name for name in corpus() if name not in REFUSED])
def test_convert__a_real_notebook_becomes_a_whole_script(tmp_path: Path, name: str) -> None:
    script, findings = converted(tmp_path, from_corpus(name), modules=MODULES)
    assert findings.refused == []
    assert script is not None
    compile(script.text, name, "exec")
    assert "_mlci_" not in script.text


@pytest.mark.parametrize("name", REFUSED)
def test_convert__what_cannot_be_translated_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    script, findings = converted(tmp_path, from_corpus(name), modules=MODULES)
    assert script is None
    assert [str(finding).split(": ", 1)[1] for finding in findings.refused] == REFUSED[name]
    assert all(finding.remedy for finding in findings.refused)


def test_convert__every_notebook_of_the_corpus_is_known_here() -> None:
    assert {name for name in corpus() if name.startswith("refused")} == REFUSED.keys()
    assert len(corpus()) - len(REFUSED) >= 20


def test_convert__a_later_assignment_is_seen_by_functions_as_in_a_notebook(tmp_path: Path) -> None:
    text = script_of(
        tmp_path,
        "# %% parameters\nscale = 2\n# %%\nkept = []\n"
        "def times(v):\n    return v * scale\n# %%\nkept.append(times(1))\nscale = 10\nkept.append(times(1))\n"
        "# %%\ndef out():\n    return kept\n",
    )
    assert ran(text)["out"]() == [2, 10]
    assert ran(text, scale=3)["out"]() == [3, 10]


def test_convert__functions_that_use_no_variable_are_functions_of_the_module(tmp_path: Path) -> None:
    text = script_of(
        tmp_path,
        "# %%\nimport math\nLIMIT = 3\nfactor = 2\n"
        "def free(v):\n    return math.sqrt(v) + LIMIT\n\ndef bound(v):\n    return free(v) * factor\n"
        "# %%\nresult = bound(4)\n",
    )
    names = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert names == ["free", "main", "_command_line"]
    assert part(text).startswith("global bound\n")


def test_convert__classes_are_found_where_pickle_looks_for_them(tmp_path: Path) -> None:
    text = script_of(
        tmp_path,
        "# %%\nfrom collections import namedtuple\nn = 1\nPoint = namedtuple('Point', 'x')\n"
        "class Counter:\n    def get(self):\n        return n\n",
    )
    found = ran(text)
    assert (found["Counter"].__qualname__, found["Point"].__name__) == ("Counter", "Point")


def test_convert__a_builtin_is_itself_until_a_cell_hides_it(tmp_path: Path) -> None:
    text = script_of(
        tmp_path,
        "# %%\nfirst = max([1, 2])\nmax = 5\nkeep = dict(first=first, max=max)\ndef out():\n    return keep\n",
    )
    assert ran(text)["out"]() == {"first": 2, "max": 5}


def test_convert__a_class_body_reads_the_variable_of_the_same_name(tmp_path: Path) -> None:
    text = script_of(
        tmp_path,
        "# %% parameters\nsize = 4\n# %%\nsize = size + 1\nclass Config:\n    size: int = size\n",
    )
    assert ran(text)["Config"].size == 5
    assert ran(text, size=7)["Config"].size == 8


def test_convert__names_in_queries_of_functions_are_global(tmp_path: Path) -> None:
    text = script_of(
        tmp_path,
        "# %%\nimport pandas as pd\nlimit = 1\ndef above(df):\n    return df.query('a > @limit')\n"
        "# %%\nresult = len(above(pd.DataFrame({'a': [1, 2, 3]})))\ndef out():\n    return result\n",
    )
    assert ran(text)["out"]() == 2


def test_convert__imports_stay_behind_what_can_change_them(tmp_path: Path) -> None:
    text = script_of(
        tmp_path,
        "# %%\nimport os\nos.environ['A'] = '1'\nimport json\n# %%\ndata = json.loads('1')\nimport math\n"
        "# %%\nos.environ['B'] = str(data)\nimport statistics\n# %%\nvalue = statistics.mean([math.pi])\n",
    )
    top = [ast.unparse(node) for node in ast.parse(text).body[3:] if not isinstance(node, ast.If | ast.FunctionDef)]
    assert top == ["os.environ['A'] = '1'", "import json", "import math"]
    assert "import statistics" in part(text)


def test_convert__a_module_beside_the_notebook_is_imported_where_it_was(tmp_path: Path) -> None:
    text = script_of(tmp_path, "# %%\nx = 1\nimport rules\nimport math\n", modules=MODULES)
    assert "import rules" in part(text)
    assert "import math" not in part(text)


def test_convert__text_in_strings_is_not_indented(tmp_path: Path) -> None:
    source = 'text = """\n  a\n\tb\\\n"""\nmore = f"""{1 +\n 1}\n  c"""\ndef out():\n    return text + more\n'
    space: dict[str, Any] = {}
    exec(source, space)  # noqa: S102 - what the notebook would do
    assert ran(script_of(tmp_path, f"# %%\n{source}"))["out"]() == space["out"]()


def test_convert__what_only_shows_is_dropped_and_what_may_do_more_is_kept(tmp_path: Path) -> None:
    text = script_of(
        tmp_path,
        "# %%\nimport pandas as pd\nimport requests\ndf = pd.DataFrame({'a': [1]})\nmodel = object()\ndf.head()\n"
        "# %%\ndf\n# %%\nmodel.fit(df)\n# %%\ndf.sample(1)\n# %%\nrequests.head('x')\n"
        "# %%\ndisplay(df, model.fit(df))\n# %%\nfig = df.plot()\nfig.savefig('a.png')\n# %%\nnext(iter([1]))\n",
    )
    body = part(text)
    kept = [
        "model.fit(df)",
        "df.sample(1)",
        "requests.head('x')",
        "model.fit(df)",
        "fig.savefig('a.png')",
        "next(iter([1]))",
    ]
    assert [line for line in body.splitlines() if line in kept] == kept
    assert "df.head()" not in body
    assert "display" not in body


def test_convert__figures_of_one_cell_do_not_reach_into_the_next(tmp_path: Path) -> None:
    text = script_of(
        tmp_path,
        "# %%\nimport matplotlib.pyplot as plt\nplt.plot([1])\n# %%\nplt.plot([2])\nplt.show()\nplt.plot([3])\n"
        "# %%\nx = 1\n# %%\nplt.savefig('a.png')\n",
    )
    assert part(text).splitlines() == [
        "plt.plot([1])",
        "plt.close('all')",
        "plt.plot([2])",
        "plt.close('all')",
        "plt.plot([3])",
        "plt.close('all')",
        "x = 1",
        "plt.savefig('a.png')",
    ]
    assert text.index('matplotlib.use("Agg")') < text.index("import matplotlib.pyplot")


def test_convert__requirements_are_listed_not_installed(tmp_path: Path) -> None:
    source = (
        '# %%\n!pip install -q "pandas>=2,<3" tqdm > /dev/null 2>&1\n%pip install -r requirements.txt\n'
        "!{sys.executable} -m pip install --upgrade lightgbm --index-url https://example.com\n"
        "pip install plain\n%conda install -c conda-forge shap\n!pip freeze\n# %%\nx = 1\n"
    )
    script, findings = converted(tmp_path, notebook_of(source))
    assert script is not None
    assert findings.requirements == ["pandas>=2,<3", "tqdm", "-r requirements.txt", "lightgbm", "plain", "shap"]
    assert "pip" not in part(script.text)


def test_convert__allowed_magics_raise_where_the_script_comes_to_them(tmp_path: Path) -> None:
    script, findings = converted(tmp_path, from_corpus("refused_sql"), allow=True)
    assert script is not None
    assert [finding.line for finding in findings.todo] == [2, 3]
    with pytest.raises(NotImplementedError, match="TODO: cell 1, line 2: %sql sqlite://"):
        ran(script.text)


def test_convert__a_script_that_would_hide_a_module_is_refused(tmp_path: Path) -> None:
    for name, source in {"statistics": "x = 1", "pandas": "import pandas"}.items():
        script, findings = converted(tmp_path, notebook_of(f"# %%\n{source}\n"), name=name)
        assert script is None
        assert f"{name}.py" in str(findings.refused[0])


def test_convert__what_papermill_injected_is_the_default(tmp_path: Path) -> None:
    text = script_of(tmp_path, "# %% parameters\na = 1\nb = 2\n# %% injected-parameters\na = 5\n# %%\nprint(a, b)\n")
    assert "def main(*, a: int = 5, b: int = 2) -> None:" in text


def test_convert__a_main_of_the_notebook_keeps_its_name(tmp_path: Path) -> None:
    text = script_of(tmp_path, "# %%\ndef main():\n    return 1\n# %%\nresult = main()\n")
    assert "def run_notebook() -> None:" in text


def test_convert__hostile_markdown_stays_a_comment(tmp_path: Path) -> None:
    title = 'Title """ \\ \x0c\u2028import os'
    script, _ = converted(
        tmp_path,
        notebook_of(f"# %% [markdown]\n# {title}\n# %% [markdown]\nb\x0cimport os\n# %%\nx = 1\n# %%\nprint(x)\n"),
    )
    assert script is not None
    assert len(ast.parse(script.text).body) == 7
    assert "import os" not in part(script.text)


@pytest.mark.parametrize("version", [3, 4])
def test_read__old_notebooks_and_those_without_a_language_are_python(tmp_path: Path, version: int) -> None:
    cell: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": []}
    if version == 3:
        cells: dict[str, Any] = {
            "worksheets": [{"cells": [cell | {"input": "x = 1", "language": "python", "collapsed": False}]}]
        }
    else:
        cells = {"cells": [cell | {"source": ["x = 1"], "execution_count": None}]}
    document: dict[str, Any] = {"metadata": {}, "nbformat": version, "nbformat_minor": 0} | cells
    script, _ = converted(tmp_path, json.dumps(document))
    assert script is not None
    assert part(script.text) == "x = 1"


def test_scripts__need_no_newer_python_than_the_oldest_that_is_supported(tmp_path: Path) -> None:
    script, _ = converted(tmp_path, from_corpus("parameter_types"))
    assert script is not None
    ast.parse(script.text, feature_version=(3, 9))
    assert sys.version_info >= (3, 9)


HARD = {
    "long": "x = " + " + ".join(["'a'"] * 5000),
    "nested": "x = " + "(" * 150 + ")" * 150,
    "chained": "x" + ".a" * 5000,
    "walrus": "display(a := f())\ndef f(): pass",
}


@pytest.mark.parametrize("source", HARD.values(), ids=HARD.keys())
def test_convert__no_notebook_is_a_traceback(tmp_path: Path, source: str) -> None:
    script, findings = converted(tmp_path, notebook_of(f"# %%\n{source}\n"))
    assert (script is None) == bool(findings.refused)
