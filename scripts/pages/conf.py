"""Settings of the generator, Sphinx (https://www.sphinx-doc.org/en/master/usage/configuration.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from sphinx.application import Sphinx  # type: ignore[import-not-found]  # the site's own environment has it

project = "ocibuild"
extensions = ["myst_parser"]
root_doc = "index"
exclude_patterns: list[str] = []
# Indented blocks, and fences without a language, are no Python.
highlight_language = "none"
smartquotes = False
myst_heading_anchors = 4

html_theme = "ocibuild"
html_theme_path = ["."]
html_title = "ocibuild"
html_copy_source = False
html_show_copyright = False
html_permalinks_icon = "#"
html_use_index = False
html_domain_indices = False

_SHORT = 26
"""Letters of code that a phone's line holds: outside of tables it is not broken, at a dash say."""


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("doctree-read", mark_short_code)


def mark_short_code(app: Sphinx, document: nodes.document) -> None:
    """Give what is not to be broken a class of its own; style sheets cannot count."""
    del app
    for literal in document.findall(nodes.literal):
        if len(literal.astext()) <= _SHORT:
            literal["classes"].append("short")
