"""Files of an export: distinct names on every disk, and no access to files of others."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depotclient import DepotClient
from depotclient.export import Export, export_session_reports
from depotclient.export.layout import (
    FORMATS,
    STAGING,
    ConnectorFolder,
    Format,
    require_distinct_folders,
)
from depotclient.partitions import Connector, Partition
from depotclient.sandbox import DepotSandbox, ReportShape
from tests.support.blocking import no_blocking

pa = pytest.importorskip("pyarrow")

import pyarrow.dataset as ds  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
CHARGERS = ("CP-001", "CP-002", "CON", "nul.txt", "CP", "CP.", "..", "CP ", "\u00e9", "e\u0301")


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Override the fixture of all tests, because these tests read files in the event loop."""
    with no_blocking(["depotclient", "evtransport"]):
        yield


@pytest.fixture
async def sandbox() -> AsyncIterator[DepotSandbox]:
    chargers = {charger: ["1", "Aux."] for charger in CHARGERS}
    async with DepotSandbox(chargers=chargers, sessions=3, shape=ReportShape.small()) as running:
        yield running


@pytest.fixture
async def depot(sandbox: DepotSandbox) -> AsyncIterator[DepotClient]:
    async with DepotClient(token=sandbox.token, base_url=sandbox.base_url) as client:
        yield client


async def export(
    depot: DepotClient,
    folder: Path,
    connectors: Sequence[Connector] = (("CP-001", "1"), ("CP-002", "1")),
    format: Format = "parquet",  # noqa: A002
) -> Export:
    return await export_session_reports(
        depot, connectors, folder, from_=BEGIN, to=END, format=format
    )


def failure(export: Export, charger: str = "CP-001") -> str:
    """Return the error of the one connector that failed."""
    (failed,) = export.failed
    assert failed.charger_id == charger
    return str(failed.error)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Names.


@pytest.mark.parametrize(
    "connectors",
    [
        [("CP-A", "1"), ("cp-a", "1")],
        [("CP-A", "1"), ("cp-a", "2")],
        [("CP", "A"), ("CP", "a")],
        [("\u00e9a", "1"), ("\u00e9A", "1")],
        [("a", "1"), ("b", "1"), ("A", "1")],
    ],
)
async def test_connectors_whose_folders_differ_only_in_case_are_refused_at_once(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path, connectors: list[Connector]
) -> None:
    with pytest.raises(ValueError, match="are one folder on a disk that ignores case: export"):
        await export(depot, tmp_path / "lake", connectors)
    assert sandbox.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_connector_that_finds_the_files_of_another_one_fails_with_a_message(
    depot: DepotClient, tmp_path: Path, format_: Format
) -> None:
    await export(depot, tmp_path, format=format_)
    before = contents(tmp_path)
    # Simulate a later run on a disk that ignores case.
    (tmp_path / "charger_id=cp-001").symlink_to(tmp_path / "charger_id=CP-001")
    done = await export_session_reports(
        depot, [("cp-001", "1")], tmp_path, from_=END, format=format_
    )
    assert "says that it holds CP-001/1/2026-01: move it to where it" in failure(done, "cp-001")
    assert contents(tmp_path).items() >= before.items()


