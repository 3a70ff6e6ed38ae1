"""Reports as pages for tests: one with all that there can be, and one whose every word means harm."""

from __future__ import annotations

import json
import math
import random
import struct
import zlib
from typing import Any

import msgspec

from fakes.comparisons import COMMIT, delta, judged, measured, passing
from mlci.core.documents import Attempt, Comparison, Delta, Environment, Failure, Metric, Outputs, Record
from mlci.core.redaction import Redactor
from mlci.render.pages.notebooks import Notebook, notebook
from mlci.render.pages.picture import Picture
from mlci.render.pages.report import SLICES, Executed, Shown, report
from mlci.render.report import Meta

HOSTILE = (
    "</script><script>hacked=1</script>",
    "<img src=x onerror=hacked=1>",
    "javascript:hacked=1",
    "\"' onmouseover='hacked=1' x=\"",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u2066",
    "<!--<script>",
    "]]>&lt;b&gt;",
    "long" * 2500,
)
_EVIL_SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30" onload="parent.hacked=1"><script>'
    b'parent.hacked=1;alert(1)</script><image href="http://127.0.0.1:9/x.png" width="9" height="9"/></svg>'
)
_EVIL_HTML = (
    "<h1 id=main class='skip data'>a</h1><img src=x onerror='hacked=1'><script>hacked=1</script><svg onload='hacked=1'>"
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe><a href='javascript:hacked=1'>evil link</a>"
    "<form action='http://127.0.0.1:9/'><input><button>b</button></form><style>* {display: none}</style>"
    "<base href='http://127.0.0.1:9/'><meta http-equiv=refresh content='0; url=http://127.0.0.1:9/'>"
    "<link rel=stylesheet href='http://127.0.0.1:9/x.css'><img src='http://127.0.0.1:9/x.png'>"
    "<div style='position: fixed; inset: 0' onclick='hacked=1'>b</div></details></main></body>"
)


def png(seed: int, *, side: int = 40, noise: bool = False) -> bytes:
    """A picture of one colour, or of noise, which takes `3 * side ** 2` bytes."""
    drawn = random.Random(seed)  # noqa: S311
    pixel = drawn.randbytes(3)
    rows = b"".join(b"\0" + (drawn.randbytes(3 * side) if noise else pixel * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


def ipynb(*cells: dict[str, Any], **metadata: Any) -> bytes:
    """A notebook."""
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}).encode()


def code(source: str, *outputs: dict[str, Any], count: int | None = 1) -> dict[str, Any]:
    """A code cell."""
    return {"cell_type": "code", "source": source, "execution_count": count, "outputs": list(outputs), "metadata": {}}


def shows(**bundle: str) -> dict[str, Any]:
    """An output of an object, `text_html` standing for text/html."""
    data = {kind.replace("_", "/", 1): value for kind, value in bundle.items()}
    return {"output_type": "display_data", "metadata": {}, "data": data}


def rendered(data: bytes, *, budget: int = 200_000, secrets: tuple[str, ...] = ()) -> Notebook:
    """What a page shows of a notebook."""
    return notebook(data, name="executed.ipynb", budget=budget, redactor=Redactor(secrets))


def curve(rate: float, points: int = 40) -> tuple[tuple[float, float], ...]:
    """A metric that learns."""
    return tuple((float(step), 1 - math.exp(-step * rate)) for step in range(points))


def whole(*deltas: Delta, pictures: tuple[Picture, ...] = (), **shown: Any) -> str:
    """The page of a run with these deltas, learning curves of the first two, and a notebook."""
    metrics = tuple(Metric(name=item.metric, value=item.current or 0.0) for item in deltas if item.slice is None)
    before = _learning(measured(commit="b" * 40), metrics, 0.04)
    now = _learning(measured(), metrics, 0.03)
    executed = Executed("train", "outputs/train/executed.ipynb", rendered(ipynb(code("1 + 1", shows(text_plain="2")))))
    given = Shown(
        before={"train": before}, pictures=pictures, notebooks=(executed,), documents={"record.json": "f" * 64}
    )
    return made(judged(*deltas), now, before, **{"shown": given} | shown)


