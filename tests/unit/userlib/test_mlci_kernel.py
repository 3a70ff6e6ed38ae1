"""The kernel's launcher: its arguments, and the seeds that it sets in interpreters of its own."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlci.userlib import mlci_kernel

FILE = Path(mlci_kernel.__file__)


def python(code: str, **environ: str) -> Any:
    """What `code` prints as JSON, in an interpreter that can import the launcher."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(FILE.parent)} | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_launcher__is_python_3_9() -> None:
    ast.parse(FILE.read_text(), feature_version=(3, 9))


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        (["-f", "kernel.json"], {"IPKernelApp": {"connection_file": "kernel.json"}}),
        (
            ["-f", "a=b.json", "--HistoryManager.hist_file=:memory:", "--IPKernelApp.parent_handle=7"],
            {
                "IPKernelApp": {"connection_file": "a=b.json", "parent_handle": 7},
                "HistoryManager": {"hist_file": ":memory:"},
            },
        ),
        (["-f", "kernel.json", "--debug"], None),
        (["--no-secure"], None),
    ],
)
def test_as_config__what_mlci_itself_says_needs_no_parser(arguments: list[str], config: Any) -> None:
    assert mlci_kernel._as_config(arguments) == config


SEEDED = """
import json, random, mlci_kernel
{before}
mlci_kernel._seed_on_import({seed})
import numpy, numpy.random, xml.dom
print(json.dumps([random.random(), numpy.random.rand(), xml.dom.__name__]))
"""


@pytest.mark.parametrize("before", ["", "import numpy"], ids=["imported later", "imported already"])
def test_seed_on_import__random_and_numpy(before: str) -> None:
    one, again, other = (python(SEEDED.format(seed=seed, before=before)) for seed in (5, 5, 6))
    assert one == again
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_seed_on_import__a_seed_that_numpy_would_refuse() -> None:
    assert python(SEEDED.format(seed=2**40 + 5, before=""))[1] == python(SEEDED.format(seed=5, before=""))[1]


def test_seed_on_import__only_the_first_import_seeds() -> None:
    code = (
        "import importlib, json, random, mlci_kernel\nmlci_kernel._seed_on_import(5)\nimport numpy\n"
        "first = numpy.random.rand()\nimport numpy\nimportlib.import_module('numpy.random')\n"
        "print(json.dumps(first != numpy.random.rand()))"
    )
    assert python(code)


def test_seed_on_import__a_torch_of_the_test(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(
        "class backends:\n    class cudnn: benchmark = True\ncalls = []\n"
        "def manual_seed(seed): calls.append(seed)\n"
        "def use_deterministic_algorithms(mode, warn_only=False): calls.append([mode, warn_only])\n"
    )
    code = (
        "import json, mlci_kernel\nmlci_kernel._seed_on_import(5)\nimport torch\n"
        "print(json.dumps([torch.calls, torch.backends.cudnn.benchmark]))"
    )
    path = os.pathsep.join([str(FILE.parent), str(tmp_path)])
    assert python(code, PYTHONPATH=path) == [[5, [True, True]], False]


def test_seed_on_import__a_module_that_is_not_there() -> None:
    code = (
        "import json, sys, mlci_kernel\nsys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
        "mlci_kernel._seed_on_import(5)\ntry: import torch\nexcept ImportError as error: print(json.dumps(error.name))"
    )
    assert python(code) == "torch"