async def test_names_that_a_disk_may_change_are_read_back_unchanged(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    connectors = [(charger, name) for charger in CHARGERS for name in ("1", "Aux.")]
    assert (await export(depot, tmp_path, connectors)).failed == ()
    partitioning = ds.partitioning(
        pa.schema([("charger_id", "string"), ("connector_id", "string"), ("month", "string")]),
        flavor="hive",
    )
    table = ds.dataset(tmp_path, partitioning=partitioning).to_table()
    rows = zip(table["charger_id"].to_pylist(), table["connector_id"].to_pylist(), strict=True)
    assert sorted(rows) == sorted(connectors * 3)


def test_ordinary_names_stay_unchanged() -> None:
    partition = Partition("Depot-7_CP.001~a", "1", "2026-01")
    path = ConnectorFolder.open(Path("lake"), partition, "ndjson").path
    assert path == Path("lake/charger_id=Depot-7_CP.001~a/connector_id=1")


IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
TRICKY = st.text(st.sampled_from("aA.% ~e\u00e9\u0301\u0130\u0131\u212a/2Ee"), min_size=1)


def as_lenient_disk(path: Path) -> tuple[str, ...]:
    """Return the names on a disk that ignores case, Unicode normal forms and dots at the end."""
    names = (unicodedata.normalize("NFC", name).casefold() for name in path.parts)
    return tuple(name.rstrip(". ") for name in names)


@given(st.lists(st.tuples(IDS | TRICKY.filter(str.strip), IDS), min_size=2, max_size=2))
@example([("CP.", "1"), ("CP", "1")])
@example([("CP%2E", "1"), ("CP.", "1")])
@example([("\u00e9", "1"), ("e\u0301", "1")])
@example([("\u212a", "1"), ("k", "1")])
def test_two_connectors_have_two_folders_on_every_disk(connectors: list[tuple[str, str]]) -> None:
    try:
        require_distinct_folders(connectors)
    except ValueError:
        return
    paths = {
        as_lenient_disk(
            ConnectorFolder.open(Path("lake"), Partition(*ids, "2026-01"), "ndjson").path
        )
        for ids in connectors
    }
    assert len(paths) == len(set(connectors))


@pytest.mark.parametrize("format_", FORMATS)
async def test_the_name_of_a_folder_need_not_be_utf_8(
    depot: DepotClient, tmp_path: Path, format_: Format
) -> None:
    folder = tmp_path / os.fsdecode(b"\xff lake")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this disk takes no such names")
    for skipped in (0, 1):
        done = await export(depot, folder, format=format_)
        assert [(it.error, it.skipped) for it in done.connectors] == [(None, skipped)] * 2
    if format_ == "parquet":
        from depotclient.export.parquet import read_session

        (file, *_) = folder.rglob("*.parquet")
        report, _ = await asyncio.to_thread(read_session, file, None)
        assert report is not None


# Files and folders that are not from an export.

EDITS: dict[str, dict[str, Any]] = {
    "a time without a zone": {"readAt": "2026-03-01T00:00:00"},
    "no time": {"readAt": "yesterday"},
    "no month": {"window": "2026-1"},
    "a month that is none": {"window": "2026-13"},
    "a number for a window": {"window": 202601},
    "a begin in another form": {"from": ""},
    "an end in another form": {"to": "tomorrow"},
    "a number for a begin": {"from": 0},
    "a text for a number": {"reports": "3"},
    "a fraction": {"reports": 3.5},
    "null": {"bytesRead": None},
    "a text for a flag": {"verify": "yes"},
    "a text for ids": {"missingStart": "7"},
    "ids that are none": {"missingStart": {"a": 1}},
    "a list for an id": {"chargerId": ["CP-001"]},
    "another version": {"version": 1.5},
}


def edit(folder: Path, format_: Format, change: Callable[[str], str]) -> None:
    """Change the record in the file of CP-001."""
    place = folder / "charger_id=CP-001/connector_id=1/month=2026-01"
    if format_ == "ndjson":
        beside = place / "_reports.ndjson.json"
        beside.write_text(change(beside.read_text()))
        return
    table = pq.ParquetFile(place / "reports.parquet").read()
    metadata = table.schema.metadata
    record = (pq.read_metadata(place / "reports.parquet").metadata or {})[b"depotclient.export"]
    new = {**(metadata or {}), b"depotclient.export": change(record.decode()).encode()}
    pq.write_table(table.replace_schema_metadata(new), place / "reports.parquet")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("fields", EDITS.values(), ids=EDITS.keys())
async def test_an_edited_record_fails_its_connector_with_a_message(
    depot: DepotClient, tmp_path: Path, format_: Format, fields: dict[str, Any]
) -> None:
    await export(depot, tmp_path, format=format_)
    edit(tmp_path, format_, lambda text: json.dumps(json.loads(text) | fields))
    before = contents(tmp_path)
    reason = failure(await export(depot, tmp_path, format=format_))
    assert "was not written by an export of this version: move it away" in reason
    assert contents(tmp_path) == before


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000 + "]" * 100_000, "\x00", '"\ud800"'])
async def test_a_record_that_python_cannot_decode_fails_its_connector_with_a_message(
    depot: DepotClient, tmp_path: Path, text: str
) -> None:
    await export(depot, tmp_path, format="ndjson")
    (beside,) = tmp_path.rglob("charger_id=CP-001/**/_reports.ndjson.json")
    record = beside.read_text().replace('"reports":3', f'"reports":{text}')
    beside.write_text(record, errors="surrogatepass")
    reason = failure(await export(depot, tmp_path, format="ndjson"))
    assert "was not written by an export" in reason


