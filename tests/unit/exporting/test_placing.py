"""Hard cases of scope and order: whatever cells give in one namespace, the script gives from its main()."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fakes.notebooks import notebook_of
from mlci.exporting.converting import Surroundings, convert
from mlci.exporting.findings import Findings
from mlci.exporting.reading import read

# Each leaves `result`; cells are apart by an empty comment.
CASES = {
    "lambda_late": ("k=1\nf=lambda v: v+k\n#\nk=5\nresult=f(1)"),
    "comp_class": ("n=3\nclass A:\n    xs=[i*n for i in range(n)]\nresult=A.xs"),
    "del_global": (
        "x=1\ndef f():\n    return x\nresult=f()\ndel x\ntry:\n    f()\nexcept NameError:\n    result='gone'"
    ),
    "try_name": ("try:\n    undefined_yet\nexcept NameError:\n    undefined_yet=4\nresult=undefined_yet"),
    "import_in_func": ("def f():\n    import json\n    return json.dumps(1)\nresult=f()"),
    "rebinding_import": ("import math\nold=math.pi\nmath='shadow'\nresult=[old,math]"),
    "func_attr": ("def f():\n    f.count+=1\n    return f.count\nf.count=0\nf()\nresult=f()"),
    "deco": (
        "calls=[]\n"
        "def reg(fn):\n"
        "    calls.append(fn.__name__)\n"
        "    return fn\n"
        "@reg\n"
        "def a(): pass\n"
        "#\n"
        "@reg\n"
        "def b(): pass\n"
        "result=calls"
    ),
    "monkey": (
        "import json\n"
        "old=json.dumps\n"
        "json.dumps=lambda o: 'patched'\n"
        "from json import dumps\n"
        "result=dumps(1)\n"
        "json.dumps=old"
    ),
    "const_env": (
        "import os\n"
        "os.environ['ZZ']='1'\n"
        "HOME_ZZ=os.environ['ZZ']\n"
        "os.environ['ZZ']='2'\n"
        "def g(a=os.environ['ZZ']):\n"
        "    return a\n"
        "result=[HOME_ZZ,g()]"
    ),
    "global_in_func": ("def init():\n    global state\n    state={'a':1}\n#\ninit()\nresult=state['a']"),
    "enum": ("from enum import Enum\nclass C(Enum):\n    A=1\n    B=A\nresult=C.B.name"),
    "setter": (
        "class P:\n"
        "    def __init__(self): self._v=1\n"
        "    @property\n"
        "    def v(self): return self._v\n"
        "    @v.setter\n"
        "    def v(self, n): self._v=n\n"
        "p=P()\n"
        "p.v=3\n"
        "result=p.v"
    ),
    "star_args": ("a, *b = [1,2,3]\n(c, (d, e)) = (1, (2, 3))\nresult=[a,b,c,d,e]"),
    "with": ("import io\nwith io.StringIO() as s, io.StringIO() as t:\n    s.write('a')\n    result=s.getvalue()"),
    "genlate": ("m=2\ng=(i*m for i in range(3))\n#\nm=10\nresult=list(g)"),
    "caps_rebound": ("N=1\ndef f(): return N\nr1=f()\nN=2\nresult=[r1,f()]"),
    "caps_list": ("ROWS=[]\ndef add(v): ROWS.append(v)\nadd(1)\nresult=ROWS"),
    "type_checking": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nothing_here\nresult=TYPE_CHECKING"
    ),
    "inner_class": (
        "base=2\n"
        "class A:\n"
        "    class B:\n"
        "        v=base\n"
        "    def m(self):\n"
        "        return [base for _ in range(2)]\n"
        "result=[A.B.v,A().m()]"
    ),
    "super": (
        "k=1\nclass A:\n    def m(self): return k\nclass B(A):\n    def m(self): return super().m()+1\nresult=B().m()"
    ),
    "builtin_in_func": ("def f(): return sum([1,2])\nr=f()\nsum=lambda x: 99\nresult=[r,f()]"),
    "nonlocal": (
        "def c():\n"
        "    n=0\n"
        "    def i():\n"
        "        nonlocal n\n"
        "        n+=1\n"
        "        return n\n"
        "    return i\n"
        "i=c()\n"
        "i()\n"
        "result=i()"
    ),
    "fmt": ("v=3\nresult=f'{v!r:>4}|{v=}'"),
    "multi_target": ("a=b=[1]\na.append(2)\nresult=b"),
    "aug": ("t=0\nfor i in range(3): t+=i\nresult=t+i"),
    "semi": ("a=1; b=2; result=a+b;"),
    "if_main": ("def go(): return 7\nif __name__ == '__main__' or True:\n    result=go()"),
    "docstr": ('"""doc"""\nx="""a\n  b"""\nresult=x'),
    "annot_only": ("x: int\ny: 'list' = [1]\nresult=y"),
    "vars": ("q=1\nresult='q' in vars() and 'q' in locals() and 'q' in globals()"),
    "walrus": ("result=[y:=1, y**2, (lambda: y)()]"),
    "while_else": ("n=0\nwhile n<2:\n    n+=1\nelse:\n    result=n"),
    "import_alias2": ("import os.path as p\nimport os\nresult=p is os.path"),
    "two_imports": (
        "from json import dumps as d\nr=d(1)\n#\nfrom pickle import dumps as d\nresult=[r, type(d(1)).__name__]"
    ),
    "partial_default": ("rate=2\ndef f(x, r=rate): return x*r\nrate=3\nresult=f(1)"),
    "dataclass_eq": (
        "from dataclasses import dataclass, field\n"
        "@dataclass(order=True)\n"
        "class D:\n"
        "    a: int = 0\n"
        "    b: list = field(default_factory=list)\n"
        "result=[D(1)<D(2), D().b]"
    ),
    "generic": (
        "from typing import Generic, TypeVar\n"
        "T=TypeVar('T')\n"
        "class Box(Generic[T]):\n"
        "    def __init__(self, v: T): self.v=v\n"
        "result=Box(1).v"
    ),
    "abc": (
        "from abc import ABC, abstractmethod\n"
        "class I(ABC):\n"
        "    @abstractmethod\n"
        "    def f(self): ...\n"
        "class J(I):\n"
        "    def f(self): return 1\n"
        "result=J().f()"
    ),
    "cont": ("x = 1 + \\\n    2\nresult = x"),
    "comment_tail": ("x=1  # c\n# tail\n#\nresult=x\n# end"),
    "tabs": ("if True:\n\tresult=1"),
    "unpack_call": ("d={'a':1}\ndef f(**k): return k\nresult=f(**d, b=2)"),
    "query_local": ("lim=2\ndef names():\n    return [n for n in ('lim',) if n in globals()]\nresult=names()"),
}


@pytest.mark.parametrize("name", CASES)
def test_place__a_script_gives_what_the_cells_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    cells = CASES[name].split("\n#\n")
    notebook: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells:
            exec(compile(cell, "cell", "exec"), notebook)  # noqa: S102 - as a kernel does
    path = tmp_path / "notebook.ipynb"
    path.write_text(notebook_of("\n".join(f"# %%\n{cell}" for cell in (*cells, "def out():\n    return result"))))
    findings = Findings()
    made = convert(read(path, findings), Surroundings(), findings)
    assert made is not None, findings.refused
    module = ModuleType("script")
    monkeypatch.setitem(sys.modules, "script", module)  # where dataclasses look
    script = module.__dict__
    exec(compile(made.text, "script", "exec"), script)  # noqa: S102 - what is tested
    with contextlib.redirect_stdout(io.StringIO()):
        script["main"]()
    assert script["out"]() == notebook["result"]
