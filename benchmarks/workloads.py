"""What is measured, by name: the workloads, who takes part in each, and how much there is to do."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs

WALK = ("CP-WALK", "1")
"""The charger and the connector with all reports."""

FLEET = "CP-FLEET"
"""The charger with many connectors of a few reports each."""

REPORTS_EACH = 20
"""Reports per connector of `FLEET`."""

REQUESTS_AT_ONCE = 8
"""What the limiter of the fleet's walk lets through."""

CONCURRENCY = 64
"""Small calls under way at once."""

WARMING = 2 * CONCURRENCY
"""Small calls that open the connections, before those that are measured."""

CHARGEBOXES = 1000
"""How many ids the small calls take turns with."""

DECODED = 40
"""Distinct reports for decoding alone."""

LATENCY = 0.05
"""Seconds that the slow server takes longer for each answer."""

FIXED_LIMIT = 10
"""The `limit` of the walk that reads ahead."""

FILE_PAGES = 5
"""Pages of `DECODED` reports each that become one file."""

EXPORT = ("CP-EXPORT", 10)
"""The charger that is exported, and how many connectors it has; they share their reports."""

EXPORT_SPAN = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
"""All sessions of the simulation begin in it, where a connector has no more than some 2,200."""

PAGE = 100
"""The `limit` of everybody but this library, which chooses one itself."""


