"""One connection to a database, set up so that all databases behave alike, and how a transaction begins on each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy import URL, Engine, StaticPool, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from sundog.errors import InputError
from sundog.units import Seconds

MEMORY: Final = ":memory:"
FILE_NAME: Final = "sundog.db"
"""What the database is called in a state folder."""

_FORMS: Final = "use :memory:, a folder, a file, sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
_DRIVERS: Final[Mapping[str, str]] = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
_LOCK: Final = int.from_bytes(b"Sundog", "big")


@dataclass(frozen=True, slots=True)
class Begin:
    """The statements that start a transaction.

    Every writing transaction waits until it is the only one, across processes, before its first statement looks at
    anything: what it reads stays true until it commits. SQLite knows nothing else; on PostgreSQL a lock of the
    application does it, since a serializable transaction may fail at its end and would have to be played again. Whoever
    only reads sees one snapshot and waits for nobody.
    """

    write: tuple[str, ...]
    read: tuple[str, ...]
    name: str | None = None
    """Asks for the name of the transaction that writes, None if it has written nothing. Where there is no such
    statement the outcome of a commit is always known."""
    outcome: str = ""
    """Asks what became of the transaction ``:name``, once nobody else writes: ``committed`` or ``aborted``."""


BEGIN: Final[Mapping[str, Begin]] = {
    "sqlite": Begin(("BEGIN IMMEDIATE",), ("BEGIN",)),
    "postgresql": Begin(
        ("BEGIN ISOLATION LEVEL READ COMMITTED", f"SELECT pg_advisory_xact_lock({_LOCK})"),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",),
        "SELECT pg_current_xact_id_if_assigned()::text",
        "SELECT pg_xact_status(CAST(CAST(:name AS text) AS xid8))",
    ),
}


def make_engine(place: str | Path, *, lock_timeout: Seconds) -> Engine:
    """An engine of one connection, which is made at its first use.

    The driver commits nothing by itself; transactions begin with the statements of ``BEGIN``.

    Raises: InputError if ``place`` is nothing that can be opened.
    """
    url = database_url(place)
    backend = url.get_backend_name()
    options: dict[str, Any] = {}
    if backend == "sqlite":
        _prepare_file(url)
        # The store belongs to one thread at a time, which need not be the one that made it.
        options["connect_args"] = {"timeout": lock_timeout, "check_same_thread": False}
    try:
        engine = sqlalchemy.create_engine(
            url, poolclass=StaticPool, isolation_level="AUTOCOMMIT", hide_parameters=True, **options
        )
    except ImportError as error:
        raise InputError(
            f"the driver of {url.drivername} is not installed: {error}; install sundog[{backend}]"
        ) from error
    if backend == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
    else:
        event.listen(engine, "connect", _SetUpPostgresql(lock_timeout))
    return engine


def database_url(place: str | Path) -> URL:
    """Where the database is, as SQLAlchemy wants it. A folder holds ``sundog.db``.

    Raises: InputError for what is neither a path nor the address of a database that Sundog knows.
    """
    if str(place) == MEMORY:
        return URL.create(_DRIVERS["sqlite"], database=MEMORY)
    if isinstance(place, Path) or "://" not in place:
        path = Path(place)
        return URL.create(_DRIVERS["sqlite"], database=str(path / FILE_NAME if path.is_dir() else path))
    try:
        url = sqlalchemy.make_url(place)
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        dialect = url.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        # Not the text itself: it may hold a password.
        raise InputError(f"this is no address of a database: {_FORMS}") from error
    if f"{dialect.name}+{dialect.driver}" not in _DRIVERS.values():
        raise InputError(f"a database of {url.drivername} cannot hold Sundog's state: {_FORMS}")
    return url


def _prepare_file(url: URL) -> None:
    """Make the file, for its owner alone: it holds what passwords are checked against."""
    if not url.database or url.database == MEMORY or url.database.startswith("file:"):
        return
    path = Path(url.database)
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} for the database does not exist; make it first", path=path)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise InputError(f"the database cannot be opened: {error.strerror}", path=path) from error


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """Set up a new connection.

    WAL: readers do not wait for the writer. With it, ``synchronous = NORMAL`` hands every commit to the operating
    system, which keeps it whatever becomes of this process, ``kill -9`` included. A power cut may lose the last commits
    (never a part of one, never the file); FULL would keep these too, for a wait for the disk at every request.
    """
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON", "case_sensitive_like = ON"):
        connection.execute(f"PRAGMA {pragma}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
        connection.execute("PRAGMA journal_mode = WAL")


class _SetUpPostgresql:
    """Set up a new connection: nobody waits for a lock longer than ``lock_timeout``."""

    def __init__(self, lock_timeout: Seconds) -> None:
        self._milliseconds = round(lock_timeout * 1000)

    def __call__(self, connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {self._milliseconds}")
