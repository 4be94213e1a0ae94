"""Read one month of two connectors into a table, without an event loop: `python read_table.py`."""

from __future__ import annotations

from datetime import UTC, datetime

from depotclient.partitions import plan, read_table

january = plan(
    [("CP-001", 1), ("CP-001", 2)],
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 2, 1, tzinfo=UTC),
    "month",
)
sessions = read_table(january)  # in a notebook: await asyncio.to_thread(read_table, january)
frame = sessions.to_pandas()
print(frame.groupby("vehicle_id")["energy_soc_end"].mean().round(1).nlargest(3))
