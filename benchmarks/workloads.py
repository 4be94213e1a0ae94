"""Workloads of the benchmarks: what is measured, by which candidates, and how much of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs

WALK = ("CP-WALK", "1")  # charger and connector with all reports
FLEET, FLEET_REPORTS = "CP-FLEET", 20  # charger of W5, and reports of each of its connectors
FLEET_REQUESTS = 8  # requests in flight in W5, capped by a semaphore
CONCURRENCY = 64  # calls in flight in W4
CHARGEBOXES = 1000
CHARGEBOX_IDS = tuple(f"TB-{number:04}" for number in range(1, CHARGEBOXES + 1))
PAGES, PAGE_REPORTS = 5, 40  # W1 reads one page of reports, W7 all
LATENCY = 0.05  # seconds that the slow server adds to each response
DISTANT_LATENCY = 0.2  # seconds that the distant server adds
SLOW_LIMIT = 10  # `limit` of the walk in W3
LOOP_LIMIT = 100  # `limit` of the hand-written loops
EXPORT = ("CP-EXPORT", 10)  # charger of W8, and the number of its connectors: they share reports
LOAD = ("CP-LOAD", 10)  # charger of W9 and W10, and the number of its connectors
COPIED = 4  # connectors of W9
SCALE = "CP-SCALE"  # charger of W11: each connector is named by the number of its reports
SCALES = (1000, 10_000, 100_000)  # reports of W11
SCALE_START = datetime(2000, 1, 1, tzinfo=UTC)
VERIFY_LIMIT = 100  # `limit` of the walk with `verify` in W11
EXPORT_SPAN = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
LOAD_SPAN = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
LAG = timedelta(days=366)  # a second night, a day later, reads the span again


def scale_end(reports: int) -> datetime:
    """Return a time after the last of some reports of W11. Sessions take less than 2 h."""
    return SCALE_START + reports * timedelta(hours=2)


@attrs.frozen(kw_only=True)
class Sizes:
    """Amount of work in one run.

    Attributes:
        reports: Reports of the walk in W2.
        slow_reports: Reports of the walk in W3.
        distant_reports: Reports of its walk over the distant server.
        connectors: Connectors of W5.
        calls: Calls of W4.
        seconds: Time for which W1 and W7 repeat their work.
        exported: Reports of W8, of all connectors together.
        loaded: Reports of W10, of all connectors together. W9 copies some of the connectors.
        scaled: Largest number of reports of W11, which are small.
    """

    reports: int = 2000
    slow_reports: int = 2000
    distant_reports: int = 500
    connectors: int = 64
    calls: int = 20_000
    seconds: float = 1.0
    exported: int = 20_000
    loaded: int = 10_000
    scaled: int = 100_000

    @property
    def distinct(self) -> int:
        """Return the number of distinct reports. Connectors share them."""
        return max(
            *(self.reports, self.slow_reports, self.distant_reports),
            *(self.exported // EXPORT[1], self.loaded // LOAD[1]),
        )


FULL = Sizes()
SHORT = Sizes(
    reports=300,
    slow_reports=1200,
    distant_reports=200,
    connectors=16,
    calls=4000,
    seconds=0.2,
    exported=2000,
    loaded=1000,
    scaled=10_000,
)


@attrs.frozen
class Metric:
    """Quantity that is measured.

    Attributes:
        key: Name in the results, which are in SI units.
        title: Name in tables.
        unit: Unit in tables.
        scale: Factor from the result to that unit.
    """

    key: str
    title: str
    unit: str = ""
    scale: float = 1.0

    def format(self, value: float) -> str:
        """Return a result with its unit."""
        return f"{format_number(value * self.scale)} {self.unit}".rstrip()


@attrs.frozen
class Row:
    """One candidate in a workload.

    Attributes:
        name: Name in tables.
        candidate: Module and attribute in `benchmarks.candidates`, such as `ours:FULL`. Empty if
            `statement` is given.
        read_ahead: `read_ahead` of a walk of this library.
        server: Server of W3: `slow` or `distant`.
        verify: `verify` of a walk of this library. It saves a cursor for each page.
        share: Share of the calls to make. Times are scaled to the full number of calls.
        reports: Number of reports of W11.
        freeze: Call `gc.freeze()` before the work of W1 and W2.
        statement: Program whose whole run is timed, instead of a candidate.
        target: Target of a copy: `parquet` or a database.
        connectors: Number of connectors of a copy.
    """

    name: str
    candidate: str = ""
    read_ahead: int = 1
    server: str = "slow"
    verify: bool = False
    share: float = 1.0
    reports: int = 0
    freeze: bool = False
    statement: str = ""
    target: str = ""
    connectors: int = COPIED


@attrs.frozen
class Workload:
    """Work to do, and the candidates that do it.

    Attributes:
        key: Name, such as `W1`.
        title: Description, with the fields of `Sizes` in braces.
        rows: Candidates. The first one is the base of the ratios.
        metrics: Columns of the table. Ratios are computed for the first one.
        min_rounds: Smallest number of rounds, for quick and noisy work.
        max_rounds: Largest number of rounds, for long and steady work.
    """

    key: str
    title: str
    rows: tuple[Row, ...]
    metrics: tuple[Metric, ...]
    min_rounds: int = 1
    max_rounds: int = 1000

    def rows_of(self, sizes: Sizes) -> list[Row]:
        """Return the rows that do not exceed the amount of work."""
        return [row for row in self.rows if row.reports <= sizes.scaled]

    def rounds(self, requested: int) -> int:
        """Return the number of rounds."""
        return min(max(requested, self.min_rounds), self.max_rounds)


FROZEN, SMALL_PAGES = "ours, gc.freeze()", "ours, limit=10, gc.freeze()"
MANY = "ours, get_analytics_many()"
PYLIST = "json, from_pylist()"
CAST = "json, from_pylist(), cast()"

SECONDS = Metric("seconds", "time", "s")
CPU = Metric("cpu", "CPU time", "s")
PER_REPORT = Metric("seconds", "time per report", "ms", 1e3)
SPEED = Metric("speed", "speed", "MB/s", 1e-6)
RATE = Metric("rate", "reports a second")
SIZE = Metric("size", "size of the file", "kB", 1e-3)
STALL = Metric("stall", "longest stall", "ms", 1e3)
LONG_STALLS = Metric("long_stalls", "stalls over 10 ms")
FULL_PASSES = Metric("full_passes", "full GC passes")
GROWTH = Metric("growth", "memory growth", "MiB", 2.0**-20)
FIRST = Metric("first", "first report after", "ms", 1e3)
CPU_PER_REPORT = Metric("per_report", "CPU time per report", "µs", 1e6)
READING = Metric("reading", "reading alone", "s")
AGAIN = Metric("again", "second night", "s")
AGAIN_SHARE = Metric("share", "second night beyond reading", "%", 100)

OURS, INTO = Row("ours", "ours:FULL"), Row("ours-into", "ours:INTO")
FROZEN_OURS = Row(FROZEN, "ours:FULL", freeze=True)
AIOHTTP_JSON = Row("aiohttp-json", "loops:JSON")
AIOHTTP_PYDANTIC = Row("aiohttp-pydantic", "pydantic_loops:AIOHTTP")
HTTPX_PYDANTIC = Row("httpx-pydantic", "pydantic_loops:HTTPX")
GENERATED = Row("generated", "generated:GENERATED")
STRUCT = Row("msgspec-struct", "loops:STRUCT")
JSON, PYDANTIC = Row("json", "loops:JSON"), Row("pydantic", "pydantic_loops:AIOHTTP")
KEYS, RAW = Row("ours, keys", "ours:KEYS"), Row("msgspec-raw", "loops:RAW")
READ_AHEAD = tuple(
    Row(f"{name}, read_ahead={count}", candidate, read_ahead=count)
    for name, candidate in (("ours", "ours:SLOW"), ("ours-into", "ours:SLOW_INTO"))
    for count in (0, 1, 4, 8)
)
DISTANT_READ_AHEAD = tuple(
    Row(f"ours, 200 ms, read_ahead={count}", "ours:SLOW", read_ahead=count, server="distant")
    for count in (0, 4)
)

COMMANDS = ("depotclient", "thorclient")
PARQUET, POSTGRESQL = "Parquet", "PostgreSQL"
LOADS = tuple(
    Row(f"{name}, {share}", target=name.lower(), connectors=connectors)
    for name in ("DuckDB", "SQLite", POSTGRESQL)
    for share, connectors in (("a tenth", 1), ("all", LOAD[1]))
)
SCALED = (
    Row("walk"),
    Row("walk, read_ahead=4", read_ahead=4),
    Row("walk, verify", verify=True),
    Row(PARQUET, target="parquet"),
    Row("DuckDB", target="duckdb"),
    Row("SQLite", target="sqlite"),
)

WORKLOADS = (
    Workload(
        "W1",
        "decoding of reports, without network",
        (OURS, FROZEN_OURS, INTO, KEYS, JSON, PYDANTIC, GENERATED, STRUCT, RAW),
        (PER_REPORT, SPEED),
    ),
    Workload(
        "W2",
        "walk over one connector ({reports:,} reports)",
        (
            *(OURS, FROZEN_OURS, Row(SMALL_PAGES, "ours:SLOW", freeze=True), INTO, AIOHTTP_JSON),
            *(HTTPX_PYDANTIC, AIOHTTP_PYDANTIC, GENERATED, STRUCT),
            Row("raw-aiohttp", "loops:RAW"),
        ),
        (SECONDS, RATE, SPEED, CPU, FIRST, STALL, LONG_STALLS, FULL_PASSES, GROWTH),
    ),
    Workload(
        "W3",
        "walk with 50 ms of latency, limit=10 ({slow_reports:,} reports), and with 200 ms"
        " ({distant_reports:,} reports)",
        (*READ_AHEAD, *DISTANT_READ_AHEAD),
        (SECONDS,),
        max_rounds=2,
    ),
    Workload(
        "W4",
        "small calls, 64 in flight ({calls:,} calls)",
        (
            *(OURS, Row(MANY, "ours:MANY"), AIOHTTP_JSON, AIOHTTP_PYDANTIC),
            attrs.evolve(HTTPX_PYDANTIC, share=0.1),
        ),
        (SECONDS, CPU),
    ),
    Workload(
        "W5",
        "walks over {connectors} connectors under one limiter",
        (OURS, INTO, AIOHTTP_PYDANTIC, AIOHTTP_JSON),
        (SECONDS, CPU, FIRST, STALL, GROWTH),
    ),
    Workload(
        "W6",
        "start of a program that only imports, or prints its help",
        (
            Row("aiohttp, attrs", statement="import aiohttp, attrs"),
            Row("DepotClient", statement="from depotclient import DepotClient"),
            Row("ThorClient", statement="from thorclient import ThorClient"),
            Row("httpx, pydantic", statement="import httpx, pydantic"),
            *(
                Row(
                    f"{name} --help",
                    statement=f"import sys, {name}.__main__ as program;"
                    " sys.argv[1:] = ['--help']; program.main()",
                )
                for name in COMMANDS
            ),
        ),
        (Metric("seconds", "time", "ms", 1e3),),
        min_rounds=21,
    ),
    Workload(
        "W7",
        "pages to a Parquet file, without network, one thread",
        (
            *(Row("ours", "ours_parquet:OURS"), Row("duckdb", "by_duckdb:BY_DUCKDB")),
            *(Row(PYLIST, "pylist:PYLIST"), Row(CAST, "pylist:CAST")),
        ),
        (PER_REPORT, SPEED, SIZE),
    ),
    Workload(
        "W8",
        "export into Parquet files ({exported:,} reports)",
        (OURS,),
        (GROWTH, SECONDS, CPU, SPEED, STALL),
        max_rounds=1,
    ),
    Workload(
        "W9",
        "nightly copies of 4 of the 10 connectors of W10",
        (
            Row(PARQUET, target="parquet"),
            Row("DuckDB", target="duckdb"),
            Row("SQLite", target="sqlite"),
            Row(POSTGRESQL, target="postgresql"),
        ),
        (SECONDS, CPU, SPEED, READING, AGAIN, AGAIN_SHARE),
        max_rounds=3,
    ),
    Workload(
        "W10",
        "memory of a load of {loaded:,} reports, and of a tenth of them",
        LOADS,
        (GROWTH, SECONDS, CPU, STALL),
        max_rounds=1,
    ),
    Workload(
        "W11",
        "walks and copies of up to {scaled:,} small reports of one connector",
        tuple(
            attrs.evolve(row, name=f"{row.name}, {reports:,}", reports=reports)
            for row in SCALED
            for reports in SCALES
        ),
        (CPU_PER_REPORT, GROWTH, SECONDS),
        max_rounds=3,
    ),
)
BY_KEY = {workload.key: workload for workload in WORKLOADS}


def format_number(value: float) -> str:
    """Return a number with three significant digits and no exponent."""
    if abs(value) >= 99.95 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:#.3g}" if abs(value) >= 0.01 else f"{value:.4f}"
