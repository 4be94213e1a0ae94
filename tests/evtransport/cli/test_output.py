"""Text, JSON lines and tables: nothing that a server sends controls a terminal."""

from __future__ import annotations

import sys

import pytest

from evtransport import ApiError
from evtransport.cli.output import (
    cell,
    escape_controls,
    format_error,
    output_console,
    plain_table,
    write_json,
)
from tests.support.commands import Terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("München [red]🚌[/red]", "München [red]🚌[/red]"),
        ("a\x1b[31mb\r\n\x7f\x9b\u202e", "a\\u001b[31mb\\r\\n\\u007f\\u009b\\u202e"),
        ("half \ud800 \U000e0001", "half \\ud800 \\udb40\\udc01"),
    ],
)
def test_unprintable_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert escape_controls(text) == shown


def test_a_message_has_the_notes_of_the_error() -> None:
    error = ApiError("429 Too Many Requests")
    error.add_note("not retried: too long")
    error.add_note("and more")
    assert format_error(error) == "429 Too Many Requests (not retried: too long; and more)"
    assert format_error(OSError()) == "OSError"


def test_json_is_printed_one_object_per_line_and_escaped_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    texts = (b'{ "a" :\r\n 1.50e1 }', '["zoë", "\x7f\x9b[31m"]'.encode())
    write_json(*texts)
    assert capsysbinary.readouterr().out == '{"a":1.50e1}\n["zoë","\x7f\x9b[31m"]\n'.encode()
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    write_json(*texts)
    assert screen.text == '{"a":1.50e1}\n["zoë","\\u007f\\u009b[31m"]\n'


@pytest.mark.parametrize(("columns", "width"), [("1", 80), ("120", 120)])
def test_a_table_keeps_its_text_on_a_narrow_terminal(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    table = plain_table(header=False)
    table.add_row(cell("CP-1/1"), cell("complete"))
    console = output_console()
    console.print(table)
    assert screen.text == "CP-1/1  complete\n"
    assert console.width == width
