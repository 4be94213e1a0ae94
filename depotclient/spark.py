"""Session reports of a fleet as a Spark data source (extra `spark`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

try:
    from pyspark.sql import datasource
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
    from pyspark.sql.pandas.types import from_arrow_schema
except ImportError as error:
    raise ImportError(
        "depotclient.spark needs pyspark: pip install 'thor-depot-clients[spark]'"
    ) from error

import attrs
import pyarrow as pa

from depotclient.arrow import FLEET_REPORTS
from depotclient.models import camel_case
from depotclient.partitions import (
    MARGIN,
    Connector,
    Partition,
    ReadSettings,
    Window,
    plan,
    read_batches,
)
from depotclient.text import parse_connector, parse_time, read_connectors
from evtransport.durations import parse_duration
from evtransport.validation import validate_int

if TYPE_CHECKING:
    from pyspark.sql.datasource import Filter
    from pyspark.sql.types import StructType

__all__ = ["SessionReportsDataSource"]

NAME: Final = "depot_session_reports"

_ACCOUNT: Final = ("client_id", "client_secret", "region", "base_url", "token_url")

OPTIONS: Final = (
    *("connectors", "path", "from", "to", "window", "margin", "verify", "limit"),
    *("concurrency", "pushFilters", "token", *map(camel_case, _ACCOUNT)),
)

# Requests have times in milliseconds.
_MILLISECOND: Final = timedelta(milliseconds=1)


def _spark_type(kind: pa.DataType) -> pa.DataType:
    """Return the Arrow type of Spark's rows for a type of our batches."""
    if isinstance(kind, pa.ListType):
        return pa.list_(pa.field("element", _spark_type(kind.value_type)))
    if isinstance(kind, pa.StructType):
        return pa.struct([(field.name, _spark_type(field.type)) for field in kind])
    return pa.timestamp("us", tz="UTC") if isinstance(kind, pa.TimestampType) else kind


# The arguments of pyspark's own `to_arrow_schema` differ between 4.0 and later versions.
ROWS: Final = pa.schema([(field.name, _spark_type(field.type)) for field in FLEET_REPORTS])
SCHEMA: Final = from_arrow_schema(ROWS)


