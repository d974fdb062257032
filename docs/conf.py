"""Sphinx settings: ``python -m sphinx -W docs docs/_build`` writes the pages (extra ``docs``)."""

from __future__ import annotations

import wdaverify

project = "wdaverify"
author = "The wdaverify maintainers"
release = wdaverify.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]  # console blocks show output that is no shell
html_theme = "furo"
html_title = f"wdaverify {release}"
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False

# names of arrays and of other packages, which have no page here
nitpick_ignore_regex = [
    ("py:class", r"(torch|nx|pathlib|fractions|collections)\..+|Path|ArrayLike|Axes"),
    ("py:class", r"Vector|Matrix|IntArray|BoolArray"),
    ("py:class", r"wdaverify\._deadline\.Deadline|wdaverify\.attack\.methods\.Method|DataSource|ModelSource"),
    ("py:class", r"wdaverify\.property\.property\.(Disjunct|PropertySource)"),
    ("py:exc", "Interrupted"),
]
