"""This library: full reports, reports of five fields, session keys, and small calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from functools import partial

import attrs
import msgspec

from benchmarks.candidates import base
from benchmarks.workloads import CONCURRENCY, SLOW_LIMIT
from depotclient import DepotClient, SessionReport
from depotclient.keys import compute_session_key, read_session_id
from depotclient.models import structurer_of
from thorclient import ApiError, ThorClient


@attrs.frozen
class Header:
    """Five fields of a report."""

    session_id: int
    vehicle_id: str | None
    session_time_start: datetime | None
    session_time_end: datetime | None
    energy_charge_end: float | None


@attrs.frozen
class Ours(base.Candidate):
    """Clients of this library.

    Attributes:
        into: Class of the reports.
        limit: `limit` of a walk.
        read_ahead: `read_ahead` of a walk.
        many: Make small calls with `get_analytics_many()`.
    """

    into: type = SessionReport
    limit: int | None = None
    read_ahead: int = 1
    many: bool = False

    def with_read_ahead(self, count: int) -> Ours:
        return attrs.evolve(self, read_ahead=count)

    def decoder(self, page: bytes, reports: Sequence[bytes]) -> base.Work:
        return base.decode_each(
            structurer_of(self.into), msgspec.json.decode(page, type=base.SplitPage).items
        )

    @asynccontextmanager
    async def depot(
        self, access: base.Access, limiter: asyncio.Semaphore | None = None
    ) -> AsyncGenerator[base.Walk, None]:
        async with DepotClient(
            token=access.credential, base_url=access.base_url, limiter=limiter
        ) as client:

            def walk(charger_id: str, connector_id: str) -> AsyncGenerator[object, None]:
                return aiter(
                    client.session_reports(
                        charger_id,
                        connector_id,
                        into=self.into,
                        limit=self.limit,
                        read_ahead=self.read_ahead,
                    )
                )

            yield walk

    @asynccontextmanager
    async def thor(self, access: base.Access) -> AsyncGenerator[base.Poll, None]:
        async with ThorClient(api_key=access.credential, base_url=access.base_url) as client:
            if self.many:
                yield partial(poll_many, client)
            else:
                yield partial(base.poll_with_tasks, client.get_analytics)


async def poll_many(client: ThorClient, ids: Iterable[str], on_response: base.Work) -> None:
    """Request the ids with `get_analytics_many()`."""
    async with aclosing(client.get_analytics_many(ids, CONCURRENCY)) as results:
        async for _, result in results:
            if isinstance(result, ApiError):
                raise result
            on_response()


class OursKeys(Ours):
    """Session ids and keys, which a walk reads before it structures anything."""

    def decoder(self, page: bytes, reports: Sequence[bytes]) -> base.Work:
        return base.decode_each(
            lambda report: compute_session_key(read_session_id(report), report), reports
        )


FULL, INTO, KEYS, MANY = Ours(), Ours(into=Header), OursKeys(), Ours(many=True)
SLOW, SLOW_INTO = Ours(limit=SLOW_LIMIT), Ours(into=Header, limit=SLOW_LIMIT)
