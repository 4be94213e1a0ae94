"""Fixtures of the tests of engines."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """Allow blocking calls: the engines' event loops make them."""


@pytest.fixture
def dlt_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let dlt report nothing, and keep its files in the working directory of the test."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.chdir(tmp_path)
