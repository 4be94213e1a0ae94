"""An embedded server that behaves as the Depot Session Reports API is described to behave."""

from __future__ import annotations

import asyncio
import base64
import hmac
import itertools
import random
import re
import secrets
import threading
import time
import zlib
from bisect import insort
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args
from urllib.parse import parse_qs

import attrs
import msgspec

from depotclient.sandbox.simulation import ReportShape, SessionPlan, render, simulate_sessions
from evtransport.surrogates import without_lone_surrogates
from evtransport.testing.sandbox import (
    RETRYABLE,
    Answer,
    Channel,
    Fault,
    RecordedRequest,
    Sandbox,
    require_number,
    running_in_thread,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from aiohttp import web

__all__ = [
    "RETRYABLE",
    "Churn",
    "DepotSandbox",
    "Fault",
    "RecordedRequest",
    "ReportShape",
    "running_in_thread",
]

Order = Literal["ascending", "descending", "shuffled"]
TimeFilter = Literal["start", "end", "overlap"]
Aware = Annotated[datetime, msgspec.Meta(tz=True)]

_DEFAULT_CHARGERS = (("CP-001", ("1", "2")), ("CP-002", ("1",)))
_DEFAULT_LIMIT = 3
_OAUTH_PATH = "/oauth2/token"
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class Churn:
    """How many sessions of a connector come and go after each page that was asked of it.

    The numbers are averages: 0.25 is one session after every fourth page or so, drawn by the
    sandbox's seed. A session that comes agrees with itself, but its energy counters do not join
    those of its neighbours.

    Args:
        inserts: Sessions that have just ended, newer than all others.
        late_inserts: Sessions that began between the others, and were uploaded late.
        deletes: Sessions that vanish.
        pages: After so many pages of a connector nothing moves any more; None: it never settles.

    Raises:
        ValueError: A number is out of range.
    """

    inserts: float = 0.0
    late_inserts: float = 0.0
    deletes: float = 0.0
    pages: int | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("inserts", "late_inserts", "deletes"):
            require_number(name, getattr(self, name), 0)
        if self.pages is not None:
            require_number("pages", self.pages, 0, whole=True)


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer = Answer.json({"message": message}, status)


class _Header(msgspec.Struct, rename="camel"):
    """Fields of a report that the sandbox reads. The times decide which windows contain it."""

    session_id: int
    session_time_start: Aware | None = None
    session_time_end: Aware | None = None


@attrs.frozen
class _Row:
    """One report on offer: a plan that is written out when asked for, or bytes as given."""

    session_id: int
    start: int  # epoch µs, as is `end`
    end: int
    content: SessionPlan | bytes
    has_times: bool = True

    @classmethod
    def planned(cls, plan: SessionPlan) -> _Row:
        return cls(plan.session_id, plan.start * 1000, plan.end * 1000, plan)

    @classmethod
    def given(cls, report: bytes, default_time: int) -> _Row:
        """Return the row of a report. One without times is sorted by `default_time`."""
        try:
            header = msgspec.json.decode(without_lone_surrogates(report), type=_Header)
        except msgspec.MsgspecError as error:
            raise ValueError(f"the report cannot be served: {error}") from None
        times = (header.session_time_start, header.session_time_end)
        known = [_microseconds(time) for time in times if time is not None]
        if not known:
            return cls(header.session_id, default_time, default_time, report, has_times=False)
        return cls(header.session_id, known[0], known[-1], report)


@attrs.frozen
class _Window:
    """The part of time that a request asks for, in epoch µs."""

    first: int | None
    last: int | None
    by: TimeFilter
    inclusive: bool

    def holds(self, row: _Row) -> bool:
        if not row.has_times:
            return True
        late = row.end if self.by in {"end", "overlap"} else row.start
        early = row.start if self.by in {"start", "overlap"} else row.end
        slack = 0 if self.inclusive else 1
        return (self.first is None or late >= self.first + slack) and (
            self.last is None or early <= self.last - slack
        )


@attrs.define
class ConnectorStore:
    """The reports of one connector.

    Rows are replaced and never changed in place, so that another thread may read meanwhile.
    """

    rows: tuple[_Row, ...]
    order: Order
    salt: int
    guest: SessionPlan  # what the sessions that come are modelled on
    draw: random.Random
    pages: int = 0
    _ids: set[int] = attrs.field(init=False)
    _selected: tuple[_Window, tuple[_Row, ...], list[_Row]] | None = None

    def __attrs_post_init__(self) -> None:
        self._ids = {row.session_id for row in self.rows}

    def select(self, window: _Window) -> list[_Row]:
        """The rows in a window, in the order of serving; the last selection is kept."""
        rows, held = self.rows, self._selected
        if held is not None and held[0] == window and held[1] is rows:
            return held[2]
        chosen = [row for row in rows if window.holds(row)]
        if self.order == "descending":
            chosen.reverse()
        elif self.order == "shuffled":
            chosen.sort(key=self._place)
        self._selected = window, rows, chosen
        return chosen

    def insert(self, row: _Row) -> None:
        if row.session_id in self._ids:
            raise ValueError(f"session {row.session_id} is there already")
        rows = list(self.rows)
        insort(rows, row, key=lambda other: (other.start, not other.has_times, other.session_id))
        self.rows = tuple(rows)
        self._ids.add(row.session_id)

    def delete(self, session_id: int) -> None:
        if session_id not in self._ids:
            raise ValueError(f"there is no session {session_id}")
        self.rows = tuple(row for row in self.rows if row.session_id != session_id)
        self._ids.remove(session_id)

    def churn(self, churn: Churn, fresh_ids: Iterator[int]) -> tuple[list[int], list[int]]:
        """Let sessions come and go after a page; the ids of those that came, and that went."""
        came, went = list[int](), list[int]()
        self.pages += 1
        if churn.pages is None or self.pages <= churn.pages:
            for late, rate in ((False, churn.inserts), (True, churn.late_inserts)):
                for _ in range(self._drawn(rate)):
                    came.append(next(fresh for fresh in fresh_ids if fresh not in self._ids))
                    plan = self.guest.at(self._begin(late=late))
                    self.insert(_Row.planned(attrs.evolve(plan, session_id=came[-1])))
            for _ in range(min(self._drawn(churn.deletes), len(self.rows))):
                went.append(self.draw.choice(self.rows).session_id)
                self.delete(went[-1])
        return came, went

    def _drawn(self, rate: float) -> int:
        return int(rate + self.draw.random())

    def _begin(self, *, late: bool) -> int:
        """When a session that comes has begun, epoch ms."""
        newest = int(time.time() * 1000) - (self.guest.end - self.guest.start)
        if not self.rows:
            return newest
        first, last = self.rows[0].start // 1000, -(-self.rows[-1].start // 1000)
        return self.draw.randint(first, last) if late else max(newest, last)

    def _place(self, row: _Row) -> int:
        # A hash and not a shuffle: what comes and goes leaves the order of the others alone.
        return zlib.crc32(f"{self.salt}/{row.session_id}".encode())


@attrs.define
class _RenderCache:
    """Reports written out lately, up to so many bytes."""

    shape: ReportShape | None
    budget: int
    _used: int = 0
    _held: OrderedDict[int, bytes] = attrs.field(factory=OrderedDict[int, bytes], repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, repr=False)

    def get(self, row: _Row) -> bytes:
        if isinstance(row.content, bytes):
            return row.content
        with self._lock:
            report = self._held.get(row.session_id)
            if report is not None:
                self._held.move_to_end(row.session_id)
                return report
            report = self._held[row.session_id] = render(row.content, self.shape)
            self._used += len(report)
            while self._used > self.budget:
                self._used -= len(self._held.popitem(last=False)[1])
            return report


@attrs.define(kw_only=True, eq=False, repr=False)
class DepotSandbox(Sandbox):
    """A server on loopback that answers `GET /v1/sessionReports` and `POST /oauth2/token`.

    What the vendor leaves open (order, clamping of `limit`, which time `from` and `to` test, what
    moves between two pages) is a setting here. Besides these arguments it takes those of `Sandbox`.

    Args:
        chargers: Connector ids by charger id; by default CP-001 with 1 and 2, and CP-002 with 1.
            A number makes that many, CP-001 and on, with connectors 1 and 2 each.
        sessions: Sessions per connector.
        shape: The size of every report; by default it varies from 50 to 500 kB.
        order: The order of the items by time; "shuffled" is one fixed permutation.
        max_limit: A `limit` above it is lowered to it; None lowers nothing.
        min_limit: A `limit` below it is raised to it.
        ignore_page: Serve the first page whatever `page` says.
        time_filter: Whether `from` and `to` test the start of a session, its end, or any overlap.
        inclusive: Whether a time that equals `from` or `to` is inside.
        churn: What comes and goes between pages; by default nothing.
        cluster: So many sessions in a row begin in the same millisecond.
        token_lifetime: Seconds until an issued token is answered with 401.
        clock: Monotonic seconds, by which that is told.
        token_faults: Faults of the token endpoint, consumed as `faults` is by the API.
        start: When the first session of each connector begins, aware; by default 2026-01-01 UTC,
            or earlier where so many sessions need more room.

    Attributes:
        token: A bearer token that is always valid.
        client_id: For the token endpoint.
        client_secret: For the token endpoint.
        chargers: Connector ids by charger id.
        inserted: The ids of the sessions that `churn` has made come, in that order.
        deleted: The ids of those that it has made vanish; some may be among `inserted`.

    Raises:
        ValueError: An argument is out of range, or the last session would end in the future.
    """

    prefix: ClassVar[str] = "/v1"
    cache_bytes: ClassVar[int] = 64 * 2**20

    _chargers: Mapping[str, Sequence[str | int]] | int | None = attrs.field(
        default=None, alias="chargers"
    )
    _sessions: int = attrs.field(default=60, alias="sessions")
    _shape: ReportShape | None = attrs.field(default=None, alias="shape")
    _order: Order = attrs.field(default="ascending", alias="order")
    max_limit: int | None = 2000
    min_limit: int = 1
    ignore_page: bool = False
    time_filter: TimeFilter = "start"
    inclusive: bool = True
    churn: Churn = Churn()
    _cluster: int = attrs.field(default=1, alias="cluster")
    token_lifetime: float = 3600.0
    _clock: Callable[[], float] = attrs.field(default=time.monotonic, alias="clock")
    _token_faults: Iterable[Fault | None] = attrs.field(default=(), alias="token_faults")
    _start: datetime | None = attrs.field(default=None, alias="start")
    token: str = attrs.field(init=False, factory=secrets.token_urlsafe)
    client_id: str = attrs.field(init=False, factory=lambda: secrets.token_hex(13))
    client_secret: str = attrs.field(init=False, factory=secrets.token_urlsafe)
    inserted: list[int] = attrs.field(init=False, factory=list[int])
    deleted: list[int] = attrs.field(init=False, factory=list[int])
    _tokens: Channel = attrs.field(init=False)
    _expiry: dict[str, float] = attrs.field(init=False, factory=dict[str, float])
    _fresh_ids: Iterator[int] = attrs.field(init=False)
    _shelves: dict[str, dict[str, ConnectorStore]] = attrs.field(init=False)
    _cache: _RenderCache = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        require_number("sessions", self._sessions, 0, whole=True)
        require_number("min_limit", self.min_limit, 1, whole=True)
        if self.max_limit is not None:
            require_number("max_limit", self.max_limit, self.min_limit, whole=True)
        require_number("cluster", self._cluster, 1, whole=True)
        require_number("token_lifetime", self.token_lifetime, 0)
        _require_one_of("order", self._order, get_args(Order))
        _require_one_of("time_filter", self.time_filter, get_args(TimeFilter))
        self._tokens = Channel(iter(self._token_faults))
        self._cache = _RenderCache(self._shape, self.cache_bytes)
        self._shelves = self._simulated(_ids(self._chargers))

    def _simulated(
        self, chargers: Mapping[str, Sequence[str]]
    ) -> dict[str, dict[str, ConnectorStore]]:
        first_ids = itertools.count(100_000_001, max(1, self._sessions))
        shelves = {
            charger_id: {
                connector_id: self._shelf_of(charger_id, connector_id, next(first_ids))
                for connector_id in connector_ids
            }
            for charger_id, connector_ids in chargers.items()
        }
        self._fresh_ids = itertools.count(next(first_ids))
        return shelves

    def _shelf_of(self, charger_id: str, connector_id: str, first_id: int) -> ConnectorStore:
        plans = simulate_sessions(
            self._seed,
            charger_id,
            connector_id,
            self._sessions,
            start=self._start,
            first_session_id=first_id,
        )
        if self._start is not None and plans and plans[-1].end > time.time() * 1000:
            raise ValueError("start is too late: the last session would end in the future")
        rows = tuple(
            _Row.planned(plan.at(plans[place - place % self._cluster].start))
            for place, plan in enumerate(plans)
        )
        [guest] = simulate_sessions(self._seed, charger_id, connector_id, 1)
        draw = random.Random(f"{self._seed}/{charger_id}/{connector_id}/churn")  # noqa: S311
        return ConnectorStore(rows, self._order, self._seed, guest, draw)

    @property
    def chargers(self) -> dict[str, tuple[str, ...]]:
        """Connector ids by charger id."""
        return {charger_id: tuple(shelves) for charger_id, shelves in self._shelves.items()}

    @property
    def token_url(self) -> str:
        """The URL of the token endpoint; RuntimeError unless the sandbox is running."""
        return self.origin + _OAUTH_PATH

    @property
    def token_requests(self) -> list[RecordedRequest]:
        """The last 10,000 token requests that were answered, in the order of answering."""
        return self._tokens.requests

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that a client needs; RuntimeError unless running."""
        return {
            "DEPOT_BASE_URL": self.base_url,
            "DEPOT_TOKEN_URL": self.token_url,
            "DEPOT_CLIENT_ID": self.client_id,
            "DEPOT_CLIENT_SECRET": self.client_secret,
        }

    def reports(self, charger_id: str, connector_id: str | int) -> list[bytes]:
        """The JSON of all reports of a connector, ascending by start; ValueError if unknown."""
        return [self._cache.get(row) for row in self._shelf(charger_id, connector_id).rows]

    def session_ids(self, charger_id: str, connector_id: str | int) -> list[int]:
        """The ids of all sessions of a connector, ascending by start; ValueError if unknown."""
        return [row.session_id for row in self._shelf(charger_id, connector_id).rows]

    def insert(self, charger_id: str, connector_id: str | int, report: bytes) -> None:
        """Serve one more report from now on.

        Args:
            charger_id: A charger of this sandbox.
            connector_id: A connector of it.
            report: JSON with at least `sessionId`, else ValueError. Without `sessionTimeStart`,
                `sessionTimeEnd` replaces it. Without both, the report sorts last and is in every
                window.
        """
        shelf = self._shelf(charger_id, connector_id)
        shelf.insert(_Row.given(report, shelf.rows[-1].start if shelf.rows else 0))

    def delete(self, charger_id: str, connector_id: str | int, session_id: int) -> None:
        """Serve a report no longer; ValueError where there is none."""
        self._shelf(charger_id, connector_id).delete(session_id)

    def revoke_tokens(self) -> None:
        """Answer every token issued so far with 401; `token` stays valid."""
        self._expiry.clear()

    def channel(self, path: str) -> Channel:
        """Token requests are counted apart, so that the API requests are counted exactly."""
        return self._tokens if path == _OAUTH_PATH else self._api

    async def answer(self, request: web.BaseRequest, path: str) -> Answer:
        """Answer one request; what is refused gets a status and a JSON `message`."""
        try:
            if path == _OAUTH_PATH:
                return self._issue(request, await request.read())
            if path != f"{self.prefix}/sessionReports":
                return Answer.json({"message": "no such resource"}, 404)
            self._authorize(request)
            return await self._page(request.query)
        except _Refused as refused:
            return refused.answer

    def _issue(self, request: web.BaseRequest, form: bytes) -> Answer:
        if request.method != "POST":
            raise _Refused(405, "a token is asked for by POST")
        pair = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        grant = parse_qs(form.decode("utf-8", "replace")).get("grant_type")
        if not _same(request, f"Basic {pair}") or grant != ["client_credentials"]:
            raise _Refused(403, "Forbidden")
        now = self._clock()
        self._expiry = {token: end for token, end in self._expiry.items() if end > now}
        token = secrets.token_urlsafe()
        self._expiry[token] = now + self.token_lifetime
        whole = int(self.token_lifetime)
        expires_in = whole if whole == self.token_lifetime else self.token_lifetime
        return Answer.json(
            {"access_token": token, "expires_in": expires_in, "token_type": "bearer"}
        )

    def _authorize(self, request: web.BaseRequest) -> None:
        if request.method != "GET":
            raise _Refused(405, "session reports are asked for by GET")
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        fresh = self._expiry.get(bearer, 0.0) > self._clock()
        if not (fresh or _same(request, f"Bearer {self.token}")):
            raise _Refused(401, "Unauthorized")

    async def _page(self, query: Mapping[str, str]) -> Answer:
        page, limit = _count(query, "page", 1), _count(query, "limit", _DEFAULT_LIMIT)
        if page == 0:
            raise _Refused(400, "page counts from 1")
        window = _Window(
            _moment(query, "from"), _moment(query, "to"), self.time_filter, self.inclusive
        )
        charger_id, connector_id = _named(query, "chargerId"), _named(query, "connectorId")
        try:
            shelf = self._shelf(charger_id, connector_id)
        except ValueError as error:
            raise _Refused(404, str(error)) from None
        limit = max(limit, self.min_limit)
        limit = limit if self.max_limit is None else min(limit, self.max_limit)
        skipped = 0 if self.ignore_page else (page - 1) * limit
        parts = [b'{"items":[']
        for row in shelf.select(window)[skipped : skipped + limit]:
            parts += (self._cache.get(row), b",")
            await asyncio.sleep(0)  # writing a report out takes some ms: let others have a turn
        if len(parts) > 1:
            parts.pop()
        came, went = shelf.churn(self.churn, self._fresh_ids)
        self.inserted += came
        self.deleted += went
        echo = msgspec.json.encode({"ChargerID": charger_id, "ConnectorID": connector_id})
        return Answer(b"".join((*parts, b"],", echo[1:])))

    def _shelf(self, charger_id: str, connector_id: str | int) -> ConnectorStore:
        shelves = self._shelves.get(charger_id)
        if shelves is None:
            raise ValueError(f"unknown charger {charger_id!r}; known: {', '.join(self._shelves)}")
        shelf = shelves.get(str(connector_id))
        if shelf is None:
            known = ", ".join(shelves)
            raise ValueError(f"unknown connector {connector_id!r} of {charger_id}; known: {known}")
        return shelf


def _ids(chargers: Mapping[str, Sequence[str | int]] | int | None) -> dict[str, tuple[str, ...]]:
    if chargers is None:
        return dict(_DEFAULT_CHARGERS)
    if isinstance(chargers, int):
        require_number("chargers", chargers, 0, 1_000_000, whole=True)
        return {f"CP-{number:03}": ("1", "2") for number in range(1, chargers + 1)}
    ids: dict[str, tuple[str, ...]] = {}
    for charger_id, connector_ids in chargers.items():
        # A plain string would pass for a sequence of connectors of one digit each.
        if isinstance(connector_ids, str) or not charger_id:
            raise ValueError("chargers must map non-empty charger ids to lists of connector ids")
        ids[charger_id] = tuple(str(connector_id) for connector_id in connector_ids)
        if len(set(ids[charger_id])) < len(connector_ids) or "" in ids[charger_id]:
            raise ValueError(f"connector ids of {charger_id} must be distinct and not empty")
    return ids


def _require_one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def _same(request: web.BaseRequest, authorization: str) -> bool:
    given = request.headers.get("Authorization", "")
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), authorization.encode())


def _named(query: Mapping[str, str], name: str) -> str:
    if not query.get(name):
        raise _Refused(400, f"{name} is missing")
    return query[name]


def _count(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise _Refused(400, f"{name} must be a whole number")
    return int(text)


def _moment(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        if _RFC_3339.fullmatch(text):
            return _microseconds(datetime.fromisoformat(text.upper()))
    except ValueError:
        pass
    raise _Refused(400, f"{name} must be an RFC 3339 date-time")


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
