"""Turns a cell's magics, shell lines and help requests into Python, drops those that only show, refuses the rest.

What is emitted names modules of the standard library with the prefix `_mlci_`: `assembling.py` names them.
"""

from __future__ import annotations

import ast
import io
import re
import shlex
import tokenize
from collections.abc import Collection
from dataclasses import dataclass, field

from mlci.exporting import shell
from mlci.exporting.findings import Finding, Findings
from mlci.exporting.reading import Cell

_LINE = re.compile(r"(\s*)(?:([\w][\w\s,.\[\]'\"*()]*?)\s*=\s*(?=[%!]))?(%|!!?)\s*(.*)$")
_HELP = re.compile(r"\s*(?:\?{1,2}\s*[%\w.*]+|[%\w.*\[\]]+\?{1,2})\s*$")
_BARE = re.compile(r"\s*((?:pip3?|conda|mamba|cd|ls|ll|mkdir|cat|cp|mv|rm|rmdir)\s+[^=(\s].*|pip3? install.*)$")
# They show something, or set how the notebook shows it.
_SHOWING = frozenset(
    [
        "autoawait",
        "autocall",
        "automagic",
        "autosave",
        "colors",
        "config",
        "doctest_mode",
        "gui",
        "history",
        "lsmagic",
        "page",
        "pdb",
        "pdef",
        "pdoc",
        "pfile",
        "pinfo",
        "pinfo2",
        "pprint",
        "precision",
        "psearch",
        "psource",
        "pwd",
        "quickref",
        "who",
        "who_ls",
        "whos",
        "xmode",
        "watermark",
        "tensorboard",
        "load_ext",
        "reload_ext",
        "unload_ext",
        "autoreload",
        "aimport",
        "matplotlib",
        "notebook",
    ]
)
_ALIASES = frozenset(["cp", "ls", "ll", "mkdir", "mv", "rm", "rmdir", "cat"])  # IPython's names for programs
_PICTURES = frozenset(["html", "HTML", "javascript", "js", "latex", "svg", "SVG", "markdown"])
_TIMING = frozenset(["time", "timeit", "prun", "memit"])
_REMEDY = "Say it in Python, tag the cell skip-export, or give --allow: the script then raises where it comes to it."


@dataclass
class Translated:
    """A cell as Python; `lines` tells for each line of it which line of the cell it was."""

    text: str = ""
    lines: list[int] = field(default_factory=list)
    captured: bool = False  # nothing that it prints is wanted
    interactive: bool = False  # figures stay open from cell to cell

    def add(self, text: str, line: int) -> None:
        """Append what a line became."""
        for piece in text.split("\n"):
            self.text += piece + "\n"
            self.lines.append(line)


def translate(cell: Cell, known: Collection[str], findings: Findings, *, allow: bool = False) -> Translated:
    """A cell's code as Python.

    Args:
        cell: What to translate.
        known: Names that the notebook binds: what shell lines can fill in.
        findings: Takes what was replaced, dropped and refused.
        allow: Whether unknown magics become an error that the script raises.
    """
    return _Translator(cell, known, findings, allow).run()


