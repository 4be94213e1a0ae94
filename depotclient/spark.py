"""Session reports of a fleet as a Spark data source (extra `spark`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from evtransport.validation import validate_int

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
from depotclient.text import parse_connector, parse_days, parse_time, read_connectors

if TYPE_CHECKING:
    from pyspark.sql.datasource import Filter
    from pyspark.sql.types import StructType

__all__ = ["SessionReportsDataSource"]

NAME: Final = "depot_session_reports"

OPTIONS: Final = (
    *("connectors", "path", "from", "to", "window", "margin", "verify", "limit"),
    *("concurrency", "pushFilters"),
    *("token", "clientId", "clientSecret", "region", "baseUrl", "tokenUrl"),
)

# What is sent to the server has no finer times.
MOMENT: Final = timedelta(milliseconds=1)


def _as_spark_has_it(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.ListType):
        return pa.list_(pa.field("element", _as_spark_has_it(kind.value_type)))
    if isinstance(kind, pa.StructType):
        return pa.struct([(field.name, _as_spark_has_it(field.type)) for field in kind])
    return pa.timestamp("us", tz="UTC") if isinstance(kind, pa.TimestampType) else kind


# pyspark's own to_arrow_schema has other arguments in 4.0 than later.
ROWS: Final = pa.schema([(field.name, _as_spark_has_it(field.type)) for field in FLEET_REPORTS])
SCHEMA: Final = from_arrow_schema(ROWS)


class SessionReportsDataSource(DataSource):
    """The session reports of some connectors, as `spark.read.format("depot_session_reports")`.

    ```python
    spark.dataSource.register(SessionReportsDataSource)
    reports = (
        spark.read.format("depot_session_reports")
        .option("connectors", "CP-001/1,CP-001/2")
        .option("from", "2026-01-01")
        .option("to", "2026-03-01")
        .load()
    )
    ```

    The columns are those of `depotclient.arrow.FLEET_REPORTS`, times as `TimestampType`. A row is a
    report with from <= `session_time_start` < to. One without that time is a row as well, wherever
    a reading brings it, so that it may come twice: once for each of two windows side by side.

    Options, in any case of letters:

    - `connectors`: CHARGER/CONNECTOR, or several with commas between them.
    - `path`, or the argument of `load`: a file of lines CHARGER,CONNECTOR, read on the driver. It
      adds to `connectors`; one of the two is needed. An id with a comma needs the file.
    - `from`, needed, and `to`: times in ISO 8601; one without an offset is in UTC, whatever the
      time zone of the Spark session. `to` is the time of `load()` where it is missing.
    - `window`: `month` (default) or `day`, in UTC; each one of a connector is read for itself.
    - `margin`: by how many days more is asked for on both sides of a window, such as 0.5, by
      default 1: at least as long as a session may last.
    - `verify`: `true` walks each window until a whole pass brings nothing new; default `false`.
    - `limit`: reports a page; by default pages grow to about 8 MiB.
    - `concurrency`: how many windows are read at once at most. They are dealt into so many Spark
      partitions, each with a client and a token of its own and one request under way at most. By
      default each window is a partition, and Spark reads as many at once as it has cores. This
      holds for one scan: a job that reads the frame twice, and speculative tasks
      (`spark.speculation`), add theirs.
    - `pushFilters`: `true` has filters on `session_time_start`, `charger_id` and `connector_id`
      narrow what is asked for; default `false`. It needs Spark 4.1, and that
      `spark.sql.python.filterPushdown.enabled` is true. Spark still applies every filter itself.
    - `token`, or `clientId` and `clientSecret`; with these `region`, `baseUrl`, `tokenUrl`, all as
      in `DepotClient`. By default each executor takes those of its own environment, `DEPOT_...`.

    Prefer the environment. Options stay in clear in the driver's memory, and go in clear to the
    executors. Where Spark shows options, it redacts those whose names hold `token` or `secret`,
    unless `spark.redaction.regex` is set otherwise.

    Raises:
        ValueError: At `load()`, as the reason of Spark's `AnalysisException`: an option is
            missing, unknown or not usable. The message never quotes a secret.
    """

    _scan: _Scan | None = None

    @classmethod
    def name(cls) -> str:
        """What `spark.read.format` takes."""
        return NAME

    def schema(self) -> StructType:
        """The columns; the options are checked, and `to` and the file are read, once here.

        Raises:
            ValueError: An option is missing, unknown or not usable.
        """
        self._scan = _scan_of(self.options)
        return SCHEMA

    def reader(self, schema: StructType) -> DataSourceReader:
        """What plans and reads a scan.

        Args:
            schema: As `schema` has given it.

        Raises:
            ValueError: It is another one, or, where `schema` was not asked, as there.
        """
        if schema != SCHEMA:
            raise ValueError(f"the columns of {NAME} are given: leave schema(...) out")
        scan = self._scan or _scan_of(self.options)
        return _NarrowedReader(scan) if scan.push_filters else _Reader(scan)


class _Reader(DataSourceReader):
    """Reads the windows of a scan."""

    def __init__(self, scan: _Scan) -> None:
        self._scan = scan

    def partitions(self) -> list[InputPartition]:
        """What Spark reads as one task each: some windows, one after another."""
        return [InputPartition(windows) for windows in self._scan.tasks()]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The reports of one task, page by page."""
        windows: tuple[Partition, ...] | None = partition.value
        if windows is None:  # by which Spark replaces an empty list of partitions
            return
        for batch in read_batches(windows, self._scan.settings):
            yield batch.cast(ROWS)


