"""Migrations: moves of servers between hosts, as they are written down and told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement

from sundog.control.compute.books import Books, migration_of, values_of
from sundog.control.compute.records import Migration
from sundog.control.store import Tx
from sundog.control.store.tables import compute as tables
from sundog.errors import NotFound

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
