"""Times and connectors, as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from depotclient.partitions.calendar import connector_key
from depotclient.text import parse_connector, parse_time, read_connectors


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T18:00", datetime(2026, 1, 31, 18, tzinfo=UTC)),
        ("2026-01-31 18:00:00.5Z", datetime(2026, 1, 31, 18, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31T18:00:00-02:30", datetime(2026, 1, 31, 20, 30, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_utc(text: str, time: datetime) -> None:
    read = parse_time("--to", text)
    assert read == time
    assert read is not None
    assert read.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "ids", [("CP-001", "1"), ("CP/1", "1"), ("a b", "c/d"), ("100%25", "ß"), ("🚌", ",")]
)
def test_a_connector_is_read_from_its_key(ids: tuple[str, str]) -> None:
    assert parse_connector(connector_key(*ids)) == ids


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CP-001", "expected CHARGER/CONNECTOR, such as CP-001/1, got 'CP-001'"),
        ("/1", "expected CHARGER/CONNECTOR"),
        ("CP-001/", "expected CHARGER/CONNECTOR"),
        ("CP%FF/1", "expected percent-encoded UTF-8 in the ids of 'CP%FF/1'"),
        ("CP/%00", "CONNECTOR must not contain control characters"),
    ],
)
def test_another_form_of_a_connector_is_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        parse_connector(text)


@pytest.mark.parametrize(
    "text",
    [
        "# depot north\nCP%2C1/2\nCP%2F3/4\n",
        '"CP,1", 2\nCP/3,4\n',
        '\ufeffcharger_id,connector_id\n"CP,1",2\nCP/3,4',
        '\ufeffChargerID,ConnectorID\r\n"CP,1",2\r\n\r\nCP/3,4\r\n',
        '# depot north\n\n  # and\nCharge Point, Connector-Id\n"CP,1",2\n#CP-9,1\nCP/3,4\n',
        'chargeboxId,CONNECTOR\n"CP,1",2\ncharger,connector\nCP/3,4\n',
    ],
)
def test_a_list_of_connectors_may_have_comments_headers_and_quotes(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "connectors.csv"
    file.write_bytes(text.encode())
    assert read_connectors(file) == [("CP,1", "2"), ("CP/3", "4")]


@pytest.mark.parametrize(
    "connector",
    [
        ("#1", "2"),
        ("charger_1", "connector_1"),
        ("charger", "1"),
        ("CP-1", "connector"),
        ("🚌", "ß"),
    ],
)
def test_an_id_may_resemble_a_comment_or_a_header(
    tmp_path: Path, connector: tuple[str, str]
) -> None:
    file = tmp_path / "connectors.csv"
    file.write_bytes('"{}","{}"\n'.format(*connector).encode())
    assert read_connectors(file) == [connector]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"connector,charger\n1,CP-1\n", "csv, line 1: "),
        (b"#\nCP-1;1\n", "csv, line 2: .*'CP-1;1'"),
        (b"CP-1,1\nCP-1\n", "csv, line 2: .*'CP-1'"),
        (b"CP-1,1\nCP-1,\n", "csv, line 2: "),
        (b"CP-1,1\nCP-1,1,2\n", "csv, line 2: "),
        (b"CP-1,1\n" + b"C" * 200_000 + b",1\n", "csv, line 2: field larger than"),
        ("CP-1,1\n".encode("utf-16"), "csv is not text in UTF-8"),
    ],
)
def test_an_invalid_line_is_reported_with_its_number(
    tmp_path: Path, data: bytes, message: str
) -> None:
    file = tmp_path / "connectors.csv"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_connectors(file)
