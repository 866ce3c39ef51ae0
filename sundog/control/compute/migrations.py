"""Migrations: moves of servers between hosts, as they are written down and told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, or_

from sundog.control.compute.books import Books, migration_of, values_of
from sundog.control.compute.records import Migration
from sundog.control.store import Tx
from sundog.control.store.tables import compute as tables
from sundog.errors import Invalid, NotFound

OPEN: Final = (
    "accepted",
    "queued",
    "preparing",
    "running",
    "migrating",
    "post-migrating",
    "finished",
    "confirming",
    "reverting",
)
"""Statuses of a migration that is not over: of which two copies may exist, or a claim on the source."""


@dataclass(frozen=True, slots=True)
class MigrationQuery:
    """Which migrations, and which page of them; None is any.

    ``host`` is the uuid of the source or the target. ``marker`` is the uuid of the last migration of the page before.
    """

    server_id: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    status: str | None = None
    type: str | None = None
    host: str | None = None
    source: str | None = None
    changes_since: datetime | None = None
    changes_before: datetime | None = None
    limit: int | None = None
    marker: str | None = None


class Migrations:
    """Reading what was moved."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(
        self, *where: ColumnElement[bool], limit: int | None = None, newest_first: bool = True
    ) -> list[Migration]:
        """The migrations that meet ``where``, conditions on the columns of the table."""
        c = tables.migrations.c
        order = c.number.desc() if newest_first else c.number
        with self._books.reading() as tx:
            return [migration_of(row) for row in tx.find(tables.migrations, *where, order_by=order, limit=limit)]

    def find(self, query: MigrationQuery) -> list[Migration]:
        """The migrations that are asked for, the newest first.

        Raises: Invalid for a marker that is none of all.
        """
        c = tables.migrations.c
        where = [
            c[name] == value
            for name in ("server_id", "project_id", "user_id", "status", "type", "source")
            if (value := getattr(query, name)) is not None
        ]
        if query.host is not None:
            where.append(or_(c.source == query.host, c.target == query.host))
        if query.changes_since is not None:
            where.append(c.updated_at >= query.changes_since)
        if query.changes_before is not None:
            where.append(c.updated_at <= query.changes_before)
        if query.marker is not None:
            with self._books.reading() as tx:
                row = tx.get(tables.migrations, uuid=query.marker)
            if row is None:
                raise Invalid(f"Marker {query.marker} could not be found.", marker=query.marker)
            where.append(c.number < row["number"])
        return self.list_all(*where, limit=query.limit)

    def show(self, server_id: str, number: int) -> Migration:
        """A migration of a server.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            row = tx.get(tables.migrations, number=number)
        if row is None or row["server_id"] != server_id:
            raise NotFound(
                f"Migration {number} for instance {server_id} not found", migration=number
            )  # fmt: skip
        return migration_of(row)


def add(tx: Tx, migration: Migration) -> None:
    """Write a migration down; its number is the store's."""
    columns = {name: value for name, value in values_of(migration).items() if name != "number"}
    tx.insert(tables.migrations, **columns)


def by_uuid(tx: Any, uuid: str) -> Migration:
    """The migration of this uuid."""
    row = tx.get(tables.migrations, uuid=uuid)
    assert row is not None, f"there is no migration {uuid}"
    return migration_of(row)


def set_status(tx: Tx, books: Books, migration: Migration, status: str, **values: Any) -> None:
    """How far a migration is."""
    c = tables.migrations.c
    tx.update(tables.migrations, c.uuid == migration.uuid, status=status, updated_at=books.now(), **values)


def open_ones(tx: Any, *where: ColumnElement[bool]) -> Sequence[Migration]:
    """The migrations that are not over."""
    c = tables.migrations.c
    return [migration_of(row) for row in tx.find(tables.migrations, c.status.in_(OPEN), *where)]
