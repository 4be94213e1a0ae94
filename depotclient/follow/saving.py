"""Places that keep the state of a run between runs, and the state in its place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final, Protocol, TypeAlias

from depotclient.follow.state import ConnectorState, join_state, split_state
from evtransport.atomic import write_atomically
from evtransport.pauses import Pauses

__all__ = ["FileState", "FollowState", "SavedState"]

_Ids: TypeAlias = tuple[str, str]

_Version: TypeAlias = tuple[int, int, int]
"""Inode, size and modification time of a file."""


class FollowState(Protocol):
    """Place that keeps the state of `DepotClient.follow` between runs.

    The state is JSON of about 60 bytes for each session of the last month.

    A run calls `save` only while the caller waits for the next item, for `done()`, or for
    `aclose()`. So a `save` that writes with the caller's database connection is part of the
    caller's transaction: the item and the state are stored together, or neither is. After a
    transaction that is rolled back, start a new run: this one has acknowledged the item.

    Commit before you take the next item. Taking it acknowledges the last one, and the end of the
    run saves that even if the transaction is rolled back.

    Example:
        >>> class MemoryState:
        ...     state: bytes | None = None
        ...
        ...     async def load(self) -> bytes | None:
        ...         return self.state
        ...
        ...     async def save(self, state: bytes) -> None:
        ...         self.state = state
    """

    async def load(self) -> bytes | None:
        """Return the bytes of the last `save`, or None before the first one."""
        ...

    async def save(self, state: bytes) -> None:
        """Store the state. An error passes to the caller of the run."""
        ...


class FileState:
    """State of `DepotClient.follow` in a file, which is always complete.

    Args:
        path: Path of the file. Its folder must exist. A symbolic link stays one.

    Raises:
        FileExistsError: `save` found that another process has written the file since this object
            loaded or saved it. Two runs must not share a state.
        OSError: The file can't be read or written.

    Example:
        >>> state = FileState("follow.json")
        >>> await state.load() is None
        True
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Final = Path(path)
        self._version: _Version | None = None
        # A cancelled save still runs in its thread.
        self._lock = Lock()

    async def load(self) -> bytes | None:
        """Return the content of the file, or None if there is no file."""
        return await asyncio.to_thread(self._load)

    async def save(self, state: bytes) -> None:
        """Replace the file, and wait until the disk has it."""
        await asyncio.to_thread(self._save, state)

    def _load(self) -> bytes | None:
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    self._version = _version_of(os.fstat(file.fileno()))
                    return file.read()
            except FileNotFoundError:
                self._version = None
                return None

    def _save(self, state: bytes) -> None:
        with self._lock:
            if self._current_version() != self._version:
                raise FileExistsError(
                    f"another process has written {self.path}: use one state for each run"
                )
            # A symbolic link stays: its target is replaced.
            write_atomically(self.path.resolve(), state)
            self._version = self._current_version()

    def _current_version(self) -> _Version | None:
        try:
            return _version_of(self.path.stat())
        except FileNotFoundError:
            return None

    def __repr__(self) -> str:
        return f"FileState({str(self.path)!r})"


class SavedState:
    """State of a run in its place, with the connectors of other runs.

    Args:
        place: Place that keeps the state. None keeps nothing.
    """

    def __init__(self, place: FollowState | None) -> None:
        self._place: Final = place
        self._others: tuple[bytes, ...] = ()
        self._saving = asyncio.Lock()

    async def load(self, connectors: Collection[_Ids], since: datetime) -> dict[_Ids, bytes]:
        """Return the encoded state of each connector of the run.

        Raises:
            ValueError: The state is damaged, has another version, or starts after `since`.
        """
        content = None if self._place is None else await self._place.load()
        new, own = ConnectorState.starting_at(since), frozenset(connectors)
        try:
            saved = {} if content is None else split_state(content)
            pauses = Pauses()
            for ids, part in saved.items():
                state = ConnectorState.decode(part)
                if ids in own:
                    _check_since(ids, state, since)
                await pauses.pause_if_needed()
        except ValueError as error:
            name = self._place.path if isinstance(self._place, FileState) else "`state`"
            raise ValueError(f"{name} can't be used: {error}") from None
        self._others = tuple(part for ids, part in saved.items() if ids not in own)
        return {ids: saved.get(ids) or new.encode(ids) for ids in connectors}

    async def save(self, parts: Iterable[bytes]) -> None:
        """Save the encoded states of the connectors of the run."""
        if self._place is not None:
            async with self._saving:
                await self._place.save(join_state([*self._others, *parts]))


def _check_since(ids: _Ids, state: ConnectorState, since: datetime) -> None:
    if since < state.since:
        raise ValueError(
            f"since={since.isoformat()} is before {state.since.isoformat()}, the time from which"
            f" it knows {'/'.join(ids)}. It can't tell which older sessions were yielded: pass a"
            " later time, or start without a state"
        )


def _version_of(status: os.stat_result) -> _Version:
    return status.st_ino, status.st_size, status.st_mtime_ns
