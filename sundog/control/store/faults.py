"""What the drivers raise, told once in Sundog's own errors.

The values of a statement are never in a message: they may be secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Index, MetaData, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from sundog.errors import Conflict, Invalid, InvariantError, StoreUnavailable, SundogError

# SQLite's primary result codes: https://www.sqlite.org/rescode.html
_SQLITE_UNAVAILABLE: Final[Mapping[str, str]] = {
    "SQLITE_BUSY": "another process kept it locked for too long",
    "SQLITE_LOCKED": "it is locked",
    "SQLITE_FULL": "the disk, or the room given to it, is full",
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_IOERR": "reading or writing failed",
    "SQLITE_CANTOPEN": "its file cannot be opened",
    "SQLITE_CORRUPT": "its file is damaged; restore it from a backup",
    "SQLITE_NOTADB": "the file is not a SQLite database",
    "SQLITE_PERM": "permission was denied",
    "SQLITE_NOMEM": "memory ran out",
    "SQLITE_PROTOCOL": "it is locked",
}
# By the longest prefix: https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATE_UNAVAILABLE: Final[Mapping[str, str]] = {
    "08": "the connection was lost",
    "25006": "it is read-only",
    "25P": "the server ended a transaction that took too long",
    "28": "the server refused the user or the password",
    "3D": "there is no such database",
    "40": "another transaction was in the way",
    "53": "the server is short of something",
    "53100": "the server's disk is full",
    "53300": "the server has too many connections",
    "55P03": "another process kept it locked for too long",
    "57": "the server stopped the statement or is shutting down",
    "58": "the server met an error of its system",
    "XX": "the server met an error of its own",
}
_SQLITE_UNIQUE: Final = re.compile(r"UNIQUE constraint failed: (?:index '(?P<index>.+)'|(?P<columns>.+))")


@contextmanager
def translated(store: str, metadata: MetaData, *, committing: bool = False) -> Iterator[None]:
    """Within it, an error of the driver becomes one of ``sundog.errors``, and names ``store``.

    Raises: Conflict, Invalid, StoreUnavailable; InvariantError for what only a mistake in the code can cause.
    """
    try:
        yield
    except (SQLAlchemyError, OverflowError, UnicodeEncodeError) as error:
        raise translation(error, store, metadata, committing=committing) from error


def translation(error: Exception, store: str, metadata: MetaData, *, committing: bool = False) -> Exception:
    """The error that the caller is to see for ``error``; what is no driver's error is given back as it is."""
    if isinstance(error, OverflowError):
        return Invalid("a whole number does not fit in 64 bits and cannot be stored")
    if isinstance(error, UnicodeEncodeError):
        return Invalid("a text holds half a surrogate pair, which is no character and cannot be stored")
    if not isinstance(error, DBAPIError):
        # A column type refused the value while the statement was being made.
        return error.orig if isinstance(error, StatementError) and isinstance(error.orig, Exception) else error
    return (
        _sqlite(error, store, metadata)
        if hasattr(error.orig, "sqlite_errorname")
        else _postgresql(error, store, committing=committing)
    )


def _sqlite(error: DBAPIError, store: str, metadata: MetaData) -> SundogError:
    code = getattr(error.orig, "sqlite_errorname", "")
    said = str(error.orig)
    if code in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"):
        found = _SQLITE_UNIQUE.fullmatch(said)
        if found and found["index"]:
            return _taken(_table_of(found["index"], metadata), found["index"])
        return _taken(*_constraint_on(found["columns"] if found else "", metadata))
    if code in ("SQLITE_CONSTRAINT_FOREIGNKEY", "SQLITE_CONSTRAINT_TRIGGER"):
        return _dangling(None, None)
    family = "_".join(code.split("_")[:2])
    if family in _SQLITE_UNAVAILABLE:
        return _unavailable(store, _SQLITE_UNAVAILABLE[family], code)
    return _mistake(store, said)


def _table_of(index: str, metadata: MetaData) -> str | None:
    """SQLite names the index alone if it is one of expressions."""
    return next(
        (table.name for table in metadata.sorted_tables if index in {each.name for each in table.indexes}), None
    )


def _constraint_on(named: str, metadata: MetaData) -> tuple[str | None, str | None]:
    """The table and the constraint, where SQLite names columns: ``users.domain_id, users.name``."""
    table_name = named.partition(".")[0]
    table = metadata.tables.get(table_name)
    if table is None:
        return None, None
    columns = {column.strip().partition(".")[2] for column in named.split(",")}
    candidates: list[PrimaryKeyConstraint | UniqueConstraint | Index] = [
        *(each for each in table.constraints if isinstance(each, PrimaryKeyConstraint | UniqueConstraint)),
        *(index for index in table.indexes if index.unique),
    ]
    for candidate in candidates:
        if {column.name for column in candidate.columns} == columns:
            return table_name, str(candidate.name)
    return table_name, None


def _postgresql(error: DBAPIError, store: str, *, committing: bool) -> SundogError:
    state = getattr(error.orig, "sqlstate", None) or ""
    said = str(error.orig).partition("\n")[0]
    told = getattr(error.orig, "diag", None)
    if state == "23505":
        return _taken(getattr(told, "table_name", None), getattr(told, "constraint_name", None))
    if state == "23503":
        return _dangling(getattr(told, "table_name", None), getattr(told, "constraint_name", None))
    if state[:2] in ("22", "54"):  # a value, or a limit of the server's such as the length of what is indexed
        return Invalid(f"a value cannot be stored: {said}")
    if not state and (error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError")):
        why = f"it cannot be reached ({' '.join(str(error.orig).split())})"
        return _unavailable(store, why, "", committed=None if committing else False)
    for prefix in (state, state[:3], state[:2]):
        if prefix in _SQLSTATE_UNAVAILABLE:
            lost = committing and (error.connection_invalidated or prefix in ("08", "57"))
            return _unavailable(store, _SQLSTATE_UNAVAILABLE[prefix], state, committed=None if lost else False)
    return _mistake(store, said)


def _taken(table: str | None, constraint: str | None) -> Conflict:
    return Conflict(
        f"a row of table {table or '(unknown)'} with these values is there already (constraint {constraint or '?'})",
        kind="unique",
        table=table,
        constraint=constraint,
    )


def _dangling(table: str | None, constraint: str | None) -> Conflict:
    return Conflict(
        "a row refers to one that is not there, or is still referred to"
        + (f" (table {table}, constraint {constraint})" if constraint else ""),
        kind="foreign key",
        table=table,
        constraint=constraint,
    )


def _unavailable(store: str, why: str, code: str, *, committed: bool | None = False) -> StoreUnavailable:
    told = "it may or may not have been committed" if committed is None else "nothing was changed"
    return StoreUnavailable(
        f"the store {store} cannot be used: {why}{f' ({code})' if code else ''}; {told}",
        committed=committed,
        store=store,
        code=code or None,
    )


def _mistake(store: str, said: str) -> InvariantError:
    return InvariantError(
        f"the store {store} refused a statement: {said}; the code does not fit the schema, or store.migrate() was not "
        "called"
    )
