"""One HTML file from a template: it loads nothing, runs no script but its own, and takes nobody's words for mark-up."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import re
from collections.abc import Callable, Mapping

import jinja2
import msgspec
from markupsafe import Markup

from mlci.render import text
from mlci.render.parts import Block, Drawn, Link, Quoted, Table

_HERE = "mlci.render.pages"
_SCRIPTS = ("charts.js", "page.js")  # what every page has, before its own
_SUFFIX = ".html.j2"
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%-]+")
# In JSON these stand in strings only, where they can be spelled so that no tag, comment or line ends early.
_UNSAFE = {ord(item): f"\\u{ord(item):04x}" for item in "<>&'\u2028\u2029"}


def page(*, title: str, template: str, context: Mapping[str, object], data: object) -> str:
    """A self-contained page.

    Its scripts are Observable Plot as `Plot`, `page.js`, which leaves `mlci`, and the template's own: `report.js` of
    `report.html.j2`.

    Args:
        title: Of the window; anybody's words.
        template: A file of `templates/` that extends `base.html.j2`.
        context: What the template shows; every value is escaped.
        data: What scripts find as `mlci.data`: whatever msgspec writes as JSON; a number that is none becomes null.
    """
    scripts = [_inert_end(_file(name)) for name in (*_SCRIPTS, template.removesuffix(_SUFFIX) + ".js")]
    return (
        _environment()
        .get_template(template)
        .render(
            **context,
            title=text.plain(title),
            style=Markup(_file("style.css")),  # noqa: S704 - our own file
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files
            data=Markup(_json(data)),  # noqa: S704 - cannot end its element
            policy=_policy(scripts),
        )
    )


def _policy(scripts: list[str]) -> str:
    """What the browser is to allow: nothing from anywhere, and the scripts of exactly these contents."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{item}'" for item in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(data: object) -> str:
    return msgspec.json.encode(data).decode().translate(_UNSAFE)


@functools.cache
def _file(name: str) -> str:
    return importlib.resources.files(_HERE).joinpath(name).read_text(encoding="utf-8")


def _inert_end(script: str) -> str:
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("a script of a page would end early")
    return script


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "plain": text.plain,
        "printable": text.printable,
        "number": text.number,
        "signed": text.signed,
        "duration": text.duration,
        "size": text.size,
    }
    kinds = {"drawn": Drawn, "quoted": Quoted, "link": Link, "table": Table, "block": Block}
    for name, kind in kinds.items():
        environment.tests[name] = _test(kind)
    environment.tests["address"] = lambda url: bool(_URL.fullmatch(url))
    return environment


def _test(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kind)
