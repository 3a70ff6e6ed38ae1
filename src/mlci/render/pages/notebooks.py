"""Executed notebooks as HTML to read: nothing in it runs, loads or leaves its place, and it keeps to a size."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mlci.core import strict_json
from mlci.core.redaction import Redactor
from mlci.render.text import counted, printable

if TYPE_CHECKING:
    from nbconvert import HTMLExporter

MAX_BYTES = 32 * 1024 * 1024  # of a notebook
_MOST_CELLS = 100  # that are rendered of one
_MOST_OUTPUTS = 50  # of a cell
_MOST_TEXT = 6_000  # characters of a source or an output; of what is longer head and tail
_MOST_HTML = 60_000  # characters of a table or the like, which cannot be cut
_READ = 4  # times what is shown: so much is read and rendered at most, whatever of it then has no room
_MOST_IMAGE = 200_000  # characters in base64
_IMAGES = ("image/png", "image/jpeg")
# Of Markdown no more than is shown of any text: reading some of it takes the square of its length.
_RICH = {"text/html": _MOST_HTML, "text/markdown": _MOST_TEXT}
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
# Languages whose words are told apart in good time: some lexers, IPython's too, take the square of a text's length.
_LEXERS = frozenset(
    ("bash", "fsharp", "go", "haskell", "julia", "kotlin", "matlab", "octave", "r", "ruby", "rust", "sql")
)
_IMAGE_ADDRESS = re.compile(r"data:image/(?:png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*")
_ADDRESS = re.compile(r"https?://.*", re.DOTALL)
# What Pygments calls tokens and nbconvert colours of terminals; a page's own classes are longer.
_CLASS = re.compile(r"[a-z][a-z0-9]{0,2}|ansi-[a-z-]{3,24}|highlight|prompt")
_HEADING = re.compile(r"<(/?)h[1-6]>")
# What nh3 lets through by itself and a page keeps to itself.
_LANDMARKS = {"area", "article", "aside", "center", "figcaption", "figure", "footer", "header", "hgroup", "map", "nav"}
_WITH_CONTENT = {
    "script",
    "style",
    "iframe",
    "object",
    "embed",
    "svg",
    "math",
    "template",
    "noscript",
    "title",
    "textarea",
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "ol": {"start"},
    **{tag: {"class"} for tag in ("span", "div", "pre")},
}


@dataclass(frozen=True)
class Notebook:
    """What a page shows of a notebook.

    Args:
        parts: Cells, sanitised; between them in words how many are left out.
        size: Characters of all cells.
    """

    parts: tuple[Markup | str, ...]
    size: int


def notebook(data: bytes, *, name: str, budget: int, redactor: Redactor) -> Notebook:
    """The cells of a notebook that fit: those that failed, then from both ends.

    Args:
        data: The .ipynb, which may be anybody's.
        name: How errors call it.
        budget: Characters of HTML.
        redactor: Knows what is secret.

    Raises:
        DocumentError: It is no notebook.
    """
    content = strict_json.loads(data, name=name, max_bytes=MAX_BYTES, max_depth=200, allow_nan=True)
    content = redactor.value(content)
    found = _of(content, "cells", list)
    cells = [cell for cell in found if isinstance(cell, dict)]
    render = _Renderer(_lexer(_of(content, "metadata", dict)))
    shown: dict[int, Markup] = {}
    left, unread = budget, _READ * budget
    for index in list(_by_interest(cells))[:_MOST_CELLS]:
        cell = _made(cells[index])
        length = _length(cell)
        unread -= length
        if unread < 0:
            break
        if length > left:
            continue
        html = render.cell(cell)
        unread -= len(html)
        if len(html) <= left:
            shown[index] = html
            left -= len(html)
    return Notebook(tuple(_with_gaps(shown, len(cells))), budget - left)


def _by_interest(cells: list[dict[str, Any]]) -> Iterator[int]:
    failed = [index for index, cell in enumerate(cells) if _failed(cell)]
    yield from failed
    # What was not reached stands at the end and says nothing.
    last = max((index for index, cell in enumerate(cells) if _ran(cell)), default=len(cells) - 1)
    ends = [index for pair in zip(range(last + 1), range(last, -1, -1), strict=True) for index in pair]
    yield from dict.fromkeys(index for index in [*ends, *range(last + 1, len(cells))] if index not in failed)


def _failed(cell: dict[str, Any]) -> bool:
    return any(_of(output, "output_type", str) == "error" for output in _of(cell, "outputs", list))


def _ran(cell: dict[str, Any]) -> bool:
    return bool(_of(cell, "outputs", list)) or isinstance(cell.get("execution_count"), int)


def _with_gaps(shown: dict[int, Markup], count: int) -> Iterator[Markup | str]:
    following = 0
    for index in [*sorted(shown), count]:
        if index > following:
            yield f"{counted(index - following, 'cell')} left out"
        if index in shown:
            yield shown[index]
        following = index + 1


class _Renderer:
    """Renders cells of one language."""

    def __init__(self, lexer: str) -> None:
        self._metadata = {"language_info": {"name": lexer, "pygments_lexer": lexer}}

    def cell(self, made: Any) -> Markup:  # noqa: ANN401 - of nbformat
        import nbformat.v4 as nb  # noqa: PLC0415 - heavy

        whole = nb.new_notebook(cells=[made], metadata=self._metadata)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that no lexer has this name
            html, _ = _exporter().from_notebook_node(whole)
        return Markup(_sanitised(html))  # noqa: S704 - sanitised


def _made(cell: dict[str, Any]) -> Any:  # noqa: ANN401 - of nbformat
    """The cell anew from what it says, so that nothing else of it is rendered."""
    import nbformat.v4 as nb  # noqa: PLC0415 - heavy

    source = _cut(_text(cell.get("source")))
    kind = _of(cell, "cell_type", str)
    if kind == "code":
        count = cell.get("execution_count")
        outputs = [made for output in _of(cell, "outputs", list)[:_MOST_OUTPUTS] for made in _output(output)]
        return nb.new_code_cell(source, execution_count=count if isinstance(count, int) else None, outputs=outputs)
    return nb.new_markdown_cell(source) if kind == "markdown" else nb.new_raw_cell(source)


def _length(made: Any) -> int:  # noqa: ANN401 - of nbformat
    """Characters of a cell that was made."""
    outputs = made.get("outputs", ())
    texts = [text for output in outputs for text in (*output.get("data", {}).values(), *output.get("traceback", ()))]
    return len(made.source) + sum(map(len, [*texts, *(output.get("text", "") for output in outputs)]))


def _output(output: object) -> Iterator[Any]:
    import nbformat.v4 as nb  # noqa: PLC0415 - heavy

    kind = _of(output, "output_type", str)
    if kind == "stream":
        name = "stderr" if _of(output, "name", str) == "stderr" else "stdout"
        yield nb.new_output("stream", name=name, text=_cut(_text(_value(output, "text"))))
    elif kind == "error":
        traceback = "\n".join(map(_text, _of(output, "traceback", list)))
        yield nb.new_output("error", ename="", evalue="", traceback=[_cut(traceback)])
    elif kind in ("display_data", "execute_result"):
        yield nb.new_output("display_data", data=_best(_of(output, "data", dict)))


def _best(bundle: dict[str, Any]) -> dict[str, str]:
    """The one form of an output that can be shown."""
    for kind in _IMAGES:
        text = _text(bundle.get(kind))
        if text and len(text) <= _MOST_IMAGE and _BASE64.fullmatch(text):
            return {kind: text}
    for kind, most in _RICH.items():
        text = _text(bundle.get(kind))
        if text and len(text) <= most:
            return {kind: text}
    text = _cut(_text(bundle.get("text/plain")))
    hidden = [
        str(kind)[:80] for kind in bundle if kind != "text/plain" and not str(kind).startswith("application/scrapbook")
    ]
    if hidden:
        text = f"{text}\n[not shown here: {', '.join(hidden[:3])}]".strip()
    return {"text/plain": text}


def _cut(text: str) -> str:
    if len(text) <= _MOST_TEXT:
        return text
    half = _MOST_TEXT // 2
    return f"{text[:half]}\n[{len(text) - 2 * half:,} characters left out]\n{text[-half:]}"


def _text(value: object) -> str:
    """A text as notebooks write it, whole or in lines; colours of terminals stay, other control characters go."""
    if isinstance(value, list):
        value = "".join(item for item in value if isinstance(item, str))
    if not isinstance(value, str):
        return ""
    return "\x1b".join(map(printable, value.split("\x1b")))


def _value(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _of(value: object, key: str, kind: type) -> Any:  # noqa: ANN401 - of that kind
    found = _value(value, key)
    return found if isinstance(found, kind) else kind()


def _lexer(metadata: dict[str, Any]) -> str:
    language = _of(metadata, "language_info", dict)
    named = (_of(language, "pygments_lexer", str) or _of(language, "name", str)).lower()
    return named if named in _LEXERS else "python" if "python" in named or not named else "text"


@functools.cache
def _exporter() -> HTMLExporter:
    from nbconvert import HTMLExporter  # noqa: PLC0415 - heavy

    # It would look for templates, which are programs, where mlci was started: in a checkout of anybody's.
    exporter = HTMLExporter(template_name="basic", exclude_anchor_links=True, extra_template_basedirs=[])
    exporter.log.setLevel("ERROR")  # it would complain of pictures without a description, which are the user's
    return exporter


def _sanitised(html: str) -> str:
    """HTML of which only what reads is left; its headings are below the page's own."""
    import nh3  # noqa: PLC0415 - only pages need it

    clean = nh3.clean(
        html,
        tags=nh3.ALLOWED_TAGS - _LANDMARKS,
        clean_content_tags=_WITH_CONTENT,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes={"http", "https", "data"},
        url_relative="deny",
        link_rel="noopener noreferrer",
    )
    return _HEADING.sub(r"<\1h3>", clean)


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return " ".join(item for item in value.split() if _CLASS.fullmatch(item)) or None
    if name == "src":
        return value if _IMAGE_ADDRESS.fullmatch(value) else None
    if name == "href":
        return value if tag == "a" and _ADDRESS.fullmatch(value) else None
    return value
