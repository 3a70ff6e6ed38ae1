from __future__ import annotations

import math
from pathlib import Path, PurePath

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.junit import JunitReader

FIXTURE = Path(__file__).parents[3] / "fixtures/readers/junit/pytest.xml"


def read(tmp_path: Path, text: str | bytes) -> list[Metric]:
    path = tmp_path / "junit.xml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return JunitReader().read(path, name="tests")


def values(tmp_path: Path, text: str) -> dict[str, float]:
    return {metric.name: metric.value for metric in read(tmp_path, text)}


def properties(*pairs: tuple[str, str]) -> str:
    inner = "".join(f'<property name="{name}" value="{value}"/>' for name, value in pairs)
    return f"<properties>{inner}</properties>"


def test_read__what_pytest_writes() -> None:
    assert JunitReader().read(FIXTURE, name="tests")[:-1] == [
        Metric(name="pytest.examples", value=1200),
        Metric(name="test_model::test_quality.accuracy", value=0.75),
        Metric(name="test_model::test_slices[de].f1", value=0.8),
        Metric(name="test_model::test_slices[fr].f1", value=0.6),
        Metric(name="pytest.tests", value=5),
        Metric(name="pytest.failures", value=1, direction="lower"),
        Metric(name="pytest.errors", value=0, direction="lower"),
        Metric(name="pytest.skipped", value=1),
    ]


def test_read__the_time_of_a_suite_has_its_unit(tmp_path: Path) -> None:
    [time] = read(tmp_path, '<testsuite name="s" time="1,234.5" tests=""/>')
    assert time == Metric(name="s.time", value=1234.5, direction="lower", unit="s")


def test_read__suites_of_one_name_are_added_up(tmp_path: Path) -> None:
    suite = '<testsuite name="s" tests="2" failures="1"/>'
    assert values(tmp_path, f"<testsuites>{suite}{suite}</testsuites>") == {"s.tests": 4, "s.failures": 2}


def test_read__a_property_recorded_again_replaces_the_first(tmp_path: Path) -> None:
    case = '<testcase classname="c" name="t">{}</testcase>'
    text = case.format(properties(("f1", "0.1"))) + case.format(properties(("f1", "0.2"), ("f1", "0.3")))
    assert values(tmp_path, f"<testsuite>{text}</testsuite>") == {"c::t.f1": 0.3}


def test_read__nan_and_infinity_are_numbers_and_words_are_none(tmp_path: Path) -> None:
    pairs = [("a", "nan"), ("b", "1e999"), ("c", "-inf"), ("d", "v1"), ("e", ""), ("f", "1_000")]
    found = values(tmp_path, f"<testsuite>{properties(*pairs)}</testsuite>")
    assert math.isnan(found.pop("a"))
    assert found == {"b": math.inf, "c": -math.inf}


LAUGHS = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10))


@pytest.mark.parametrize(
    "document",
    [
        f'<!DOCTYPE testsuite [<!ENTITY l0 "lol">{LAUGHS}]><testsuite name="&l9;"/>',
        '<!DOCTYPE t [<!ENTITY f SYSTEM "file:///etc/passwd">]><testsuite>&f;</testsuite>',
        '<!DOCTYPE t SYSTEM "http://127.0.0.1:9/evil.dtd"><testsuite/>',
        '<!DOCTYPE t [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><testsuite/>',
        "<!DOCTYPE testsuite><testsuite/>",
    ],
    ids=["billion laughs", "external entity", "external type", "parameter entity", "bare"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_read__a_document_type_is_refused(tmp_path: Path, document: str, encoding: str) -> None:
    with pytest.raises(MetricError, match=r"^tests: it declares a document type, which JUnit has none of$"):
        read(tmp_path, document.encode(encoding))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("<testsuite>" * 100, "nested deeper than 64 levels"),
        ("<html/>", "expected <testsuites> or <testsuite> at the top, got <html>"),
        ("<testsuite>", "not XML: no element found: line 1, column 11"),
        ("{}", r"not XML: not well-formed \(invalid token\): line 1, column 0"),
        ("<testsuite>&lol;</testsuite>", "not XML: undefined entity"),
        ('<?xml version="1.0" encoding="nonsense"?><testsuite/>', "not XML: unknown encoding"),
        (b"<testsuite name='\xff'/>", "not XML: not well-formed"),
        ('<testsuite tests="many"/>', "tests of a <testsuite>: expected a number, got 'many'"),
        (f"<testsuite>{properties(('x' * 10_000_000, '1'))}</testsuite>", "'x{40}'… has 10,000,000 characters"),
        (
            f'<testsuite><testcase name="{"x" * 100_000}">{properties(("a", "1"))}</testcase></testsuite>',
            "'x{40}'… has 100,002 characters",
        ),
        (
            "<testsuite>" + properties(*((f"m{index}", "1") for index in range(10_001))) + "</testsuite>",
            "more than 10,000 metrics",
        ),
        ("<testsuite>" + " " * 17 * 1024 * 1024, "larger than 16,777,216 bytes"),
    ],
    ids=["deep", "root", "cut", "json", "entity", "encoding", "bytes", "count", "long", "owner", "many", "large"],
)
def test_read__what_is_refused(tmp_path: Path, document: str | bytes, said: str) -> None:
    with pytest.raises(MetricError, match=f"^tests: {said}"):
        read(tmp_path, document)


@pytest.mark.parametrize(
    ("path", "head", "recognised"),
    [
        (FIXTURE, FIXTURE.read_bytes(), True),
        (PurePath("reports/*.xml"), b"", True),
        (PurePath("coverage.xml"), b"<coverage/>", False),
        (PurePath("index.html"), b"<testsuite", False),
    ],
)
def test_recognises(path: PurePath, head: bytes, recognised: bool) -> None:
    assert JunitReader.recognises(path, head) is recognised
