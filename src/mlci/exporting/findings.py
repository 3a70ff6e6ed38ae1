"""What a translation has to say: what it replaced, dropped and could not do, each with its cell and line."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was done, or could not be done, to the notebook."""

    cell: int  # from 1, Markdown cells included
    line: int  # of the cell, from 1
    what: str
    how: str = ""  # what became of it, or why it is refused
    remedy: str = ""

    def __str__(self) -> str:
        said = f"cell {self.cell}, line {self.line}: {self.what}"
        return f"{said}: {self.how}" if self.how else said


@dataclass
class Findings:
    """Everything that is said of one translation."""

    refused: list[Finding] = field(default_factory=list)
    replaced: list[Finding] = field(default_factory=list)
    dropped: list[Finding] = field(default_factory=list)
    todo: list[Finding] = field(default_factory=list)  # raises where the script comes to it
    requirements: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)  # functions that the script needs

    def refuse(self, cell: int, line: int, what: str, reason: str, remedy: str) -> None:
        """Note what cannot be translated truthfully."""
        finding = Finding(cell=cell, line=line, what=_short(what).rstrip(":"), how=reason, remedy=remedy)
        if finding not in self.refused:
            self.refused.append(finding)

    def replace(self, cell: int, line: int, what: str, by: str) -> None:
        """Note what became something else."""
        self.replaced.append(Finding(cell=cell, line=line, what=_short(what), how=_short(by)))

    def drop(self, cell: int, line: int, what: str, why: str) -> None:
        """Note what has no place in a script."""
        self.dropped.append(Finding(cell=cell, line=line, what=_short(what), how=why))

    def require(self, requirement: str) -> None:
        """Note what a cell would have installed."""
        if requirement not in self.requirements:
            self.requirements.append(requirement)


def _short(text: str, most: int = 80) -> str:
    """One line of it, printable."""
    line = " ".join(text.split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= most else f"{line[: most - 3]}..."
