"""Writes how a script gets its parameters: from the command line, else from mlci; main() has defaults for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mlci.exporting.parameters import Parameter
from mlci.exporting.shell import literal

_SIMPLE = {"int": "int", "float": "float", "str": "str"}
_TYPED = '''
def _typed(text: str) -> object:
    """A value as papermill types it."""
    if text in ("None", "True", "False"):
        return {"None": None, "True": True, "False": False}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
'''
_JSON = '''
def _json(kind: type, *, none: bool) -> object:
    """Reads a value of one kind, written as JSON."""

    def read(text: str) -> object:
        import json

        value = json.loads(text)
        if not (isinstance(value, kind) or (none and value is None)):
            raise ValueError(text)
        return value

    read.__name__ = f"JSON {kind.__name__}"
    return read
'''
_OR_NONE = '''
def _or_none(kind: type) -> object:
    """Reads a value of one kind, or None."""

    def read(text: str) -> object:
        return None if text in ("None", "none") else kind(text)

    read.__name__ = kind.__name__
    return read
'''
_WITHOUT = '''
def _command_line() -> None:
    """The notebook has no parameters: nothing may be asked for."""
    import argparse

    argparse.ArgumentParser(description=(__doc__ or "").partition("\\n")[0], allow_abbrev=False).parse_args()
'''
_BEGIN = '''
def _command_line() -> dict:
    """The parameters that were given: on the command line, else by mlci; for the others main() has defaults."""
    import argparse
    import json
    import os
    import sys

    about = (__doc__ or "").partition("\\n")[0].replace("%", "%%")
    parser = argparse.ArgumentParser(description=about, allow_abbrev=False, argument_default=argparse.SUPPRESS)
'''
_END = """
    given = {}
    try:
        by_mlci = dict(json.loads(os.environ.get("MLCI_PARAMETERS") or "{}"))
    except (TypeError, ValueError):
        parser.error("MLCI_PARAMETERS: expected a JSON object")
    for name, value in by_mlci.items():
        if name in names:
            given[name] = value
        else:
            print(f"{parser.prog}: MLCI_PARAMETERS: no parameter is called {name}", file=sys.stderr)
"""
_SEED = """
    if os.environ.get("MLCI_SEED"):
        given.setdefault("seed", int(os.environ["MLCI_SEED"]))
"""
_NO_SEED = """
    if os.environ.get("MLCI_SEED"):
        parser.error("MLCI_SEED: the notebook has no parameter called seed, so nothing would receive it")
"""
_NO_NULL = """
    for name in (%s):
        if name in given and given[name] is None:
            parser.error(f"{name}: None is not a value of it")
"""


def options(names: Iterable[str]) -> dict[str, str]:
    """The option of each parameter: of names that would be alike, or are taken, the plain name."""
    found: dict[str, str] = {}
    taken = {"--help"}
    for name in names:
        option = "--" + (re.sub(r"_+", "-", name).strip("-") or name)
        if (
            option in taken
            or f"--no-{option[2:]}" in taken
            or (option.startswith("--no-") and f"--{option[5:]}" in taken)
        ):
            option = f"--parameter-{name}"
        taken |= {option, f"--no-{option[2:]}"}
        found[name] = option
    return found


def written(parameters: Mapping[str, Parameter]) -> list[str]:
    """The functions, `_command_line()` the last of them."""
    if not parameters:
        return [_WITHOUT.strip("\n")]
    kinds = {(parameter.kind, parameter.optional) for parameter in parameters.values()}
    helpers = [_TYPED] if any(kind == "any" or (kind == "bool" and optional) for kind, optional in kinds) else []
    helpers += [_JSON] if any(kind in ("list", "dict") for kind, _ in kinds) else []
    helpers += [_OR_NONE] if any(kind in _SIMPLE and optional for kind, optional in kinds) else []
    strict = [name for name, item in parameters.items() if isinstance(item.default, list | dict) and not item.optional]
    named = options(parameters)
    parts = [
        _BEGIN,
        "\n".join(f"    parser.add_argument({_argument(named[name], item)})" for name, item in parameters.items()),
        f"    names = {{{', '.join(map(literal, parameters))}}}",
        _END,
        _SEED if "seed" in parameters else _NO_SEED,
        "    given.update(vars(parser.parse_args()))",
        *([_NO_NULL % "".join(f"{literal(name)}, " for name in strict)] if strict else []),
        "    return given",
    ]
    return [part.strip("\n") for part in (*helpers, "\n".join(part.strip("\n") for part in parts))]


def _argument(option: str, parameter: Parameter) -> str:
    words = [literal(option), f"dest={literal(parameter.name)}"]
    if parameter.kind == "bool" and not parameter.optional:
        words.append("action=argparse.BooleanOptionalAction")
    elif parameter.kind in ("any", "bool"):
        words.append("type=_typed")
    elif parameter.kind in ("list", "dict"):
        words.append(f"type=_json({parameter.kind}, none={parameter.optional})")
    elif parameter.optional:
        words.append(f"type=_or_none({parameter.kind})")
    else:
        words.append(f"type={parameter.kind}")
    if parameter.choices:
        items = [*map(repr, parameter.choices), *(["None"] if parameter.optional else [])]
        words.append(f"choices=[{', '.join(items)}]")
    elif parameter.kind != "bool" or parameter.optional:
        words.append(f"metavar={literal(parameter.kind.upper() if parameter.kind != 'any' else 'VALUE')}")
    said = f"{parameter.help}; " if parameter.help else ""
    words.append(f"help={literal((said + 'default: ' + _short(parameter.source)).replace('%', '%%'))}")
    return ", ".join(words)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004
