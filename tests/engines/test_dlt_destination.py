"""The dlt resource refuses a destination that can't store its rows, before a package is written."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("dlt", reason="dlt is not installed")

import dlt
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.destinations import _adbc_jobs
from dlt.pipeline.exceptions import PipelineStepFailed

from depotclient.dlt import Rows, session_reports
from depotclient.dlt.destination import require_storable
from tests.support.fleet import BEGIN

pytestmark = pytest.mark.usefixtures("dlt_settings")


def capabilities_of(name: str) -> DestinationCapabilitiesContext:
    destination: Any = getattr(dlt.destinations, name)
    capabilities: DestinationCapabilitiesContext = destination().capabilities()
    return capabilities


def with_adbc() -> DestinationCapabilitiesContext:
    """Return the capabilities of PostgreSQL where dlt finds an ADBC driver."""

    def select(
        preferred: Any, supported: Sequence[Any], /, *, table_schema: Any
    ) -> tuple[Any, Sequence[Any]]:
        return preferred, supported

    select.__module__ = _adbc_jobs.__name__
    selector: Any = functools.partial(select)
    capabilities = capabilities_of("postgres")
    capabilities.loader_file_format_selector = selector
    return capabilities


def with_sqlalchemy() -> DestinationCapabilitiesContext:
    capabilities = capabilities_of("duckdb")
    capabilities.dialect_capabilities = object()
    return capabilities


@pytest.mark.parametrize(
    ("rows", "capabilities", "hints"),
    [
        ("arrow", capabilities_of("duckdb"), {}),
        ("arrow", capabilities_of("filesystem"), {}),
        ("arrow", capabilities_of("filesystem"), {"table_format": "delta"}),
        ("arrow", capabilities_of("postgres"), {"file_format": "insert_values"}),
        ("arrow", capabilities_of("postgres"), {"file_format": "preferred"}),
        ("objects", capabilities_of("postgres"), {}),
        ("objects", with_sqlalchemy(), {}),
        ("objects", capabilities_of("filesystem"), {}),
    ],
)
def test_rows_that_the_destination_can_store_are_accepted(
    rows: Rows, capabilities: DestinationCapabilitiesContext, hints: Any
) -> None:
    require_storable(rows, capabilities, hints)


@pytest.mark.parametrize(
    ("rows", "capabilities", "hints", "message"),
    [
        (
            "arrow",
            capabilities_of("postgres"),
            {},
            "it loads CSV.*rows='objects'.*depotclient load",
        ),
        ("arrow", with_adbc(), {"file_format": "parquet"}, "it loads Parquet with ADBC"),
        ("arrow", with_sqlalchemy(), {}, "it inserts rows with SQLAlchemy"),
        ("objects", capabilities_of("filesystem"), {"table_format": "delta"}, "use rows='arrow'"),
    ],
)
def test_rows_that_the_destination_can_not_store_are_refused_with_the_alternative(
    rows: Rows, capabilities: DestinationCapabilitiesContext, hints: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        require_storable(rows, capabilities, hints)


def test_a_refused_run_sends_no_request_and_leaves_no_package(offline: None) -> None:
    destination = dlt.destinations.postgres("postgresql://nobody:unused@127.0.0.1/nothing")
    pipeline = dlt.pipeline("fleet", destination=destination, dataset_name="depot")
    with pytest.raises(PipelineStepFailed, match=r"rows='objects', or .*`depotclient load`"):
        pipeline.extract(session_reports([("CP-001", 1)], BEGIN))
    assert not pipeline.has_pending_data
