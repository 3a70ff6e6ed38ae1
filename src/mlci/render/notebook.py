"""An executed notebook as a page to read, without anything in it that runs."""

from __future__ import annotations


def html(notebook: str) -> str:
    """The HTML of a notebook, its outputs and Markdown sanitised: no scripts, no event handlers.

    Args:
        notebook: The .ipynb as text.
    """
    import nbformat  # noqa: PLC0415 - heavy
    from nbconvert import HTMLExporter  # noqa: PLC0415 - heavy

    # By itself nbconvert also takes templates from the current folder, which may be anybody's, and they can run code.
    exporter = HTMLExporter(template_name="basic", sanitize_html=True, extra_template_basedirs=[])
    body, _ = exporter.from_notebook_node(nbformat.reads(notebook, as_version=4))
    return f"<!doctype html>\n<meta charset=utf-8>\n<title>Executed notebook</title>\n{body}"