def made(comparison: Comparison, now: Record, *before: Record, shown: Shown) -> str:
    """The page of one run."""
    meta = Meta(commit=COMMIT, most_slices=SLICES, before=before)
    return report(comparison, [now], meta=meta, shown=shown)


def _learning(record: Record, metrics: tuple[Metric, ...], rate: float) -> Record:
    learned = tuple(
        msgspec.structs.replace(metric, series=curve(rate)) if place < 2 else metric
        for place, metric in enumerate(metrics)
    )
    return msgspec.structs.replace(record, metrics=learned, parameters={"trees": 200}, inputs={"data.csv": "d" * 64})


def usual() -> str:
    """A page with something of everything."""
    deltas = (
        delta(),
        passing("f1", 0.80, 0.81),
        passing("loss", 0.31, 0.30, direction="lower", tolerance="at most 2% higher"),
        passing("auc", 0.70, 0.72, gate="none", tolerance=None),
        *(passing("accuracy", 0.9 - place / 100, 0.9, slice=f"country=X{place}") for place in range(8)),
    )
    pictures = (
        Picture("train", "figures/roc.png", None, "image/png", png(1), png(2)),
        Picture("train", "figures/new.png", 1, "image/png", png(3), None),
        Picture("train", "figures/huge.png", None, "", None, None, "its 4 MB do not fit"),
    )
    return whole(*deltas, pictures=pictures)


def hostile() -> str:
    """A page of what a stranger could report: every name, note, path, cell and picture tries to become more."""
    deltas = tuple(
        delta(
            name, 0.9, math.nan if place % 2 else 0.8, slice=name, reason=name, tolerance=f"at most 0.01 lower, {name}"
        )
        for place, name in enumerate(HOSTILE)
    )
    metrics = tuple(
        Metric(
            name=name,
            value=0.9,
            slice=name,
            unit=name,
            series=((0.0, 0.1), (1.0, math.nan), (2.0, 1e308), (3.0, -1e308)),
        )
        for name in HOSTILE
    )
    evil = HOSTILE[0]
    now = msgspec.structs.replace(
        measured(),
        metrics=metrics,
        error=Failure(kind="exception", message=evil, traceback=evil, file=evil),
        parameters={name: name for name in HOSTILE},
        inputs=dict.fromkeys(HOSTILE, evil),
        notes=HOSTILE,
        outputs=(Outputs(notebook=evil, log=evil),),
        attempts=(Attempt(status="failed", started_at=evil, duration_s=math.inf, run_url="javascript:hacked=1"),),
        environment=Environment(python=evil, platform=evil, packages={evil: evil}),
    )
    cells = ipynb(
        code(evil, shows(text_html=_EVIL_HTML), shows(text_markdown=f"# a\n{_EVIL_HTML}"), shows(text_plain=evil)),
        code(
            "1", {"output_type": "stream", "name": evil, "text": [evil]}, shows(**{"image_svg+xml": _EVIL_SVG.decode()})
        ),
        {"cell_type": "markdown", "source": _EVIL_HTML, "metadata": {}},
        {"cell_type": "raw", "source": _EVIL_HTML, "metadata": {}},
        language_info={"name": evil},
    )
    pictures = tuple(
        Picture("train", name, None, "image/svg+xml", _EVIL_SVG + b" " * place, _EVIL_SVG, name)
        for place, name in enumerate(HOSTILE)
    )
    given = Shown(
        before={"train": msgspec.structs.replace(now, parameters={})},
        pictures=pictures,
        notebooks=(Executed(evil, evil, rendered(cells)), Executed(evil, evil, missing=evil)),
        documents={evil: evil},
    )
    return made(judged(*deltas, notes=HOSTILE, reason=evil, changed=HOSTILE), now, now, shown=given)
