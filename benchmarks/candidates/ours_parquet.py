"""This library's conversion of page bytes to a Parquet file, as in an export."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, cast

import attrs

from benchmarks.candidates import base
from benchmarks.workloads import PAGE_REPORTS, WALK
from depotclient.export.parquet import ParquetFormat
from depotclient.models import SessionReport, structurer_of
from depotclient.pages import Page
from depotclient.query import Query
from depotclient.reports import SessionReports
from evtransport.errors import ApiError
from evtransport.http import Request
from evtransport.paging.cursor import Cursor
from evtransport.transport import Transport

T = TypeVar("T")


@attrs.frozen
class StubTransport:
    """Transport that returns given pages at once."""

    pages: Iterator[bytes]
    reporter: None = attrs.field(default=None, init=False)

    async def send(self, request: Request[T]) -> T:
        return request.decode(next(self.pages, b'{"items":[]}'))

    def describe(self, request: Request[T], error: ApiError) -> None:
        """Do nothing: the reports are valid."""

    def redact(self, text: str) -> str:
        """Return a text, which has no credentials."""
        return text

    def retire_connections(self) -> None:
        """Do nothing: there are no connections."""


class OursParquet(base.Candidate):
    """Walk over the pages, and the writer of an export without its `fsync`."""

    def write_parquet(self, pages: Sequence[bytes], file: Path) -> None:
        asyncio.run(self._write(pages, file))

    async def _write(self, pages: Sequence[bytes], file: Path) -> None:
        now, query = datetime.now(UTC), Query(*WALK, None, None)
        reports = SessionReports(
            transport=cast(Transport, StubTransport(iter(pages))),
            structure=structurer_of(SessionReport),
            now=lambda: now,
            query=query,
            limit=PAGE_REPORTS,
            read_ahead=0,
            verify=False,
            # The pages that are given do not overlap.
            resume=Cursor(
                query=query.identity(), pinned={"to": "now"}, limit=PAGE_REPORTS, overlap=False
            ),
        )
        file_format = ParquetFormat()
        writer = await asyncio.to_thread(file_format.create, file)

        def write(page: Page[SessionReport]) -> None:
            decoded = file_format.decode(page)
            writer.write(decoded.rows, range(len(decoded.sessions)))

        async with aclosing(reports.pages()) as walk:
            async for page in walk:
                await asyncio.to_thread(write, page)
        await asyncio.to_thread(writer.finish, b"{}")
        await asyncio.to_thread(writer.close)


OURS = OursParquet()
