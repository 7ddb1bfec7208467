"""Sphinx configuration: Markdown by MyST, the Furo theme, the reference by autodoc."""  # noqa: INP001

from millpond import __version__

project = "Millpond"
author = "The Millpond authors"
project_copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "Millpond"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "show-inheritance": False}
# Only who runs the conformance suite needs it.
autodoc_mock_imports = ["pytest"]
