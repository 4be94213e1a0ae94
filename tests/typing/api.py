"""The public API as a user writes it, for type checkers. Nothing runs this file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import assert_type

import aiohttp
import attrs
import msgspec
import pyarrow as pa
import pydantic
from yarl import URL

import depotclient
import thorclient
from depotclient import (
    Cursor,
    DepotClient,
    FileState,
    Follow,
    FollowedReport,
    FollowError,
    FollowRun,
    FollowState,
    SessionReport,
    SessionReports,
    SessionReportsMany,
)
from depotclient.arrow import SESSION_REPORTS, events, record_batches, session_reports_from
from depotclient.dlt import session_reports as dlt_session_reports
from depotclient.export import ConnectorExport, Export, export_session_reports
from depotclient.partitions import Partition, plan
from depotclient.plot import save_figure, session_figure
from depotclient.probe import Advice, measure, probe, recommend
from depotclient.profile import Profile
from depotclient.sandbox import DepotSandbox, ReportShape, make_report
from evtransport import RetryQuota
from thorclient import ApiError, RetryPolicy, Timeout
from thorclient.sandbox import ThorSandbox, make_analytics, make_chargebox


@attrs.frozen
class Summary:
    """A few fields of a session report."""

    session_id: int
    session_time_start: datetime | None = None


def read_summary(text: bytes) -> Summary:
    """Return a summary of JSON text, as a validator of pydantic does."""
    return Summary(len(text))


class MyLimiter:
    """Limiter that is not from asyncio."""

    async def __aenter__(self) -> int:
        return 1

    async def __aexit__(self, *_: object) -> None:
        return None


async def depot(session: aiohttp.ClientSession) -> None:
    assert_type(DepotClient.from_env(), DepotClient)
    client = DepotClient(
        client_id="id",
        client_secret="secret",
        region="us",
        base_url="https://api.example/v1",
        token_url=URL("https://auth.example/token"),
        session=session,
        proxy=False,
        retry=RetryPolicy(),
        timeout=Timeout(),
        limiter=asyncio.BoundedSemaphore(2),
        max_response_bytes=2**20,
    )
    async with client.with_options(retry=RetryPolicy(attempts=1)) as other:
        assert_type(other, DepotClient)

    async def fetch_token() -> str:
        return "token"

    DepotClient(token=fetch_token)
    DepotClient(token=lambda: "token")  # type: ignore[arg-type,return-value]  # pyright: ignore[reportArgumentType]

    reports = client.session_reports(
        "xyz",
        1,
        from_=datetime(2022, 1, 1, tzinfo=UTC),
        to=datetime(2023, 1, 1, tzinfo=UTC),
        margin=timedelta(hours=12),
        limit=100,
        read_ahead=2,
        resume=None,
        verify=True,
    )
    assert_type(reports, SessionReports[SessionReport])
    assert_type(reports.limit, int | None)
    assert_type(reports.resume, Cursor | None)
    async for report in reports:
        assert_type(report, SessionReport)
    assert_type(await reports.collect(max_items=1000), list[SessionReport])

    summaries = client.session_reports("xyz", "1", into=Summary, resume="evc1.text")
    assert_type(summaries, SessionReports[Summary])
    async for summary in summaries:
        assert_type(summary, Summary)
        assert_type(summary.session_time_start, datetime | None)
    assert_type(await summaries.collect(max_items=1), list[Summary])


@dataclass(frozen=True, slots=True)
class Fleet:
    """A few fields of a session report, in a dataclass."""

    session_id: int
    energy_soc_start: float | None = None


class Model(pydantic.BaseModel):
    """A few fields of a session report, in a pydantic model."""

    session_id: int


class Struct(msgspec.Struct):
    """A few fields of a session report, in a struct of msgspec."""

    session_id: int


def read_length(report: bytes) -> int:
    """Return the size of a report in bytes."""
    return len(report)


async def into(client: DepotClient) -> None:
    fleet = client.session_reports("xyz", 1, into=Fleet)
    assert_type(fleet, SessionReports[Fleet])
    models = client.session_reports("xyz", 1, into=Model.model_validate_json)
    assert_type(models, SessionReports[Model])
    structs = client.session_reports("xyz", 1, into=msgspec.json.Decoder(Struct).decode)
    assert_type(structs, SessionReports[Struct])
    async for size in client.session_reports("xyz", 1, into=read_length):
        assert_type(size, int)
    async for values in client.session_reports("xyz", 1, into=lambda text: {"json": text}):
        assert_type(values, dict[str, bytes])


async def many(client: DepotClient, connectors: list[tuple[str, str]]) -> None:
    every = client.session_reports_many(
        [("xyz", 1), ("abc", "2")],
        from_=datetime(2022, 1, 1, tzinfo=UTC),
        to=datetime(2023, 1, 1, tzinfo=UTC),
        margin=timedelta(days=1),
        limit=100,
        read_ahead=1,
        verify=True,
        concurrency=16,
        on_error="raise",
    )
    assert_type(every, SessionReportsMany[SessionReport])
    async for (charger_id, connector_id), report in every:
        assert_type((charger_id, connector_id), tuple[str, str])
        assert_type(report, SessionReport | ApiError)
    async for connector, page in every.pages():
        assert_type(connector, tuple[str, str])
        assert_type(page, depotclient.Page[SessionReport] | ApiError)

    summaries = client.session_reports_many(connectors, into=Summary)
    assert_type(summaries, SessionReportsMany[Summary])
    async with summaries.walk() as walk:
        assert_type(walk, depotclient.WalkMany[Summary])
        async for _, summary in walk:
            assert_type(summary, Summary | ApiError)
        assert_type(walk.cursors, dict[tuple[str, str], Cursor])
    client.session_reports_many(connectors, resume=walk.cursors)
    client.session_reports_many(connectors, resume={("xyz", "1"): "evc2.text"})


async def follow(client: DepotClient, database: FollowState, since: datetime) -> None:
    new = client.follow([("xyz", 1)], since=since)
    assert_type(new, Follow[SessionReport])
    async for item in new:
        assert_type(item, FollowedReport[SessionReport] | FollowError)
        charger_id, connector_id = item.connector
        if item.report is None:
            print(charger_id, connector_id, item.error)
        else:
            print(item.report.session_id, item.is_new, len(item.raw))
        if isinstance(item, FollowError):
            assert_type(item.error, ApiError)
            print(item.next_attempt.isoformat())
        else:
            assert_type(item.report, SessionReport)
        await item.done()
    async with client.follow(
        [("xyz", "1")],
        since=since,
        every=timedelta(seconds=30),
        lag=timedelta(days=2),
        state=FileState("follow.json"),
        changes=True,
        into=Summary,
        reconcile=timedelta(days=14),
        reconcile_every=timedelta(hours=12),
        concurrency=4,
    ).run() as run:
        assert_type(run, FollowRun[Summary])
        assert_type(await anext(run), FollowedReport[Summary] | FollowError)
    client.follow([("xyz", 1)], since=since, state=database)


async def pages(reports: SessionReports[SessionReport], summaries: SessionReports[Summary]) -> None:
    async for page in reports.pages():
        assert_type(page, depotclient.Page[SessionReport])
        assert_type(page.reports, Sequence[SessionReport])
        assert_type(page.reports[0], SessionReport)
        assert_type((page.number, page.limit), tuple[int, int])
        assert_type(page.raw, bytes)
        assert_type(page.raw_reports, tuple[bytes, ...])
        assert_type(page.items, tuple[msgspec.Raw, ...])
        assert_type(page.cursor, Cursor)
    async for page_of_summaries in summaries.pages():
        assert_type(page_of_summaries.reports, Sequence[Summary])


async def walk(client: DepotClient, summaries: SessionReports[Summary]) -> None:
    async with summaries.walk() as walk:
        assert_type(walk, depotclient.Walk[Summary])
        async for summary in walk:
            assert_type(summary, Summary)
            text = str(walk.cursor)
            assert_type(walk.cursor, Cursor)
            assert_type(walk.strays, int)
            cursor = Cursor.parse(text)
            assert_type(cursor, Cursor)
            assert_type(cursor.offset, int)
            client.session_reports("xyz", 1, resume=cursor)
    try:
        async for _ in summaries:
            pass
    except depotclient.PaginationError as error:
        assert_type(error.cursor, Cursor | None)


def session_report(report: SessionReport) -> None:
    assert_type(report.session_id, int)
    assert_type(report.session_time_start, datetime | None)
    assert_type(report.energy_soc_start, float | None)
    assert_type(report.battery_alignment_results, depotclient.BatteryAlignmentResults | None)
    for status in report.device_status:
        assert_type(status.error_codes, list[depotclient.ErrorCode])
    for value in report.session_meter_values:
        assert_type(value.event_timestamp, datetime | None)


def unstructured(report: SessionReport, box: thorclient.Chargebox) -> None:
    assert_type(depotclient.to_dict(report), dict[str, thorclient.JsonValue])
    assert_type(thorclient.to_json(box, wire=True), bytes)
    assert_type(thorclient.json_schema(thorclient.Analytics), dict[str, thorclient.JsonValue])


def error_tree() -> None:
    error: type[thorclient.ApiError] = depotclient.ApiError
    assert_type(thorclient.__version__, str)
    assert_type(RetryQuota().acquire(), bool)
    assert_type(error("no").attempts, int)


async def export_reports(depot: DepotClient, folder: Path, progress: list[ConnectorExport]) -> None:
    export = await export_session_reports(
        depot,
        [("CP-001", 1), ("CP-001", "2")],
        folder,
        from_=datetime(2026, 1, 1, tzinfo=UTC),
        to=datetime(2026, 2, 1, tzinfo=UTC),
        window="day",
        format="ndjson",
        margin=timedelta(hours=36),
        concurrency=2,
        verify=True,
        on_bad_report="quarantine",
        keep_unknown=True,
        on_progress=progress.append,
    )
    assert_type(export, Export)
    assert_type(export.connectors[0].rejected, tuple[int | None, ...])
    assert_type(export.connectors[0].unknown_fields, Mapping[str, int])
    assert_type(export.failed, tuple[ConnectorExport, ...])
    first = export.connectors[0]
    assert_type(first.error, ApiError | OSError | None)
    assert_type(first.reports, int)
    await export_session_reports(depot, [], folder, from_=datetime.now(UTC), window="week")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def arrow_batches(depot: DepotClient) -> list[SessionReport]:
    async for batch in record_batches(depot.session_reports("CP-001", 1)):
        assert_type(batch, pa.RecordBatch)
        assert_type(events(batch, "session_meter_values"), pa.Table)
        return session_reports_from(batch)
    assert_type(SESSION_REPORTS, pa.Schema)
    return []


def dlt_resource() -> str:
    """Describe a resource of dlt."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    reports = dlt_session_reports([("CP-001", 1)], start, rows="objects", concurrency=8)
    return assert_type(reports.name, str)


