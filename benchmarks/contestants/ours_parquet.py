"""This library's road from the bytes of pages to a Parquet file, as an export goes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, cast

import attrs

from benchmarks.contestants.interface import Contestant
from benchmarks.workloads import DECODED, WALK
from depotclient.files import WindowRecord
from depotclient.models import SessionReport
from depotclient.parquet import Rows
from depotclient.partitions import Membership
from depotclient.reports import Query, SessionReports, structurer_of
from evtransport.http import Request
from evtransport.transport import Transport

T = TypeVar("T")

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
NO_MORE = b'{"items":[]}'


@attrs.frozen
class _Answers:
    """Gives the pages at once; what reads them is the library's own."""

    pages: Iterator[bytes]

    async def send(self, request: Request[T]) -> T:
        return request.decode(next(self.pages, NO_MORE))


class OursParquet(Contestant):
    """A walk over the pages, and the rows of an export; only that these reach the disk is left out.

    No page is split ahead while another one is written, so that there is one core for everybody.
    """

    def write_parquet(self, pages: Sequence[bytes], file: Path) -> None:
        asyncio.run(self._write(pages, file))

    async def _write(self, pages: Sequence[bytes], file: Path) -> None:
        now = datetime.now(UTC)
        reports = SessionReports(
            transport=cast(Transport, _Answers(iter(pages))),
            structure=structurer_of(SessionReport),
            now=lambda: now,
            query=Query(*WALK, None, None),
            limit=DECODED,
            read_ahead=0,
            verify=False,
            resume=None,
        )
        membership = Membership(FIRST, LAST)
        rows, count = await asyncio.to_thread(Rows, file), 0
        async with aclosing(reports.pages()) as walk:
            async for page in walk:
                count += await asyncio.to_thread(rows.write, page, membership)
        charger_id, connector_id = WALK
        record = WindowRecord(
            library="thor-depot-clients",
            charger_id=charger_id,
            connector_id=connector_id,
            window="2026-01",
            from_="",
            to="",
            verify=False,
            read_at=now,
            reports=count,
            bytes_read=sum(map(len, pages)),
            untimed=tuple(membership.untimed),
        )
        await asyncio.to_thread(rows.finish, record)
        await asyncio.to_thread(rows.close)


OURS = OursParquet()
