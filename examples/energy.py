"""Sum up the energy of each vehicle in exported files, with DuckDB: `python energy.py lake`."""

from __future__ import annotations

import sys

import duckdb

QUERY = """
    select vehicle_id, month, count(*) as sessions,
           round(sum(energy_charge_end - energy_charge_start) / 1000, 1) as kwh
    from read_parquet($files, hive_partitioning = true, hive_types_autocast = false)
    group by all order by kwh desc limit 5
"""

if __name__ == "__main__":
    print(duckdb.sql(QUERY, params={"files": f"{sys.argv[1]}/**/*.parquet"}))
