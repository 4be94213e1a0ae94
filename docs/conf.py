"""Settings of the documentation site: `nox -s docs` builds it."""

from __future__ import annotations

import sys
from pathlib import Path

from evtransport import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "thor-depot-clients"
author = "The thor-depot-clients maintainers"
copyright = author  # noqa: A001 - Sphinx reads this name
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_parser",
    "command_reference",
    "docstring_role",
    "signatures",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

smartquotes = False  # `...` in commands must stay three dots

# Docstrings put code in single backticks.
default_role = "docstring"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_mock_imports = ["pyspark"]  # which weighs 300 MB and needs Java
napoleon_use_ivar = True
# Otherwise RST reads `from_` as a link, and drops the underscore.
strip_signature_backslash = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 60

html_theme = "furo"
html_title = "thor-depot-clients"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# The theme's own link to its home is the only address of another host on a page.
html_theme_options = {"source_edit_link": "", "source_view_link": ""}
pygments_style = "friendly"
