"""The address of a database is checked before anything is requested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from depotclient.database import parse_target

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("address", "kind", "path"),
    [
        ("depot.duckdb", "duckdb", "depot.duckdb"),
        (Path("a folder/depot:2026"), "duckdb", "a folder/depot:2026"),
        ("duckdb:///depot.duckdb", "duckdb", "depot.duckdb"),
        ("sqlite:///depot.sqlite", "sqlite", "depot.sqlite"),
        ("SQLITE:////data/depot.sqlite", "sqlite", "/data/depot.sqlite"),
        ("sqlite:///file:depot?mode=ro", "sqlite", "file:depot?mode=ro"),
    ],
)
def test_a_file_has_an_absolute_path(address: Any, kind: str, path: str) -> None:
    target = parse_target(address)

    assert target.kind == kind
    assert target.file == Path(path).absolute()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "PostgreSQL"])
def test_a_server_is_named_without_its_password(scheme: str) -> None:
    target = parse_target(f"{scheme}://loader:{SECRET}@db.example:5433/depot?password={SECRET}")

    assert target.kind == "postgresql"
    assert target.address.reveal().startswith("postgresql://")
    assert target.name == "postgresql://loader@db.example:5433/depot"
    assert SECRET not in repr(target)


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://loader:{SECRET}@db.example/depot",
        f"postgresql://db.example/depot?user=loader&password={SECRET}",
        f"postgresql://db.example/depot?sslpassword={SECRET}",
    ],
)
def test_a_password_on_a_command_line_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(
        ValueError, match=r"DEPOT_DATABASE_URL.*PGPASSWORD.*password file"
    ) as refused:
        parse_target(address, allow_password=False)

    assert SECRET not in str(refused.value)


def test_an_address_without_a_password_is_accepted_on_a_command_line() -> None:
    address = "postgresql://loader@db.example/depot?sslmode=require"

    assert parse_target(address, allow_password=False).address.reveal() == address


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://bucket/lake", "scheme s3://.*depotclient.dlt"),
        (f"mysql://loader:{SECRET}@host/depot", "scheme mysql://"),
        (f"postgresql://loader:{SECRET}@[host/depot", "not a valid address"),
        ("sqlite://depot.sqlite", "three slashes.*sqlite:///depot.sqlite"),
        (f"postgresql://loader:12/{SECRET}@host/depot", "write %2F and %40"),
        (f"postgresql://loader:{SECRET}@{SECRET}@host/depot", "write %2F and %40"),
        (f"postgresql://loader%3A{SECRET}@host/depot", "USER:PASSWORD@HOST"),
        (f"postgresql://loader@host/depot&password={SECRET}", "USER:PASSWORD@HOST"),
        (f"host=db.example password={SECRET}", "not a list of keys"),
        ("depot.sqlite", "for SQLite, write sqlite:///depot.sqlite"),
        ("sqlite:///", "path of a file"),
        (":memory:", "path of a file"),
        ("", "address of a database, such as depot.duckdb"),
        ("a\0b", "address of a database"),
        (f"postgresql://loader:{SECRET}\udcff@host/depot", "text in UTF-8"),
        (None, "address of a database"),
        (b"depot.duckdb", "address of a database"),
    ],
)
def test_any_other_address_is_refused(address: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        parse_target(address)

    assert SECRET not in str(refused.value)
