"""The questions of the documentation have the same answers in every target of a copy."""

from __future__ import annotations

import asyncio
import re
import runpy
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

pytest.importorskip("adbc_driver_manager")
pytest.importorskip("polars")

import adbc_driver_duckdb.dbapi
import adbc_driver_postgresql.dbapi
import polars as pl

from depotclient import DeviceStatus, ErrorCode, MeterValue
from depotclient.database import load_session_reports
from depotclient.export import export_session_reports
from depotclient.partitions import Connector
from depotclient.sandbox import DepotSandbox, ReportShape, make_report
from tests.support.clients import client_of
from tests.support.examples import EXAMPLES, ROOT
from tests.support.postgres import PostgresServer

Rows: TypeAlias = list[tuple[Any, ...]]

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
QUESTIONS = sorted(path.stem for path in (EXAMPLES / "questions").glob("*.sql"))
PAGE = (ROOT / "docs/how-to/questions.md").read_text(encoding="utf-8")
MIDNIGHT_IN_BERLIN = datetime(2026, 1, 31, 23, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """Allow blocking calls: Arrow imports pandas when it is first used."""
