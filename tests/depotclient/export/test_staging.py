"""The staging folder of an export: next to the lake, and never in the way of other files."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from depotclient import DepotClient
from depotclient.export.files import NewFile
from depotclient.export.manifest import Manifest
from depotclient.export.staging import Staging
from tests.support.exports import contents, export_first, staging_files

BESIDE, INSIDE = ".lake.depotclient", "lake/.depotclient"


def make_old(path: Path) -> None:
    path.write_bytes(b"PAR1")
    os.utime(path, (time.time() - 90_000,) * 2)


def link_to_folder(path: Path) -> None:
    path.symlink_to(path.parents[1])


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("lake", make_old, r"lake is a file or a broken link: an export needs a folder"),
        ("lake", link_to_nothing, r"lake is a file or a broken link: an export needs a folder"),
        (BESIDE, make_old, r"[.]lake[.]depotclient is a link or a file: an export needs"),
        (BESIDE, link_to_folder, r"is a link or a file: an export needs"),
    ],
)
async def test_a_file_or_link_in_the_place_of_a_folder_is_rejected(
    depot: DepotClient, tmp_path: Path, name: str, make: Callable[[Path], None], message: str
) -> None:
    mine, path = tmp_path / "old.part", tmp_path / name
    make_old(mine)
    make(path)
    with pytest.raises(NotADirectoryError, match=message):
        await export_first(depot, tmp_path / "lake")
    assert mine.exists()
    assert path.is_symlink() or path.read_bytes() == b"PAR1"


@pytest.mark.parametrize("name", [BESIDE, INSIDE])
async def test_staging_files_of_killed_runs_are_deleted_after_a_day(
    depot: DepotClient, tmp_path: Path, name: str
) -> None:
    mine, staging = tmp_path / "mine", tmp_path / name
    (staging / "folder.part").mkdir(parents=True)
    for path in (mine, staging / "old.part", staging / "other"):
        make_old(path)
    (staging / "link.part").symlink_to(mine)
    os.utime(staging / "folder.part", (time.time() - 90_000,) * 2)
    os.utime(staging / "link.part", (time.time() - 90_000,) * 2, follow_symlinks=False)
    (staging / "new.part").touch()
    await export_first(depot, tmp_path / "lake")
    assert staging_files(tmp_path / "lake") == ["folder.part", "link.part", "new.part", "other"]
    assert mine.exists()


async def test_the_staging_folder_is_next_to_the_lake_and_removed_at_the_end(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk/lake").mkdir(parents=True)
    (tmp_path / "link").symlink_to("disk/lake")
    seen = list[Path]()
    commit = NewFile.commit

    def note(file: NewFile, *args: Any) -> Manifest:
        seen.append(file.staging)
        return commit(file, *args)

    monkeypatch.setattr(NewFile, "commit", note)
    await export_first(depot, tmp_path / "link")
    assert [path.parent for path in seen] == [tmp_path / "disk" / BESIDE]
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["lake"]
    assert len(contents(tmp_path / "disk/lake")) == 1


async def test_the_staging_folder_is_in_the_lake_if_it_can_not_be_next_to_it(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path.parent.name == BESIDE:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    assert (await export_first(depot, tmp_path / "lake")).error is None
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]
    assert len(contents(tmp_path / "lake")) == 1


async def test_a_staging_folder_that_another_run_uses_is_not_removed(
    depot: DepotClient, tmp_path: Path
) -> None:
    (tmp_path / "lake").mkdir()
    other = await asyncio.to_thread(Staging.prepare, tmp_path / "lake")
    await export_first(depot, tmp_path / "lake")
    assert other.keeper.exists()
    await asyncio.to_thread(other.remove)
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]