class _NarrowedReader(_Reader):
    """Asks for less where filters leave less; Spark refuses it where pushing is switched off."""

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:  # noqa: N802 - Spark's name
        """Narrow the scan, and leave every filter to Spark nevertheless."""
        for it in filters:
            self._scan = self._scan.narrowed(it)
        return filters


@attrs.frozen
class _Scan:
    """What the options ask for."""

    connectors: tuple[Connector, ...]
    from_: datetime
    to: datetime
    window: Window
    concurrency: int | None
    push_filters: bool
    settings: ReadSettings

    def windows(self) -> tuple[Partition, ...]:
        """All that is to be read."""
        if not self.from_ < self.to:
            return ()
        return plan(self.connectors, self.from_, self.to, self.window, whole=False)

    def tasks(self) -> list[tuple[Partition, ...]]:
        """The same, dealt out to those who read at once."""
        windows = self.windows()
        hands = len(windows) if self.concurrency is None else min(self.concurrency, len(windows))
        return [windows[first::hands] for first in range(hands)]

    def narrowed(self, it: Filter) -> _Scan:
        """Without what a filter would drop, as far as it is understood."""
        match it:
            case datasource.EqualTo(("session_time_start",), datetime() as at):
                return self._between(at, at)
            case datasource.GreaterThan(
                ("session_time_start",), datetime() as at
            ) | datasource.GreaterThanOrEqual(("session_time_start",), datetime() as at):
                return self._between(at, None)
            case datasource.LessThan(
                ("session_time_start",), datetime() as at
            ) | datasource.LessThanOrEqual(("session_time_start",), datetime() as at):
                return self._between(None, at)
            case datasource.EqualTo((column,), str() as value):
                return self._among(column, [value])
            case datasource.In((column,), values):
                return self._among(column, values)
            case _:
                return self

    def _between(self, first: datetime | None, last: datetime | None) -> _Scan:
        """Sessions from the first to the last moment, and those next to them."""
        from_, to = self.from_, self.to
        # Spark's times are aware. What others would mean, only Spark knows.
        if first is not None and first.tzinfo and from_ < first:
            from_ = max(from_, first - MOMENT)
        if last is not None and last.tzinfo and last < to:
            to = min(to, last + MOMENT)
        return attrs.evolve(self, from_=from_, to=to)

    def _among(self, column: str, values: Iterable[Any]) -> _Scan:
        place = {"charger_id": 0, "connector_id": 1}.get(column)
        if place is None:
            return self
        wanted = list(values)
        connectors = tuple(ids for ids in self.connectors if ids[place] in wanted)
        return attrs.evolve(self, connectors=connectors)


def _scan_of(options: Mapping[str, str]) -> _Scan:
    try:
        return _checked({name.lower(): text for name, text in options.items()})
    except ValueError as error:
        message = f"{error} (the options of {NAME} are {', '.join(OPTIONS)})"
    del options  # a traceback that shows locals must not show them
    raise ValueError(message)


def _checked(given: Mapping[str, str]) -> _Scan:
    if unknown := sorted(given.keys() - {name.lower() for name in OPTIONS}):
        raise ValueError(f"there is no option {', '.join(unknown)}")
    now = datetime.now(UTC)
    from_, to = parse_time("from", given.get("from")), parse_time("to", given.get("to"))
    if from_ is None:
        raise ValueError("from is missing: the begin of the time span, such as 2026-01-31")
    if not from_ < (to or now):
        end = f"to={to.isoformat()}" if to else "now, where the span ends without to"
        raise ValueError(f"from={from_.isoformat()} must be before {end}")
    scan = _Scan(
        connectors=_connectors(given),
        from_=from_,
        to=to or now,
        window=cast("Window", given.get("window", "month")),
        concurrency=_count(given, "concurrency"),
        push_filters=_flag(given, "pushFilters"),
        settings=_settings(given),
    )
    if scan.push_filters and not hasattr(datasource, "Filter"):
        raise ValueError("pushFilters needs Spark 4.1 or later")
    scan.windows()  # which knows the kinds of windows, and which ids can be
    return scan


def _settings(given: Mapping[str, str]) -> ReadSettings:
    margin = parse_days("margin", given["margin"]) if "margin" in given else MARGIN
    verify, limit = _flag(given, "verify"), _count(given, "limit")
    account: dict[str, Any] = {
        name: given.get(camel_case(name).lower())
        for name in ("client_id", "client_secret", "region", "base_url", "token_url")
    }
    try:
        return ReadSettings(
            token=given.get("token"), **account, margin=margin, verify=verify, limit=limit
        )
    except ValueError as error:
        message = str(error)
    for name in account:
        message = message.replace(name, camel_case(name))
    raise ValueError(message)


def _connectors(given: Mapping[str, str]) -> tuple[Connector, ...]:
    named = given["connectors"].split(",") if "connectors" in given else []
    found = [parse_connector(text.strip()) for text in named]
    if "path" in given:
        path = Path(given["path"])
        try:
            found += read_connectors(path)
        except OSError as error:
            raise ValueError(f"path={str(path)!r} can't be read: {error.strerror}") from None
    if not found:
        raise ValueError(
            "connectors are missing: name them, such as CP-001/1,CP-001/2, or give as path a file"
            " of lines CHARGER,CONNECTOR"
        )
    return tuple(found)


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name.lower(), "false")
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"{name} must be true or false, not {text!r}")
    return text.lower() == "true"


def _count(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        return validate_int(name, int(text), minimum=1)
    except ValueError:
        raise ValueError(f"{name} must be a whole number of at least 1, not {text!r}") from None
