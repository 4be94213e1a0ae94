"""Export of session reports into a folder: one file for each connector and calendar window."""

# Databases and engines do not belong here.

from depotclient.export.result import ConnectorExport, Export
from depotclient.export.runner import CONCURRENCY, export_session_reports

__all__ = ["CONCURRENCY", "ConnectorExport", "Export", "export_session_reports"]