@attrs.frozen(kw_only=True)
class Sizes:
    """How much there is to do.

    Attributes:
        reports: On the connector that is walked.
        far: Of these, on the slow server.
        connectors: Walked at once.
        calls: Small calls.
        fewest_calls: No less for a contestant that need not do them all.
        decoding: Seconds for which the same reports are decoded again and again.
        constructed: Clients of each kind.
        exported: Reports, of all connectors together.
    """

    reports: int = 2000
    far: int = 2000
    connectors: int = 64
    calls: int = 20_000
    fewest_calls: int = 2000
    decoding: float = 1.0
    constructed: int = 1000
    exported: int = 20_000

    @property
    def distinct(self) -> int:
        """How many reports there are in all: the connectors share them."""
        return max(self.reports, self.far, self.exported // EXPORT[1])


FULL = Sizes()
SHORT = Sizes(
    reports=300,
    far=1200,
    connectors=16,
    calls=4000,
    fewest_calls=500,
    decoding=0.2,
    exported=2000,
)


@attrs.frozen
class Gauge:
    """One quantity that is measured.

    Attributes:
        key: Its name in the results.
        title: Its name in tables.
        unit: What it is shown in.
        scale: From the result, in SI units, to that unit.
    """

    key: str
    title: str
    unit: str
    scale: float = 1.0

    def text(self, value: float) -> str:
        """A result as it is shown."""
        return f"{number(value * self.scale)} {self.unit}".rstrip()


@attrs.frozen
class Entry:
    """One row of a workload.

    Attributes:
        name: As it stands in the tables.
        contestant: Who does the work; by default whoever has that name.
        read_ahead: Of this library's walk with a fixed limit.
        share: Of the calls; the seconds are scaled up to all of them.
        frozen: Before the walk, `gc.freeze()` takes what is imported out of the collector's sight.
        statement: The whole of a program whose start is timed, instead of a contestant.
    """

    name: str
    contestant: str = attrs.field(default=attrs.Factory(lambda self: self.name, takes_self=True))
    read_ahead: int | None = None
    share: float = 1.0
    frozen: bool = False
    statement: str | None = None


@attrs.frozen(kw_only=True)
class Workload:
    """One thing to do, and who does it.

    Attributes:
        key: "W1" and on; what belongs together begins alike.
        title: What is done.
        entries: Who takes part; the rows of the table.
        gauges: What is measured; the columns. Ratios are those of the first.
        base: The entry that ratios refer to; None where there is nothing to compare.
        least_rounds: No fewer, for what is quick and noisy.
        most_rounds: No more, for what takes long and is steady.
        note: What has to be known to read the figures.
    """

    key: str
    title: str
    entries: tuple[Entry, ...]
    gauges: tuple[Gauge, ...]
    base: str | None = "ours"
    least_rounds: int = 1
    most_rounds: int | None = None
    note: str = ""

    @property
    def group(self) -> str:
        """The name under which it is chosen: that of "W6 construction" is "W6"."""
        return self.key.split()[0]

    def rounds(self, asked: int) -> int:
        """How many rounds there are."""
        rounds = max(asked, self.least_rounds)
        return rounds if self.most_rounds is None else min(rounds, self.most_rounds)


FROZEN = "ours, gc.freeze()"
MANY = "ours, get_analytics_many()"
PYLIST = "json, from_pylist()"
CAST_PYLIST = "json, from_pylist(), cast()"

SECONDS = Gauge("seconds", "time", "s")
CPU = Gauge("cpu", "CPU time", "s")
EACH = Gauge("seconds", "time per report", "ms", 1e3)
SPEED = Gauge("speed", "speed", "MB/s", 1e-6)
STALL = Gauge("stall", "longest stall", "ms", 1e3)
GROWTH = Gauge("growth", "memory growth", "MiB", 2.0**-20)
WALKED = (SECONDS, CPU, Gauge("first", "first report after", "ms", 1e3), STALL, GROWTH)


def _entries(*names: str) -> tuple[Entry, ...]:
    return tuple(Entry(name) for name in names)


def _ahead(name: str) -> tuple[Entry, ...]:
    return tuple(Entry(f"{name}, read_ahead={n}", name, read_ahead=n) for n in (0, 1, 4, 8))


WORKLOADS = (
    Workload(
        key="W1",
        title="decoding alone, no network",
        entries=_entries(
            "ours",
            "ours-into",
            "ours, keys",
            "json",
            "pydantic",
            "generated",
            "msgspec-struct",
            "msgspec-raw",
        ),
        gauges=(EACH, SPEED),
        note="`ours` and `ours-into` start from reports that a page was split into; that split is "
        "what `msgspec-raw` does. `ours, keys` reads what tells sessions apart.",
    ),
    Workload(
        key="W2",
        title="a walk over one connector's reports",
        entries=(
            Entry("ours"),
            Entry(FROZEN, "ours", frozen=True),
            *_entries(
                "ours-into",
                "aiohttp-json",
                "httpx-pydantic",
                "aiohttp-pydantic",
                "generated",
                "msgspec-struct",
                "raw-aiohttp",
            ),
        ),
        gauges=WALKED,
        note="What is left of the longest stall of `ours` are full passes of the garbage "
        f"collector over all that the process has imported; `{FROZEN}` calls that once before "
        "the walk, as a service can at its start.",
    ),
    Workload(
        key="W3",
        title=f"a walk, answers {LATENCY * 1e3:g} ms later, limit={FIXED_LIMIT}",
        entries=(*_ahead("ours"), *_ahead("ours-into")),
        gauges=(SECONDS,),
        base="ours, read_ahead=0",
    ),
    Workload(
        key="W3 requests",
        title="requests of a walk that chooses its limit, and of one told the same limit",
        entries=_entries("ours"),
        gauges=(
            Gauge("adaptive", "limit=None", "requests"),
            Gauge("fixed", "limit told", "requests"),
            Gauge("limit", "that limit", ""),
            Gauge("extra", "extra", "requests"),
        ),
        base=None,
    ),
    Workload(
        key="W4",
        title=f"small calls, {CONCURRENCY} at once",
        entries=(
            *_entries("ours", MANY, "aiohttp-json", "aiohttp-pydantic"),
            Entry("httpx-pydantic", share=0.1),
        ),
        gauges=(SECONDS, CPU),
        note=f"{CONCURRENCY} tasks take one id after the other; `{MANY}` is the method for that, "
        "which also keeps the ids from running ahead of the results. "
        "The connections are open when the clock starts. `httpx-pydantic` does a tenth of the "
        f"calls, and no less than {SHORT.fewest_calls}; its figures are scaled up to all of them.",
    ),
    Workload(
        key="W5",
        title="many connectors at once under one limiter",
        entries=_entries("ours", "ours-into", "aiohttp-pydantic", "aiohttp-json"),
        gauges=WALKED,
    ),
    Workload(
        key="W6",
        title="start of a program that only imports",
        entries=(
            Entry("aiohttp, attrs", statement="import aiohttp, attrs"),
            Entry("DepotClient", statement="from depotclient import DepotClient"),
            Entry("ThorClient", statement="from thorclient import ThorClient"),
            Entry("httpx, pydantic", statement="import httpx, pydantic"),
        ),
        gauges=(Gauge("seconds", "time", "ms", 1e3),),
        base="aiohttp, attrs",
        least_rounds=21,
    ),
    Workload(
        key="W6 construction",
        title="making a client",
        entries=_entries("DepotClient", "ThorClient"),
        gauges=(Gauge("seconds", "time", "µs", 1e6),),
        base=None,
    ),
    Workload(
        key="W7",
        title="bytes of pages to a Parquet file, no network",
        entries=(Entry("ours", "ours-parquet"), Entry(PYLIST), Entry(CAST_PYLIST)),
        gauges=(EACH, SPEED),
        note=f"{FILE_PAGES} pages of {DECODED} reports become one file, compressed by zstd. `ours` "
        f"is what an export does with each page, its split included; `{PYLIST}` renames the keys "
        "and parses the times of its dicts, as that schema asks; "
        f"`{CAST_PYLIST}` has Arrow do both.",
    ),
    Workload(
        key="W8",
        title="an export into Parquet files",
        entries=_entries("ours"),
        gauges=(GROWTH, SECONDS, CPU, SPEED, STALL),
        base=None,
        most_rounds=1,
        note=f"{EXPORT[1]} connectors, a file for each of them and each month, with the defaults "
        "of `export_session_reports()`. The speed is that of all answers, which overlap "
        "by the margins around each month.",
    ),
)
GROUPS = tuple(dict.fromkeys(workload.group for workload in WORKLOADS))


def number(value: float) -> str:
    """Three digits that count, and never an exponent."""
    if abs(value) >= 99.95 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:#.3g}" if abs(value) >= 0.01 else f"{value:.4f}"
