"""Transactions: short, synchronous, one at a time.

::

    store = open_store("/var/lib/sundog")
    store.migrate()
    with store.begin() as tx:
        if tx.get(meta, key="deployment") is None:
            tx.insert(meta, key="deployment", value=str(ids.uuid()))
            tx.on_commit(announce)

Nothing is awaited inside the ``with``: that makes it atomic for the tasks of this process, and the lock that it holds
makes it atomic for others. Statements take tens of microseconds, so the loop does not notice; there are no threads,
which virtual time does not have. After an error of the database the transaction is over: let the error leave the
block, and catch it outside.

A server may go away in the middle of a commit, and nobody knows then whether it happened. PostgreSQL remembers: the
store asks it at once, and if that cannot be, before anything else is read or written. What waits for the commit is
called then, so that what is kept in memory never differs from what the next transaction finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Engine,
    Executable,
    MetaData,
    Table,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sundog.control.store import migrations, statements, tables
from sundog.control.store.engines import BEGIN, make_engine
from sundog.control.store.faults import translated, translation
from sundog.control.store.prepared import Prepared, Statement
from sundog.control.store.statements import Condition
from sundog.errors import InvariantError, StoreUnavailable, SundogError
from sundog.units import Seconds

T = TypeVar("T")

Prepare: TypeAlias = Callable[[Statement, tuple[str, ...] | None], Prepared]

Row: TypeAlias = Mapping[str, Any]
"""A row as it was read: values by the names of columns. It is not to be changed."""

Where: TypeAlias = ColumnElement[bool]
"""A condition in SQLAlchemy's language: ``servers.c.project_id == project_id``."""


