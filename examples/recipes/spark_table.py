"""Copy session reports with Spark: `python spark_table.py connectors.csv 2026-01-01 lake`."""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession

from depotclient.spark import SessionReportsDataSource


def main(connectors: str, start: str, folder: str) -> None:
    """Copy the reports into Parquet files, with at most 4 requests at once."""
    # By default, Spark converts charger 0012 in the name of a folder to the number 12.
    inference = "spark.sql.sources.partitionColumnTypeInference.enabled"
    spark = SparkSession.builder.config(inference, "false").getOrCreate()
    spark.dataSource.register(SessionReportsDataSource)
    reports = (
        spark.read.format("depot_session_reports")
        .option("from", start)
        .option("concurrency", 4)
        .load(connectors)
    )
    reports.write.partitionBy("charger_id").mode("overwrite").parquet(folder)
    spark.read.parquet(folder).groupBy("charger_id").count().orderBy("charger_id").show()


if __name__ == "__main__":
    main(*sys.argv[1:])
