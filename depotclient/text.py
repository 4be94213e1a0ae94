"""Parsing of times and connectors in options and files."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from depotclient.partitions.calendar import Connector
from evtransport.validation import validate_id

__all__ = ["TIME", "parse_connector", "parse_time", "read_connectors"]

TIME = (
    "ISO 8601, such as 2026-01-31T18:00:00+01:00 or ...Z; a plain date means midnight,"
    " and a time without an offset is in UTC."
)


def parse_time(name: str, text: str | None) -> datetime | None:
    """Return a time in UTC. A time without an offset is read as UTC.

    Raises:
        ValueError: The text is not ISO 8601, or the time is before year 1 or after 9999 in UTC.

    Example:
        >>> parse_time("--from", "2026-01-31").isoformat()
        '2026-01-31T00:00:00+00:00'
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{name} must be a date or time in ISO 8601, such as 2026-01-31T18:00:00Z, got {text!r}"
        ) from None


def parse_connector(text: str) -> Connector:
    """Return the connector in a string such as `CP-001/1`, the form of `connector_key`.

    The last slash separates the two ids. Each is percent-decoded, so that `CP%2F1/1` is
    connector 1 of charger `CP/1`.

    Raises:
        ValueError: The text has a different format, or an id is invalid.

    Example:
        >>> parse_connector("CP-001/1")
        ('CP-001', '1')
    """
    charger, slash, connector = text.rpartition("/")
    if not (slash and charger and connector):
        raise ValueError(f"expected CHARGER/CONNECTOR, such as CP-001/1, got {text!r}")
    try:
        charger, connector = (unquote(part, errors="strict") for part in (charger, connector))
    except UnicodeDecodeError:
        raise ValueError(f"expected percent-encoded UTF-8 in the ids of {text!r}") from None
    return validate_id("CHARGER", charger), validate_id("CONNECTOR", connector)


def read_connectors(path: Path) -> list[Connector]:
    """Return the connectors of a file with lines `CHARGER/CONNECTOR` or `CHARGER,CONNECTOR`.

    `parse_connector` reads a line without a comma. The ids of other lines are not decoded.
    Blank lines, lines that start with `#` and headers are skipped. A header names the columns, as
    in `charger_id,connector_id` or `ChargerID,ConnectorID`. Quote an id that starts with `#`.

    Raises:
        ValueError: A line has a different format, or the file is not text in UTF-8.
        OSError: The file can't be read.

    Example:
        >>> _ = Path("connectors.csv").write_text("CP-001/1")
        >>> read_connectors(Path("connectors.csv"))
        [('CP-001', '1')]
    """
    found: list[Connector] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        # A comment becomes a blank line, so that the later lines keep their numbers.
        lines = csv.reader("" if line.lstrip().startswith("#") else line for line in file)
        try:
            for fields in lines:
                found += _parse_line([field.strip() for field in fields])
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not text in UTF-8: {error}") from None
        except (csv.Error, ValueError) as error:
            raise ValueError(f"{path}, line {lines.line_num}: {error}") from None
    return found


def _parse_line(fields: list[str]) -> list[Connector]:
    match fields:
        case [] | [""]:
            return []
        case [text] if "/" in text:
            return [parse_connector(text)]
        case [charger, connector] if charger and connector:
            return [] if _is_header(charger, connector) else [(charger, connector)]
        case _:
            raise ValueError(
                f"a line must be CHARGER/CONNECTOR or CHARGER,CONNECTOR, got {','.join(fields)!r}"
            )


_CHARGER_COLUMN = re.compile("charge(r|box|point)(id)?")
_CONNECTOR_COLUMN = re.compile("connector(id)?")


def _is_header(charger: str, connector: str) -> bool:
    """Return True if two fields are the names of the columns, in any spelling.

    Raises:
        ValueError: The columns are in the wrong order.
    """
    first, second = (re.sub(r"[\W_]", "", name).lower() for name in (charger, connector))
    if _CONNECTOR_COLUMN.fullmatch(first) and _CHARGER_COLUMN.fullmatch(second):
        raise ValueError(f"the columns must be CHARGER,CONNECTOR, got {charger},{connector}")
    return bool(_CHARGER_COLUMN.fullmatch(first) and _CONNECTOR_COLUMN.fullmatch(second))
