"""Address of a database: which kind it is, and where it is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from evtransport.secrets import Secret

__all__ = ["Kind", "Target", "parse_target"]

Kind: TypeAlias = Literal["duckdb", "sqlite", "postgresql"]
"""Kind of a database."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
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

    Example:
        >>> parse_target("postgresql://loader:s3cret@db.example/depot").name
        'postgresql://loader@db.example/depot'
    """

    kind: Kind
    name: str
    address: Secret

    @property
    def file(self) -> Path | None:
        """Return the absolute path of an embedded database, which depends on the working folder.

        The drivers give relative names such as `file:a` or `md:a` another meaning.
        """
        return None if self.kind == "postgresql" else Path(self.address.reveal()).absolute()


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
    text = _text_of(target)
    scheme = _SCHEME.fullmatch(text)
    if scheme is None:
        return _file("duckdb", text)
    kind = _KINDS.get(scheme[1].lower())
    if kind is None:
        raise ValueError(
            f"target has the scheme {scheme[1]}://, and must be like {_EXAMPLES};"
            " depotclient.dlt writes to other databases and to object stores"
        )
    if kind == "postgresql":
        return _server(text, allow_password)
    # sqlite:///path has an empty host.
    if not scheme[2].startswith("/"):
        raise ValueError(
            f"target must have three slashes before its path, such as {kind}:///depot.{kind}"
        )
    return _file(kind, scheme[2][1:])


def _text_of(target: str | os.PathLike[str]) -> str:
    text = os.fspath(target) if isinstance(target, str | os.PathLike) else None
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise ValueError(f"target must be the address of a database, such as {_EXAMPLES}")
    return text


def _file(kind: Kind, path: str) -> Target:
    if not path.strip() or path == ":memory:":
        raise ValueError(f"target must have the path of a file, such as {_EXAMPLES}")
    return Target(kind, path, Secret(path))


def _server(address: str, allow_password: bool) -> Target:
    try:
        parts = urlsplit(address)
        host, password = parts.netloc.rpartition("@")[2], parts.password
    except ValueError:
        raise ValueError("target is not a valid address: postgresql://USER@HOST/DATABASE") from None
    secrets = [value for name, value in parse_qsl(parts.query) if "password" in name.lower()]
    if not allow_password and (password or secrets):
        raise ValueError(
            "target has a password, which other users of this machine can read: put the whole"
            " address into DEPOT_DATABASE_URL, the password into PGPASSWORD, or into the password"
            " file ~/.pgpass"
        )
    user = "" if parts.username is None else f"{unquote(parts.username)}@"
    return Target("postgresql", f"postgresql://{user}{host}{parts.path}", Secret(address))
