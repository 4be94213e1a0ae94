"""A connection locks its database, fails with one clear error, and connects again."""

from __future__ import annotations

from pathlib import Path

import pytest

from depotclient.database.connection import Connection
from depotclient.database.errors import DatabaseError, DatabaseInUse
from depotclient.database.target import parse_target
from depotclient.database.transaction import Transaction
from tests.support.error_dump import dump_error
from tests.support.postgres import PostgresServer
from tests.support.tables import Tables

SECRET = "hunter2-hunter2"


def connection(target: str, schema: str | None = None) -> Connection:
    return Connection(parse_target(target), schema)


def ping(transaction: Transaction) -> object:
    return transaction.query("SELECT $1 AS number", 1)["number"].to_pylist()


def test_a_second_connection_is_refused_until_the_first_is_closed(tables: Tables) -> None:
    first, second = connection(tables.target), connection(tables.target)
    assert first.transact(ping) == [1]
    for _ in range(2):
        with pytest.raises(DatabaseInUse, match="another load is running"):
            second.transact(ping)
    first.close()

    assert second.transact(ping) == [1]
    second.close()


def test_a_connection_that_is_renewed_keeps_its_rows_and_its_lock(tmp_path: Path) -> None:
    target = str(tmp_path / "depot.duckdb")
    database = connection(target)
    number = database.dialect.max_transactions or 0
    database.transact(lambda transaction: transaction.execute("CREATE TABLE kept (number int)"))
    for _ in range(number):
        database.transact(lambda transaction: transaction.execute("INSERT INTO kept VALUES (1)"))

    with pytest.raises(DatabaseInUse):
        connection(target).transact(ping)
    rows = database.transact(lambda transaction: transaction.query("SELECT * FROM kept").num_rows)
    assert rows == number == 50
    database.close()


def test_links_to_one_file_have_one_lock(tmp_path: Path) -> None:
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "depot.sqlite")
    first, second = (
        connection(f"sqlite:///{tmp_path / name}") for name in ("depot.sqlite", "link.sqlite")
    )
    assert first.transact(ping) == [1]
    with pytest.raises(DatabaseInUse):
        second.transact(ping)
    first.close()
    second.close()


def test_a_file_that_can_not_be_locked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "depot.duckdb.lock").mkdir()
    database = connection(str(tmp_path / "depot.duckdb"))

    with pytest.raises(DatabaseError, match=r"depot\.duckdb: it can't be locked: .*Is a directory"):
        database.transact(ping)
    database.close()


def test_two_schemas_of_a_server_are_locked_separately(postgres_address: str) -> None:
    first, second = connection(postgres_address, "one"), connection(postgres_address, "two")
    assert first.transact(ping) == second.transact(ping) == [1]
    first.close()
    second.close()


def test_a_broken_connection_is_one_error_and_the_next_transaction_connects_again(
    postgres_server: PostgresServer, postgres_address: str
) -> None:
    database = connection(postgres_address)
    database.transact(ping)
    postgres_server.run_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()",
        postgres_address,
    )
    with pytest.raises(DatabaseError, match=r"postgresql://postgres@127.0.0.1:\d+/test_\d+: "):
        database.transact(ping)

    assert database.transact(ping) == [1]
    with pytest.raises(DatabaseInUse):  # The new connection has the lock.
        connection(postgres_address).transact(ping)
    database.close()


def test_a_failed_transaction_has_no_effect(tables: Tables) -> None:
    database = connection(tables.target)

    def fail(transaction: Transaction) -> None:
        transaction.execute("CREATE TABLE a (b BIGINT)")
        raise KeyError

    with pytest.raises(KeyError):
        database.transact(fail)
    with pytest.raises(DatabaseError):
        database.transact(lambda t: t.execute("SELECT b FROM a"))
    database.close()


def test_a_transaction_that_can_not_be_rolled_back_closes_the_connection(
    postgres_server: PostgresServer, postgres_address: str
) -> None:
    database = connection(postgres_address)

    def fail(transaction: Transaction) -> None:
        ping(transaction)
        postgres_server.run_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            postgres_address,
        )
        raise KeyError

    with pytest.raises(KeyError):
        database.transact(fail)

    assert database.transact(ping) == [1]
    database.close()


def test_a_password_is_in_no_part_of_an_error() -> None:
    address = f"postgresql://loader:{SECRET}@127.0.0.1:1/depot?sslpassword={SECRET}&{SECRET}=1"
    with pytest.raises(DatabaseError, match=r"loader@127\.0\.0\.1:1/depot") as failed:
        connection(address).transact(ping)

    assert SECRET not in dump_error(failed.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    text, sqlite = tmp_path / "text.duckdb", tmp_path / "sqlite.db"
    text.write_text("no database " * 1000)
    database = connection(f"sqlite:///{sqlite}")
    database.transact(lambda t: t.execute("CREATE TABLE a (b BIGINT)"))
    database.close()

    for target, message in {
        str(text): "text.duckdb: .*not a valid DuckDB database",
        f"sqlite:///{text}": "text.duckdb: .*not a database",
        str(sqlite): "is an SQLite file: write sqlite:///",
        str(tmp_path): "it is not a file",
        str(tmp_path / "missing" / "a.duckdb"): "the folder .*missing does not exist",
    }.items():
        refused = connection(target)
        with pytest.raises(DatabaseError, match=message):
            refused.transact(ping)
        refused.close()