class SessionReportsDataSource(DataSource):
    """Spark data source `depot_session_reports`: the session reports of some connectors.

    Example::

        spark.dataSource.register(SessionReportsDataSource)
        reports = (
            spark.read.format("depot_session_reports")
            .option("connectors", "CP-001/1,CP-001/2")
            .option("from", "2026-01-01")
            .option("to", "2026-03-01")
            .load()
        )

    The columns are those of `depotclient.arrow.FLEET_REPORTS`, with times as `TimestampType`. A row
    is a report with from <= `session_time_start` < to. A report without a start is in the
    window of its end. A report with neither time is in every window that reads it.

    Options (case-insensitive):

    - `connectors`: one or more CHARGER/CONNECTOR, separated by commas.
    - `path`, or the argument of `load`: a file with lines CHARGER,CONNECTOR, which the driver
      reads. Its connectors are added to those of `connectors`; one of the two is required. An id
      with a comma needs the file.
    - `from` (required) and `to`: times in ISO 8601. A time without an offset is in UTC, not in the
      time zone of the Spark session. The default of `to` is the time of `load()`.
    - `window`: calendar window to read at a time, in UTC: `month` (default) or `day`.
    - `margin`: time read on both sides of a window, in days, such as 0.5. The default is 1. It must
      cover the longest session.
    - `verify`: `true` repeats the walk of each window until a pass finds nothing new. The default
      is `false`.
    - `limit`: maximum number of reports on a page. By default, pages grow to about 8 MiB.
    - `concurrency`: maximum number of windows that are read at once. It is the number of Spark
      partitions, each with its own client, token and one request in flight. By default, each window
      is a partition, and Spark reads as many at once as it has cores. The limit holds for one scan.
      A job that reads the frame twice adds requests, and so do speculative tasks
      (`spark.speculation`).
    - `pushFilters`: `true` lets filters on `session_time_start`, `charger_id` and `connector_id`
      narrow the queries. The default is `false`. It requires Spark 4.1 and
      `spark.sql.python.filterPushdown.enabled=true`. Spark still applies every filter itself.
    - `token`, or `clientId` and `clientSecret`, with `region`, `baseUrl` and `tokenUrl` as in
      `DepotClient`. By default, each executor uses the `DEPOT_...` variables of its environment.

    Prefer the environment: the driver keeps options in clear text and sends them to the executors.
    Spark redacts options in its output if their names contain `token` or `secret`, unless
    `spark.redaction.regex` is changed.

    Raises:
        ValueError: An option is missing, unknown or invalid. `load()` raises it as the reason of an
            `AnalysisException`. The message never quotes a secret.
    """

    _scan: _Scan | None = None

    @classmethod
    def name(cls) -> str:
        """Return the name for `spark.read.format`."""
        return NAME

    def schema(self) -> StructType:
        """Return the columns, after checking the options and reading the file of connectors.

        Raises:
            ValueError: An option is missing, unknown or invalid.
        """
        self._scan = _scan_of(self.options)
        return SCHEMA

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return the reader of one scan.

        Args:
            schema: The result of `schema`.

        Raises:
            ValueError: The schema has other columns, or an option is invalid.
        """
        if schema != SCHEMA:
            raise ValueError(f"the columns of {NAME} are fixed: omit schema(...)")
        scan = self._scan or _scan_of(self.options)
        return _FilteredReader(scan) if scan.push_filters else _Reader(scan)


class _Reader(DataSourceReader):
    """Reader of the windows of a scan."""

    def __init__(self, scan: _Scan) -> None:
        self._scan = scan

    def partitions(self) -> list[InputPartition]:
        """Return the tasks. Each reads some windows, one after another."""
        return [InputPartition(windows) for windows in self._scan.tasks()]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the reports of one task, page by page."""
        windows: tuple[Partition, ...] | None = partition.value
        if windows is None:  # Spark's replacement for an empty list of partitions.
            return
        for batch in read_batches(windows, self._scan.settings):
            yield batch.cast(ROWS)


class _FilteredReader(_Reader):
    """Reader that sends fewer requests if filters allow it.

    Spark rejects a reader with `pushFilters` if filter pushdown is off in its settings.
    """

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:  # noqa: N802 - Spark's name
        """Narrow the scan. Return all filters, for Spark to apply."""
        for condition in filters:
            self._scan = self._scan.narrow(condition)
        return filters


@attrs.frozen
class _Scan:
    """Checked options of one data source."""

    connectors: tuple[Connector, ...]
    from_: datetime
    to: datetime
    window: Window
    concurrency: int | None
    push_filters: bool
    settings: ReadSettings

    def windows(self) -> tuple[Partition, ...]:
        """Return all windows of all connectors."""
        if not self.from_ < self.to:
            return ()
        return plan(self.connectors, self.from_, self.to, self.window, whole=False)

    def tasks(self) -> list[tuple[Partition, ...]]:
        """Return the windows, distributed evenly over at most `concurrency` tasks."""
        windows = self.windows()
        count = min(self.concurrency or len(windows), len(windows))
        return [windows[first::count] for first in range(count)]

    def narrow(self, condition: Filter) -> _Scan:
        """Return the scan without reports that the filter drops, if the filter is supported."""
        match condition:
            case datasource.EqualTo(("session_time_start",), datetime() as at):
                return self._narrow_span(at, at)
            case datasource.GreaterThan(
                ("session_time_start",), datetime() as at
            ) | datasource.GreaterThanOrEqual(("session_time_start",), datetime() as at):
                return self._narrow_span(at, None)
            case datasource.LessThan(
                ("session_time_start",), datetime() as at
            ) | datasource.LessThanOrEqual(("session_time_start",), datetime() as at):
                return self._narrow_span(None, at)
            case datasource.EqualTo(("charger_id" | "connector_id" as column,), str() as value):
                return self._narrow_connectors(column, [value])
            case datasource.In(("charger_id" | "connector_id" as column,), values):
                return self._narrow_connectors(column, values)
            case _:
                return self

    def _narrow_span(self, first: datetime | None, last: datetime | None) -> _Scan:
        from_, to = self.from_, self.to
        # Ignore a naive time: only Spark knows its zone.
        if first is not None and first.tzinfo and from_ < first:
            from_ = max(from_, first - _MILLISECOND)
        if last is not None and last.tzinfo and last < to:
            to = min(to, last + _MILLISECOND)
        return attrs.evolve(self, from_=from_, to=to)

    def _narrow_connectors(self, column: str, values: Iterable[Any]) -> _Scan:
        index, kept = ("charger_id", "connector_id").index(column), list(values)
        connectors = tuple(ids for ids in self.connectors if ids[index] in kept)
        return attrs.evolve(self, connectors=connectors)


