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
html_extra_path = ["schema"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
