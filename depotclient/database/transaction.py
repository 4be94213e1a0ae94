"""Statements and bulk inserts of one transaction (extra `database`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final, TypeAlias

import adbc_driver_manager.dbapi
import attrs
import pyarrow as pa
import pyarrow.compute as pc

from depotclient.arrow.schema import TIME
from depotclient.database.dialect import Dialect, quote
from depotclient.database.schema import TABLES, VIEW

__all__ = ["Transaction", "Value"]

KEYS_PER_STATEMENT: Final = 10_000
"""Maximum number of keys in one statement. SQLite reads statements of at most 1 MB."""

Value: TypeAlias = str | int | datetime
"""Parameter of a statement."""


@attrs.frozen(eq=False)
class Transaction:
    """Statements of one transaction.

    In a statement, `{name}` stands for the quoted name of a table, and `$1` for a parameter.
    `{of_connector}` selects the rows of a connector: its ids are the first two parameters.
    `{is_selected}` selects the rows of sessions by their keys, which are part of the text.
    A temporary table takes DuckDB two more statements, of 2 ms each.

    Attributes:
        dialect: Dialect of the database.
        schema: Schema of the tables, or None if the database has no schemas.
        catalog: Name of the database, if a schema needs it.
    """

    _connection: adbc_driver_manager.dbapi.Connection
    dialect: Dialect
    schema: str | None
    catalog: str | None = None

    @property
    def path(self) -> str:
        """Return the quoted name of the schema."""
        return ".".join(quote(name) for name in (self.catalog, self.schema) if name is not None)

    @property
    def paths(self) -> dict[str, str]:
        """Return the quoted names of the tables and the view."""
        prefix = self.path and f"{self.path}."
        names = (*(table.name for table in TABLES), VIEW)
        return {name: prefix + quote(name) for name in names}

    def _texts(self, statement: str, keys: Collection[int]) -> Iterator[str]:
        """Yield the text of a statement, once for each group of keys."""
        names = {
            **self.paths,
            "schema": self.path,
            "of_connector": "charger_id = $1 AND connector_id = $2",
        }
        numbers = list(map(str, keys)) or ["NULL"]  # An empty list is invalid.
        for first in range(0, len(numbers), KEYS_PER_STATEMENT):
            group = ", ".join(numbers[first : first + KEYS_PER_STATEMENT])
            yield statement.format_map(names | {"is_selected": f"session_key IN ({group})"})

    def execute(self, statement: str, *values: Value, keys: Collection[int] = ()) -> None:
        """Run a statement."""
        with self._connection.cursor() as cursor:
            for text in self._texts(statement, keys):
                cursor.execute(text, _bind(values))

    def query(self, statement: str, *values: Value, keys: Collection[int] = ()) -> pa.Table:
        """Run a query. Return its rows."""
        with self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**self.dialect.query_options)
            tables = list[pa.Table]()
            for text in self._texts(statement, keys):
                cursor.execute(text, _bind(values))
                tables.append(cursor.fetch_arrow_table())
            return pa.concat_tables(tables)

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table."""
        if rows.num_rows == 0:
            return
        if not self.dialect.has_nul:
            rows = _replace_nul(rows)
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(
                table, rows, mode="append", db_schema_name=self.schema, catalog_name=self.catalog
            )


def _replace_nul(rows: pa.Table) -> pa.Table:
    """Return rows with U+FFFD instead of each character NUL."""
    for index, field in enumerate(rows.schema):
        if field.type == pa.string():
            texts = rows.column(index)
            if pc.any(pc.match_substring(texts, "\0")).as_py():
                texts = pc.replace_substring(texts, "\0", "\ufffd")
                rows = rows.set_column(index, field, texts)
    return rows


def _bind(values: tuple[Value, ...]) -> pa.RecordBatch | None:
    """Return typed parameters. PostgreSQL's driver can't bind a null without a type."""
    if not values:
        return None
    fields: list[pa.Field[Any]] = [
        pa.field(str(number), _type_of(value)) for number, value in enumerate(values)
    ]
    row = {field.name: value for field, value in zip(fields, values, strict=True)}
    return pa.RecordBatch.from_pylist([row], pa.schema(fields))


def _type_of(value: Value) -> pa.DataType:
    if isinstance(value, datetime):
        return TIME
    return pa.string() if isinstance(value, str) else pa.int64()
