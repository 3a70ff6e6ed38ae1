"""What becomes of magics, shell lines and help, line by line."""

from __future__ import annotations

import pytest

from mlci.exporting import shell
from mlci.exporting.findings import Findings
from mlci.exporting.magics import translate
from mlci.exporting.reading import Cell


def python(source: str, *known: str) -> tuple[str, Findings]:
    findings = Findings()
    text = translate(Cell(number=1, code=True, source=source), known, findings).text
    return text.strip("\n"), findings


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%matplotlib inline", ""),
        ("%load_ext autoreload", ""),
        ("if x:\n    %who", "if x:\n    pass"),
        ("df?", ""),
        ("?df.head", ""),
        ("%time y = f(x)", "y = f(x)"),
        ("%timeit -n 10 -r 3 f(x)", "f(x)"),
        ("%env A=b c", '_mlci_os.environ["A"] = "b c"'),
        ("%set_env A {x}", '_mlci_os.environ["A"] = "{}".format(x)'),
        ("y = %env HOME", 'y = _mlci_os.environ["HOME"]'),
        ("%env", ""),
        ("%cd ../data", '_mlci_os.chdir("../data")'),
        ("%cd", '_mlci_os.chdir(_mlci_os.path.expanduser("~"))'),
        ("cd ..", '_mlci_os.chdir("..")'),
        ("%run other.py --a 1", '_run_script("other.py", "--a", "1")'),
        ("!mkdir -p out", '_mlci_subprocess.run("mkdir -p out", shell=True, check=False)'),
        (
            "for x in y:\n    !touch {x}",
            'for x in y:\n    _mlci_subprocess.run("touch {}".format(x), shell=True, check=False)',
        ),
        ("files = !ls *.csv", 'files = _shell_lines("ls *.csv")'),
        ("!ls -la", ""),
        ("!cat a.txt > b.txt", '_mlci_subprocess.run("cat a.txt > b.txt", shell=True, check=False)'),
        ("!echo a \\\n  b", '_mlci_subprocess.run("echo a   b", shell=True, check=False)'),
        ('text = """\n%cd x\n!ls\n"""', 'text = """\n%cd x\n!ls\n"""'),
        ("y = (x\n% 3\n)", "y = (x\n% 3\n)"),
        ("y = x \\\n% 3", "y = x \\\n% 3"),
        ("y = x % 3\nz = a != b", "y = x % 3\nz = a != b"),
        ("%%time\nx = 1", "x = 1"),
        ("%%html\n<b>", ""),
        ("%%script false\nx = (", ""),
    ],
)
def test_translate__lines(line: str, expected: str) -> None:
    text, findings = python(line, "x")
    assert (text, findings.refused) == (expected, [])


@pytest.mark.parametrize(
    "line",
    [
        "%sql SELECT 1",
        "%%R\nx <- 1",
        "%run other.ipynb",
        "%run -i other.py",
        "%timeit y = 1",
        "y = %timeit -o f()",
        "!sudo apt-get install graphviz",
        "!sleep 100 &",
        "!!ls",
        "%cd -",
        "%pylab inline",
        "%store x",
        "%debug",
    ],
)
def test_translate__what_has_no_python_is_refused(line: str) -> None:
    _, findings = python(line)
    assert len(findings.refused) == 1
    assert findings.refused[0].remedy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("echo $x and {x}", '"echo {} and {}".format(x, x)'),
        ("echo $HOME {x}", '"echo $HOME {x}"'),  # one that nobody knows, and IPython fills in none
        ("awk '{print $1}' f", "\"awk '{print $1}' f\""),
        ("echo '$x'", "\"echo '$x'\""),
        ("echo $$x", '"echo $x"'),
        ("echo {x:.2f} {x!r}", '"echo {:.2f} {!r}".format(x, x)'),
        ("echo {{x}}", '"echo {x}"'),
        ("echo {x['a']}", "\"echo {}\".format(x['a'])"),
        ("echo {", '"echo {"'),
    ],
)
def test_expression__is_filled_in_as_ipython_does(text: str, expected: str) -> None:
    assert shell.expression(text, {"x"}) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pip install a 'b>=1'", ["a", "b>=1"]),
        ("python -m pip install -U a && pip install b", ["a", "b"]),
        ("uv pip install a", ["a"]),
        ("pip list", []),
        ("pip uninstall a", None),
        ("pip install a | tee log", None),
        ("pip install a && python train.py", None),
    ],
)
def test_installed__only_where_a_command_does_nothing_else(command: str, expected: list[str] | None) -> None:
    assert shell.installed(command) == expected


def test_translate__a_written_file_has_the_cell_s_very_text() -> None:
    text, _ = python('%%writefile a.txt\nline "1"\n\n  \\n é')
    namespace: dict[str, str] = {}
    written = text.removeprefix('_mlci_pathlib.Path("a.txt").write_text').removesuffix(', encoding="utf-8")')
    exec(f"content = {written})", namespace)  # noqa: S102 - a literal
    assert namespace["content"] == 'line "1"\n\n  \\n é\n'
