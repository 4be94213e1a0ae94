"""Start of a command line: missing extra, and Ctrl-C during the imports."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from evtransport.cli.start import start


@pytest.mark.parametrize("missing", ["typer", "rich"])
@pytest.mark.parametrize("name", ["depotclient", "thorclient"])
def test_a_missing_extra_is_named(name: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The modules are imported again, without the extra.
    for module in (f"{name}.__main__", "evtransport.cli.start"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as end:
        import_module(f"{name}.__main__").main()
    assert end.value.code == f"{name} needs the cli extra: pip install 'thor-depot-clients[cli]'"


@pytest.mark.parametrize(
    ("code", "status"),
    [("raise KeyboardInterrupt", 130), ("def app(*_, **__): raise ValueError", 2)],
)
def test_ctrl_c_during_the_imports_ends_the_start_and_otherwise_the_app_runs(
    code: str, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, getattr(sys, stream))
    (tmp_path / f"app_{status}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit) as end:
        start("depotclient", f"app_{status}:app")
    assert end.value.code == status
