"""Check that the destination of a pipeline can store the rows, before dlt writes a package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dlt.common.configuration.container import Container
from dlt.common.data_writers import resolve_best_writer_spec
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.schema.typing import TTableSchema
from dlt.common.typing import TLoaderFileFormat

from depotclient.dlt.rows import Rows

__all__ = ["current_capabilities", "require_storable"]

_ARROW_PROBLEM: Final = (
    "rows='arrow' has nested columns, and dlt can't load them into this destination ({reason}):"
    " use rows='objects', or load a database with `depotclient load`"
)
_DELTA_PROBLEM: Final = (
    "rows='objects' makes child tables, and dlt removes no rows from Delta tables that have some:"
    " use rows='arrow', which keeps nested columns"
)


def current_capabilities() -> DestinationCapabilitiesContext | None:
    """Return the capabilities of the destination of the pipeline that runs, or None without one."""
    container = Container()
    if DestinationCapabilitiesContext not in container:
        return None
    return container[DestinationCapabilitiesContext]


def require_storable(
    rows: Rows, capabilities: DestinationCapabilitiesContext, table: TTableSchema
) -> None:
    """Check that a destination can store the rows of the resource.

    Otherwise dlt fails after the rows are extracted, and keeps a package that blocks later runs.

    Args:
        rows: Kind of the rows.
        capabilities: Capabilities of the destination.
        table: Schema of the table, with the hints of the run.

    Raises:
        ValueError: The destination can't store the rows. The message names other ways.
    """
    if rows == "objects":
        if table.get("table_format") == "delta":
            raise ValueError(_DELTA_PROBLEM)
        return
    if (reason := _reason_against_arrow(capabilities, table)) is not None:
        raise ValueError(_ARROW_PROBLEM.format(reason=reason))


def _reason_against_arrow(
    capabilities: DestinationCapabilitiesContext, table: TTableSchema
) -> str | None:
    # dlt reads the Parquet files and inserts Python objects, which are not JSON.
    if getattr(capabilities, "dialect_capabilities", None) is not None:
        return "it inserts rows with SQLAlchemy"
    match _file_format(capabilities, table):
        case "csv":
            return "it loads CSV"
        case "parquet" if _loads_by_adbc(capabilities):
            return "it loads Parquet with ADBC"
        case _:
            return None


def _file_format(capabilities: DestinationCapabilitiesContext, table: TTableSchema) -> str:
    """Return the format of the files that dlt writes for Arrow rows, as its normalizer chooses."""
    preferred = capabilities.preferred_loader_file_format
    formats: Sequence[TLoaderFileFormat] = list(capabilities.supported_loader_file_formats or ())
    if (select := capabilities.loader_file_format_selector) is not None:
        preferred, formats = select(preferred, formats, table_schema=table)
    wanted = table.get("file_format")
    if wanted == "preferred":
        wanted = preferred
    if wanted is not None and wanted in formats:
        return wanted
    return resolve_best_writer_spec("arrow", formats, preferred).file_format


def _loads_by_adbc(capabilities: DestinationCapabilitiesContext) -> bool:
    """Return True if the destination accepts Parquet only with an ADBC driver."""
    select = capabilities.loader_file_format_selector
    return "adbc" in getattr(getattr(select, "func", select), "__module__", "")
