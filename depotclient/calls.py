"""Calls of the Depot API, which `DepotClient` inherits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar, overload

from depotclient.follow import Follow, FollowOptions, FollowState, describe_follow
from depotclient.many import OnError, SessionReportsMany, describe_many
from depotclient.models import SessionReport, structurer_of
from depotclient.query import Connector, Query
from depotclient.reports import LIMITS, SessionReports
from evtransport.client import ApiClient
from evtransport.paging import Cursor
from evtransport.structure import Into
from evtransport.validation import validate_bool, validate_int

__all__ = ["DepotCalls"]

T = TypeVar("T")


class DepotCalls(ApiClient):
    """Base class of `DepotClient` with its calls."""

    now: Callable[[], datetime]

    @overload
    def session_reports(
        self,
        charger_id: str,
        connector_id: str | int,
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        margin: timedelta | None = None,
        limit: int | None = None,
        read_ahead: int = 1,
        resume: Cursor | str | None = None,
        verify: bool = False,
    ) -> SessionReports[SessionReport]: ...

    @overload
    def session_reports(
        self,
        charger_id: str,
        connector_id: str | int,
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        margin: timedelta | None = None,
        limit: int | None = None,
        read_ahead: int = 1,
        into: Into[T],
        resume: Cursor | str | None = None,
        verify: bool = False,
    ) -> SessionReports[T]: ...

    def session_reports(
        self,
        charger_id: str,
        connector_id: str | int,
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        margin: timedelta | None = None,
        limit: int | None = None,
        read_ahead: int = 1,
        into: Into[T] = SessionReport,  # type: ignore[assignment]
        resume: Cursor | str | None = None,
        verify: bool = False,
    ) -> SessionReports[T]:
        """Return a description of the session reports of one connector, without a request.

        Without `margin`, the server decides which sessions a window holds. It may filter on their
        start, their end, or any overlap with the window. So a session at a boundary of two windows
        may be in both of them or in none. Pass `margin` to get each session exactly in the window
        of its start.

        The vendor documents neither the filter, nor the order of the reports, nor whether the ends
        of a window are inclusive (Depot: Session Reports API).

        Example:
            >>> from datetime import UTC, datetime, timedelta
            >>> async with DepotClient.from_env() as depot:
            ...     reports = depot.session_reports(
            ...         "CP-001",
            ...         1,
            ...         from_=datetime(2026, 1, 1, tzinfo=UTC),
            ...         to=datetime(2026, 2, 1, tzinfo=UTC),
            ...         margin=timedelta(days=1),
            ...     )
            ...     await reports.collect(max_items=1)
            [SessionReport(session_id=..., vehicle_id='BUS-...', ...)]

        Args:
            charger_id: Charger id.
            connector_id: Connector id. An int is converted to its digits.
            from_: Start of the window (timezone-aware). None lets the server choose.
            to: End of the window (timezone-aware). None means the start time of each walk, so that
                later sessions don't move the pages.
            margin: Time to request on both sides of the window, at most 366 days. The walk yields
                the reports with `from_ <= session_time_start < to` only. The margin must cover the
                longest session, such as `timedelta(days=1)`. A session without a start belongs to
                the window of its end. A report with neither time, or with an invalid one, is in
                each window that reads it. Reports whose start is off by more than the margin are
                left out, counted and logged: see `Walk.strays`. Requests end now, unless `to` is in
                the future. A margin requires `from_`. None leaves the choice to the server.
            limit: Largest page, 1 to 2000 reports (the vendor documents 10 to 2000). The walk
                requests limits from half of it to all of it, so that pages overlap. None starts at
                10 and grows while pages stay under 8 MiB.
            read_ahead: Requests in flight while a page is consumed. With 0, the walk requests a
                page when the last one is consumed.
            into: attrs class or dataclass with some of the fields of `SessionReport`. Only these
                are parsed. Or pass a function that returns an object for the JSON bytes of a
                report, such as `MyModel.model_validate_json` of pydantic. If the function raises an
                error, the walk raises a `SchemaError`.
            resume: Cursor of an earlier walk of the same query, or its text. The window
                keeps the end of the earlier walk.
            verify: Walk the window again until a whole pass finds nothing new. This finds reports
                that were inserted before the position of the walk, or moved. If the server serves
                limits other than requested, it also finds reports that the walk skipped because of
                deletes. Verifying needs at least twice the requests, and keeps a key of each report
                in memory and in the cursor.

        Raises:
            ValueError: An argument is invalid, or the cursor belongs to another query or to a walk
                without `verify`.
        """
        query = Query.validated(charger_id, connector_id, from_, to, self.now(), margin)
        if limit is not None:
            validate_int("limit", limit, minimum=1, maximum=LIMITS.maximum)
        validate_int("read_ahead", read_ahead, minimum=0)
        validate_bool("verify", verify)
        if resume is not None:
            resume = resume if isinstance(resume, Cursor) else Cursor.parse(resume)
            query.check_cursor(resume)
            if verify and resume.offset and not resume.delivered:
                raise ValueError(
                    "a walk with verify=True can only be resumed from a cursor of such a walk"
                )
        return SessionReports(
            transport=self._transport,
            structure=structurer_of(into),
            now=self.now,
            query=query,
            limit=limit,
            read_ahead=read_ahead,
            verify=verify,
            resume=resume,
        )

    @overload
    def session_reports_many(
        self,
        connectors: Iterable[Connector],
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        margin: timedelta | None = None,
        limit: int | None = None,
        read_ahead: int = 0,
        resume: Mapping[tuple[str, str], Cursor | str] | None = None,
        verify: bool = False,
        concurrency: int = 8,
        on_error: OnError = "yield",
    ) -> SessionReportsMany[SessionReport]: ...

    @overload
    def session_reports_many(
        self,
        connectors: Iterable[Connector],
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        margin: timedelta | None = None,
        limit: int | None = None,
        read_ahead: int = 0,
        into: Into[T],
        resume: Mapping[tuple[str, str], Cursor | str] | None = None,
        verify: bool = False,
        concurrency: int = 8,
        on_error: OnError = "yield",
    ) -> SessionReportsMany[T]: ...

    def session_reports_many(
        self,
        connectors: Iterable[Connector],
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
        margin: timedelta | None = None,
        limit: int | None = None,
        read_ahead: int = 0,
        into: Into[T] = SessionReport,  # type: ignore[assignment]
        resume: Mapping[tuple[str, str], Cursor | str] | None = None,
        verify: bool = False,
        concurrency: int = 8,
        on_error: OnError = "yield",
    ) -> SessionReportsMany[T]:
        """Return a description of the session reports of many connectors, without a request.

        Iterate over the description for pairs of a connector and a report. The pages of all
        connectors arrive in the order of completion. The reports of one connector keep the server's
        order. Up to `concurrency` pages and the cursors of all connectors are in memory.

        A connector that fails yields its error and no more reports. An invalid report yields its
        error, and the reports after it follow. No error ends the other connectors, except with
        `on_error="raise"`.

        Example:
            >>> found = 0
            >>> async with DepotClient.from_env() as depot:
            ...     many = depot.session_reports_many([("CP-001", 1), ("CP-404", 1)])
            ...     async for (charger_id, connector_id), report in many:
            ...         if isinstance(report, ApiError):
            ...             print(charger_id, connector_id, type(report).__name__)
            ...         else:
            ...             found += 1
            CP-404 1 NotFoundError
            >>> found
            60

        Args:
            connectors: Charger and connector ids. Duplicates count once.
            from_: As in `session_reports`. The same applies to the other arguments without a
                description here.
            to: End of the window. None means the start time of each walk, for all connectors.
            margin: Time to request on both sides of the window.
            limit: Largest page.
            read_ahead: Requests in flight for a connector while its page is consumed. The other
                connectors already use that time.
            into: Class of the reports, or a function that returns them.
            resume: `cursors` of an earlier walk, or their texts. Finished connectors are not
                requested again. Connectors without a cursor start at the beginning of the window.
            verify: Walk the window again until a whole pass finds nothing new.
            concurrency: Number of connectors to walk at the same time.
            on_error: With `raise`, the first error is raised instead.

        Raises:
            ValueError: An argument is invalid, or a cursor belongs to another query.
        """
        return describe_many(
            lambda ids, cursor: self.session_reports(
                *ids,
                from_=from_,
                to=to,
                margin=margin,
                limit=limit,
                read_ahead=read_ahead,
                into=into,
                resume=cursor,
                verify=verify,
            ),
            connectors,
            resume=resume,
            concurrency=concurrency,
            on_error=on_error,
            now=self.now,
        )

    @overload
    def follow(
        self,
        connectors: Iterable[Connector],
        *,
        since: datetime,
        every: timedelta = ...,
        lag: timedelta = ...,
        state: FollowState | None = None,
        changes: bool = False,
        reconcile: timedelta = ...,
        reconcile_every: timedelta = ...,
        concurrency: int = 8,
    ) -> Follow[SessionReport]: ...

    @overload
    def follow(
        self,
        connectors: Iterable[Connector],
        *,
        since: datetime,
        every: timedelta = ...,
        lag: timedelta = ...,
        state: FollowState | None = None,
        changes: bool = False,
        into: Into[T],
        reconcile: timedelta = ...,
        reconcile_every: timedelta = ...,
        concurrency: int = 8,
    ) -> Follow[T]: ...

    def follow(
        self,
        connectors: Iterable[Connector],
        *,
        since: datetime,
        every: timedelta = timedelta(minutes=1),
        lag: timedelta = timedelta(days=3),
        state: FollowState | None = None,
        changes: bool = False,
        into: Into[T] = SessionReport,  # type: ignore[assignment]
        reconcile: timedelta = timedelta(days=31),
        reconcile_every: timedelta = timedelta(days=1),
        concurrency: int = 8,
    ) -> Follow[T]:
        """Return a description of the new sessions of some connectors, without a request.

        Iterate over the description: it yields each session when it first appears, without an end.
        An item has `connector`, `report`, `error` and `is_new`. A connector that fails yields a
        `FollowError` and is tried again later: after two `every`, then four, up to an hour. The
        other connectors go on.

        Each connector is read once per `every`. A reading covers what can have changed: the time
        from `lag` before the previous reading. It takes two requests, or more for more than 8 MiB
        of reports. The readings of the connectors are spread over `every`. So 10 connectors cost
        1,200 requests an hour at one minute. Retries come on top.

        An item is acknowledged by `await item.done()`, or by the request for the next item. So
        store an item before you request the next one. With a `state`, a later run does not yield
        acknowledged items again. Without `done()`, a run that is killed may yield the items since
        its last save again: delivery is at least once. If the caller stores the item and the state
        in one transaction, it is exactly once.

        A session belongs to `since` if its start is at or after it. The end decides if the start is
        missing, or more than a day before `since`. A report with neither time is always yielded.

        Sessions that appear later than `lag` after their start are found once per
        `reconcile_every`, up to `reconcile` after their start. A reconcile is a longer reading in
        place of an ordinary one. A session whose start was corrected is not new, but has changed.
        Each session with the id -1 is new, because chargers that were offline send it for many
        sessions.

        The vendor documents neither when a report appears nor whether it can change later (Depot:
        Session Reports API).

        Example:
            >>> from datetime import UTC, datetime, timedelta
            >>> since = datetime(2026, 1, 1, tzinfo=UTC)
            >>> async with DepotClient.from_env() as depot:
            ...     async for item in depot.follow([("CP-404", 1), ("CP-001", 1)], since=since):
            ...         if item.report is None:
            ...             print(item.connector, type(item.error).__name__)
            ...             break
            ('CP-404', '1') NotFoundError

        Args:
            connectors: Charger and connector ids. Duplicates count once.
            since: Time from which sessions are yielded (timezone-aware), for connectors that the
                state doesn't know. A known connector continues where the last run stopped, so
                `since` may be a day ago at each start.
            every: Time between two readings of a connector, at most 366 days.
            lag: Time in which reports can still appear or change, at most 366 days.
            state: Place that keeps the state between runs, such as `FileState("follow.json")`. None
                keeps it in memory only.
            changes: Whether to yield a session again when its report has changed.
            into: Class of the reports, or a function that returns them, as in `session_reports`.
            reconcile: Time that a reconcile reads again, at least `lag`, at most 366 days. The
                state holds about 60 bytes for each session of this time.
            reconcile_every: Time between two reconciles of a connector.
            concurrency: Number of connectors to read at the same time, each page by page. The
                others wait, even if a first reading takes long.

        Raises:
            ValueError: An argument is invalid. The first request for an item also raises it if the
                state is not one of `follow`, has another version, or starts after `since`.
        """
        options = FollowOptions(
            since=since,
            every=every,
            lag=lag,
            changes=changes,
            reconcile=reconcile,
            reconcile_every=reconcile_every,
            concurrency=concurrency,
        )
        structurer_of(into)  # Raise errors now.
        return describe_follow(
            connectors,
            options,
            state,
            lambda ids, from_, to: self.session_reports(
                *ids, from_=from_, to=to, read_ahead=0, into=into
            ),
            self.now,
        )
