"""Load of session reports into a database, several connectors at a time (extra `database`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import attrs

from depotclient.client import DepotClient
from depotclient.copying.concurrency import notify, run_all
from depotclient.copying.options import (
    CONCURRENCY,
    choose_read_ahead,
    require_bool,
    require_function,
    require_span,
)
from depotclient.database.connection import Connection
from depotclient.database.dialect import DIALECTS
from depotclient.database.result import ConnectorLoad, Load
from depotclient.database.rows import PageSessions
from depotclient.database.state import Options, Reading, plan_reading
from depotclient.database.store import PageCounts, Store
from depotclient.database.target import Target, parse_target
from depotclient.database.worker import TransactionWorker
from depotclient.drift import add_counts
from depotclient.pages import Page
from depotclient.query import (
    Connector,
    distinct_connectors,
    to_utc,
    validate_duration,
)
from depotclient.sessions import truncate
from evtransport.errors import ApiError
from evtransport.validation import validate_int

__all__ = ["CONCURRENCY", "LAG", "load_session_reports"]

LAG: Final = timedelta(days=3)
"""Default time in which reports can still change."""

MAX_NAME_BYTES: Final = 63
"""Maximum length of a name in PostgreSQL."""


async def load_session_reports(
    depot: DepotClient,
    connectors: Iterable[Connector],
    target: str | os.PathLike[str] | Target,
    *,
    from_: datetime,
    to: datetime | None = None,
    lag: timedelta = LAG,
    events: bool = True,
    schema: str | None = None,
    accept_deletions: bool = False,
    concurrency: int = CONCURRENCY,
    on_progress: Callable[[ConnectorLoad], object] = lambda _: None,
) -> Load:
    """Load all session reports of some connectors into a database. Run it again to continue.

    The first run creates the tables `session_reports`, `meter_values`, `ocpp_status`,
    `detail_status`, `device_status`, `device_errors` and `charge_parameters`, and the view
    `sessions`. `session_key` joins the tables. Each page and the position after it are one
    transaction: a run that was killed loses nothing and doubles nothing.

    Later runs read what has ended since the last run, less `lag`. They replace changed reports,
    and set `vanished_at` in the rows of sessions that the server no longer has.

    Args:
        depot: Client. Its limiter applies to all connectors together.
        connectors: Charger and connector ids. Duplicates count once.
        target: Path of a DuckDB file, `sqlite:///PATH`, or `postgresql://USER@HOST/DATABASE`.
        from_: Start of the time span (timezone-aware).
        to: End of the time span (timezone-aware). None means now. The span of a connector only
            grows: a run also loads what lies between its own span and that of earlier runs.
        lag: Time in which reports can still change. It must cover the longest session and the
            longest reporting delay.
        events: Whether to load the events of the reports too. A run with another value reads the
            whole span again.
        schema: Schema of the tables, in PostgreSQL and DuckDB. None means the current one.
        accept_deletions: Whether to delete the rows of vanished sessions.
        concurrency: Number of connectors to read at a time. Each holds some pages of about 8 MiB.
        on_progress: Function that is called whenever a connector has made progress.

    Returns:
        The results. A connector that fails does not stop the others: see `Load.failed`.

    Raises:
        ValueError: An argument is invalid. Nothing was requested or written.
        DatabaseError: The database can't be opened or written to. Run the load again to continue.
        DatabaseInUse: Another load writes into the database.

    Example:
        >>> import duckdb
        >>> from datetime import UTC, datetime
        >>> async with DepotClient.from_env() as depot:
        ...     load = await load_session_reports(
        ...         depot,
        ...         [("CP-001", 1)],
        ...         "depot.duckdb",
        ...         from_=datetime(2026, 1, 1, tzinfo=UTC),
        ...         to=datetime(2026, 2, 1, tzinfo=UTC),
        ...     )
        >>> load.failed, load.connectors[0].new
        ((), 60)
        >>> with duckdb.connect("depot.duckdb", read_only=True) as database:
        ...     database.sql("SELECT count(*) FROM sessions").fetchall()
        [(60,)]
    """
    now = depot.now()
    require_span(from_, to, now)
    require_bool("events", events)
    require_bool("accept_deletions", accept_deletions)
    require_function("on_progress", on_progress)
    validate_int("concurrency", concurrency, minimum=1)
    validate_duration("lag", lag)
    database = parse_target(target)
    del target  # A traceback may show it.
    _validate_schema(database, schema)
    every = distinct_connectors(connectors)
    end = now if to is None else min(to_utc(to), now)
    options = Options(truncate(to_utc(from_)), truncate(end), truncate(now), lag, events)
    worker, store = TransactionWorker(), Store(Connection(database, schema))
    try:
        await worker.call(store.prepare)
        run = partial(
            _ConnectorRun,
            depot=depot,
            store=store,
            worker=worker,
            options=options,
            delete=accept_deletions,
            read_ahead=choose_read_ahead(concurrency, len(every)),
            on_progress=on_progress,
        )
        return Load(
            await run_all([run(connector=connector).run for connector in every], concurrency)
        )
    finally:
        try:
            await worker.call(store.close)
        finally:
            worker.shut_down()


def _validate_schema(database: Target, schema: object) -> None:
    if schema is None:
        return
    if not isinstance(schema, str) or not schema.strip() or "\0" in schema:
        raise ValueError(f"schema must be the name of a schema, got {schema!r}")
    if not DIALECTS[database.kind].has_schemas:
        raise ValueError(
            f"{database.kind} has no schemas: leave schema={schema!r} out, or use another file"
        )
    if database.kind == "postgresql" and len(schema.encode(errors="replace")) > MAX_NAME_BYTES:
        # PostgreSQL cuts a longer name, so that two names may mean the same schema.
        raise ValueError(
            f"schema must have at most {MAX_NAME_BYTES} bytes in PostgreSQL, got {schema!r}"
        )


@attrs.define(eq=False)
class _ConnectorRun:
    """Load of one connector, reading after reading."""

    depot: DepotClient
    store: Store
    worker: TransactionWorker
    options: Options
    delete: bool
    read_ahead: int
    on_progress: Callable[[ConnectorLoad], object]
    connector: tuple[str, str]
    load: ConnectorLoad = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.load = ConnectorLoad(*self.connector)

    async def run(self) -> ConnectorLoad:
        """Bring the connector up to date. Return the result."""
        self._report()
        try:
            while await self._read_next():
                self._report()
        except ApiError as error:
            self._update(error=error)
        self._update(has_ended=True)
        self._report()
        return self.load

    async def _read_next(self) -> bool:
        """Do the reading in progress, or else the next one. Return False if none is left."""
        state = await self.worker.transact(self.store.read_state, self.connector)
        reading = state.reading
        if reading is None:
            reading = plan_reading(state.loaded, self.options)
            if reading is None:
                return False
            await self.worker.transact(self.store.begin, self.connector, state.loaded, reading)
        await self._read(reading)
        return True

    async def _read(self, reading: Reading) -> None:
        reports = self.depot.session_reports(
            *self.connector,
            from_=reading.from_,
            to=reading.to,
            read_ahead=self.read_ahead,
            resume=reading.cursor,
        )
        async with aclosing(reports.pages()) as pages:
            async for page in pages:
                reading = attrs.evolve(reading, cursor=str(page.cursor))
                await self._add(page, reading)
                del page  # Release the page while the next one is awaited.
                self._report()
        absent = await self.worker.transact(
            self.store.finish, self.connector, reading, self.depot.now(), delete=self.delete
        )
        self._update(
            moved=self.load.moved + tuple(session.session_id for session in absent.moved),
            vanished=self.load.vanished + tuple(session.session_id for session in absent.vanished),
        )

    async def _add(self, page: Page[Any], reading: Reading) -> None:
        # A run that continues the reading of another run may have other options.
        now, size, events = self.depot.now(), len(page.raw), reading.loaded.events

        def write() -> PageCounts:
            return self.store.add(
                PageSessions.of(self.connector, page, events=events), reading, now
            )

        counts = await self.worker.transact(write)
        load = self.load
        self._update(
            reports=load.reports + counts.new + counts.changed + counts.unchanged,
            new=load.new + counts.new,
            changed=load.changed + counts.changed,
            unchanged=load.unchanged + counts.unchanged,
            strays=load.strays + counts.strays,
            bytes_read=load.bytes_read + size,
            unknown_fields=add_counts(load.unknown_fields, counts.unknown_fields),
        )

    def _update(self, **changes: Any) -> None:
        self.load = attrs.evolve(self.load, **changes)

    def _report(self) -> None:
        notify(self.on_progress, self.load)
