"""Address of a database: which kind it is, and where it is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from evtransport.secrets import Secret, redact

__all__ = ["Kind", "Target", "parse_target"]

Kind: TypeAlias = Literal["duckdb", "sqlite", "postgresql"]
"""Kind of a database."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_KINDS: Final[dict[str, Kind]] = {
    "duckdb": "duckdb",
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
}
_EXAMPLES: Final = "depot.duckdb, sqlite:///depot.sqlite or postgresql://host/database"


@attrs.frozen
class Target:
    """Database to load into.

    Attributes:
        kind: Kind of the database.
        name: Address without a password, for messages.
        address: Path of the file, or address of the server. It may have a password.
        passwords: Passwords in the address.

    Example:
        >>> parse_target("postgresql://loader:s3cret@db.example/depot").name
        'postgresql://loader@db.example/depot'
    """

    kind: Kind
    name: str
    address: Secret
    _passwords: tuple[Secret, ...] = ()

    @property
    def file(self) -> Path | None:
        """Return the absolute path of an embedded database, which depends on the working folder.

        The drivers give relative names such as `file:a` or `md:a` another meaning.
        """
        return None if self.kind == "postgresql" else Path(self.address.reveal()).absolute()

    def redact(self, text: str) -> str:
        """Return a text without the address and its passwords."""
        secrets = () if self.kind != "postgresql" else (self.address, *self._passwords)
        return redact(text.encode(), secrets).decode(errors="replace")


def parse_target(target: str | os.PathLike[str] | Target, *, allow_password: bool = True) -> Target:
    """Return the database that an address names.

    Args:
        target: Path of a DuckDB file, such as `depot.duckdb`; `sqlite:///PATH`; or a PostgreSQL
            address `postgresql://USER@HOST/DATABASE`. As in SQLAlchemy, `sqlite:////data/a.sqlite`
            has an absolute path.
        allow_password: False for an address of a command line, which other users of the machine
            can read.

    Raises:
        ValueError: No database has this address, or it has a password and may not. The message does
            not quote the password.

    Example:
        >>> parse_target("sqlite:///depot.sqlite").kind
        'sqlite'
    """
    if isinstance(target, Target):
        return target
    found = _parse(target, allow_password=allow_password)
    del target  # A traceback may show it.
    if isinstance(found, str):
        raise ValueError(found)
    return found


def _parse(target: object, *, allow_password: bool) -> Target | str:
    """Return a database, or why an address is invalid."""
    text = os.fspath(target) if isinstance(target, str | os.PathLike) else None
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        return f"target must be the address of a database, such as {_EXAMPLES}"
    if _SURROGATE.search(text):
        return "target must be text in UTF-8: it has bytes that are not"
    scheme = _SCHEME.fullmatch(text)
    if scheme is None:
        return _file("duckdb", text)
    kind = _KINDS.get(scheme[1].lower())
    if kind is None:
        return (
            f"target has the scheme {scheme[1]}://, and must be like {_EXAMPLES};"
            " depotclient.dlt writes to other databases and to object stores"
        )
    if kind == "postgresql":
        return _server(text, allow_password=allow_password)
    # sqlite:///path has an empty host.
    if not scheme[2].startswith("/"):
        return f"target must have three slashes before its path, such as {kind}:///depot.{kind}"
    return _file(kind, scheme[2][1:])


def _file(kind: Kind, path: str) -> Target | str:
    if not path.strip() or path == ":memory:":
        return f"target must have the path of a file, such as {_EXAMPLES}"
    if "password=" in path:
        return (
            "target must be an address such as postgresql://USER@HOST/DATABASE, not a list of keys"
        )
    if kind == "duckdb" and path.lower().endswith((".sqlite", ".sqlite3")):
        return f"target {path} is the path of a DuckDB file: for SQLite, write sqlite:///{path}"
    return Target(kind, path, Secret(path))


def _server(address: str, *, allow_password: bool) -> Target | str:
    address = f"postgresql://{address.partition('://')[2]}"  # libpq refuses capital letters.
    try:
        parts = urlsplit(address)
        user, password = parts.username or "", parts.password
    except ValueError:
        return "target is not a valid address: postgresql://USER@HOST/DATABASE"
    # An unescaped @ or / ends a password where nobody expects it.
    if parts.netloc.count("@") > 1 or "@" in address.partition("://")[2][len(parts.netloc) :]:
        return "target has a / or @ in its user or password: write %2F and %40 there"
    host = parts.netloc.rpartition("@")[2]
    if "password=" in (host + parts.path).lower() or "%3a" in user.lower():
        return "target must be like postgresql://USER:PASSWORD@HOST/DATABASE?NAME=VALUE"
    values = [value for name, value in parse_qsl(parts.query) if "password" in name.lower()]
    passwords = [value for value in (password, *values) if value]
    if passwords and not allow_password:
        return (
            "target has a password, which other users of this machine can read: put the whole"
            " address into DEPOT_DATABASE_URL, the password into PGPASSWORD, or into the password"
            " file ~/.pgpass"
        )
    name = f"postgresql://{user and f'{user}@'}{host}{parts.path}"
    forms = {form for text in passwords for form in (text, unquote(text))}
    return Target("postgresql", name, Secret(address), tuple(map(Secret, sorted(forms))))
