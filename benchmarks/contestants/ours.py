"""This library: full reports, and reports of the few fields that are needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime

import attrs
import msgspec

from benchmarks.contestants.interface import Call, Contestant, Depot, Thor, by_workers, one_by_one
from benchmarks.protocol import Access
from depotclient import DepotClient, SessionReport
from depotclient.keys import session_id_of, session_key
from depotclient.models import structurer_of
from depotclient.reports import SessionReports
from thorclient import ApiError, ThorClient


@attrs.frozen
class Header:
    """What a list of sessions shows of each."""

    session_id: int
    vehicle_id: str | None
    session_time_start: datetime | None
    session_time_end: datetime | None
    energy_charge_end: float | None


class _Page(msgspec.Struct):
    """An answer as the library splits it."""

    items: list[msgspec.Raw]


@attrs.frozen
class _OurDepot:
    client: DepotClient
    into: type
    limit: int | None
    read_ahead: int

    def walk(self, charger_id: str, connector_id: str) -> AsyncGenerator[object, None]:
        reports: SessionReports[object] = self.client.session_reports(
            charger_id, connector_id, into=self.into, limit=self.limit, read_ahead=self.read_ahead
        )
        return aiter(reports)


@attrs.frozen
class _Many:
    """The method that is made for it."""

    client: ThorClient

    async def poll(self, ids: Iterable[str], concurrency: int, on_answer: Call) -> None:
        async with aclosing(self.client.get_analytics_many(ids, concurrency)) as results:
            async for _, result in results:
                if isinstance(result, ApiError):
                    raise result
                on_answer()


@attrs.frozen
class _Workers:
    """Calls of a user's own tasks."""

    client: ThorClient

    async def poll(self, ids: Iterable[str], concurrency: int, on_answer: Call) -> None:
        await by_workers(self.client.get_analytics, ids, concurrency, on_answer)


@attrs.frozen
class Ours(Contestant):
    """Both clients of this library.

    Attributes:
        into: The class of the reports.
        limit: Of a walk; as by default.
        read_ahead: Of a walk; as by default.
        many: Small calls are made by `get_analytics_many`, not one by one.
    """

    into: type = SessionReport
    limit: int | None = None
    read_ahead: int = 1
    many: bool = False

    def decoding(self, page: bytes, reports: Sequence[bytes]) -> Call:
        return one_by_one(structurer_of(self.into), msgspec.json.decode(page, type=_Page).items)

    @asynccontextmanager
    async def depot(
        self, access: Access, limiter: asyncio.Semaphore | None = None
    ) -> AsyncGenerator[Depot, None]:
        async with DepotClient(
            token=access.credential, base_url=access.base_url, limiter=limiter
        ) as client:
            yield _OurDepot(client, self.into, self.limit, self.read_ahead)

    @asynccontextmanager
    async def thor(self, access: Access, connections: int) -> AsyncGenerator[Thor, None]:
        async with ThorClient(api_key=access.credential, base_url=access.base_url) as client:
            yield _Many(client) if self.many else _Workers(client)


@attrs.frozen
class OurKeys(Ours):
    """The ids and keys of reports, which a walk reads before anything is structured."""

    def decoding(self, page: bytes, reports: Sequence[bytes]) -> Call:
        return one_by_one(lambda text: session_key(session_id_of(text), text), reports)


FULL = Ours()
KEYS = OurKeys()
INTO = Ours(into=Header)
MANY = Ours(many=True)
