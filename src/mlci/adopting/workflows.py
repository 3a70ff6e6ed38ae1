"""The text of the workflow files: mlci's own templates with somebody's commands, branch and versions put in."""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlci.adopting.choosing import Adopted
from mlci.adopting.origin import Action

FOLDER = ".github/workflows"
# The template of each file. A file of another name could be the team's own.
_CALLING, _FULL = {"mlci.yml": "call-reusable.yml"}, {"mlci.yml": "pull-request.yml", "mlci-main.yml": "main.yml"}
_FORKS = {"mlci-forks.yml": "fork-comment.yml"}
_RELEASES = {"mlci-release.yml": "release.yml", "mlci-deploy.yml": "deploy.yml", "mlci-rollback.yml": "rollback.yml"}
_PLAIN = re.compile(r"[A-Za-z][\w ./=-]*")
_INSTALL = "python -m pip install -r requirements.txt"
_PYTHON = '"3.13"'
_POST = "      - name: Comment and set the status\n"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which workflows."""

    action: Action
    branch: str
    forks: bool = False
    releases: bool = False
    full: bool = False  # the whole of them, rather than one that calls mlci's
    lfs: bool = False


def workflows(projects: Sequence[Adopted], wanted: Wanted) -> dict[str, str]:
    """The text of each file, by its path from the repository's top."""
    files = {
        **(_FULL if wanted.full else _CALLING),
        **(_FORKS if wanted.forks else {}),
        **(_RELEASES if wanted.releases else {}),
    }
    renamed = {template: name for name, template in files.items()} | {_FULL["mlci.yml"]: "mlci.yml"}
    return {f"{FOLDER}/{name}": _filled(template, projects, wanted, renamed) for name, template in files.items()}


def template(name: str) -> str:
    """One of the workflows that mlci carries."""
    return (importlib.resources.files("mlci") / "workflows" / name).read_text(encoding="utf-8")


def _filled(name: str, projects: Sequence[Adopted], wanted: Wanted, renamed: dict[str, str]) -> str:
    text = _without_advice(template(name))
    for old, new in renamed.items():
        text = re.sub(rf"(?<![\w.-]){re.escape(old)}", new, text)
    first = projects[0]
    if len(projects) > 1:
        text = _several(name, text, projects)
    text = text.replace(_INSTALL, _scalar(first.install)).replace(_PYTHON, json.dumps(first.dependencies.python))
    text = text.replace("branches: [main]", f"branches: [{_scalar(wanted.branch)}]")
    if wanted.lfs:
        text = _with_lfs(name, text)
    return wanted.action.put_into(text)


def _without_advice(text: str) -> str:
    """The words above, less those on what to change: it is changed."""
    head, name, body = text.partition("\nname:")
    return re.sub(r"(?:\n#)?(?: |\n# )To change:.*?(?=\n#\n|\Z)", "", head, flags=re.DOTALL) + name + body


def _several(name: str, text: str, projects: Sequence[Adopted]) -> str:
    """The same for each project: as a matrix where jobs run the code, step by step where one posts for forks."""
    if name == _FORKS["mlci-forks.yml"]:
        head, step = text.split(_POST)
        steps = [
            step.rstrip().replace("from-run: event", f"from-run: event\n          artifact: mlci-{project.id}")
            + f"\n          working-directory: {_scalar(project.folder or '.')}\n"
            for project in projects
        ]
        posts = [f"{_POST.rstrip()} of {project.id}\n" for project in projects]
        return head + "".join(post + done for post, done in zip(posts, steps, strict=True))
    if name != _CALLING["mlci.yml"]:
        return text
    entries = [
        {
            "id": project.id,
            "folder": project.folder or ".",
            "python": project.dependencies.python,
            "install": project.install,
        }
        for project in projects
    ]
    include = "".join(f"          - {json.dumps(entry, ensure_ascii=False)}\n" for entry in entries)
    strategy = f"    strategy:\n      fail-fast: false\n      matrix:\n        include:\n{include}"
    text = text.replace("    name: mlci\n    uses:", f"    name: mlci ${{{{ matrix.id }}}}\n{strategy}    uses:")
    given = (
        "      working-directory: ${{ matrix.folder }}\n"
        "      artifact: mlci-${{ matrix.id }}\n"
        "      python-version: ${{ matrix.python }}\n"
        "      install: ${{ matrix.install }}\n"
    )
    return text[: text.index("      python-version:")] + given


def _with_lfs(name: str, text: str) -> str:
    if name == _CALLING["mlci.yml"]:
        return f"{text}      lfs: true\n"
    return text.replace("persist-credentials: false\n", "persist-credentials: false\n          lfs: true\n")


def _scalar(text: str) -> str:
    """A text in YAML, quoted where it must be."""
    words = ("true", "false", "yes", "no", "on", "off", "null")
    return text if _PLAIN.fullmatch(text) and text.lower() not in words else json.dumps(text, ensure_ascii=False)
