"""Answer five questions about an export with polars."""

from __future__ import annotations

import sys

import polars as pl


def read(folder: str) -> pl.LazyFrame:
    """Return the reports in the folder of an export. Ids are text, such as 0012."""
    names = ("charger_id", "connector_id", "month")
    return pl.scan_parquet(
        f"{folder}/**/*.parquet",
        hive_partitioning=True,
        hive_schema=dict.fromkeys(names, pl.String),
    )


def unnest(rows: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """Return one row for each event in a column of lists."""
    return rows.explode(column).drop_nulls(column).unnest(column)


def energy(reports: pl.LazyFrame) -> pl.LazyFrame:
    """Return the energy of each vehicle and month, by the clock of the depot."""
    start = pl.col("session_time_start").dt.convert_time_zone("Europe/Berlin")
    charged = pl.col("energy_charge_end") - pl.col("energy_charge_start")
    return (
        reports.filter(charged.is_not_null())
        .drop_nulls(["vehicle_id", "session_time_start"])
        .group_by("vehicle_id", start.dt.truncate("1mo").dt.date().alias("month"))
        .agg(pl.len().alias("sessions"), (charged.sum() / 1000).alias("energy_kwh"))
        .sort("vehicle_id", "month")
    )


def power(reports: pl.LazyFrame) -> pl.LazyFrame:
    """Return the power of one session: each current with the last voltage before it."""
    session = reports.filter(charger_id="CP-001", connector_id="1", session_id=100000004)
    samples = unnest(session.select("session_meter_values"), "session_meter_values")
    samples = samples.drop_nulls("event_timestamp").sort("event_timestamp", maintain_order=True)
    amperes, volts = (samples.filter(key=f"present_{name}") for name in ("current", "voltage"))
    power = pl.col("value") * pl.col("volts") / 1000
    return (
        amperes.join_asof(
            volts.rename({"value": "volts"}).drop_nulls("volts"), on="event_timestamp"
        )
        .drop_nulls("volts")
        .select(pl.col("event_timestamp").alias("time"), power.alias("power_kw"))
    )


def errors(reports: pl.LazyFrame) -> pl.LazyFrame:
    """Return the errors of each device and week. A week begins on Monday, in UTC."""
    states = unnest(reports.select("charger_id", "device_status"), "device_status")
    events = unnest(states.select("charger_id", "device_id", "error_codes"), "error_codes")
    return (
        events.group_by(
            *("charger_id", "device_id"),
            pl.col("event_timestamp").dt.truncate("1w").dt.date().alias("week"),
        )
        .agg(
            pl.col("error_code").drop_nulls().n_unique().alias("error_codes"),
            pl.col("error_counter").sum().alias("errors"),
        )
        .sort("charger_id", "device_id", "week")
    )


def ended_early(reports: pl.LazyFrame) -> pl.LazyFrame:
    """Return sessions of less than 10 minutes that ended below 80 %, while current still flowed."""
    minutes = (pl.col("session_time_end") - pl.col("session_time_start")).dt.total_milliseconds()
    names = ("charger_id", "connector_id", "session_id", "vehicle_id", "energy_soc_end")
    short = reports.filter(minutes < 10 * 60_000, pl.col("energy_soc_end") < 80).with_row_index()
    amperes = (
        unnest(short.select("index", "session_meter_values"), "session_meter_values")
        .filter(key="present_current")
        .drop_nulls(["value", "event_timestamp"])
        .sort("event_timestamp", maintain_order=True)
        .group_by("index")
        .agg(pl.last("value").alias("last_amperes"), pl.max("value").alias("peak_amperes"))
        .filter(pl.col("last_amperes") >= pl.col("peak_amperes") / 2)
    )
    return (
        short.join(amperes, on="index")
        .select(*names, "last_amperes")
        .sort("charger_id", "connector_id", "session_id")
    )


def charging_speed(reports: pl.LazyFrame) -> pl.LazyFrame:
    """Return the state of charge that each vehicle gains in an hour, in percent."""
    duration = pl.col("session_time_end") - pl.col("session_time_start")
    gained = pl.col("energy_soc_end") - pl.col("energy_soc_start")
    hours = duration.dt.total_milliseconds() / 3_600_000
    return (
        reports.drop_nulls(["vehicle_id", "energy_soc_start", "energy_soc_end"])
        .filter(hours > 0)
        .group_by("vehicle_id")
        .agg((gained.sum() / hours.sum()).alias("percent_an_hour"))
        .sort("vehicle_id")
    )


def main(folder: str) -> None:
    """Print the answers."""
    reports = read(folder)
    for question in (energy, power, errors, ended_early, charging_speed):
        print(question.__doc__, question(reports).collect(), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
