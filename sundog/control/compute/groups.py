"""Server groups: servers that should be together on a host, or apart. Their members are the servers that say so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from sundog.control.compute.books import Books
from sundog.control.compute.quotas import check_server_groups
from sundog.control.compute.records import Caller, record
from sundog.control.store import Reader, Row
from sundog.control.store.tables import compute as tables
from sundog.control.viewer import Viewer
from sundog.errors import Invalid, NotFound

ANTI_AFFINITY: Final = "anti-affinity"
POLICIES: Final = ("affinity", ANTI_AFFINITY, "soft-affinity", "soft-anti-affinity")


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """A server group. ``max_server_per_host`` loosens anti-affinity; ``members`` are ids of servers, oldest first."""

    number: int
    id: str
    project_id: str
    user_id: str
    name: str
    policy: str
    max_server_per_host: int | None
    created_at: datetime
    members: tuple[str, ...] = ()


class ServerGroups:
    """The server groups, as they may be seen."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, viewer: Viewer, *, offset: int = 0, limit: int | None = None) -> list[ServerGroup]:
        """The groups of the viewer's project, or all of them, in the order in which they were made."""
        table = tables.server_groups
        where = [] if viewer.sees_all else [table.c.project_id == (viewer.project_id or "")]
        with self._books.reading() as tx:
            rows = tx.find(table, *where, limit=None if limit is None else offset + limit)
            return groups_of(tx, rows[offset:])

    def show(self, viewer: Viewer, group_id: str) -> ServerGroup:
        """A group.

        Raises: NotFound for one that is not there, or another project's.
        """
        with self._books.reading() as tx:
            return group_of(tx, viewer, group_id)

    def create(self, caller: Caller, name: str, policy: str, *, max_server_per_host: int | None = None) -> ServerGroup:
        """Make a group in the caller's project.

        Raises: Invalid for a rule that the policy does not know; QuotaExceeded.
        """
        if max_server_per_host is not None and policy != ANTI_AFFINITY:
            raise Invalid("Only anti-affinity policy supports rules.", policy=policy)
        group_id = self._books.new_uuid()
        with self._books.writing() as tx:
            check_server_groups(tx, caller.project_id, caller.user_id)
            tx.insert(
                tables.server_groups,
                id=group_id,
                project_id=caller.project_id,
                user_id=caller.user_id,
                name=name,
                policy=policy,
                max_server_per_host=max_server_per_host,
                created_at=self._books.now(),
            )
            return group_of(tx, Viewer(caller.project_id), group_id)

    def delete(self, viewer: Viewer, group_id: str) -> None:
        """Delete a group. Its servers go on, without it.

        Raises: NotFound.
        """
        with self._books.writing() as tx:
            group = group_of(tx, viewer, group_id)
            tx.update(tables.servers, tables.servers.c.group_id == group.id, group_id=None)
            tx.delete(tables.server_groups, tables.server_groups.c.id == group.id)


def group_of(reader: Reader, viewer: Viewer, group_id: str) -> ServerGroup:
    """A group that the viewer may see, with its members.

    Raises: NotFound for any other.
    """
    row = reader.get(tables.server_groups, id=group_id)
    if row is None or not (viewer.sees_all or row["project_id"] == viewer.project_id):
        raise NotFound(f"Instance group {group_id} could not be found.", group=group_id)
    return groups_of(reader, [row])[0]


def groups_of(reader: Reader, rows: Sequence[Row]) -> list[ServerGroup]:
    """Rows as groups, with their members."""
    members = _members(reader, [row["id"] for row in rows])
    return [record(ServerGroup, row, members=tuple(members.get(row["id"], ()))) for row in rows]


def _members(reader: Reader, group_ids: Iterable[str]) -> dict[str, list[str]]:
    servers = tables.servers.c
    asked = (
        select(servers.group_id, servers.id)
        .where(servers.group_id.in_(list(group_ids)), servers.deleted_at.is_(None))
        .order_by(servers.number)
    )
    members: dict[str, list[str]] = {}
    for row in reader.execute(asked).mappings():
        members.setdefault(row["group_id"], []).append(row["id"])
    return members