def windows() -> str:
    planned = plan([("CP-001", 1)], datetime(2026, 1, 1, tzinfo=UTC), datetime.now(UTC))
    assert_type(planned, tuple[Partition, ...])
    assert_type(planned[0].start, datetime)
    return planned[0].key


async def account(depot: DepotClient, since: datetime) -> None:
    profile = await probe(depot, "CP-001", 1, from_=since)
    assert_type(profile, Profile)
    assert_type(recommend(profile).limit, Advice[int])
    assert_type(recommend(profile).margin.value, timedelta | None)
    measurement = await measure(depot, "CP-001", "1", on_request=print)
    assert_type(measurement.reasons, Mapping[str, str])


def picture(report: SessionReport) -> None:
    save_figure(session_figure(report, title="A session"), Path("session.png"))


async def sandboxes(
    start_depot: Callable[..., DepotSandbox], start_thor: Callable[..., ThorSandbox]
) -> None:
    assert_type(start_depot(chargers=40), DepotSandbox)
    assert_type(start_thor(chargeboxes=40), ThorSandbox)
    profile = Profile.parse(Path("profile.json").read_bytes())
    assert_type(profile.max_limit, int | None)
    assert_type(attrs.evolve(profile, order="descending").to_json(), bytes)
    for each in (profile, Path("profile.json"), "profile.json"):
        assert_type(DepotSandbox(profile=each, high_limits=422, echo="upper").profile, Profile)
    shares = {"vehicleId": 0.1}
    DepotSandbox(missing_fields=shares, compression="gzip", shape=ReportShape.of_size(9_000))
    async with depotclient.DepotSandbox(chargers={}, live=True, client_id="id") as depot_sandbox:
        report = make_report(7, session_time_start=datetime.now(UTC), vehicle_id=None)
        assert_type(report, bytes)
        make_report(energy_charge_end="7")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        depot_sandbox.add("CP-9", 1, report)
        depot_sandbox.correct("CP-9", "1", 7, energy_soc_end=80.5)
        depot_sandbox.correct("CP-9", "1", 7, nonsense=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        depot_sandbox.remove("CP-9", "1", 7)
    async with thorclient.ThorSandbox(chargeboxes=0, api_key="key") as thor_sandbox:
        counts = thorclient.RollingCounts(1, 2, 3)
        analytics = make_analytics(users=counts)
        assert_type(analytics, bytes)
        thor_sandbox.add(make_chargebox(id="TB-9", connectors=[thorclient.Connector()]), analytics)
        thor_sandbox.remove("TB-9")
