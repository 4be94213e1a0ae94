"""NDJSON files: the vendor's own reports, one on each line."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from depotclient.pages import Page
from depotclient.partitions.calendar import WindowFilter
from evtransport.surrogates import join_lines

__all__ = ["NdjsonWriter", "sidecar"]


@attrs.frozen
class _Start:
    session_time_start: datetime | None


class NdjsonWriter:
    """Writer of the vendor's own reports. The manifest goes into a sidecar."""

    into: type[Any] = _Start

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, page: Page[Any], window_filter: WindowFilter) -> int:
        """Add the reports of a page that belong to the window. Return their number."""
        accepted = [
            text
            for key, session_id, report, text in zip(
                page.keys, page.ids, page.reports, page.raw_reports, strict=True
            )
            if window_filter.accept(key, session_id, report.session_time_start)
        ]
        for text in accepted:
            # Only a report with line breaks loses the white space between its tokens.
            has_line_breaks = b"\n" in text or b"\r" in text
            self._file.write((join_lines(text) if has_line_breaks else text) + b"\n")
        return len(accepted)

    def finish(self, manifest: bytes) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Write buffered lines and close the file."""
        self._file.close()


def sidecar(path: Path) -> Path:
    """Return the path of the file that holds the manifest of an NDJSON file."""
    # Readers of folders ignore names that start with an underscore.
    return path.with_name(f"_{path.name}.json")
