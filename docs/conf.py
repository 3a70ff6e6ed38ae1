"""Builds the documentation as a site: `sphinx-build docs OUT`. GitHub shows the same Markdown files without it."""

from __future__ import annotations

import os
from pathlib import Path

from docutils import nodes  # type: ignore[import-untyped]
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from mlci import __version__

project = "mlci"
release = __version__
copyright = "The mlci developers"  # noqa: A001 - Sphinx calls it so
html_title = f"mlci {release}"

extensions = ["myst_parser"]
root_doc = "index"
exclude_patterns = ["_build", "README.md"]  # index.md includes it
nitpicky = True
myst_heading_anchors = 4  # as GitHub makes them

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# Fonts, scripts and search come with the site: it works from a file, and asks no other host for anything.

# Whose files links out of docs/ lead to: those of the commit that is built, in the repository that builds it.
ROOT = Path(__file__).parents[1]
SERVER = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
REPOSITORY = f"{SERVER}/{os.environ.get('GITHUB_REPOSITORY', 'OWNER/mlci')}"
COMMIT = os.environ.get("GITHUB_SHA", "main")
html_theme_options = {"source_repository": REPOSITORY, "source_branch": "main", "source_directory": "docs/"}

linkcheck_ignore = [rf"{REPOSITORY}/(blob|tree)/", r"https?://[^/]*(localhost|127\.0\.0\.1|example|internal)"]
linkcheck_timeout = 20
linkcheck_retries = 3


class RepositoryLinks(SphinxTransform):
    """Links to files beside docs/ lead to the repository, as on GitHub: a site has no such files."""

    default_priority = 5

    def apply(self, **kwargs: object) -> None:
        """Rewrite those of one page."""
        del kwargs
        found = [*self.document.findall(addnodes.download_reference), *self.document.findall(addnodes.pending_xref)]
        for node in found:
            path = Path(self.env.relfn2path(node["reftarget"].partition("#")[0])[1]).resolve()
            if path.exists() and path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "docs"):
                kind = "tree" if path.is_dir() else "blob"
                link = nodes.reference(refuri=f"{REPOSITORY}/{kind}/{COMMIT}/{path.relative_to(ROOT).as_posix()}")
                link += node.children[0].children
                node.replace_self(link)


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls first."""
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
