"""Numbers written as text, for formats that have nothing else."""

from __future__ import annotations


def as_float(text: str) -> float | None:
    """The number that a text is, NaN and infinities included; None for what is none."""
    try:
        # Python's own separators, "1_000", are nobody's metric.
        return None if "_" in text else float(text)
    except ValueError:
        return None
