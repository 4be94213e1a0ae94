"""Manifests: their content, which ones are rejected, and when a file must be read again."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

import depotclient
from depotclient import DepotClient
from depotclient.export.formats import FORMATS, Format
from depotclient.export.manifest import Manifest, parse_manifest
from depotclient.partitions import MARGIN, Partition, WindowFilter
from depotclient.sandbox import DepotSandbox
from tests.support.exports import END, NOW, START, export_first

MOMENT = timedelta(microseconds=1)
JANUARY = Partition("CP-001", "1", "2026-01")
MANIFEST = Manifest(
    library="thor-depot-clients 1.0.0",
    charger_id="CP-001",
    connector_id="1",
    window="2026-01",
    from_="2025-12-31T00:00:00.000Z",
    to="2026-02-02T00:00:00.000Z",
    verify=False,
    read_at=NOW,
    reports=60,
    bytes_read=60_000,
    missing_start={2**64 - 1: 7, 2: 8, 3: None},
)


def test_a_manifest_is_read_back_unchanged() -> None:
    text = msgspec.json.encode(MANIFEST)
    assert parse_manifest(Path("file"), text) == MANIFEST
    assert json.loads(text)["missingStart"] == {str(2**64 - 1): 7, "2": 8, "3": None}


def edited(**fields: object) -> bytes:
    return json.dumps(json.loads(msgspec.json.encode(MANIFEST)) | fields).encode()


@pytest.mark.parametrize(
    "text",
    [
        None,
        b"{",
        b'{"version": 1}',
        b"[" * 100_000,
        b'{"library":"\xed\xa0\x80"}',
        edited(version=7),
        edited(readAt="2026-03-01T00:00:00"),
        edited(window="2026-13"),
        edited(to="tomorrow"),
        edited(reports="3"),
        edited(missingStart={"a": 1}),
    ],
)
def test_a_file_without_a_valid_manifest_is_rejected(text: bytes | None) -> None:
    message = "^file was not written by an export of this version: move it away or export into an"
    with pytest.raises(FileExistsError, match=message):
        parse_manifest(Path("file"), text)


@pytest.mark.parametrize(
    ("read_at", "now", "margin", "verify", "is_final"),
    [
        pytest.param(END + MARGIN, NOW, MARGIN, False, True, id="closed"),
        pytest.param(END + MARGIN - MOMENT, NOW, MARGIN, False, False, id="read too early"),
        pytest.param(NOW, END + MARGIN, MARGIN, False, False, id="read in the future"),
        pytest.param(NOW, NOW, timedelta(0), False, True, id="smaller margin"),
        pytest.param(NOW, NOW, 2 * MARGIN, False, False, id="larger margin"),
        pytest.param(NOW, NOW, MARGIN, True, False, id="verify"),
    ],
)
def test_a_file_is_final_if_a_reading_can_not_change_it(
    read_at: datetime, now: datetime, margin: timedelta, verify: bool, is_final: bool
) -> None:
    manifest = msgspec.structs.replace(MANIFEST, read_at=read_at)
    assert manifest.is_final(JANUARY, now, margin, verify=verify) is is_final
    verified = msgspec.structs.replace(manifest, verify=True)
    assert verified.is_final(JANUARY, now, margin, verify=False) is (is_final or verify)


def test_a_reading_supersedes_a_missing_report_of_a_session_that_it_has() -> None:
    reading = WindowFilter(START, END)
    reading.accept(9, 7, START)  # the session of the first report, now with a start
    reading.accept(10, 8, START)  # the id of the second report, which is there as well
    reading.accept(2, 8, END)
    reading.accept(11, None, START)

    after = MANIFEST.without_superseded(reading)

    assert (after.reports, after.missing_start) == (59, {2: 8, 3: None})
    assert MANIFEST.without_superseded(WindowFilter(START, END)) == MANIFEST


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_file_has_a_manifest(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path, format_: Format
) -> None:
    await export_first(depot, tmp_path, format=format_)
    if format_ == "parquet":
        (path,) = tmp_path.rglob("*.parquet")
        text = (pq.read_metadata(path).metadata or {})[b"depotclient.export"]
    else:
        (path,) = tmp_path.rglob("_reports.ndjson.json")
        text = path.read_bytes()
    manifest = msgspec.json.decode(text, type=Manifest)
    assert manifest.bytes_read > 60 * 1000
    assert manifest == msgspec.structs.replace(
        MANIFEST,
        library=f"thor-depot-clients {depotclient.__version__}",
        size=None if format_ == "parquet" else path.with_name("reports.ndjson").stat().st_size,
        bytes_read=manifest.bytes_read,
        missing_start={},
    )
    assert sandbox.token.encode() not in text
