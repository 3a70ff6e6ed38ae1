"""Compares pickles, those of joblib too, by what they would build, without building it: their opcodes are only read.

Equal pickles can differ in bytes: two equal texts or tuples are one object where the compiler has merged them, as it
does within a function, and two where they stand in different cells; pickle writes one object's second as a reference.
"""

from __future__ import annotations

import hashlib
import pickletools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_MAX_BYTES = 256 * 1024 * 1024
_MAX_STEPS = 5_000_000
_PUTS, _GETS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"}), frozenset({"GET", "BINGET", "LONG_BINGET"})
_IN_PLACE = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"})
# Whether two of these are one object or two makes a difference; of everything else nobody can tell.
_OBJECTS = frozenset(
    {"LIST", "EMPTY_LIST", "DICT", "EMPTY_DICT", "EMPTY_SET", "REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST"}
)
_TUPLES = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE"})
_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_DTYPE = re.compile(r"[<>|=]?([?bBiufcmMSUV])(\d*)$")


@dataclass(eq=False)
class _Node:
    """What one opcode would make."""

    made_by: str
    value: object = None
    parts: list[_Node] = field(default_factory=list)


_MARK = _Node("MARK")


def same(one: Path, other: Path) -> bool | None:
    """Whether two pickles hold the same; None: they are none, or too large to tell."""
    try:
        return _digest(one) == _digest(other)
    except (ValueError, KeyError, IndexError, AttributeError, TypeError, RecursionError):
        return None  # no pickle, broken, or of a kind that nobody foresaw


def _digest(path: Path) -> bytes:
    """Of the whole structure.

    Raises:
        ValueError: It is no pickle, or too large.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(path.name)
    with path.open("rb") as file:
        root = _read(file, [_MAX_STEPS])
        if file.read(1):
            raise ValueError(path.name)
    known = hashlib.sha256()
    left = _MAX_STEPS
    for word in _words(root, {}):
        known.update(f"{len(word)}:{word}".encode("utf-8", "surrogatepass"))
        left -= 1
        if left < 0:
            raise ValueError(path.name)
    return known.digest()


def _words(node: _Node, seen: dict[int, int]) -> Iterator[str]:
    """The structure as words; an object that comes again is its number."""
    if node.made_by in _OBJECTS:
        if id(node) in seen:
            yield f"again {seen[id(node)]}"
            return
        seen[id(node)] = len(seen)
    made_by = "TUPLE" if node.made_by in _TUPLES else node.made_by
    yield f"{made_by} {node.value!r} {len(node.parts)}"
    for part in node.parts:
        yield from _words(part, seen)


def _read(file: IO[bytes], left: list[int]) -> _Node:
    """What one pickle would build."""
    stack: list[_Node] = []
    memo: dict[int, _Node] = {}
    argument: Any  # a number, where the opcode needs one
    for opcode, argument, _ in pickletools.genops(file):
        left[0] -= 1
        if left[0] < 0:
            raise ValueError("too many opcodes")
        name = opcode.name
        if name == "STOP":
            return stack.pop()
        if name in ("PROTO", "FRAME"):
            continue
        if name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in _PUTS:
            memo[int(argument)] = stack[-1]
        elif name in _GETS:
            stack.append(memo[int(argument)])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("POP", "POP_MARK", "DUP"):
            raise ValueError("pickle itself writes these for what refers to itself only")
        else:
            _apply(stack, name, argument, [item.name for item in opcode.stack_before])
            if name == "BUILD" and _is_wrapper(stack[-1]):
                stack[-1].parts.append(_array(file, stack[-1], left))
    raise ValueError("no end")


def _apply(stack: list[_Node], name: str, argument: object, before: Sequence[str]) -> None:
    """One opcode that takes values from the stack and leaves one."""
    taken: list[_Node] = []
    if "mark" in before:
        at = max(place for place, node in enumerate(stack) if node is _MARK)
        taken = stack[at + 1 :]
        del stack[at:]
        count = before.index("mark")
    else:
        count = len(before)
    below = stack[len(stack) - count :] if count else []
    del stack[len(stack) - count :]
    if name in _IN_PLACE:
        target, *rest = below
        # In pieces or at once, it is the same.
        target.parts += [_Node(name), *rest] if name == "BUILD" else [*rest, *taken]
        stack.append(target)
    else:
        stack.append(_Node(name, argument, [*below, *taken]))


def _is_wrapper(node: _Node) -> bool:
    """Whether it is what joblib writes before the bytes of an array."""
    kind = node.parts[0] if node.made_by == "NEWOBJ" and node.parts else None
    named = tuple(part.value for part in kind.parts) if kind and kind.made_by == "STACK_GLOBAL" else ()
    return named == _WRAPPER or (kind is not None and kind.value == " ".join(_WRAPPER))


def _array(file: IO[bytes], wrapper: _Node, left: list[int]) -> _Node:
    """The bytes of an array, as far as its wrapper says."""
    state = wrapper.parts[-1].parts
    values = {str(key.value): value for key, value in zip(state[::2], state[1::2], strict=True)}
    code = str(values["dtype"].parts[1].parts[0].value)
    if code.startswith("O"):
        return _read(file, left)  # a pickle of its own
    found = _DTYPE.match(code)
    if found is None:
        raise ValueError(code)
    size = int(found[2] or 1) * (4 if found[1] == "U" else 1)
    for length in values["shape"].parts:
        size *= _whole(length)
    if values.get("numpy_array_alignment_bytes") is not None:
        file.read(file.read(1)[0])
    content = file.read(min(size, _MAX_BYTES + 1))
    if len(content) != size:
        raise ValueError("shorter than its array")
    return _Node("ARRAY", hashlib.sha256(content).hexdigest())


def _whole(node: _Node) -> int:
    if not isinstance(node.value, int):
        raise TypeError(node.made_by)
    return node.value
