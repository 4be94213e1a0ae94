"""R14: an export that is killed at any moment and run again ends with every report, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import msgspec
import pytest

from depotclient.export.layout import FORMATS, ConnectorFolder, Format
from depotclient.partitions import Partition
from depotclient.sandbox import DepotSandbox, ReportShape, TimeFilter
from evtransport.testing.sandbox import running_in_thread
from tests.support.figures import Record

parquet = pytest.importorskip("pyarrow.parquet")

CHILD = Path(__file__).with_name("export_child.py")
SHAPE = ReportShape(meter_values=40, charge_parameters=4, detail_states=4, device_states=2)
CONNECTORS = ("1", "2")
QUICK, FULL = 6, 50
MOMENTS = {"parquet": 1500, "ndjson": 400}
"""Half as many as an export of January has, so that most exports are killed more than once."""


@attrs.frozen
class Exporter:
    """Runs the export of a sandbox's January into a folder, in a process of its own."""

    sandbox: DepotSandbox
    folder: Path
    format: Format

    def is_killed(self, moment: int, delay: float = 0.0) -> bool:
        """Run it until the moment, or to its end if that comes earlier."""
        run = subprocess.run(  # noqa: S603
            [
                *(sys.executable, str(CHILD), str(self.folder), self.format),
                *(",".join(CONNECTORS), str(moment), str(delay)),
            ],
            env={**os.environ, **self.sandbox.environment},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert run.returncode in {0, -signal.SIGKILL}, run.stderr.decode()
        return run.returncode != 0

    def ids(self, connector: str) -> Iterator[int]:
        """The ids in all files of a connector that are there under their names.

        A file that is not whole fails the test.
        """
        first = Partition("CP-001", connector, "2026-01-01")
        folder = ConnectorFolder.open(self.folder, first, self.format)
        for window in folder.path.glob("day=*"):
            for file in window.glob(f"reports.{self.format}"):
                found = read_ids(file)
                record = folder.records.get(window.name.removeprefix("day="))
                if record is not None:
                    assert record.reports == len(found), file
                else:  # the lines of a run that was killed before it could write the record
                    assert self.format == "ndjson", file
                yield from found


def read_ids(file: Path) -> Sequence[int]:
    """The ids in a file; one that is cut off anywhere can't be read."""
    if file.suffix == ".parquet":
        column: list[int] = parquet.ParquetFile(file).read()["session_id"].to_pylist()
        return column
    text = file.read_bytes()
    assert text == b"" or text.endswith(b"\n"), file
    return [msgspec.json.decode(line)["sessionId"] for line in text.splitlines()]


@pytest.mark.parametrize("format_", FORMATS)
def test_an_export_that_is_killed_again_and_again_ends_with_every_report_once(
    tmp_path: Path, record: Record, full: bool, format_: Format
) -> None:
    draw = random.Random(format_)
    kills = ends = lost = doubled = 0
    filters: tuple[TimeFilter, ...] = ("start", "end", "overlap")
    wanted = FULL if full else QUICK
    while kills < wanted or ends < len(filters):
        sandbox = DepotSandbox(
            sessions=40, shape=SHAPE, time_filter=filters[ends % 3], max_limit=20, order="shuffled"
        )
        exporter = Exporter(sandbox, tmp_path / str(ends), format_)
        with running_in_thread(sandbox):
            truth = {name: Counter(sandbox.session_ids("CP-001", name)) for name in CONNECTORS}
            while exporter.is_killed(
                draw.randrange(MOMENTS[format_]) if kills < wanted else -1,
                draw.choice((0.0, draw.random() / 50)),
            ):
                kills += 1
                for name in CONNECTORS:
                    assert not Counter(exporter.ids(name)) - truth[name]
        for name in CONNECTORS:
            found = Counter(exporter.ids(name))
            lost += (truth[name] - found).total()
            doubled += (found - truth[name]).total()
        ends += 1
    figures = {"kills": kills, "exports ended": ends, "lost": lost, "doubled": doubled}
    record(f"R14 {format_}", figures)
    assert (lost, doubled) == (0, 0)
