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
from depotclient.export.parquet import ParquetWriter
from depotclient.models import SessionReport, structurer_of
from depotclient.partitions import WindowFilter
from depotclient.query import Query
from depotclient.reports import SessionReports
from evtransport.http import Request
from evtransport.paging.cursor import Cursor
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

    def retire_connections(self) -> None:
        """Do nothing: there are no connections."""


class OursParquet(Contestant):
    """A walk over the pages, and the rows of an export; only that these reach the disk is left out.

    No page is split ahead while another one is written. Arrow reads the blocks of a page on all
    cores, as it does in an export.
    """

    def write_parquet(self, pages: Sequence[bytes], file: Path) -> None:
        asyncio.run(self._write(pages, file))

    async def _write(self, pages: Sequence[bytes], file: Path) -> None:
        now, query = datetime.now(UTC), Query(*WALK, None, None)
        reports = SessionReports(
            transport=cast(Transport, _Answers(iter(pages))),
            structure=structurer_of(SessionReport),
            now=lambda: now,
            query=query,
            limit=DECODED,
            read_ahead=0,
            verify=False,
            # The pages that are given do not overlap.
            resume=Cursor(
                query=query.identity(), pinned={"to": "now"}, limit=DECODED, overlap=False
            ),
        )
        window_filter = WindowFilter(FIRST, LAST)
        rows = await asyncio.to_thread(ParquetWriter, file)
        async with aclosing(reports.pages()) as walk:
            async for page in walk:
                await asyncio.to_thread(rows.write, page, window_filter)
        await asyncio.to_thread(rows.finish, b"{}")
        await asyncio.to_thread(rows.close)


OURS = OursParquet()
