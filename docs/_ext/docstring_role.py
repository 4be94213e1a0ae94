"""Role of text in single backticks in docstrings: code, with a link if it names an object."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.roles import XRefRole
from sphinx.util.docutils import SphinxRole

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*(\(\))?")


class DocstringRole(SphinxRole):
    """Role that links names of Python, and shows all other text as code."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the nodes of the text."""
        if not NAME.fullmatch(self.text):
            return [nodes.literal(self.rawtext, self.text)], []
        return XRefRole()(
            "py:obj", self.rawtext, self.text, self.lineno, self.inliner, self.options, self.content
        )


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the role."""
    app.add_role("docstring", DocstringRole())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