class _Translator:
    def __init__(self, cell: Cell, known: Collection[str], findings: Findings, allow: bool) -> None:
        self._cell, self._known, self._findings, self._allow = cell, known, findings, allow
        self._result = Translated()
        self._line = 1

    def run(self) -> Translated:
        lines = self._cell.source.split("\n")
        first = next(index for index, line in enumerate(lines) if line.strip())
        while lines[first].startswith("%%"):
            self._line = first + 1
            rest = self._cell_magic(lines[first][2:], lines[first + 1 :])
            if rest is None:
                return self._result
            lines = [*([""] * (first + 1)), *rest]
            first = next((index for index, line in enumerate(lines) if line.strip()), 0)
            if not lines[first].strip():
                return self._result
        self._python(lines)
        return self._result

    def _python(self, lines: list[str]) -> None:
        whole, at = 0, 0  # up to `whole` of the result no string or bracket is open
        while at < len(lines):
            line, self._line = lines[at], at + 1
            at += 1
            if not self._may_be_magic(line) or not _complete(self._result.text[whole:]):
                self._result.add(line, self._line)
                continue
            whole = len(self._result.text)
            while line.rstrip().endswith("\\") and at < len(lines):
                line = line.rstrip()[:-1] + lines[at]
                at += 1
            self._add(self._magic(line))

    @staticmethod
    def _may_be_magic(line: str) -> bool:
        return bool(_LINE.match(line) or _HELP.match(line) or (_BARE.match(line) and not _is_python(line.strip())))

    def _add(self, text: str) -> None:
        self._result.add(text, self._line)

    def _magic(self, line: str) -> str:
        """The Python for one line."""
        found, bare = _LINE.match(line), _BARE.match(line)
        indent = line[: len(line) - len(line.lstrip())]
        if found is None and bare is None:
            return self._dropped(line, indent, "help")
        if found is None or found[3] == "%":
            text = found[4] if found else line.strip()
            name, _, rest = text.partition(" ")
            return self._line_magic(indent, found[2] if found else None, name, rest.strip(), line.strip())
        if found[3] == "!!":
            return self._refused(indent, line.strip(), "its lines would be shown, and nothing keeps them")
        return self._shell(indent, found[2], found[4], line.strip())

    def _line_magic(self, indent: str, target: str | None, name: str, rest: str, whole: str) -> str:
        say = f"{indent}{target} = " if target else indent
        if name in _TIMING:
            return self._timed(indent, target, name, rest, whole)
        if name in ("pip", "pip3", "conda", "mamba", "uv"):
            return self._shell(indent, target, f"{name} {rest}", whole)
        if name == "pwd" and target:
            return self._replaced(whole, f"{say}_mlci_os.getcwd()")
        if name in ("env", "set_env"):
            return self._env(indent, target, rest, whole)
        if name == "cd" and not target and not rest.startswith("-") and rest != "..." and not rest.startswith("%"):
            return self._replaced(whole, f"{indent}_mlci_os.chdir({self._path(rest or '~')})")
        if name == "run" and not target:
            return self._run(indent, rest, whole)
        if name in ("system", "sx") or name in _ALIASES:
            return self._shell(indent, target, rest if name in ("system", "sx") else f"{name} {rest}".strip(), whole)
        if name == "matplotlib" and rest.split()[:1] and rest.split(maxsplit=1)[0] not in ("inline", "agg", "--list"):
            self._result.interactive = True
        if name in _SHOWING and not target:
            return self._dropped(whole, indent, "it concerns the notebook only")
        return self._unknown(indent, whole)

    def _timed(self, indent: str, target: str | None, name: str, rest: str, whole: str) -> str:
        if target:
            return self._refused(indent, whole, "what it measures is kept")
        statement = re.sub(r"^(?:-[nrpqtcso]\s*\d*\s+|--\S+\s+)+", "", rest) if name != "time" else rest
        if not statement or not _is_python(statement):
            return self._refused(indent, whole, "not one statement of Python")
        if name == "timeit" and _binds(statement):
            return self._refused(indent, whole, "it binds names that the notebook does not keep")
        return self._replaced(whole, f"{indent}{statement}")

    def _env(self, indent: str, target: str | None, rest: str, whole: str) -> str:
        found = re.match(r"([A-Za-z_]\w*)(?:\s*=\s*|\s+)(.+)$", rest)
        if target is None and found:
            value = shell.expression(found[2], self._known)
            return self._replaced(whole, f'{indent}_mlci_os.environ["{found[1]}"] = {value}')
        if target is None:
            return self._dropped(whole, indent, "it shows variables")
        if re.fullmatch(r"[A-Za-z_]\w*", rest):
            return self._replaced(whole, f'{indent}{target} = _mlci_os.environ["{rest}"]')
        return self._unknown(indent, whole)

    def _run(self, indent: str, rest: str, whole: str) -> str:
        try:
            path, *arguments = shlex.split(rest)
        except ValueError:
            path, arguments = "", []
        if not path or path.startswith("-") or re.search(r"[{}$]", rest):
            return self._refused(indent, whole, "only `%run FILE.py [ARGUMENT]...` can be translated")
        if path.endswith(".ipynb"):
            reason = "it runs another notebook"
            return self._refused(indent, whole, reason, f"Export {path} as a script first, and %run that.")
        path = path if path.endswith(".py") else f"{path}.py"
        self._findings.helpers.add("_run_script")
        words = ", ".join(map(shell.literal, (path, *arguments)))
        return self._replaced(whole, f"{indent}_run_script({words})")

    def _shell(self, indent: str, target: str | None, command: str, whole: str) -> str:
        command = command.strip()
        packages = shell.installed(command)
        if packages is not None and not target:
            for package in packages:
                self._findings.require(package)
            return self._dropped(whole, indent, "packages are installed before a script, not by it")
        if re.match(r"(sudo\s+)?(apt|apt-get|yum|dnf|apk|brew|snap|conda|mamba)\s", command):
            remedy = "Install it into the image or machine that the script runs on, and tag the cell skip-export."
            return self._refused(indent, whole, "it installs into the system", remedy)
        if command.rstrip().endswith("&") or not command:
            return self._refused(indent, whole, "IPython starts nothing in the background")
        said = shell.expression(command, self._known)
        if target:
            self._findings.helpers.add("_shell_lines")
            return self._replaced(whole, f"{indent}{target} = _shell_lines({said})")
        if shell.only_looks(command):
            return self._dropped(whole, indent, "it only shows something")
        return self._replaced(whole, f"{indent}_mlci_subprocess.run({said}, shell=True, check=False)")

    def _path(self, text: str) -> str:
        text = text.strip()
        if text[:1] in "'\"" and text[-1:] == text[:1] and len(text) > 1:
            text = text[1:-1]
        said = shell.expression(text, self._known)
        return f"_mlci_os.path.expanduser({said})" if text.startswith("~") or not said.startswith('"') else said

    def _cell_magic(self, line: str, body: list[str]) -> list[str] | None:
        """What of the cell is still to be translated, or None."""
        name, _, rest = line.strip().partition(" ")
        rest, whole = rest.strip(), f"%%{line.strip()}"
        if name in ("time", "prun", "memit") or (name == "timeit" and not _binds("\n".join(body))):
            statement = [rest] if rest and not rest.startswith("-") else []
            self._findings.replace(self._cell.number, self._line, whole, "the cell as it is")
            return [*statement, *body]
        if name == "capture":
            self._result.captured = True
            self._findings.replace(self._cell.number, self._line, whole, "contextlib.redirect_stdout")
            return body
        if name in _PICTURES:
            self._dropped(whole, "", "it shows something")
        elif name in ("writefile", "file"):
            self._writefile(rest, body, whole)
        elif name in ("bash", "sh", "script"):
            self._script(name, rest, body, whole)
        elif name in ("system", "sx", "!"):
            self._add(self._shell("", None, "\n".join(body), whole))
        else:
            self._add(self._unknown("", whole))
        return None

    def _writefile(self, rest: str, body: list[str], whole: str) -> None:
        mode = "w"
        found = re.fullmatch(r"(?:(-a|--append)\s+)?(\"[^\"]+\"|'[^']+'|\S+)(?:\s+(-a|--append))?", rest)
        if found is None:
            self._add(self._refused("", whole, "expected `%%writefile [-a] FILE`"))
            return
        if found[1] or found[3]:
            mode = "a"
        path = self._path(found[2])
        lines = [f"    {shell.literal(line + chr(10))}" for line in body] or ['    ""']
        text = "(\n" + "\n".join(lines) + "\n)"
        if mode == "w":
            self._add(f'_mlci_pathlib.Path({path}).write_text({text}, encoding="utf-8")')
        else:
            self._add(f'with open({path}, "a", encoding="utf-8") as _mlci_file:\n    _mlci_file.write{text}')
        if found[2].strip("'\"").endswith(".py"):
            self._add("_mlci_importlib.invalidate_caches()")
        self._findings.replace(self._cell.number, self._line, whole, "pathlib.Path.write_text")

    def _script(self, name: str, rest: str, body: list[str], whole: str) -> None:
        check = "--no-raise-error" not in rest.split()
        words = [word for word in rest.split() if word not in ("--no-raise-error", "--raise-error")]
        program = words if name == "script" else [name, *words]
        if program[:1] == ["false"] or program[:1] == ["echo"]:
            self._dropped(whole, "", "the notebook skips the cell as well")
            return
        if not program or any(word.startswith("--") or re.search(r"[{}$'\"]", word) for word in program):
            self._add(self._refused("", whole, "its options cannot be translated"))
            return
        said = ", ".join(map(shell.literal, program))
        typed = [f"        {shell.literal(line + chr(10))}" for line in body] or ['        ""']
        call = ("_mlci_subprocess.run(", f"    [{said}],", "    input=(", *typed, "    ),", "    text=True,")
        self._add("\n".join((*call, f"    check={check},", ")")))
        self._findings.replace(self._cell.number, self._line, whole, "subprocess.run")

    def _replaced(self, what: str, by: str) -> str:
        self._findings.replace(self._cell.number, self._line, what, by.strip().replace("_mlci_", ""))
        return by

    def _dropped(self, what: str, indent: str, why: str) -> str:
        self._findings.drop(self._cell.number, self._line, what, why)
        return f"{indent}pass" if indent else ""

    def _refused(self, indent: str, what: str, reason: str, remedy: str = _REMEDY) -> str:
        if self._allow and remedy is _REMEDY:
            return self._todo(indent, what, reason)
        self._findings.refuse(self._cell.number, self._line, what, reason, remedy)
        return f"{indent}pass"

    def _unknown(self, indent: str, what: str) -> str:
        return self._refused(indent, what, "there is no Python for this magic")

    def _todo(self, indent: str, what: str, reason: str) -> str:
        finding = Finding(cell=self._cell.number, line=self._line, what=what, how=reason)
        self._findings.todo.append(finding)
        return f"{indent}raise NotImplementedError({shell.literal(f'TODO: {finding}')})"


def _is_python(text: str) -> bool:
    try:
        compile(text, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _binds(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(
        isinstance(node, kinds) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        for node in ast.walk(tree)
    )


def _complete(text: str) -> bool:
    """Whether no string, bracket or continued line is open at the end of `text`."""
    lines = [line.lstrip() for line in text.split("\n")]  # how deep they stand is no matter here
    if len(lines) > 1 and lines[-2].endswith("\\"):
        return False
    try:
        for _ in tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline):
            pass
    except tokenize.TokenError as error:
        return "EOF in multi-line" not in str(error) and "unterminated triple" not in str(error)
    except (SyntaxError, ValueError):
        return True
    return True
