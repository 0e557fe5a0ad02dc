"""Settings of the generator, Sphinx (https://www.sphinx-doc.org/en/master/usage/configuration.html)."""

from __future__ import annotations

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
