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


def test_ctrl_c_during_the_imports_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "interrupted_import.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        start("depotclient", "interrupted_import:app")
    assert stopped.value.code == 130
