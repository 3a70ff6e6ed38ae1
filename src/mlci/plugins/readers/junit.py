"""JUnit XML: the numbers that tests record as properties, and how many of them passed.

Read as a stream of tags with a parser that knows no document type: without one there are no entities, so there is
nothing to expand and nothing to fetch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import ClassVar
from xml.parsers import expat

from mlci.core.documents import Direction, Metric
from mlci.errors import MetricError
from mlci.plugins.readers.source import Found, check_count, check_text, read_bytes
from mlci.plugins.readers.text import as_float

_MAX_BYTES = 16 * 1024 * 1024
_MAX_DEPTH = 64
_COUNTS: dict[str, tuple[Direction | None, str | None]] = {
    "tests": (None, None),
    "failures": ("lower", None),
    "errors": ("lower", None),
    "skipped": (None, None),
    "time": ("lower", "s"),
}


@dataclass(frozen=True)
class JunitReader:
    """`record_property("accuracy", 0.9)` in a test is the metric `tests.test_model::test_quality.accuracy`.

    A suite's own properties and counts carry the suite's name; suites of one name are added up.
    """

    name: ClassVar[str] = "junit"
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """By the tag that is its root."""
        return path.suffix.lower() == ".xml" and (not head or b"<testsuite" in head)

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The numeric properties, then the counts of the suites."""
        data = read_bytes(path, name, limit=_MAX_BYTES)
        document = _Document(name)
        parser = expat.ParserCreate()
        parser.StartElementHandler = document.start
        parser.EndElementHandler = document.end
        parser.StartDoctypeDeclHandler = document.doctype
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise MetricError(f"{name}: not XML: {error}") from None
        except (ValueError, LookupError) as error:  # an encoding that nobody knows
            raise MetricError(f"{name}: not XML: {' '.join(str(error).split())[:200]}") from None
        return document.metrics()


@dataclass
class _Document:
    name: str
    depth: int = 0
    suites: list[str] = field(default_factory=list)  # those that are open
    case: str | None = None  # the test case that is open
    properties: dict[str, float] = field(default_factory=dict)
    counts: dict[tuple[str, str], float] = field(default_factory=dict)

    def doctype(self, *_: object) -> None:
        raise MetricError(f"{self.name}: it declares a document type, which JUnit has none of")

    def start(self, tag: str, given: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise MetricError(f"{self.name}: nested deeper than {_MAX_DEPTH} levels")
        if self.depth == 1 and tag not in ("testsuites", "testsuite"):
            raise MetricError(f"{self.name}: expected <testsuites> or <testsuite> at the top, got <{tag:.40}>")
        if tag == "testsuite":
            self.suites.append(given.get("name", ""))
            self._count(given)
        elif tag == "testcase":
            self.case = "::".join(filter(None, (given.get("classname"), given.get("name"))))
        elif tag == "property":
            number = as_float(given.get("value", ""))
            if number is not None:
                owner = self.case if self.case is not None else "".join(self.suites[-1:])
                # Recorded twice by one test, or by a test that was run again: the last one counts.
                called = ".".join(filter(None, (owner, given.get("name"))))
                check_text(called, self.name)
                self.properties[called] = number
                check_count(len(self.properties), self.name)

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == "testsuite":
            self.suites.pop()
        elif tag == "testcase":
            self.case = None

    def metrics(self) -> list[Metric]:
        found = Found(self.name)
        for name, value in self.properties.items():
            found.add(Metric(name=name, value=value))
        for (suite, count), value in self.counts.items():
            direction, unit = _COUNTS[count]
            found.add(Metric(name=f"{suite}.{count}".lstrip("."), value=value, direction=direction, unit=unit))
        return found.all()

    def _count(self, given: dict[str, str]) -> None:
        for count in _COUNTS:
            text = given.get(count, "").replace(",", "")  # Surefire writes 1,234.5
            if not text:
                continue
            number = as_float(text)
            if number is None:
                raise MetricError(f"{self.name}: {count} of a <testsuite>: expected a number, got {text!r:.60}")
            key = (self.suites[-1], count)
            self.counts[key] = self.counts.get(key, 0.0) + number
