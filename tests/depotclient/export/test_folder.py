"""The folder of an export is a path on this machine, and a colon in it is just a colon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from depotclient import DepotClient
from depotclient.export.folder import folder_path
from depotclient.export.formats import FORMATS, Format
from tests.support.exports import export_first, ids_in


@pytest.mark.parametrize("folder", ["lake", "lake:2026", "a:/b", "lake//x", Path("s3"), "C:/lake"])
def test_a_path_is_a_folder(folder: str | Path) -> None:
    assert folder_path(folder) == Path(folder)


@pytest.mark.parametrize(
    ("folder", "scheme"),
    [
        ("s3://key:s3cret@bucket/lake", "s3"),
        ("S3a://bucket/lake", "S3a"),
        ("abfs+x://bucket", r"abfs\+x"),
        ("file:///lake", "file"),
        ("postgresql://user:s3cret@host/db", "postgresql"),
        ("sqlite:///depot.sqlite", "sqlite"),
        (Path("s3://bucket/lake"), "s3"),
    ],
)
async def test_an_address_is_refused_with_the_command_that_takes_it(
    depot: DepotClient, folder: str | Path, scheme: str
) -> None:
    message = f"got an address with {scheme}://; `depotclient load` .* depotclient.dlt to a bucket"
    with pytest.raises(ValueError, match=message) as caught:
        await export_first(depot, folder)  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("folder", [None, b"lake", " ", "la\0ke", "la\ud800ke"])
def test_other_values_are_refused(folder: Any) -> None:
    with pytest.raises(ValueError, match=r"folder must be a path, such as 'lake' or '\.', got"):
        folder_path(folder)


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_relative_folder_may_have_a_colon(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: Format
) -> None:
    monkeypatch.chdir(tmp_path)
    for written in (1, 0):
        export = await export_first(depot, Path("lake:2026"), format=format_)
        assert (export.error, export.written) == (None, written)
    assert ids_in(tmp_path / "lake:2026").total() == 60


async def test_a_relative_folder_stays_the_same_if_the_working_directory_changes(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    export = await export_first(
        depot, Path("lake"), on_progress=lambda _: os.chdir(tmp_path / "other")
    )
    assert (export.error, ids_in(tmp_path / "lake").total()) == (None, 60)
    assert [*(tmp_path / "other").iterdir()] == []
