"""Manifests: which ones are refused, and when a file needs another reading."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from depotclient.export.manifest import Manifest, parse_manifest
from depotclient.partitions import MARGIN, Partition, WindowFilter
from tests.support.exports import END, NOW, START

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


EDITS: dict[str, dict[str, Any]] = {
    "a time without a zone": {"readAt": "2026-03-01T00:00:00"},
    "no time": {"readAt": "yesterday"},
    "a short month": {"window": "2026-1"},
    "no such month": {"window": "2026-13"},
    "a number for a window": {"window": 202601},
    "an empty start": {"from": ""},
    "no time at the end": {"to": "tomorrow"},
    "a number for a start": {"from": 0},
    "a text for a number": {"reports": "3"},
    "a fraction": {"reports": 3.5},
    "null": {"bytesRead": None},
    "a text for a flag": {"verify": "yes"},
    "a list for pairs": {"missingStart": [7]},
    "a text for an id": {"missingStart": {"1": "a"}},
    "a text for a key": {"missingStart": {"a": 1}},
    "a list for an id": {"chargerId": ["CP-001"]},
    "another version": {"version": 7},
}
TEXTS: dict[str, str | None] = {
    "no manifest": None,
    "no JSON": "{",
    "only a version": '{"version": 1}',
    "a number of many digits": '{"reports":' + "9" * 5000 + "}",
    "deep nesting": "[" * 100_000 + "]" * 100_000,
    "a control character": '{"version":\x00}',
    "half a pair": '{"library":"\ud800"}',
    **{
        name: json.dumps(json.loads(msgspec.json.encode(MANIFEST)) | fields)
        for name, fields in EDITS.items()
    },
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_file_without_a_valid_manifest_is_refused(text: str | None) -> None:
    message = "^file was not written by an export of this version: move it away or export into an"
    with pytest.raises(FileExistsError, match=message):
        parse_manifest(Path("file"), None if text is None else text.encode(errors="surrogatepass"))


@pytest.mark.parametrize(
    ("read_at", "now", "margin", "verify", "is_final"),
    [
        pytest.param(END + MARGIN, NOW, MARGIN, False, True, id="closed"),
        pytest.param(END, NOW, MARGIN, False, False, id="read too early"),
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


def test_a_reading_supersedes_reports_whose_session_it_has_without_them() -> None:
    reading = WindowFilter(START, END)
    reading.accept(9, 7, START)  # the session of the first report, now with a start
    reading.accept(10, 8, START)  # the id of the second report, which is there as well
    reading.accept(2, 8, END)
    reading.accept(11, None, START)

    after = MANIFEST.without_superseded(reading)

    assert (after.reports, after.missing_start) == (59, {2: 8, 3: None})
    assert MANIFEST.without_superseded(WindowFilter(START, END)) == MANIFEST
