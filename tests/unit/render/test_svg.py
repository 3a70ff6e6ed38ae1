from __future__ import annotations

import io

import pytest
from matplotlib.figure import Figure

from mlci.render.svg import bounded

XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
DOTS = "".join(f'<rect x="{place}" width="9" height="9"/>' for place in range(10))


def svg(body: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {XLINK} width="9" height="9">{body}</svg>'.encode()


def nested(tag: str, inside: str) -> bytes:
    """Ten of ten of ten, nine times: `inside` refers to the one before, p?."""
    parts = [f'<{tag} id="p{place}">{inside.replace("?", str(place - 1)) * 10}</{tag}>' for place in range(1, 10)]
    return svg(f'<{tag} id="p0"><rect/></{tag}>{"".join(parts)}{inside.replace("?", "9")}')


def test_bounded__what_matplotlib_draws() -> None:
    figure = Figure()
    axes = figure.subplots(2)
    axes[0].scatter(range(2000), range(2000))
    axes[1].bar(range(5), range(5), hatch="/")
    figure.suptitle("Ω $x^2$")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    assert bounded(buffer.getvalue())


@pytest.mark.parametrize(
    "body",
    [
        f'<g clip-path="url(#c)">{DOTS}</g><clipPath id="c"><rect/></clipPath>',
        '<mask id="m"><g filter="url(#f)"><image xlink:href="data:image/png;base64,AA=="/></g></mask><filter id="f"/>',
        '<style>* {stroke: #fff}</style><rect fill="#fff" style="fill: red"/><a href="https://example.com"/>',
        '<path d="M0 0 L1 1" marker-end="url(#gone)"/>',
    ],
)
def test_bounded__parts_that_stand_for_others(body: str) -> None:
    assert bounded(svg(body))


@pytest.mark.parametrize(
    ("tag", "inside"),
    [
        ("g", '<use xlink:href="#p?"/>'),
        ("g", '<use href=" #%70?"/>'),
        ("mask", '<rect mask="url(#p?)"/>'),
        ("clipPath", "<rect style='clip-path: URL( \"#p?\")'/>"),
        ("pattern", '<rect fill="url(#p?)"/>'),
        ("g", '<use><set attributeName="href" to="#p?"/></use>'),
    ],
)
def test_bounded__parts_that_multiply(tag: str, inside: str) -> None:
    assert not bounded(nested(tag, inside))


def test_bounded__a_reference_that_is_inherited_counts_for_each_heir() -> None:
    parts = "".join(
        f'<pattern id="p{place}"><g fill="url(#p{place - 1})">{DOTS}</g></pattern>' for place in range(1, 9)
    )
    assert not bounded(svg(f'<pattern id="p0"><rect/></pattern>{parts}<rect fill="url(#p8)"/>'))


def test_bounded__a_marker_at_each_vertex() -> None:
    marker = f'<marker id="m">{DOTS * 20}</marker>'
    assert bounded(svg(f'{marker}<path d="M0 0L1 1" marker-mid="url(#m)"/>'))
    assert not bounded(svg(f'{marker}<path d="M0 0{"L1 1" * 1000}" marker-mid="url(#m)"/>'))


@pytest.mark.parametrize(
    "content",
    [
        svg("<g"),
        svg("\u00e9").decode().encode("latin-1"),
        svg('<g id="a"><use href="#a"/></g>'),
        svg("<style>rect {mask: url(#m)}</style>"),
        svg("<style>rect {mask: \\75rl(#m)}</style>"),
        svg('<rect mask="\\75rl(#m)"/>'),
        svg('<image href="data:image/svg+xml;base64,AAAA"/>'),
        svg("<g>" * 5000 + "</g>" * 5000),
    ],
)
def test_bounded__nobody_can_tell(content: bytes) -> None:
    assert not bounded(content)
