"""Migrations: moves of servers between hosts, as they are written down and told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, bindparam, or_, select

from sundog.backends.contract import MigrationProgress, ServerKey
from sundog.control.compute.actions import DONE, new_action, set_action, unfinished
from sundog.control.compute.books import Books, get_server, migration_of, values_of
from sundog.control.compute.records import Caller, Migration, Server
from sundog.control.compute.requests import Requests, check_lock, check_state
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import compute as tables
from sundog.errors import BackendFailed, Conflict, Invalid, NotFound, OutcomeUnknown, StoreUnavailable
from sundog.runtime import aio

RESIZE: Final = "resize"
MIGRATION: Final = "migration"
LIVE_MIGRATION: Final = "live-migration"
EVACUATION: Final = "evacuation"

OPEN: Final = (
    "accepted",
    "pre-migrating",
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

_FORCED: Final = "forced"
"""In the ``args`` of a live migration's action: it is to come to its end at any price."""

Tell: TypeAlias = Callable[..., Awaitable[None]]
"""``(host, copy, deadline=...)``: an operation of the driver on a live migration that is under way."""

_COPYING: Final = ("accepted", "queued", "preparing", "running")
"""Statuses of a live migration that can be broken off."""


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


class Migrations(Requests):
    """Reading what was moved, and breaking off what is being moved."""

    def list_all(
        self, *where: ColumnElement[bool], limit: int | None = None, newest_first: bool = True
    ) -> list[Migration]:
        """The migrations that meet ``where``, conditions on the columns of the table."""
        c = tables.migrations.c
        order = c.number.desc() if newest_first else c.number
        with self._parts.books.reading() as tx:
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
            with self._parts.books.reading() as tx:
                row = tx.get(tables.migrations, uuid=query.marker)
            if row is None:
                raise Invalid(f"Marker {query.marker} could not be found.", marker=query.marker)
            where.append(c.number < row["number"])
        return self.list_all(*where, limit=query.limit)

    def show(self, server_id: str, number: int) -> Migration:
        """A migration of a server.

        Raises: NotFound.
        """
        with self._parts.books.reading() as tx:
            return _by_number(tx, server_id, number)

    async def progress(self, migration: Migration) -> MigrationProgress | None:
        """How far a live migration is; None if it is not copying, or its host does not say."""
        if migration.type != LIVE_MIGRATION or migration.status not in _COPYING:
            return None
        key = ServerKey(migration.server_id, migration.source_generation)
        ask, deadline = self._parts.driver.live_migration_progress, self._parts.settings.quick
        try:
            return await ask(migration.source, key, deadline=deadline)
        except (BackendFailed, OutcomeUnknown):
            return None

    def abort(self, caller: Caller, server_id: str, number: int) -> None:
        """Break a live migration off: the server stays where it is, unless it has arrived meanwhile.

        Raises: NotFound; Conflict for a server that is not being migrated; Invalid for a migration that cannot be
        broken off.
        """
        parts = self._parts
        with parts.books.writing() as tx:
            server = _migrating(tx, caller, server_id, "abort_live_migration")
            migration = _by_number(tx, server_id, number)
            if migration.type != LIVE_MIGRATION or migration.status not in _COPYING:
                raise _wrong_state(migration, "abort live migration")
            if not parts.driver.capabilities.abort_live_migration:
                raise Conflict("Aborting a live migration is not supported by the hosts.", server=server_id)
            for action in unfinished(tx, server_id):
                set_action(tx, parts.books, action, args={**action.args, "aborted": True})
            new_action(tx, parts.books, caller, server, "live_migration_cancel", args={}, phase=DONE)
            tx.on_commit(lambda: self._worker.aside(self._tell(migration, parts.driver.live_migration_abort)))

    def force_complete(self, caller: Caller, server_id: str, number: int) -> None:
        """Let a live migration come to its end: the server stands still for the rest of it.

        Raises: NotFound for a server that is not there; Conflict for one that is locked, not active, or not being
        migrated, and where the hosts cannot do it; Invalid for a migration that is not the server's, or not copying.
        """
        parts = self._parts
        with parts.books.writing() as tx:
            server = _migrating(tx, caller, server_id, "force_complete")
            try:
                migration = _by_number(tx, server_id, number)
            except NotFound as error:  # as Nova says it here, and nowhere else
                raise Invalid(error.message, migration=number) from None
            if migration.type != LIVE_MIGRATION or migration.status != "running":
                raise _wrong_state(migration, "force complete")
            if not parts.driver.capabilities.force_live_migration:
                raise Conflict("Forcing a live migration to its end is not supported by the hosts.", server=server_id)
            for action in unfinished(tx, server_id):
                set_action(tx, parts.books, action, args={**action.args, _FORCED: True})
            new_action(tx, parts.books, caller, server, "live_migration_force_complete", args={}, phase=DONE)
            tx.on_commit(lambda: self._worker.aside(self._tell(migration, parts.driver.live_migration_force)))

    def resume(self) -> None:
        """Go on with forcing what was being forced; for the start."""
        with self._parts.books.reading() as tx:
            moves = open_ones(tx, tables.migrations.c.type == LIVE_MIGRATION)
            forced = [move for move in moves if any(each.args.get(_FORCED) for each in unfinished(tx, move.server_id))]
        for move in forced:
            self._worker.aside(self._tell(move, self._parts.driver.live_migration_force))

    async def _tell(self, migration: Migration, operation: Tell) -> None:
        """Tell the host, until it has heard or the migration is over: at first there may be nothing under way there."""
        settings = self._parts.settings
        key = ServerKey(migration.server_id, migration.source_generation)
        while True:
            try:
                if self.show(migration.server_id, migration.number).status not in _COPYING:
                    return
                await operation(migration.source, key, deadline=settings.quick)
            except (BackendFailed, OutcomeUnknown, StoreUnavailable):
                await aio.sleep(1.0)
            else:
                return