async def test_a_folder_that_is_not_a_window_fails_its_connector_with_a_message(
    depot: DepotClient, tmp_path: Path
) -> None:
    await export(depot, tmp_path, format="ndjson")
    (month,) = tmp_path.rglob("charger_id=CP-001/*/month=2026-01")
    month.rename(month.with_name("month=2026-1"))
    reason = failure(await export(depot, tmp_path, format="ndjson"))
    assert "says that it holds CP-001/1/2026-01: move it to where it belongs" in reason


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def link_to_pipe(path: Path) -> None:
    os.mkfifo(f"{path}.pipe")
    path.symlink_to(f"{path}.pipe")


SPECIAL: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a socket": make_socket,
    "a folder": Path.mkdir,
    "a link to a pipe": link_to_pipe,
}
NAMES: list[tuple[Format, str]] = [
    *(("parquet", "reports.parquet"), ("ndjson", "reports.ndjson")),
    ("ndjson", "_reports.ndjson.json"),
]


@pytest.mark.parametrize(("format_", "name"), NAMES)
@pytest.mark.parametrize("make", SPECIAL.values(), ids=SPECIAL.keys())
async def test_only_regular_files_are_opened(
    depot: DepotClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    format_: Format,
    name: str,
    make: Callable[[Path], object],
) -> None:
    await export(depot, tmp_path, format=format_)
    (file,) = tmp_path.rglob(f"charger_id=CP-001/**/{name}")
    file.unlink()
    monkeypatch.chdir(file.parent)  # the path of a socket must be short
    make(Path(name))
    reason = failure(await export(depot, tmp_path, format=format_))
    assert reason == (f"{file} is not a regular file: move it away or export into another folder")
    assert not file.is_file()


async def test_a_link_to_an_exported_file_counts_as_the_file(
    depot: DepotClient, tmp_path: Path
) -> None:
    await export(depot, tmp_path / "lake")
    (file,) = tmp_path.rglob("charger_id=CP-001/**/reports.parquet")
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    done = await export(depot, tmp_path / "lake")
    assert [it.skipped for it in done.connectors] == [1, 1]


async def test_a_link_to_nothing_is_replaced(depot: DepotClient, tmp_path: Path) -> None:
    await export(depot, tmp_path / "lake")
    (file,) = tmp_path.rglob("charger_id=CP-001/**/reports.parquet")
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    assert (await export(depot, tmp_path / "lake")).failed == ()
    assert not file.is_symlink()
    assert not (tmp_path / "elsewhere").exists()


def make_old(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    os.utime(path, (time.time() - 90_000,) * 2)


async def test_nothing_is_deleted_through_a_link(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    lake, mine = tmp_path / "lake", tmp_path / "mine" / "old.part"
    make_old(mine)
    lake.mkdir()
    (lake / STAGING).symlink_to(mine.parent)
    with pytest.raises(
        NotADirectoryError, match=r"lake/[.]depotclient is a link or a file: an exp"
    ):
        await export(depot, lake)
    assert sandbox.requests == []
    (lake / STAGING).unlink()
    (lake / STAGING).mkdir()
    (lake / STAGING / "old.part").symlink_to(mine)
    assert (await export(depot, lake)).failed == ()
    assert mine.read_text() == "mine"


async def test_a_file_where_the_folder_for_unfinished_files_should_be_is_refused(
    depot: DepotClient, tmp_path: Path
) -> None:
    make_old(tmp_path / STAGING)
    with pytest.raises(NotADirectoryError, match="is a link or a file: an export needs a folder"):
        await export(depot, tmp_path)
    assert (tmp_path / STAGING).read_text() == "mine"
