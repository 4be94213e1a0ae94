"""What needs an extra that is not installed says which."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("extra", "module", "name"),
    [
        ("dask", "dask", "Dask"),
        ("dask", "dask.dataframe", "Dask"),
        ("dlt", "dlt", "dlt"),
        ("spark", "pyspark", "pyspark"),
        ("spark", "pyspark.sql.datasource", "pyspark"),
    ],
)
def test_an_extra_that_is_missing_is_named(extra: str, module: str, name: str) -> None:
    code = f"import sys; sys.modules['{module}'] = None; import depotclient.{extra}"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: depotclient.{extra} needs {name}: pip install 'thor-depot-clients[{extra}]'"
    )
