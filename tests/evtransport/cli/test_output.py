"""Text, JSON lines and tables: nothing that a server sends controls a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from evtransport import ApiError
from evtransport.cli.output import (
    cell,
    echo_error,
    escape_controls,
    format_error,
    literal_console,
    output_console,
    plain_table,
    prints_json,
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


def test_a_message_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    echo_error("error: one\ntwo\x1b[2J")
    assert capsys.readouterr().err == "error: one\\ntwo\\u001b[2J\n"


def test_a_message_has_the_notes_of_the_error() -> None:
    error = ApiError("the server responded with 429")
    assert format_error(error) == "the server responded with 429"
    error.add_note("not retried: too long")
    error.add_note("and more")
    assert format_error(error) == "the server responded with 429 (not retried: too long; and more)"
    assert format_error(OSError()) == "OSError"


def test_json_is_written_byte_for_byte_one_text_a_line(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    write_json(b'{ "a" :\r\n 1.50e1 }', '["zoë", "\x9b[31m"]'.encode())
    assert capsysbinary.readouterr().out == '{"a":1.50e1}\n["zoë","\x9b[31m"]\n'.encode()


def test_json_on_a_terminal_has_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    write_json('["zoë", "\x7f\x9b[31m", "\U000e0001"]'.encode())
    assert screen.text == '["zoë","\\u007f\\u009b[31m","\\udb40\\udc01"]\n'


def test_json_is_printed_to_a_pipe_and_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prints_json(False)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert prints_json(True)
    assert not prints_json(False)


def test_columns_are_aligned_with_and_without_a_header() -> None:
    def lines(*, header: bool) -> list[str]:
        table = plain_table(header=header)
        table.add_column("A", width=4)
        table.add_column("B", justify="right", width=3)
        table.add_row(cell("[b]x"), cell(None))
        literal_console(screen := io.StringIO()).print(table)
        return screen.getvalue().splitlines()

    heading, rule, row = lines(header=True)
    assert (heading.split(), set(rule), row.split()) == (["A", "B"], {"─"}, ["[b]x", "-"])
    assert heading.index("B") == row.index("-") == len(rule) - 1
    assert lines(header=False) == [row]


@pytest.mark.parametrize(("columns", "width"), [("1", 80), ("80", 80), ("120", 120)])
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
