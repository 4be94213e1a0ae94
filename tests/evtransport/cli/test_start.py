"""Start of a command line: missing extra, and Ctrl-C during the imports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from evtransport.cli.start import start


def test_a_missing_extra_is_named_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(SystemExit, match=r"pip install 'thor-depot-clients\[cli\]'"):
        start("depotclient", "depotclient.cli.app:app")


def test_ctrl_c_during_the_imports_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "interrupted_import.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        start("depotclient", "interrupted_import:app")
    assert stopped.value.code == 130
