"""HTTP server that behaves like the documented Depot Session Reports API."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import attrs
import msgspec
from yarl import URL

import depotclient.profile
from depotclient.profile import (
    Compression,
    Credentials,
    Echo,
    LimitRule,
    OddLimitRule,
    Order,
    PageRule,
    Profile,
    TimeFilter,
)
from depotclient.sandbox.make import ReportFields
from depotclient.sandbox.paging import Paging
from depotclient.sandbox.profiles import profile_of, settings_of
from depotclient.sandbox.requests import PageQuery, RefusedError
from depotclient.sandbox.shares import ReportShares
from depotclient.sandbox.simulation import ReportShape, SessionPlan, render
from depotclient.sandbox.store import Churn, Pace, StoredReport, TimeRange
from depotclient.sandbox.stores import Stores
from depotclient.sandbox.tokens import TokenStore
from evtransport.auth import ClientCredentials
from evtransport.secrets import Secret, validate_secret
from evtransport.testing.faults import Fault, SandboxResponse, validate_number
from evtransport.testing.profiles import accept_profile
from evtransport.testing.sandbox import Channel, RecordedRequest, Sandbox
from evtransport.validation import validate_int

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from os import PathLike
    from typing import Unpack

    from aiohttp import web


__all__ = ["DepotSandbox"]

_DEFAULT_CHARGERS = {"CP-001": ("1", "2"), "CP-002": ("1",)}
_TOKEN_PATH = "/oauth2/token"  # noqa: S105
# At most 128 MB, because the largest report takes 500 kB.
_RENDERED_REPORTS = 256


@accept_profile(settings_of)
@attrs.define(kw_only=True, eq=False, repr=False)
class DepotSandbox(Sandbox):
    """A server on loopback for `GET /v1/sessionReports` and `POST /oauth2/token`.

    The settings cover behavior that the vendor does not document. `DepotSandbox` also accepts the
    arguments of `Sandbox`.

    Args:
        chargers: Connector ids by charger id. The default is CP-001 with connectors 1 and 2, and
            CP-002 with 1. A number creates that many chargers with connectors 1 and 2 each.
        sessions: Sessions per connector.
        shape: Size of every report. The default varies from 50 to 500 kB.
        profile: Profile of an account, or the path of its file. The sandbox behaves as that account
            does, except for other arguments that are given.
        order: Order of the items by time. "shuffled" is one fixed permutation, and "changing" is
            another one for each request.
        max_limit: Largest limit that the server honours. None sets no bound.
        min_limit: Smallest limit that the server honours.
        low_limits: Response to a smaller limit: "clamp" raises it to `min_limit`. A number is the
            status of an error.
        high_limits: Response to a larger limit: "clamp" lowers it to `max_limit`, or a status.
        odd_limits: Response to a limit that is not a multiple of 10: "honoured", "clamp" for the
            next smaller multiple, or a status.
        ignore_page: Serve the first page for every `page` from 1.
        past_the_end: Response to a page after the last one: "empty", "first_page", "null" instead
            of a list, or a status.
        page_zero: The same for page 0.
        time_filter: Time that `from` and `to` filter by: the start of a session, its end, or any
            overlap.
        inclusive: Include times equal to `from` or `to` in the range.
        includes_from: The same for `from` alone. The default is `inclusive`.
        includes_to: The same for `to` alone.
        echo: Form of the ids in a response: "same", "upper", "lower" or "absent".
        missing_fields: Share of the objects that lack a field, by its path, such as
            `{"vehicleId": 0.1, "ocppStatus[].value": 0.01}`. None leaves out the error codes of
            devices without an error, and nothing else. Reports of `add` stay as they are.
        null_fields: Share of the objects in which a field is null, by its path.
        unknown_fields: Share of the reports with a field that `SessionReport` lacks, by its path.
        unknown_values: Share of unknown values of the open enums, by the paths of
            `depotclient.profile.KNOWN_VALUES`.
        compression: Encoding of the pages, if the client accepts it: "identity", "gzip" or
            "deflate".
        bytes_per_second: Speed of a page, in bytes before the compression. None sets no bound.
        credentials: Kind of credentials in `environment`. The server accepts both.
        churn: Sessions that appear and disappear between pages. The default is none.
        cluster: Number of consecutive sessions that start in the same millisecond.
        token_lifetime: Lifetime of an issued token, in seconds.
        clock: Returns monotonic seconds, for the lifetime of tokens and for `live`.
        token_faults: Faults of the token requests, in the order of arrival.
        start: Start of the first session of each connector (timezone-aware). The default is
            2026-01-01 UTC, or earlier for more than 60 sessions.
        live: Let sessions end while the sandbox runs: one on every connector each `live_interval`.
            Live sessions overlap: each is as long as the others, and starts up to an hour before
            it appears.
        live_interval: Seconds between the ends of two live sessions of a connector.
        token: Bearer token that is always valid. The default is random.
        client_id: Client id for the token endpoint. The default is random.
        client_secret: Client secret for the token endpoint. The default is random.

    Attributes:
        inserted: Ids of the sessions that `churn` inserted, oldest insert first.
        deleted: Ids of the sessions that `churn` deleted, oldest delete first.

    Raises:
        ValueError: An argument is out of range, or the last session ends in the future.

    Example:
        >>> from depotclient.sandbox import DepotSandbox, make_report
        >>> async with DepotSandbox(chargers={}) as sandbox:
        ...     sandbox.add("CP-9", "1", make_report(7))
        ...     async with DepotClient(token=sandbox.token, base_url=sandbox.base_url) as depot:
        ...         [report] = await depot.session_reports("CP-9", "1").collect(max_items=9)
        ...     print(report.session_id, report.vehicle_id)
        7 BUS-021
    """

    _prefix: ClassVar[str] = "/v1"

    _chargers: Mapping[str, Sequence[str | int]] | int = attrs.field(
        default=_DEFAULT_CHARGERS, alias="chargers"
    )
    _sessions: int = attrs.field(default=60, alias="sessions")
    _shape: ReportShape | None = attrs.field(default=None, alias="shape")
    # The whole name, because the documentation can't tell the two classes `Profile` apart.
    _profile: depotclient.profile.Profile | str | PathLike[str] | None = attrs.field(
        default=None, alias="profile"
    )
    _order: Order = attrs.field(default="ascending", alias="order")
    max_limit: int | None = 2000
    min_limit: int = 1
    low_limits: LimitRule = "clamp"
    high_limits: LimitRule = "clamp"
    odd_limits: OddLimitRule = "honoured"
    ignore_page: bool = False
    past_the_end: PageRule = "empty"
    page_zero: PageRule = 400
    time_filter: TimeFilter = "start"
    _inclusive: bool = attrs.field(default=True, alias="inclusive")
    includes_from: bool = attrs.Factory(lambda self: self._inclusive, takes_self=True)
    includes_to: bool = attrs.Factory(lambda self: self._inclusive, takes_self=True)
    echo: Echo = "same"
    _missing_fields: Mapping[str, float] | None = attrs.field(default=None, alias="missing_fields")
    _null_fields: Mapping[str, float] = attrs.field(factory=dict, alias="null_fields")
    _unknown_fields: Mapping[str, float] = attrs.field(factory=dict, alias="unknown_fields")
    _unknown_values: Mapping[str, float] = attrs.field(factory=dict, alias="unknown_values")
    compression: Compression = "identity"
    bytes_per_second: float | None = None
    credentials: Credentials = "client_credentials"
    churn: Churn = attrs.field(factory=Churn)
    _cluster: int = attrs.field(default=1, alias="cluster")
    token_lifetime: float = 3600
    _clock: Callable[[], float] = attrs.field(default=time.monotonic, alias="clock")
    _token_faults: Iterable[Fault | None] = attrs.field(default=(), alias="token_faults")
    _start: datetime | None = attrs.field(default=None, alias="start")
    _live: bool = attrs.field(default=False, alias="live")
    _live_interval: float = attrs.field(default=10.0, alias="live_interval")
    token: str = attrs.field(factory=secrets.token_urlsafe)
    client_id: str = attrs.field(factory=lambda: secrets.token_hex(13))
    client_secret: str = attrs.field(factory=secrets.token_urlsafe)
    inserted: list[int] = attrs.field(init=False, factory=list[int])
    deleted: list[int] = attrs.field(init=False, factory=list[int])
    _token_channel: Channel = attrs.field(init=False)
    _tokens: TokenStore = attrs.field(init=False)
    _stores: Stores = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        validate_int("sessions", self._sessions, minimum=0)
        validate_int("cluster", self._cluster, minimum=1)
        validate_number("live_interval", self._live_interval, minimum=0.001)
        validate_secret("token", Secret(self.token))
        # The constructor rejects invalid client credentials.
        ClientCredentials(self.client_id, Secret(self.client_secret), URL())
        profile_of(self)
        self._token_channel = Channel(iter(self._token_faults))
        self._tokens = TokenStore(self._clock)
        self._stores = Stores(
            chargers=self._chargers,
            sessions=self._sessions,
            seed=self._seed,
            order=self._order,
            cluster=self._cluster,
            start=self._start,
            pace=Pace.starting_now(self._live_interval, self._clock) if self._live else None,
            render=lru_cache(_RENDERED_REPORTS)(self._render),
        )

    def _render(self, plan: SessionPlan) -> bytes:
        shares = ReportShares(
            self._missing_fields, self._null_fields, self._unknown_fields, self._unknown_values
        )
        return shares.apply(plan.session_id, render(plan, self._shape))

    @property
    def profile(self) -> Profile:
        """Return the behavior of the sandbox, as a complete probe would measure it."""
        return profile_of(self)

    @property
    def chargers(self) -> dict[str, tuple[str, ...]]:
        """Return the connector ids by charger id."""
        return self._stores.ids

    @property
    def token_url(self) -> str:
        """Return the URL of the token endpoint. Raise RuntimeError unless it is running."""
        return self.origin + _TOKEN_PATH

    @property
    def token_requests(self) -> list[RecordedRequest]:
        """Return the last 10,000 token requests, in the order of their responses."""
        return self._token_channel.requests

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables of a client. Raise RuntimeError unless it is running."""
        if self.credentials == "token":
            return {"DEPOT_BASE_URL": self.base_url, "DEPOT_TOKEN": self.token}
        return {
            "DEPOT_BASE_URL": self.base_url,
            "DEPOT_TOKEN_URL": self.token_url,
            "DEPOT_CLIENT_ID": self.client_id,
            "DEPOT_CLIENT_SECRET": self.client_secret,
        }

    def reports(self, charger_id: str, connector_id: str | int) -> list[bytes]:
        """Return the JSON of a connector's reports by start. Raise ValueError if it is unknown."""
        reports = self._stores.find(charger_id, connector_id).reports
        return [self._stores.json(report) for report in reports]

    def session_ids(self, charger_id: str, connector_id: str | int) -> list[int]:
        """Return a connector's session ids by start. Raise ValueError if it is unknown."""
        return [report.session_id for report in self._stores.find(charger_id, connector_id).reports]

    def add(self, charger_id: str, connector_id: str | int, *reports: bytes) -> None:
        """Add reports, all or none. A charger or connector that does not exist is created.

        Args:
            charger_id: Id of the charger.
            connector_id: Id of the connector.
            reports: JSON with at least `sessionId`, such as that of `make_report`. Without
                `sessionTimeStart`, `sessionTimeEnd` replaces it. Without both, the report sorts
                last and is in every time range. Ids above 0 are unique; several reports may have
                the id -1, as those of chargers that were offline.

        Raises:
            ValueError: An id is empty, a report has no id or a bad time, or its id is above 0 and
                already exists.

        Example:
            >>> from depotclient.sandbox import DepotSandbox, make_report
            >>> sandbox = DepotSandbox(chargers={})
            >>> sandbox.add("CP-9", "1", make_report(7, vehicle_id="BUS-007"))
            >>> sandbox.session_ids("CP-9", "1")
            [7]
        """
        self._stores.add(charger_id, connector_id, reports)

    def correct(
        self,
        charger_id: str,
        connector_id: str | int,
        session_id: int,
        **changes: Unpack[ReportFields],
    ) -> None:
        """Change fields of a report, as the vendor does when it corrects a report later.

        Args:
            charger_id: Id of the charger.
            connector_id: Id of the connector.
            session_id: Id of the session, which stays the same. If several have it, the first.
            changes: New values by the names of `SessionReport`: see `ReportFields`.

        Raises:
            ValueError: There is no such report, a field is unknown, or a time is naive.

        Example:
            >>> from depotclient.sandbox import DepotSandbox, make_report
            >>> sandbox = DepotSandbox(chargers={})
            >>> sandbox.add("CP-9", "1", make_report(7))
            >>> sandbox.correct("CP-9", "1", 7, energy_soc_end=80)
            >>> b'"energySocEnd":80,' in sandbox.reports("CP-9", "1")[0]
            True
        """
        self._stores.correct(charger_id, connector_id, session_id, changes)

    def remove(self, charger_id: str, connector_id: str | int, session_id: int) -> None:
        """Remove a report. Raise ValueError if there is none.

        Example:
            >>> from depotclient.sandbox import DepotSandbox, make_report
            >>> sandbox = DepotSandbox(chargers={})
            >>> sandbox.add("CP-9", "1", make_report(7))
            >>> sandbox.remove("CP-9", "1", 7)
            >>> sandbox.session_ids("CP-9", "1")
            []
        """
        self._stores.find(charger_id, connector_id).remove(session_id)

    def revoke_tokens(self) -> None:
        """Respond to every token issued so far with 401. `token` stays valid."""
        self._tokens.revoke()

    def _channel(self, path: str) -> Channel:
        return self._token_channel if path == _TOKEN_PATH else self._api

    async def _respond(self, request: web.BaseRequest, path: str) -> SandboxResponse:
        try:
            if path == _TOKEN_PATH:
                credentials = f"{self.client_id}:{self.client_secret}"
                form = await request.read()
                return self._tokens.issue(request, form, credentials, self.token_lifetime)
            if path != f"{self._prefix}/sessionReports":
                return SandboxResponse.json({"message": "no such resource"}, 404)
            self._tokens.authorize(request, self.token)
            return await self._serve_page(request.query, request.headers.get("Accept-Encoding", ""))
        except RefusedError as refused:
            return refused.response

    async def _serve_page(self, query: Mapping[str, str], accepted: str) -> SandboxResponse:
        asked = PageQuery.parse(query)
        try:
            store = self._stores.find(asked.charger_id, asked.connector_id)
        except ValueError as error:
            raise RefusedError(404, str(error)) from None
        paging = Paging(**{name: getattr(self, name) for name in attrs.fields_dict(Paging)})
        limit = paging.page_size(asked.limit)
        selected = store.select(self._time_range(asked))
        rows = paging.rows(asked.page, limit, len(selected))
        items = None if rows is None else await self._render_items(selected[rows])
        inserted, deleted = store.apply_churn(self.churn, self._stores.new_ids)
        self.inserted += inserted
        self.deleted += deleted
        is_packed = self.compression != "identity" and self.compression in accepted
        page = SandboxResponse.json({"items": items} | self._echo(asked))
        return attrs.evolve(
            page,
            encoding=self.compression if is_packed else None,
            seconds=len(page.body) / self.bytes_per_second if self.bytes_per_second else 0.0,
        )

    async def _render_items(self, reports: Sequence[StoredReport]) -> list[msgspec.Raw]:
        items = list[msgspec.Raw]()
        for report in reports:
            items.append(msgspec.Raw(self._stores.json(report)))
            await asyncio.sleep(0)  # Rendering a report takes a few ms.
        return items

    def _time_range(self, asked: PageQuery) -> TimeRange:
        ends = self.includes_from, self.includes_to
        return TimeRange(asked.start, asked.end, self.time_filter, *ends)

    def _echo(self, asked: PageQuery) -> dict[str, str]:
        ids = {"ChargerID": asked.charger_id, "ConnectorID": asked.connector_id}
        match self.echo:
            case "absent":
                return {}
            case "upper":
                return {name: text.upper() for name, text in ids.items()}
            case "lower":
                return {name: text.lower() for name, text in ids.items()}
        return ids
