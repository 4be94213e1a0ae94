"""Copy a depot in a process of its own, and kill that process at a given moment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

# Here, because later imports would count as audit events. Arrow imports pandas if it can.
import pandas as pd  # noqa: F401

import tests.support.tables  # noqa: F401
from depotclient import DepotClient
from tests.support.copies import CopyTarget
from tests.support.kills import KILLED, Moment, start_child
from tests.support.nights import CONNECTORS


@attrs.frozen
class Task:
    """Copy of one night.

    Attributes:
        target: Target of the copy.
        account: Arguments of the client.
        now: Time of the night, at which the client's clock stands still.
        log: File for the number of audit events, or for the traceback of an error.
    """

    target: CopyTarget
    account: Mapping[str, Any]
    now: datetime
    log: Path

    def run(self, moment: Moment | None = None) -> int | None:
        """Run in a new process. Return the number of its audit events, or None if it was killed."""
        process = start_child(self, self.log, moment, [__name__])
        process.join(60)
        if process.exitcode in KILLED:
            return None
        assert process.exitcode == 0, self.log.read_text()
        return int(self.log.read_text())

    def __call__(self) -> None:
        """Copy the connectors in this process."""
        asyncio.run(self.copy())

    async def copy(self) -> None:
        """Copy the connectors. Fail if the copy is not complete."""
        async with DepotClient(**self.account) as depot:
            depot.now = lambda: self.now
            errors = await self.target.copy(depot, CONNECTORS)
            assert not any(errors), errors
