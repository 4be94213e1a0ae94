"""Messages of a database that failed."""

from __future__ import annotations

import pytest

from depotclient.database.errors import shorten


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            "IO: [libpq] Failed to execute query 'CREATE\nTABLE a': ERROR:  denied\nLINE 1: CREATE",
            "ERROR:  denied",
        ),
        (
            "IO: [libpq] Failed to connect: Connection refused\n\tIs the server running?\n",
            "Failed to connect: Connection refused",
        ),
        (
            "[SQLite] Failed to prepare query: file is not a database\nquery: CREATE TABLE a",
            "Failed to prepare query: file is not a database",
        ),
        ("IO Error: disk full", "IO Error: disk full"),
    ],
)
def test_a_message_of_a_driver_is_one_line_without_the_statement(message: str, line: str) -> None:
    assert shorten(message) == line
