"""Directive that describes every command of a Typer application, from its definition."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from typer.main import get_command

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata


def escape(text: str) -> str:
    """Return text of a help message for reStructuredText: plain, with names of options as code."""
    plain = re.sub(r"([\\`*_|<])", r"\\\1", " ".join(text.split()))
    return re.sub(r"(?<![\w`-])(--?[a-z][\w-]*)", r"``\1``", plain)


def indent(text: str, by: int = 3) -> str:
    """Return text in which each line is indented."""
    return "\n".join(" " * by + line if line else "" for line in text.splitlines())


def describe_help(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text. A paragraph of commands or a list keeps its lines."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text.replace("\b\n", "\n"))):
        lines = paragraph.splitlines()
        if len(lines) > 1 and all(re.match(r"\s|\S{1,12} {2,}", line) for line in lines):
            yield "::\n\n" + indent(paragraph)
        else:
            yield escape(paragraph)


def placeholder(parameter: Any) -> str:
    """Return the placeholder for the value of a parameter: `MONTH|DAY` or `FILE`."""
    annotation = parameter.type_descriptor.annotation
    if parameter.metavar is None and get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    return str(parameter.metavar or parameter.name.upper())


def describe_parameter(parameter: Any) -> str:
    """Return an item of a definition list for an option or argument."""
    if not parameter.opts[0].startswith("-"):
        term = f"``{placeholder(parameter)}``"
    else:
        value = "" if parameter.is_flag else f" {placeholder(parameter)}"
        names = [*parameter.opts, *parameter.secondary_opts]
        term = ", ".join(f"``{name}{value}``" for name in names)
    facts = [escape(parameter.help or "")]
    if parameter.required:
        facts.append("Required.")
    elif isinstance(parameter.default, str | int | float) and parameter.default is not False:
        facts.append(f"Default: ``{parameter.default}``.")
    return f"{term}\n{indent(' '.join(fact for fact in facts if fact) or 'No description.')}"


def describe(command: Any) -> Iterator[str]:
    """Yield the help of a command, and its arguments and options."""
    yield from describe_help(command.help or "")
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    yield from map(describe_parameter, shown)


class Commands(SphinxDirective):
    """`.. commands:: MODULE:APP NAME` describes the commands of an application."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """Return a section for each command."""
        module, _, attribute = self.arguments[0].partition(":")
        group = get_command(getattr(importlib.import_module(module), attribute))
        name = self.arguments[1]
        parts = [*describe(group)]
        for command_name, command in sorted(getattr(group, "commands").items()):  # noqa: B009
            command = command.load()
            title = f"{name} {command_name}"
            parts += [f"{title}\n{'-' * len(title)}", *describe(command)]
        return self.parse_text_to_nodes("\n\n".join(parts), allow_section_headings=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
