"""Head and tail of what may be endless."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class Excerpt(Generic[T]):
    """Keeps the first and the last of what is added: each at most half of `size`, and half of `count` pieces.

    Args:
        size: Of all that is kept, in the unit of `add`.
        count: How many pieces are kept; None: any number.
    """

    size: int
    count: int | None = None
    omitted: int = 0  # the size of what was let go
    omitted_count: int = 0
    tail: deque[T] = field(default_factory=deque)
    _sizes: deque[int] = field(default_factory=deque)
    _head_size: int = 0
    _head_count: int = 0
    _tail_size: int = 0

    def add(self, piece: T, size: int) -> bool:
        """Take a piece; whether it belongs to the head, which is not kept here: it can be shown at once."""
        more = self.count is None or self._head_count < self.count // 2
        if not self._sizes and more and self._head_size + size <= self.size // 2:
            self._head_size += size
            self._head_count += 1
            return True
        self.tail.append(piece)
        self._sizes.append(size)
        self._tail_size += size
        while self._tail_size > self.size // 2 or (self.count is not None and len(self._sizes) > self.count // 2):
            self.tail.popleft()
            gone = self._sizes.popleft()
            self._tail_size -= gone
            self.omitted += gone
            self.omitted_count += 1
        return False
