"""Fixtures of the tests of the transport."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide credentials for all hosts in a netrc file."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login me password n3trc\ndefault login me password n3trc\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
