"""Manifests: their content, and which ones are rejected."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

import depotclient
from depotclient import DepotClient
from depotclient.export.formats import FORMATS, Format
from depotclient.export.manifest import Manifest, parse_manifest
from depotclient.sandbox import DepotSandbox
from tests.support.exports import NOW, export_first

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
    assert parse_manifest("file", text) == MANIFEST
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
        edited(to="tomorrow"),
        edited(reports="3"),
        edited(missingStart={"a": 1}),
    ],
)
def test_a_file_without_a_valid_manifest_is_rejected(text: bytes | None) -> None:
    message = "^file was not written by an export of this version: move it away or export into an"
    with pytest.raises(FileExistsError, match=message):
        parse_manifest("file", text)


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
