"""Progress and result of an export."""

from __future__ import annotations

import attrs

from depotclient.copying.result import ConnectorCopy, Copy

__all__ = ["ConnectorExport", "Export"]


@attrs.frozen
class ConnectorExport(ConnectorCopy):
    """Progress or result of exporting one connector.

    Attributes:
        charger_id: Charger id.
        connector_id: Connector id.
        windows: Number of windows.
        written: Number of windows that this run has written.
        skipped: Number of windows that already had a final file.
        missing: Number of windows that could not be written. An invalid report affects only its own
            window; other errors also stop the windows after it.
        reports: Number of reports in the written windows, and in the one being read.
        skipped_reports: Number of reports in the skipped windows, according to their manifests.
        rejected: Ids of the reports in quarantine. Those that this run has added count as an error.
        bytes_read: Total size of the pages that were read, in bytes.
        error: Reason for the first missing window, or for the first report that this run has put
            into quarantine.

    Example:
        >>> done = ConnectorExport("CP-001", "1", windows=12, written=2, skipped=10, reports=120)
        >>> done.left, done.is_over
        (0, True)
    """

    windows: int
    written: int = 0
    skipped: int = 0
    missing: int = 0
    skipped_reports: int = 0
    rejected: tuple[int | None, ...] = ()

    @property
    def left(self) -> int:
        """Return the number of windows that are not yet processed."""
        return self.windows - self.written - self.skipped - self.missing

    @property
    def is_complete(self) -> bool:
        """Return True if no window is missing. A report may be in quarantine."""
        return self.missing == 0

    @property
    def is_over(self) -> bool:
        """Return True if no window is left."""
        return self.left == 0


@attrs.frozen
class Export(Copy[ConnectorExport]):
    """Result of an export.

    Attributes:
        connectors: Results of the connectors, in the order in which they were given.

    Example:
        >>> Export((ConnectorExport("CP-001", "1", windows=1, written=1),)).failed
        ()
    """
