"""The import rules of docs/explanation/architecture.md, checked on the syntax tree of every module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src/mlci"
MODULES = {
    path.relative_to(SOURCE).with_suffix("").as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(SOURCE.rglob("*.py"))
    if "example" not in path.relative_to(SOURCE).parts or path.name == "__init__.py"
}
# Where a third party may be imported; what is not listed may be imported anywhere.
HOMES = {
    "click": ("cli", "commands/"),
    "github": ("plugins/forges/",),
    "papermill": ("plugins/executors/",),
    "nbclient": ("plugins/executors/",),
    "jupyter_client": ("plugins/executors/",),
    "jupytext": ("plugins/executors/", "exporting/"),
    "nbconvert": ("plugins/executors/", "exporting/", "render/"),
    "jinja2": ("render/",),
    "matplotlib": ("render/",),
    "nh3": ("render/",),
    "plotext": ("render/",),
    "scipy": ("core/statistics",),
    "tabulate": ("render/",),
    "psutil": ("process",),
}
OUTSIDE_WORLD = {
    "os",
    "pathlib",
    "subprocess",
    "time",
    "socket",
    "shutil",
    "tempfile",
    "datetime",
    "random",
    "requests",
}


def imports(module: str) -> Iterator[tuple[str, str]]:
    """(module, name) of every import in a module, deep ones included; the name is empty for `import x`."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def own(module: str) -> Iterator[str]:
    """The modules of mlci that a module imports, as paths."""
    for source, name in imports(module):
        if source.split(".")[0] == "mlci":
            path = "/".join(source.split(".")[1:])
            deeper = f"{path}/{name}".lstrip("/")
            yield deeper if deeper in MODULES or f"{deeper}/__init__" in MODULES else path


def below(*folders: str) -> list[str]:
    return [module for module in MODULES if module.startswith(folders)]


@pytest.mark.parametrize("module", below("core/"))
def test_core__imports_core_and_errors_only(module: str) -> None:
    assert [found for found in own(module) if not found.startswith("core") and found != "errors"] == []


@pytest.mark.parametrize("module", below("render/"))
def test_render__imports_render_core_and_errors_only(module: str) -> None:
    assert [found for found in own(module) if not found.startswith(("render", "core")) and found != "errors"] == []


@pytest.mark.parametrize("module", below("core/", "render/"))
def test_core_and_render__touch_no_outside_world(module: str) -> None:
    assert {source.split(".")[0] for source, _ in imports(module)} & OUTSIDE_WORLD == set()


@pytest.mark.parametrize("module", below("plugins/"))
def test_plugins__import_their_own_kind_core_errors_processes_and_git(module: str) -> None:
    kind = "/".join(module.split("/")[:2])
    allowed = (kind, "core", "errors", "process", "metering", "git", "userlib")
    assert [found for found in own(module) if not found.startswith(allowed)] == []


@pytest.mark.parametrize("module", below("commands/"))
def test_commands__import_no_click_command_of_another(module: str) -> None:
    taken = [(source, name) for source, name in imports(module) if source.startswith("mlci.commands")]
    assert [name for _, name in taken if name == "command" or name.endswith("_command")] == []


@pytest.mark.parametrize("module", [module for module in MODULES if module != "__main__"])
def test_cli__is_imported_by_main_only(module: str) -> None:
    assert "cli" not in own(module)


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith(("commands/", "cli"))])
def test_commands__are_imported_by_commands_only(module: str) -> None:
    assert [found for found in own(module) if found.startswith("commands")] == []


@pytest.mark.parametrize("module", below("adopting/"))
def test_adopting__reads_what_it_finds_as_text_only(module: str) -> None:
    assert {source.split(".")[0] for source, _ in imports(module)} & {
        "runpy",
        "subprocess",
        "pickle",
        "nbformat",
    } == set()
    assert not {"process"} & set(own(module))
    assert [name for source, name in imports(module) if source == "importlib" and name] == []


@pytest.mark.parametrize("third_party", HOMES)
def test_third_parties__have_one_home(third_party: str) -> None:
    users = [module for module in MODULES if any(source.split(".")[0] == third_party for source, _ in imports(module))]
    assert [module for module in users if not module.startswith(HOMES[third_party])] == []


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith(("cli", "userlib/"))])
def test_environment__is_read_in_cli_only(module: str) -> None:
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            assert node.attr not in ("environ", "getenv", "environb"), f"line {node.lineno}"


@pytest.mark.parametrize("module", below("userlib/"))
def test_userlib__is_standard_library_only(module: str) -> None:
    kernel = {"ipykernel", "mlci_kernel"} if module.startswith("userlib/mlci_kernel") else set()
    assert {source.split(".")[0] for source, _ in imports(module)} <= sys.stdlib_module_names | kernel


@pytest.mark.parametrize("module", MODULES)
def test_modules__say_why_they_exist(module: str) -> None:
    assert ast.get_docstring(MODULES[module])


@pytest.mark.parametrize("module", MODULES)
def test_modules__are_of_a_size_to_read(module: str) -> None:
    length = len((SOURCE / f"{module}.py").read_text(encoding="utf-8").splitlines())
    assert length <= 420, "split it"
