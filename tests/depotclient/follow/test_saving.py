"""The state in its place: a file that one run writes, and what a run does with its content."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from depotclient import FileState
from depotclient.follow.saving import SavedState
from depotclient.follow.state import ConnectorState, split_state

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
A, B = ("CP-001", "1"), ("CP-002", "1")


async def read(path: Path) -> bytes:
    return await asyncio.to_thread(path.read_bytes)


async def write(path: Path, content: bytes) -> None:
    await asyncio.to_thread(path.write_bytes, content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "follow.json"


async def test_a_file_keeps_the_last_state(path: Path) -> None:
    state = FileState(path)
    assert await state.load() is None

    await state.save(b"1")
    await state.save(b"2")

    assert await FileState(str(path)).load() == b"2"
    assert await asyncio.to_thread(os.listdir, path.parent) == ["follow.json"]
    assert repr(state) == f"FileState({str(path)!r})"


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
async def test_a_symbolic_link_stays_and_its_target_has_the_state(path: Path) -> None:
    link = path.with_name("link")
    await asyncio.to_thread(link.symlink_to, path)

    await FileState(link).save(b"1")

    assert await read(path) == b"1"
    assert await asyncio.to_thread(link.is_symlink)


@pytest.mark.parametrize("is_removed", [False, True])
async def test_a_file_that_another_process_wrote_or_removed_is_not_replaced(
    path: Path, is_removed: bool
) -> None:
    state, other = FileState(path), FileState(path)
    await state.save(b"1")
    await other.load()
    if is_removed:
        await asyncio.to_thread(path.unlink)
    else:
        await other.save(b"other")

    with pytest.raises(FileExistsError, match=r"another process has written .*follow\.json"):
        await state.save(b"2")

    assert is_removed or await read(path) == b"other"


async def test_a_file_that_was_not_loaded_is_not_replaced(path: Path) -> None:
    await write(path, b"precious")

    with pytest.raises(FileExistsError):
        await FileState(path).save(b"2")


async def test_a_save_after_a_cancelled_one_waits_for_it(path: Path) -> None:
    state = FileState(path)
    first = asyncio.create_task(state.save(b"1"))
    await asyncio.sleep(0)
    first.cancel()
    await state.save(b"2")

    assert await read(path) == b"2"


async def test_connectors_of_other_runs_stay_in_the_state(path: Path) -> None:
    place = FileState(path)
    saved = SavedState(place)
    both = await saved.load([A, B], SINCE)
    await saved.save(both.values())

    saved = SavedState(place)
    later = SINCE + timedelta(days=1)
    parts = await saved.load([A, ("CP-003", "1")], later)
    await saved.save(parts.values())

    assert split_state(await read(path)).keys() == {A, B, ("CP-003", "1")}
    since = [ConnectorState.decode(part).since for part in parts.values()]
    assert since == [SINCE, later]


async def test_a_time_before_that_of_the_state_is_an_error(path: Path) -> None:
    saved = SavedState(FileState(path))
    await saved.save((await saved.load([A], SINCE)).values())

    with pytest.raises(ValueError, match=r"follow\.json can't be used: since=2025.* CP-001/1"):
        await SavedState(FileState(path)).load([A], SINCE - timedelta(days=1))


async def test_an_unknown_state_is_an_error_and_stays(path: Path) -> None:
    await write(path, b"{}")

    with pytest.raises(ValueError, match=r"follow\.json can't be used: it is not a state"):
        await SavedState(FileState(path)).load([A], SINCE)

    assert await read(path) == b"{}"


async def test_the_error_of_a_users_state_does_not_show_the_object() -> None:
    class Secret:
        async def load(self) -> bytes:
            return b"{}"

        async def save(self, state: bytes) -> None: ...

    with pytest.raises(ValueError, match=r"^`state` can't be used"):
        await SavedState(Secret()).load([A], SINCE)
