"""A module without its extra names the extra."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    ("extra", "module", "name"),
    [
        ("arrow", "pyarrow", "pyarrow"),
        ("dask", "dask", "Dask"),
        ("dask", "dask.dataframe", "Dask"),
        ("dlt", "dlt", "dlt"),
        ("spark", "pyspark", "pyspark"),
    ],
)
def test_the_error_about_a_missing_extra_names_it(
    monkeypatch: pytest.MonkeyPatch, extra: str, module: str, name: str
) -> None:
    loaded = [name for name in sys.modules if name.startswith(f"{module}.")]
    for missing in (module, *loaded):
        monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, f"depotclient.{extra}", raising=False)
    with pytest.raises(ImportError) as caught:
        importlib.import_module(f"depotclient.{extra}")
    assert str(caught.value) == (
        f"depotclient.{extra} needs {name}: pip install 'thor-depot-clients[{extra}]'"
    )
