"""The documentation as a site: it builds without a warning, finds its links, and its references are the code's."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from fakes.command_line import workbench
from mlci.plugins import registry

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; whatever Sphinx warns of is an error, links to pages and headings that are not there too."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-j", "2", DOCS, folder],
        env={"PATH": "/usr/bin:/bin", "GITHUB_REPOSITORY": "team/mlci", "GITHUB_SHA": "c0ffee"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


class Loaded(HTMLParser):
    """What a page loads by itself, and where it leads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a":
            self.leads.append(given.get("href") or "")
        elif tag in ("script", "img", "link", "iframe", "source"):
            self.loads.append(given.get("src") or given.get("href") or "")


def pages(site: Path) -> Iterator[tuple[str, Loaded]]:
    for page in sorted(site.rglob("*.html")):
        yield page.relative_to(site).as_posix(), Loaded(page)


@pytest.mark.xdist_group("site")
def test_site__has_every_page_and_loads_nothing_from_elsewhere(site: Path) -> None:
    found = dict(pages(site))
    written = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in DOCS.rglob("*.md")} - {"README.html"}
    assert written <= set(found)
    for name, page in found.items():
        assert [url for url in page.loads if re.match(r"(https?:)?//", url)] == [], name


@pytest.mark.xdist_group("site")
def test_site__links_out_of_it_lead_to_the_commit_in_the_repository(site: Path) -> None:
    found = {url for _, page in pages(site) for url in page.leads}
    assert "https://github.com/team/mlci/blob/c0ffee/examples/workflows/pull-request.yml" in found
    assert "https://github.com/team/mlci/tree/c0ffee/examples/workflows" in found
    ours = [re.match(r"https://github\.com/team/mlci/(?:blob|tree)/c0ffee/([^#?]+)", url) for url in found]
    assert all((ROOT / match[1]).exists() for match in ours if match)
    # Of what lies in docs/ the site has copies: pictures.
    assert {Path(url).suffix for url in found if "_downloads/" in url} <= {".png", ".svg"}


def test_start_page__leads_to_every_page() -> None:
    text = (DOCS / "README.md").read_text(encoding="utf-8")
    missing = [
        path.relative_to(DOCS).as_posix()
        for path in sorted(DOCS.rglob("*.md"))
        if path.parent.name != "docs" and f"]({path.relative_to(DOCS).as_posix()})" not in text
    ]
    assert missing == [], "say them in docs/README.md"


@pytest.mark.parametrize("name", registry.names("targets"))
def test_targets__the_page_has_the_options_of_the_code(name: str) -> None:
    page = (DOCS / "reference/targets.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    table = section.partition("| option | default | |\n|---|---|---|\n")[2].partition("\n\n")[0]
    said = {row[1]: row[2].strip() for row in re.finditer(r"^\| `(\w+)` \|(.*?)\|", table, re.MULTILINE)}
    fields = {field.name: field for field in dataclasses.fields(registry.plugin_class("targets", name))}
    assert set(said) == set(fields) - {"site"}
    for option, default in said.items():
        field = fields[option]
        made = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if made is dataclasses.MISSING:
            assert default == "", option
        elif made is not None:  # which a table says in words
            assert json.loads(default.strip("`")) == made, option


def test_document_schemas__accept_what_the_commands_write(tmp_path: Path) -> None:
    bench = workbench(tmp_path)
    bench.write(
        train__py="open('m.json', 'w').write('{\"accuracy\": 0.9, \"loss\": NaN}')\n",
        mlci__toml="""
            [runs.train]
            script = "train.py"
            metrics = ["m.json"]

            [metrics.accuracy]
            max-regression = "1%"
            """,
    )
    bench.commit()
    assert bench.mlci("ci").code == 0
    for name in ("run", "record", "comparison"):
        schema = json.loads((ROOT / f"schema/{name}.schema.json").read_text(encoding="utf-8"))
        document = bench.document(f"{name}.json")
        jsonschema.validate(document, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, "unknown": 1}, schema)
    assert "NaN" in json.dumps(bench.document("record.json"))
