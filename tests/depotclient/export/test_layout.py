"""Folders of an export: distinct names, no access to other files, each report in one window."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depotclient import DepotClient
from depotclient.export import export_session_reports
from depotclient.export.files import open_format
from depotclient.export.formats import FORMATS, Format
from depotclient.export.layout import ConnectorFolder, require_distinct_folders
from tests.support.exports import (
    ALL,
    START,
    Item,
    contents,
    export_first,
    ids_in,
    serving,
)

both_formats = pytest.mark.parametrize("format_", FORMATS)


# Names of folders.


def folder_of(charger_id: str, connector_id: str) -> Path:
    ids = (charger_id, connector_id)
    return ConnectorFolder.open(Path("lake"), ids, "month", open_format("ndjson")).path


@pytest.mark.parametrize(
    ("charger_id", "name"),
    [("Depot-7_CP.001~a", "Depot-7_CP.001~a"), ("\u00e9/%.", "%C3%A9%2F%25%2E")],
)
def test_the_name_of_a_folder_is_the_encoded_id(charger_id: str, name: str) -> None:
    assert folder_of(charger_id, "1") == Path(f"lake/charger_id={name}/connector_id=1")


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
@example([("CP", "A"), ("CP", "a")])
@example([("\u00e9a", "1"), ("\u00e9A", "1")])
def test_two_connectors_have_two_folders_on_every_disk(connectors: list[tuple[str, str]]) -> None:
    try:
        require_distinct_folders(connectors)
    except ValueError:
        return
    paths = {as_lenient_disk(folder_of(*ids)) for ids in connectors}
    assert len(paths) == len(set(connectors))


@both_formats
async def test_the_name_of_a_folder_need_not_be_utf_8(
    depot: DepotClient, tmp_path: Path, format_: Format
) -> None:
    folder = tmp_path / os.fsdecode(b"\xff lake")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this disk accepts no such names")
    for skipped in (0, 1):
        export = await export_first(depot, folder, format=format_)
        assert (export.error, export.skipped) == (None, skipped)


# Files that no export wrote.


@both_formats
@pytest.mark.parametrize(
    "target",
    ["connector_id=1/month=2026-02", "connector_id=2/month=2026-01", "connector_id=1/month=2026-1"],
)
async def test_a_file_that_was_moved_is_rejected(
    depot: DepotClient, tmp_path: Path, format_: Format, target: str
) -> None:
    await export_first(depot, tmp_path, format=format_)
    charger = tmp_path / "charger_id=CP-001"
    (charger / target).parent.mkdir(exist_ok=True)
    (charger / "connector_id=1/month=2026-01").rename(charger / target)
    before = contents(tmp_path)
    export = await export_session_reports(depot, ALL[:2], tmp_path, from_=START, format=format_)
    (failed,) = export.failed
    assert "holds CP-001/1/2026-01 according to its manifest: move it to" in str(failed.error)
    assert contents(tmp_path).items() >= before.items()


def write_another_table(month: Path) -> None:
    table = pa.table({"a": [1]}).replace_schema_metadata({"depotclient.export": "{}"})
    pq.write_table(table, month / "reports.parquet")


def write_no_table(month: Path) -> None:
    (month / "reports.parquet").write_bytes(b"PAR1")


def write_another_sidecar(month: Path) -> None:
    (month / "reports.ndjson").touch()
    (month / "_reports.ndjson.json").write_text("{}")


def write_no_sidecar(month: Path) -> None:
    (month / "reports.ndjson").write_text("my precious\n")


WRITERS = [write_another_table, write_no_table, write_another_sidecar, write_no_sidecar]


@pytest.mark.parametrize("write", WRITERS)
async def test_a_file_without_a_valid_manifest_is_not_replaced(
    depot: DepotClient, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    month = tmp_path / "charger_id=CP-001/connector_id=1/month=2026-01"
    month.mkdir(parents=True)
    write(month)
    before = contents(tmp_path)
    format_ = "parquet" if "table" in write.__name__ else "ndjson"
    export = await export_first(depot, tmp_path, format=format_)
    assert "was not written by an export" in str(export.error)
    assert (export.missing, export.is_over) == (1, True)
    assert contents(tmp_path) == before


async def test_a_parquet_file_that_does_not_match_its_manifest_is_not_replaced(
    tmp_path: Path,
) -> None:
    items: list[Item] = [{"sessionId": 7}, {"sessionId": 8}]
    async with serving(items) as depot:
        await export_first(depot, tmp_path, to=None)
        path = min(tmp_path.rglob("*.parquet"))
        table = pq.ParquetFile(path).read()
        pq.write_table(table.slice(1), path)  # The metadata of the schema has the manifest.
        before = contents(tmp_path)
        export = await export_first(depot, tmp_path, to=None, refresh=True)
    assert "does not match its manifest: move it away" in str(export.error)
    assert contents(tmp_path) == before


def link_to_pipe(path: Path) -> None:
    os.mkfifo(f"{path}.pipe")
    path.symlink_to(f"{path}.pipe")


@pytest.mark.parametrize("name", ["reports.parquet", "reports.ndjson", "_reports.ndjson.json"])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, link_to_pipe])
async def test_only_regular_files_are_opened(
    depot: DepotClient, tmp_path: Path, name: str, make: Callable[[Path], object]
) -> None:
    format_ = "parquet" if "parquet" in name else "ndjson"
    await export_first(depot, tmp_path, format=format_)
    (file,) = tmp_path.rglob(name)
    file.unlink()
    make(file)
    error = (await export_first(depot, tmp_path, format=format_)).error
    assert str(error) == (
        f"{file} is not a regular file: move it away or export into another folder"
    )
    assert not file.is_file()


async def test_a_link_to_an_exported_file_counts_as_the_file(
    depot: DepotClient, tmp_path: Path
) -> None:
    await export_first(depot, tmp_path / "lake")
    (file,) = tmp_path.rglob("reports.parquet")
    file.rename(tmp_path / "target")
    file.symlink_to(tmp_path / "target")
    assert (await export_first(depot, tmp_path / "lake")).skipped == 1

    (tmp_path / "target").unlink()
    assert (await export_first(depot, tmp_path / "lake")).written == 1
    assert not file.is_symlink()


async def test_days_and_months_in_one_folder_are_rejected(
    depot: DepotClient, tmp_path: Path
) -> None:
    await export_first(depot, tmp_path)
    export = await export_first(depot, tmp_path, window="day")
    assert "a file for each month" in str(export.error)
    (next(tmp_path.glob("*/*")) / "notes").mkdir()
    assert (await export_first(depot, tmp_path)).skipped == 1
    assert ids_in(tmp_path).total() == 60
