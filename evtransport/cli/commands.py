"""Classes of a command line: commands that load when they run, plain help, and plain errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.main import get_command

from evtransport.cli.output import format_error

if TYPE_CHECKING:
    from typer._click.core import Command as AnyCommand
    from typer._click.core import Context
    from typer._click.formatting import HelpFormatter

__all__ = ["Command", "Group", "LazyCommand", "name_options"]


class Group(TyperGroup):
    """Command line that loads a command when it runs, and suggests the closest name."""

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, AnyCommand | None, list[str]]:
        """Return the name, the command and its arguments."""
        closest = get_close_matches(args[0], self.commands, n=1)
        if closest and args[0] not in self.commands and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {closest[0]!r}?")
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, LazyCommand) else command, rest


class LazyCommand(TyperCommand):
    """Command in the help of its group. Its function returns the function of the real command.

    Without it, `--help` would import all commands.
    """

    def load(self) -> AnyCommand:
        """Return the real command."""
        assert self.callback is not None  # noqa: S101 - see `add_command`
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        settings = dict(self.context_settings)
        app.command(self.name, cls=Command, context_settings=settings)(self.callback())
        return get_command(app)


class Command(TyperCommand):
    """Command with arguments that the help shows by name only, and errors that name options."""

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """Return the parts of the usage line, such as `FOLDER [CHARGER/CONNECTOR]...`."""
        names = []
        for argument in self._arguments():
            name = (
                _argument_name(argument) if argument.required else f"[{_argument_name(argument)}]"
            )
            names.append(name if argument.nargs == 1 else f"{name}...")
        return ["[OPTIONS]", *names]

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the arguments and options."""
        arguments, options = [], []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if isinstance(parameter, TyperArgument):
                # Typer adds the Python type to the name, such as `<list[str]>`.
                arguments.append((_argument_name(parameter), record[1]))
            else:
                options.append(record)
        for title, records in (("Arguments", arguments), ("Options", options)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def invoke(self, ctx: Context) -> object:
        """Run the command.

        Raises:
            ValueError: An argument is invalid. The message names the option.
        """
        try:
            return super().invoke(ctx)
        except ValueError as error:
            raise ValueError(name_options(format_error(error), self._names())) from None

    def _names(self) -> dict[str, str]:
        """Return the displayed name of each argument and option, by its Python name."""
        return {
            str(each.name).rstrip("_"): _argument_name(each)
            if isinstance(each, TyperArgument)
            else max(each.opts, key=len)
            for each in self.params
        }

    def _arguments(self) -> list[TyperArgument]:
        return [param for param in self.params if isinstance(param, TyperArgument)]


def _argument_name(argument: TyperArgument) -> str:
    return argument.metavar or str(argument.name).upper()


# The first word, a word before `=`, or a word that ends in an underscore.
_ARGUMENT: Final = re.compile(r"^([a-z_]+?)_?(?= )|\b([a-z_]+?)(?:_?(=)|_\b)")


def name_options(message: str, names: Mapping[str, str]) -> str:
    """Return an error message with options instead of Python's arguments.

    For example, `from_=2026-01-02 must be before to=2026-01-01` becomes
    `--from 2026-01-02 must be before --to 2026-01-01`.

    Args:
        message: Message of an error that the library raised.
        names: Names to show, by the arguments without a last underscore, such as
            `{"from": "--from"}`.
    """

    def show(found: re.Match[str]) -> str:
        first, other, sign = found.groups()
        name = names.get(first or other)
        return found[0] if name is None else name + (" " if sign else "")

    return _ARGUMENT.sub(show, message)
