"""Statements that are ready to run: their text, and what becomes of values, worked out once and not at every use.

SQLAlchemy works much of this out anew each time, which takes ten times as long as SQLite needs for a row. So the store
takes from SQLAlchemy what a statement is on its database, and hands it to the driver itself. That is for statements
that are made once and used often: those of ``statements``, and constants of modules that have ``bindparam``s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Dialect, Select, UpdateBase
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from sundog.errors import InvariantError

T = TypeVar("T")

Statement: TypeAlias = Select[*tuple[Any, ...]] | UpdateBase
"""Something whose values are parameters; how many there are in a list of them must not depend on the values."""

Convert: TypeAlias = Callable[[Any], Any]


class Prepared:
    """A statement in the words of ``dialect``. ``names`` are the columns that an insert sets.

    Every method raises the driver's errors as SQLAlchemy's, and lets ``connection`` know if it was lost.
    """

    def __init__(self, statement: Statement, dialect: Dialect, names: Sequence[str] | None = None) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=names)
        assert isinstance(compiled, SQLCompiler)
        if compiled.post_compile_params:
            raise InvariantError(f"the text of {compiled} depends on its values; run it with execute()")
        self._text, self._dialect = str(compiled), dialect
        self._positions = compiled.positiontup if compiled.positional else None
        self._takes: dict[str, Convert] = {}
        self._has: dict[str, Any] = {}
        for name, bind in compiled.binds.items():
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect) or _same
            if bind.required:
                self._takes[name] = convert
            else:
                self._has[name] = convert(bind.effective_value)
        self._columns = _columns(statement)
        self._converts: list[tuple[int, Convert]] | None = None

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The rows that the statement gives."""
        ready = self._ready(values)

        def read(cursor: Any) -> tuple[Any, Any]:
            cursor.execute(self._text, ready)
            return cursor.description, cursor.fetchall()

        return self._records(*self._with_cursor(connection, read))

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """How many rows the statement met."""
        ready = self._ready(values)

        def met(cursor: Any) -> int:
            cursor.execute(self._text, ready)
            return int(cursor.rowcount)

        return self._with_cursor(connection, met)

    def run_many(self, connection: Connection, several: Sequence[Mapping[str, Any]]) -> None:
        """The statement once with each of ``several`` values."""
        ready = [self._ready(values) for values in several]
        self._with_cursor(connection, lambda cursor: cursor.executemany(self._text, ready))

    def _ready(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver takes them."""
        ready = {name: convert(values[name]) for name, convert in self._takes.items()}
        if self._has:
            ready |= self._has
        return ready if self._positions is None else [ready[name] for name in self._positions]

    def _with_cursor(self, connection: Connection, use: Callable[[Any], T]) -> T:
        raw = connection.connection
        cursor = raw.cursor()
        try:
            return use(cursor)
        except self._dialect.loaded_dbapi.Error as error:
            lost = self._dialect.is_disconnect(error, raw.driver_connection, cursor)
            if lost:
                connection.invalidate(error)
            raise DBAPIError.instance(
                self._text, None, error, self._dialect.loaded_dbapi.Error, hide_parameters=True,
                connection_invalidated=lost, dialect=self._dialect,
            ) from error  # fmt: skip
        finally:
            cursor.close()

    def _records(self, description: Sequence[Sequence[Any]], rows: Sequence[Sequence[Any]]) -> list[Mapping[str, Any]]:
        if self._converts is None:
            told = [(at, self._reading(kind, description[at][1])) for at, (_, kind) in enumerate(self._columns)]
            self._converts = [(at, convert) for at, convert in told if convert is not None]
        names = [name for name, _ in self._columns]
        found: list[Mapping[str, Any]] = []
        for row in rows:
            values = list(row)
            for at, convert in self._converts:
                values[at] = convert(values[at])
            found.append(dict(zip(names, values, strict=True)))
        return found

    def _reading(self, kind: TypeEngine[Any], told: Any) -> Convert | None:
        return kind.dialect_impl(self._dialect).result_processor(self._dialect, told)


def _same(value: Any) -> Any:
    return value


def _columns(statement: Statement) -> list[tuple[str, TypeEngine[Any]]]:
    """What a statement gives: names and types."""
    told = statement.column_descriptions if isinstance(statement, Select) else statement.returning_column_descriptions
    return [(each["name"], each["type"]) for each in told]