def _scan_of(options: Mapping[str, str]) -> _Scan:
    try:
        return _parse({name.lower(): text for name, text in options.items()})
    except ValueError as error:
        message = f"{error} (the options of {NAME} are {', '.join(OPTIONS)})"
    del options  # Keep secrets out of a traceback that shows locals.
    raise ValueError(message)


def _parse(options: Mapping[str, str]) -> _Scan:
    """Return the scan, given options with names in lower case."""
    if unknown := sorted(options.keys() - {name.lower() for name in OPTIONS}):
        raise ValueError(f"unknown option {', '.join(unknown)}")
    now = datetime.now(UTC)
    from_, to = parse_time("from", options.get("from")), parse_time("to", options.get("to"))
    if from_ is None:
        raise ValueError("from is missing: the start of the span, such as 2026-01-31")
    if not from_ < (to or now):
        end = f"to={to.isoformat()}" if to else "now, the default of to"
        raise ValueError(f"from={from_.isoformat()} must be before {end}")
    scan = _Scan(
        connectors=_parse_connectors(options),
        from_=from_,
        to=to or now,
        window=cast("Window", options.get("window", "month")),
        concurrency=_parse_count(options, "concurrency"),
        push_filters=_parse_flag(options, "pushFilters"),
        settings=_parse_settings(options),
    )
    if scan.push_filters and not hasattr(datasource, "Filter"):
        raise ValueError("pushFilters requires Spark 4.1 or later")
    scan.windows()  # Raises if the window or an id is invalid.
    return scan


def _parse_settings(options: Mapping[str, str]) -> ReadSettings:
    margin = parse_duration("margin", options["margin"]) if "margin" in options else MARGIN
    verify, limit = _parse_flag(options, "verify"), _parse_count(options, "limit")
    account: dict[str, Any] = {
        name: options.get(camel_case(name).lower()) for name in ("token", *_ACCOUNT)
    }
    try:
        return ReadSettings(**account, margin=margin, verify=verify, limit=limit)
    except ValueError as error:
        message = str(error)
    for name in _ACCOUNT:
        message = message.replace(name, camel_case(name))
    raise ValueError(message)


def _parse_connectors(options: Mapping[str, str]) -> tuple[Connector, ...]:
    texts = options["connectors"].split(",") if "connectors" in options else []
    connectors = [parse_connector(text.strip()) for text in texts]
    if "path" in options:
        path = Path(options["path"])
        try:
            connectors += read_connectors(path)
        except OSError as error:
            raise ValueError(f"path={str(path)!r} can't be read: {error.strerror}") from None
    if not connectors:
        raise ValueError(
            "connectors are missing: name them, such as CP-001/1,CP-001/2, or set path to a file"
            " with lines CHARGER,CONNECTOR"
        )
    return tuple(connectors)


def _parse_flag(options: Mapping[str, str], name: str) -> bool:
    text = options.get(name.lower(), "false")
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"{name} must be true or false, got {text!r}")
    return text.lower() == "true"


def _parse_count(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    try:
        return validate_int(name, int(text), minimum=1)
    except ValueError:
        raise ValueError(f"{name} must be an int >= 1, got {text!r}") from None
