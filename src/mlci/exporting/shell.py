"""Shell lines of a notebook as Python, with the variables that IPython would have filled in, and what pip installs."""

from __future__ import annotations

import ast
import builtins
import json
import re
import shlex
from collections.abc import Collection, Iterator
from string import Formatter

# IPython's rule: $name and $name.attribute, not within single quotes; $$ stands for one dollar sign.
_DOLLAR = re.compile(r"\$(\$?[\w.]+)(?=(?:[^']*'[^']*')*[^']*$)")
_OPERATORS = re.compile(r"[;&|<>`$(){}*?\\\n]")
_LOOKING = re.compile(
    r"(ls|ll|dir|pwd|cat|head|tail|wc|nvidia-smi|df|du|free|uname|whoami|date|which|lscpu|lsb_release|nproc|"
    r"(python3?|git|pip3?|conda) (--version|-V|list|freeze|show|status|log)|cat /proc/\w+)(?:\s|$)"
)
_PIP = re.compile(
    r"(?:\{?sys\.executable\}? -m |\"?\{sys\.executable\}\"? -m |python3? -m |yes \| )?"
    r"(?:(pip3?|uv pip|uv)|(conda|mamba|micromamba)) +(install|add|uninstall|remove|list|freeze|show)\b(.*)"
)
_VALUED = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t", "--target", "-n", "--name", "-c", "-p"}
_VALUED |= {"--channel", "--prefix", "--constraint", "--trusted-host", "--progress-bar"}


def literal(text: str) -> str:
    """A Python string literal in double quotes."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f")


def expression(text: str, known: Collection[str]) -> str:
    """The Python expression for a line in which IPython fills in `{expression}` and `$name`.

    IPython leaves the whole line as it is as soon as one of them cannot be evaluated, such as `$HOME` or awk's braces.

    Args:
        text: The line.
        known: Names that the notebook binds.
    """
    try:
        fields = list(_fields(text))
    except ValueError:
        return literal(text)
    template, values = "", []
    for before, field, form, conversion in fields:
        template += before.replace("{", "{{").replace("}", "}}")
        if field is None:
            continue
        if not _evaluates(field, known):
            return literal(text)
        shown = f"!{conversion}" if conversion else ""
        template += f"{{{shown}{':' + form if form else ''}}}"
        values.append(field)
    if not values:
        return literal("".join(before for before, *_ in fields))
    return f"{literal(template)}.format({', '.join(values)})"


def _fields(text: str) -> Iterator[tuple[str, str | None, str, str | None]]:
    """As IPython's formatter: what stands before a field, the field, its format and conversion."""
    for before, field, form, conversion in Formatter().parse(text):
        kept, at = "", 0
        for found in _DOLLAR.finditer(before):
            kept += before[at : found.start()]
            at = found.end()
            if found[1].startswith("$"):
                kept += found[1]
            else:
                yield kept, found[1], "", None
                kept = ""
        yield kept + before[at:], field, form or "", conversion


def _evaluates(field: str, known: Collection[str]) -> bool:
    try:
        tree = ast.parse(field.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return False
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return all(name in known or hasattr(builtins, name) for name in names)


def only_looks(command: str) -> bool:
    """Whether a command shows something and changes nothing."""
    return bool(_LOOKING.match(command.strip())) and not _OPERATORS.search(command)


def installed(command: str) -> list[str] | None:
    """The requirements that a command installs, [] where it only shows some; None where it does anything else."""
    quiet = re.sub(r"\s*(?:&>|[12]?>>?)\s*(?:/dev/null|&1)", "", command.strip()).strip()
    found: list[str] = []
    for part in re.split(r"\s*(?:&&|;)\s*", quiet):
        match = _PIP.fullmatch(part)
        if match is None or match[3] in ("uninstall", "remove") or not _only_words(match[4]):
            return None
        if match[3] in ("install", "add"):
            requirements = _requirements(match[4])
            if requirements is None:
                return None
            found += requirements
    return found


def _only_words(rest: str) -> bool:
    """Whether every < and > stands in a requirement in quotes."""
    return not re.search(r"[|<>`]", re.sub(r"\"[^\"]*\"|'[^']*'", "", rest))


def _requirements(rest: str) -> list[str] | None:
    try:
        words = shlex.split(rest, comments=True)
    except ValueError:
        return None
    found, ahead = [], iter(words)
    for word in ahead:
        if word in ("-r", "--requirement", "-e", "--editable", "--file"):
            found.append(f"{'-r' if word in ('--file', '--requirement') else word} {next(ahead, '')}".strip())
        elif word in _VALUED:
            next(ahead, None)
        elif not word.startswith("-"):
            found.append(word)
    return found
