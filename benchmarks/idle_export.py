"""Time and memory of an export that has nothing to do, over a fleet with a file for each month.

    python -m benchmarks.idle_export --connectors 2000 --months 36

The files are written first, without a server. The export then runs in a child process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from depotclient import DepotClient
from depotclient.export import export_session_reports
from depotclient.export.manifest import Manifest
from depotclient.export.parquet import ParquetFormat
from depotclient.partitions import plan

START = datetime(2023, 1, 1, tzinfo=UTC)
CHARGER, WINDOW = "CP-00000", "2000-01"
"""Ids in the template. Those of each file have the same length."""


def connectors_of(count: int) -> list[tuple[str, str]]:
    """Return the connectors of the fleet."""
    return [(f"CP-{number:05}", "1") for number in range(1, count + 1)]


def end_of(months: int) -> datetime:
    """Return the end of the span."""
    return datetime(START.year + months // 12, 1 + months % 12, 1, tzinfo=UTC)


def write_template(path: Path) -> bytes:
    """Return a file without rows. Its manifest is final for every window."""
    now = datetime.now(UTC)
    manifest = Manifest(
        library="thor-depot-clients",
        charger_id=CHARGER,
        connector_id="1",
        window=WINDOW,
        from_="2000-01-01T00:00:00.000Z",
        to="2100-01-01T00:00:00.000Z",
        verify=True,
        read_at=now,
        reports=0,
        bytes_read=0,
        missing_start={},
    )
    writer = ParquetFormat().create(path)
    writer.finish(msgspec.json.encode(manifest))
    writer.close()
    return path.read_bytes()


def write_lake(root: Path, connectors: int, months: int) -> Iterator[Path]:
    """Write and yield the files of the fleet."""
    template = write_template(root.with_suffix(".parquet"))
    for each in plan(connectors_of(connectors), START, end_of(months)):
        folder = root / f"charger_id={each.charger_id}/connector_id=1/month={each.window}"
        folder.mkdir(parents=True)
        path = folder / "reports.parquet"
        text = template.replace(CHARGER.encode(), each.charger_id.encode())
        path.write_bytes(text.replace(WINDOW.encode() + b'"', each.window.encode() + b'"'))
        yield path


async def export(root: Path, connectors: int, months: int) -> dict[str, float]:
    """Export the fleet. Return the figures."""
    started = time.monotonic()
    async with DepotClient(token="none", base_url="http://127.0.0.1:9") as depot:  # noqa: S106
        result = await export_session_reports(
            depot, connectors_of(connectors), root, from_=START, to=end_of(months)
        )
    return {
        "skipped": sum(each.skipped for each in result.connectors),
        "seconds": round(time.monotonic() - started, 2),
        "cpu_seconds": round(time.process_time(), 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Write the files, and print the figures of an export that reads none of them again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connectors", type=int, default=2000)
    parser.add_argument("--months", type=int, default=36)
    parser.add_argument("--lake", type=Path, help="Folder that holds the files already.")
    args = parser.parse_args()
    if args.lake is not None:
        print(json.dumps(asyncio.run(export(args.lake, args.connectors, args.months))))
        return
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        size = sum(path.stat().st_size for path in write_lake(lake, args.connectors, args.months))
        print(f"{args.connectors * args.months} files, {size / 1e6:.0f} MB", flush=True)
        child = [sys.executable, "-m", "benchmarks.idle_export", "--lake", str(lake)]
        child += ["--connectors", str(args.connectors), "--months", str(args.months)]
        for _ in range(2):  # the second with a warm cache
            subprocess.run(child, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