class Reader:
    """What ``store.read()`` gives: one snapshot of the whole store, good until its block ends.

    Every method raises StoreUnavailable if the database cannot answer.
    """

    def __init__(self, connection: Connection, store: str, metadata: MetaData, prepare: Prepare) -> None:
        self.connection = connection
        """SQLAlchemy's own, for tools such as Alembic. Its errors are SQLAlchemy's."""
        self._store, self._metadata, self._prepare = store, metadata, prepare
        self._over: str | None = None
        self._failure: SundogError | None = None

    def get(self, table: Table, /, **equals: Any) -> Row | None:
        """The row whose columns have these values, or None. The columns must be unique together."""
        if not equals:
            raise InvariantError(f"get() from {table.name} needs to be told which row")
        asked, values = statements.parameters(equals)
        found = self.rows(statements.selecting(table, asked), **values)
        if len(found) > 1:
            raise InvariantError(f"{table.name} has several rows with the same {', '.join(equals)}; use find()")
        return found[0] if found else None

    def find(
        self,
        table: Table,
        /,
        *where: Condition,
        order_by: ColumnElement[Any] | Sequence[ColumnElement[Any]] | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """The rows for which all of ``where`` holds, by primary key unless ``order_by`` says otherwise."""
        equals = statements.equalities(table, where)
        order = tuple(table.primary_key.columns) if order_by is None else _several(order_by)
        if equals is not None and limit is None and all(isinstance(each, Column) for each in order):
            asked, values = equals
            return self.rows(statements.selecting(table, asked, order), **values)
        query = select(table).where(*statements.conditions(table, where)).order_by(*order).limit(limit)
        return [dict(row) for row in self.execute(query).mappings()]

    def count(self, table: Table, /, *where: Condition) -> int:
        """How many rows there are for which all of ``where`` holds."""
        equals = statements.equalities(table, where)
        if equals is not None:
            asked, values = equals
            return int(self.rows(statements.counting(table, asked), **values)[0]["count"])
        query = select(func.count()).select_from(table).where(*statements.conditions(table, where))
        return int(self.execute(query).scalar_one())

    def rows(self, statement: Statement, /, **values: Any) -> list[Row]:
        """What a statement gives that is made once, as a constant; ``values`` are those of its ``bindparam``s.

        Raises: InvariantError if ``statement`` writes and this only reads.
        """
        self._check_allowed(statement)
        return self._guarded(lambda: self._prepare(statement, None).rows(self.connection, values))

    def execute(self, statement: Executable) -> CursorResult[Any]:
        """What SQLAlchemy answers to any other statement. Read it before the block ends.

        Raises: InvariantError if ``statement`` writes and this only reads.
        """
        self._check_allowed(statement)
        return self._guarded(lambda: self.connection.execute(statement))

    def _check_allowed(self, statement: Executable) -> None:
        if statement.is_dml:
            raise InvariantError("this transaction only reads; to write, begin one with store.begin()")

    def _guarded(self, do: Callable[[], T]) -> T:
        """Do something with the database; the transaction has failed if that does."""
        self._check_usable()
        try:
            return do()
        except (SundogError, SQLAlchemyError, OverflowError, UnicodeEncodeError) as error:
            told = translation(error, self._store, self._metadata)
            if isinstance(told, SundogError):
                self._failure = told
            if told is error:
                raise
            raise told from error

    def _check_usable(self) -> None:
        if self._over:
            raise InvariantError(f"this transaction is over: {self._over}; begin another one")
        if self._failure:
            raise InvariantError(
                f"this transaction has failed and can only end ({self._failure}); catch the error outside its block"
            ) from self._failure


class Tx(Reader):
    """What ``store.begin()`` gives: reads and writes that happen all or not at all, with nobody else's in between.

    Every method may raise, besides StoreUnavailable: Conflict if a row with the same unique values is there already or
    a row refers to one that is not; Invalid if a value cannot be stored. The transaction has then failed.
    """

    def __init__(self, connection: Connection, store: str, metadata: MetaData, prepare: Prepare) -> None:
        super().__init__(connection, store, metadata, prepare)
        self._callbacks: list[Callable[[], object]] = []

    def insert(self, table: Table, /, **values: Any) -> None:
        """Add a row."""
        self._run(statements.inserting(table), values, tuple(values))

    def insert_numbered(self, table: Table, /, **values: Any) -> int:
        """Add a row to a table whose rows the database numbers; its number."""
        statement, names = statements.inserting_numbered(table), tuple(values)
        (row,) = self._guarded(lambda: self._prepare(statement, names).rows(self.connection, values))
        return int(row[table.primary_key.columns[0].name])

    def insert_many(self, table: Table, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Add rows, which all name the same columns. No rows are fine."""
        if several := list(rows):
            names = tuple(several[0])
            self._guarded(lambda: self._prepare(statements.inserting(table), names).run_many(self.connection, several))

    def update(self, table: Table, /, *where: Condition, **values: Any) -> int:
        """Set ``values`` where all of ``where`` holds; how many rows that was.

        A value may be an expression: ``value=counters.c.value + 1``.
        """
        _some(where, "update", table)
        equals, assigned = statements.equalities(table, where), statements.assignments(values)
        if equals is None or assigned is None:
            every = statements.conditions(table, where)
            return self.execute(update(table).where(*every).values(**values)).rowcount
        asked, parameters = equals
        return self._run(statements.updating(table, asked, tuple(assigned)), parameters | assigned)

    def delete(self, table: Table, /, *where: Condition) -> int:
        """Remove the rows for which all of ``where`` holds; how many that was."""
        _some(where, "delete", table)
        equals = statements.equalities(table, where)
        if equals is None:
            return self.execute(delete(table).where(*statements.conditions(table, where))).rowcount
        asked, parameters = equals
        return self._run(statements.deleting(table, asked), parameters)

    def _run(self, statement: Statement, values: Mapping[str, Any], names: tuple[str, ...] | None = None) -> int:
        return self._guarded(lambda: self._prepare(statement, names).run(self.connection, values))

    def _check_allowed(self, statement: Executable) -> None:
        """Any."""

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` after the commit, in the order of asking, and never if there is none.

        For what must not be ahead of the store: caches, waking a task. The transaction is over by then, so a callback
        may begin another. What it raises leaves the ``with`` although everything was committed; the others are called.
        """
        self._check_usable()
        self._callbacks.append(callback)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A commit whose outcome is not known: the name of its transaction, and what waits for it."""

    name: str
    callbacks: Sequence[Callable[[], object]]


class Store:
    """A database of Sundog's. Belongs to one thread at a time and, forked, to the parent alone.

    ``name`` says which in messages and holds no password. ``metadata`` is where the tables are defined. For as long as
    ``changes`` stays the same nobody has written through this store.
    """

    def __init__(self, engine: Engine, *, metadata: MetaData = tables.metadata) -> None:
        self.name = engine.url.render_as_string(hide_password=True)
        self._engine, self._metadata = engine, metadata
        self._begin = BEGIN[engine.dialect.name]
        self._prepare: Prepare = lru_cache(maxsize=2048)(lambda each, names: Prepared(each, engine.dialect, names))
        self.changes = 0
        self._holder: str | None = None
        self._doubt: _Doubt | None = None
        with translated(self.name, metadata):
            self._connection = engine.connect()

    def close(self) -> None:
        """Let go of the database. A store in memory is gone with it."""
        self._connection.close()
        self._engine.dispose()

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """A transaction that writes: committed at the end of the block, undone if an error leaves it.

        Others that write wait until it is over, also those of other processes. It is durable when the block has been
        left: ``kill -9`` does not take it back.

        Raises: StoreUnavailable, with ``committed`` None if the database went away during the commit and does not say
        what became of it; InvariantError inside another transaction of this store.
        """
        self._clear_doubt()
        tx = Tx(self._connection, self.name, self._metadata, self._prepare)
        try:
            with self._transaction(tx, self._begin.write):
                yield tx
        except StoreUnavailable as error:
            if self._doubt is None:
                raise
            self._ask_at_once(error)
        finally:
            self.changes += 1  # or maybe not: that is no harm
        _call(tx._callbacks)

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A transaction that only reads, and sees the store as it is now until its block ends.

        Raises: StoreUnavailable; InvariantError inside another transaction of this store.
        """
        self._clear_doubt()
        tx = Reader(self._connection, self.name, self._metadata, self._prepare)
        with self._transaction(tx, self._begin.read):
            yield tx

    def migrate(self, *, folder: Path = migrations.FOLDER) -> None:
        """Bring the schema up to date with the migrations in ``folder``, all or nothing.

        Several processes may do it at once: one does, the others find nothing left to do.

        Raises: InputError if a newer Sundog has made the database; StoreUnavailable.
        """
        sqlite = self._engine.dialect.name == "sqlite"
        # SQLite changes a table by copying it, which must not count as deleting what others refer to.
        with (
            self._foreign_keys_off() if sqlite else nullcontext(),
            self.begin() as tx,
            translated(self.name, self._metadata),
        ):
            migrations.upgrade(tx.connection, self.name, folder=folder)

    @contextmanager
    def _transaction(self, tx: Reader, statements: Sequence[str]) -> Iterator[None]:
        self._take()
        try:
            with translated(self.name, self._metadata):
                self._start(statements)
            try:
                with translated(self.name, self._metadata):
                    yield
                if tx._failure:
                    raise tx._failure
                if isinstance(tx, Tx):
                    self._commit(tx)
            finally:
                tx._over = "its block was left"
                # After a commit this only tells SQLAlchemy. A database that is gone rolls back by itself.
                with suppress(SQLAlchemyError):
                    self._connection.rollback()
        finally:
            self._holder = None

    def _commit(self, tx: Tx) -> None:
        """Raises: StoreUnavailable; where the outcome is not known there is a doubt afterwards."""
        name = None
        if self._begin.name is not None:
            with translated(self.name, self._metadata):
                name = self._connection.exec_driver_sql(self._begin.name).scalar_one()
        try:
            # Not SQLAlchemy's commit(), which takes a failure for the end. SQLite is still in the transaction.
            with translated(self.name, self._metadata, committing=name is not None):
                self._connection.exec_driver_sql("COMMIT")
        except StoreUnavailable as error:
            if error.committed is None:
                assert name is not None  # there is nothing to doubt about a transaction that wrote nothing
                self._doubt = _Doubt(name, tuple(tx._callbacks))
            raise

    # ---------------------------------------------------------------- when it is not known whether a commit happened

    def _clear_doubt(self) -> None:
        """Find out what became of the last commit, and do what waits for it.

        Raises: StoreUnavailable while that cannot be found out; nothing may be read or written until then.
        """
        doubt = self._doubt
        if doubt is not None and self._happened(doubt):
            _call(doubt.callbacks)

    def _ask_at_once(self, error: StoreUnavailable) -> None:
        """Return if the commit happened after all. Raises: StoreUnavailable if not, or if it still is not known."""
        assert self._doubt is not None
        try:
            happened = self._happened(self._doubt)
        except StoreUnavailable:
            raise error from None
        if not happened:
            raise StoreUnavailable(
                f"the store {self.name} cannot be used: it went away during a commit; nothing was changed",
                **error.facts,
            ) from error

    def _happened(self, doubt: _Doubt) -> bool:
        """Whether a commit happened; there is no doubt afterwards.

        Raises: StoreUnavailable while the server cannot be asked, or is not done with it.
        """
        asking = Reader(self._connection, self.name, self._metadata, self._prepare)
        # As a writer: the lock is free once the server has done with the transaction that held it, either way.
        with self._transaction(asking, self._begin.write):
            said = asking.execute(text(self._begin.outcome).bindparams(name=doubt.name)).scalar_one()
        if said not in ("committed", "aborted"):
            raise StoreUnavailable(
                f"the store {self.name} does not say whether its last commit happened ({said}); nothing was changed",
                store=self.name,
            )
        self._doubt = None
        return bool(said == "committed")

    # ---------------------------------------------------------------- beginning

    def _start(self, statements: Sequence[str]) -> None:
        """Begin. A connection that was lost since the last time is made anew, as nothing has happened on it yet."""
        try:
            self._start_once(statements)
        except DBAPIError as error:
            with suppress(SQLAlchemyError):
                self._connection.rollback()
            if not error.connection_invalidated:
                raise
            self._start_once(statements)

    def _start_once(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self._connection.exec_driver_sql(statement)

    def _take(self) -> None:
        task = _current_task()
        if self._holder == task:
            raise InvariantError(f"{task} is in a transaction of the store {self.name} already; pass that one on")
        if self._holder is not None:
            raise InvariantError(
                f"{task} finds the store {self.name} in the middle of a transaction of {self._holder}, "
                "which must not await anything before its block ends"
            )
        self._holder = task

    @contextmanager
    def _foreign_keys_off(self) -> Iterator[None]:
        """For SQLite, which can switch them only between transactions."""
        raw = self._connection.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            raw.execute("PRAGMA foreign_keys = ON")


def open_store(place: str | Path, *, lock_timeout: Seconds = 5.0, metadata: MetaData = tables.metadata) -> Store:
    """The store at ``place``: ``:memory:``, a folder (for ``sundog.db`` in it), a file, or the URL of a database.

    URLs are ``sqlite:///FILE`` and ``postgresql+psycopg://USER:PASSWORD@HOST/DATABASE``. A file that is not there is
    made, its folder is not. A transaction waits ``lock_timeout`` seconds of real time for others before it gives up.

    Raises: InputError if ``place`` names no database that can hold the state; StoreUnavailable.
    """
    return Store(make_engine(place, lock_timeout=lock_timeout), metadata=metadata)


def _call(callbacks: Sequence[Callable[[], object]]) -> None:
    """Call them in their order, also those behind one that raises."""
    with ExitStack() as stack:
        for callback in reversed(callbacks):
            stack.callback(callback)


def _several(order_by: ColumnElement[Any] | Sequence[ColumnElement[Any]]) -> tuple[ColumnElement[Any], ...]:
    return tuple(order_by) if isinstance(order_by, Sequence) else (order_by,)


def _some(where: tuple[Condition, ...], verb: str, table: Table) -> None:
    if not where:
        raise InvariantError(f"{verb}() would meet every row of {table.name}; say sqlalchemy.true() if that is meant")


def _current_task() -> str:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return f"task {task.get_name()}" if task else "the main program"