def _migrating(reader: Reader, caller: Caller, server_id: str, name: str) -> Server:
    """A server about whose move the caller may do something, by its name in the table of transitions.

    Raises: NotFound; Conflict for a locked server, or one whose state forbids it.
    """
    server = get_server(reader, caller.viewer, server_id)
    check_lock(caller, server)
    check_state(server, name)
    return server


def _by_number(reader: Reader, server_id: str, number: int) -> Migration:
    row = reader.get(tables.migrations, number=number)
    if row is None or row["server_id"] != server_id:
        raise NotFound(f"Migration {number} for instance {server_id} not found", migration=number)
    return migration_of(row)


def _wrong_state(migration: Migration, what: str) -> Invalid:
    return Invalid(
        f"Migration {migration.number} state of instance {migration.server_id} is {migration.status}. "
        f"Cannot {what} while the migration is in this state.", migration=migration.number,
    )  # fmt: skip


# ---------------------------------------------------------------- for those who move


def add(tx: Tx, migration: Migration) -> None:
    """Write a migration down; its number is the store's."""
    columns = {name: value for name, value in values_of(migration).items() if name != "number"}
    tx.insert(tables.migrations, **columns)


def by_uuid(reader: Reader, uuid: str) -> Migration:
    """The migration of this uuid."""
    row = reader.get(tables.migrations, uuid=uuid)
    assert row is not None, f"there is no migration {uuid}"
    return migration_of(row)


def set_status(tx: Tx, books: Books, migration: Migration, status: str, **values: Any) -> None:
    """How far a migration is."""
    c = tables.migrations.c
    tx.update(tables.migrations, c.uuid == migration.uuid, status=status, updated_at=books.now(), **values)


def open_ones(reader: Reader, *where: ColumnElement[bool]) -> Sequence[Migration]:
    """The migrations that are not over."""
    c = tables.migrations.c
    return [migration_of(row) for row in reader.find(tables.migrations, c.status.in_(OPEN), *where)]


def open_ones_of(reader: Reader, host: str) -> Sequence[Migration]:
    """The migrations from or to a host that are not over."""
    return [migration_of(row) for row in reader.rows(_OPEN_OF, host=host)]


_C: Final = tables.migrations.c
_OPEN_OF: Final = (
    select(tables.migrations)
    .where(
        or_(*(_C.status == status for status in OPEN)),
        or_(_C.source == bindparam("host"), _C.target == bindparam("host")),
    )
    .order_by(*tables.migrations.primary_key.columns)
)
