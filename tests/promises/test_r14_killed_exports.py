"""R14: an export that is killed at any moment and run again writes every report once."""

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
import pytest

from depotclient.export.files import open_format
from depotclient.export.formats import FORMATS, Format
from depotclient.export.layout import ConnectorFolder
from depotclient.sandbox import DepotSandbox, ReportShape, TimeFilter
from evtransport.testing.sandbox import running_in_thread
from tests.support.figures import Record, nonzero, tally

pytest.importorskip("pyarrow")

from tests.support.exports import rows_in

ROOT = Path(__file__).parents[2]
SHAPE = ReportShape(meter_values=40, charge_parameters=4, detail_states=4, device_states=2)
TIME_FILTERS: tuple[TimeFilter, ...] = ("start", "end", "overlap")
EVENTS = {"parquet": 1500, "ndjson": 400}
"""Half of the audit events of an export of two connectors: most exports are killed repeatedly."""


@attrs.frozen
class Exporter:
    """Export of a sandbox's January into a folder, in a child process."""

    sandbox: DepotSandbox
    folder: Path
    format: Format
    connectors: Sequence[str]

    def run(self, kill_at: int, delay: float = 0.0) -> bool:
        """Run until the given audit event, or to the end. Return True if it was killed."""
        done = subprocess.run(  # noqa: S603
            [
                *(sys.executable, "-m", "tests.promises.export_child", str(self.folder)),
                *(self.format, ",".join(self.connectors), str(kill_at), str(delay)),
            ],
            cwd=ROOT,
            env={**os.environ, **self.sandbox.environment},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
        return done.returncode != 0

    def ids(self, connector: str) -> Iterator[object]:
        """Yield the ids in all final files of a connector. Fail if a file is incomplete."""
        ids = ("CP-001", connector)
        folder = ConnectorFolder.open(self.folder, ids, "day", open_format(self.format))
        for window, rows in rows_in(folder.path).items():
            manifest = folder.manifests.get(window)
            # A kill between the two writes leaves NDJSON without its record.
            assert manifest is not None or self.format == "ndjson", window
            assert manifest is None or manifest.reports == len(rows), window
            yield from (session_id for session_id, _ in rows)


@pytest.mark.parametrize("format_", FORMATS)
def test_an_export_that_is_killed_repeatedly_writes_every_report_once(
    tmp_path: Path, record: Record, full: bool, format_: Format
) -> None:
    draw = random.Random(format_)
    figures = tally("kills", "exports ended", "lost", "duplicated")
    connectors = ("1", "2") if full else ("1",)
    events = EVENTS[format_] * len(connectors) // 2
    min_kills, min_ends = (50, len(TIME_FILTERS)) if full else (2, 1)
    while figures["kills"] < min_kills or figures["exports ended"] < min_ends:
        ends = figures["exports ended"]
        time_filter = TIME_FILTERS[ends % len(TIME_FILTERS)]
        sandbox = DepotSandbox(
            sessions=40, shape=SHAPE, time_filter=time_filter, max_limit=20, order="shuffled"
        )
        exporter = Exporter(sandbox, tmp_path / str(ends), format_, connectors)
        with running_in_thread(sandbox):
            expected = {
                name: Counter[object](sandbox.session_ids("CP-001", name)) for name in connectors
            }
            while exporter.run(
                draw.randrange(events) if figures["kills"] < min_kills else -1,
                draw.choice((0.0, draw.random() / 50)),
            ):
                figures["kills"] += 1
                for name in connectors:
                    assert not Counter(exporter.ids(name)) - expected[name]
        for name in connectors:
            found = Counter(exporter.ids(name))
            figures["lost"] += (expected[name] - found).total()
            figures["duplicated"] += (found - expected[name]).total()
        figures["exports ended"] += 1
    record(f"R14 {format_}", figures)
    assert nonzero(figures) == {"kills", "exports ended"}
