"""Check of an installed wheel: every package can be imported, and its metadata is complete.

`python -I tests/project/check_wheel.py` runs in an environment without the extras.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pathlib
import subprocess
import sys

DISTRIBUTION = "thor-depot-clients"
CLIENTS = ("thorclient", "depotclient")


def check() -> None:
    """Raise AssertionError if something is missing."""
    version = importlib.metadata.version(DISTRIBUTION)
    for name in ("evtransport", *CLIENTS):
        package = importlib.import_module(name)
        assert package.__file__ is not None
        folder = pathlib.Path(package.__file__).parent
        assert folder.is_relative_to(sys.prefix), folder
        assert (folder / "py.typed").is_file(), folder
        assert package.__version__ == version, (package.__version__, version)
        for public in package.__all__:
            getattr(package, public)
    for part in ("sandbox", "export", "partitions"):
        importlib.import_module(f"depotclient.{part}")

    points = importlib.metadata.distribution(DISTRIBUTION).entry_points
    found = {(point.group, point.name) for point in points}
    assert found == {(g, name) for g in ("console_scripts", "pytest11") for name in CLIENTS}, found
    for point in points.select(group="console_scripts"):
        assert callable(point.load()), point

    for name in CLIENTS:
        command = [sys.executable, "-m", name, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode == 1, f"{name} must fail without the extra"
        assert f"{DISTRIBUTION}[cli]" in done.stderr, done.stderr
    print("checked", version, "in", sys.prefix)


check()
