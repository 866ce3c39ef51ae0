"""Servers: making, reading, changing and deleting them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, String, and_, or_, type_coerce

from sundog.control.compute import creating, ports, quotas
from sundog.control.compute.actions import DONE, new_action
from sundog.control.compute.books import find_servers, get_server
from sundog.control.compute.records import Address, Caller, NewServer, Server, ServerQuery
from sundog.control.compute.requests import Requests, check_lock, check_state
from sundog.control.network.records import Port
from sundog.control.store import Reader
from sundog.control.store.tables import compute as tables
from sundog.control.store.tables import network as network_tables
from sundog.control.viewer import Viewer
from sundog.core.lifecycle.servers import VmState
from sundog.errors import Conflict, Invalid, NotFound

OWNER: Final = "owner"
ADMIN: Final = "admin"


class Servers(Requests):
    """Servers, and what may be done with them that needs no host."""

    # ---------------------------------------------------------------- reading

    def show(self, viewer: Viewer, server_id: str, *, deleted: bool = False) -> Server:
        """A server; with ``deleted`` also one that is deleted.

        Raises: NotFound.
        """
        with self._parts.books.reading() as tx:
            return get_server(tx, viewer, server_id, deleted=deleted)

    def list_all(self, viewer: Viewer, query: ServerQuery) -> list[Server]:
        """The servers that the viewer sees and that are asked for, a page of them.

        Raises: Invalid for a marker that is not there, or a column that cannot be asked for.
        """
        c = tables.servers.c
        where = _conditions(query)
        if not viewer.sees_all:
            where.append(c.project_id == viewer.project_id)
        with self._parts.books.reading() as tx:
            where += _tag_conditions(query)
            for version, text in ((4, query.fixed_ip), (6, query.fixed_ip6)):
                if text is not None:
                    where.append(c.id.in_(_with_address(tx, text, version)))
            order = [*((c[name], down) for name, down in query.sort), (c.number, True)]
            if query.marker is not None:
                where.append(_after(_marker(tx, viewer, query), order))
            return find_servers(tx, *where, order_by=[_ordered(*each) for each in order], limit=query.limit)

    def addresses(self, servers: Sequence[Server]) -> dict[str, list[Address]]:
        """The addresses of servers, by id."""
        with self._parts.books.reading() as tx:
            return ports.addresses_of(tx, [each.id for each in servers])

    def ports(self, server: Server) -> list[Port]:
        """The ports of a server."""
        with self._parts.books.reading() as tx:
            return ports.ports_of(tx, [server.id])[server.id]

    def port_tags(self, server: Server) -> dict[str, str]:
        """The tags by which a server's guest knows its ports, by port; those that have one."""
        with self._parts.books.reading() as tx:
            return ports.tags_of(tx, server.id)

    def security_groups(self, servers: Sequence[Server]) -> dict[str, list[str]]:
        """The names of the security groups of servers, by id, each once."""
        with self._parts.books.reading() as tx:
            return ports.group_names_of(tx, [each.id for each in servers])

    # ---------------------------------------------------------------- making and changing

    def create(self, caller: Caller, new: NewServer, *, min_count: int = 1, max_count: int = 1) -> list[Server]:
        """Make as many servers as the quota allows, ``min_count`` to ``max_count``, and begin to build them.

        Where there is no host for all of them they are in ERROR, and say so. Raises: QuotaExceeded, Invalid; Conflict
        for a port in use, or several networks to choose from.
        """
        parts = self._parts
        image = None if new.image_id is None else creating.image_for(parts, caller, new.image_id, new.flavor)
        with parts.books.writing() as tx:
            quotas.check_metadata(tx, caller.project_id, caller.user_id, len(new.metadata))
            made = creating.create(tx, parts, caller, new, image, minimum=min_count, maximum=max_count)
            for _, action in made:
                if action.phase != DONE:
                    tx.on_commit(lambda action=action: self._worker.begin(action))  # type: ignore[misc]
        return [server for server, _ in made]

    def update(self, caller: Caller, server_id: str, changes: Mapping[str, Any]) -> Server:
        """Change ``name``, ``description``, ``hostname``, ``access_ip_v4``, ``access_ip_v6`` or ``disk_config``.

        Raises: NotFound; Conflict for a locked server.
        """
        with self._parts.books.writing() as tx:
            server = get_server(tx, caller.viewer, server_id)
            check_lock(caller, server)
            self._parts.books.change(tx, server, **changes)
            return get_server(tx, caller.viewer, server_id)

    def delete(self, caller: Caller, server_id: str) -> None:
        """Delete a server, whatever is under way on it. One that is being deleted goes on being deleted.

        Raises: NotFound; Conflict for a locked server.
        """
        self._begin(caller, server_id, "delete", event="compute_terminate_instance")

    def force_delete(self, caller: Caller, server_id: str) -> None:
        """Delete a server. Raises: as :meth:`delete`."""
        self._begin(caller, server_id, "force_delete", event="compute_terminate_instance")

    def restore(self, caller: Caller, server_id: str) -> None:
        """Bring a softly deleted server back. None ever is: deleting is at once. Raises: NotFound, Conflict."""
        with self._parts.books.reading() as tx:
            server = get_server(tx, caller.viewer, server_id)
        check_lock(caller, server)
        check_state(server, "restore")

    def lock(self, caller: Caller, server_id: str, reason: str | None = None) -> None:
        """Let the owner of a server not change it until it is unlocked. Raises: NotFound."""
        with self._parts.books.writing() as tx:
            server = get_server(tx, caller.viewer, server_id)
            owns = caller.project_id == server.project_id
            self._parts.books.change(tx, server, locked_by=OWNER if owns else ADMIN, locked_reason=reason)
            new_action(tx, self._parts.books, caller, server, "lock", args={}, phase=DONE)

    def unlock(self, caller: Caller, server_id: str) -> None:
        """Raises: NotFound."""
        with self._parts.books.writing() as tx:
            server = get_server(tx, caller.viewer, server_id)
            self._parts.books.change(tx, server, locked_by=None, locked_reason=None)
            new_action(tx, self._parts.books, caller, server, "unlock", args={}, phase=DONE)

    def reset_state(self, caller: Caller, server_id: str, vm_state: VmState) -> None:
        """Say that a server is ``active`` or in ``error``, whatever it seems; nothing is done about it.

        Raises: NotFound; Conflict while something is under way that has not ended yet.
        """
        with self._parts.books.writing() as tx:
            server = get_server(tx, caller.viewer, server_id)
            if self._worker.is_busy(server_id):
                raise Conflict(
                    f"Cannot 'resetState' instance {server_id} while it is in task_state {server.task_state}",
                    server=server_id,
                )
            self._parts.books.change(tx, server, vm_state=vm_state, task_state=None, power_state=server.power_state)

    # ---------------------------------------------------------------- metadata and tags

    def set_metadata(self, caller: Caller, server_id: str, metadata: Mapping[str, str]) -> Mapping[str, str]:
        """Replace all metadata.

        Raises: NotFound; Conflict for a state that forbids it; QuotaExceeded for too many items.
        """
        return self._metadata(caller, server_id, lambda old: dict(metadata))

    def update_metadata(self, caller: Caller, server_id: str, metadata: Mapping[str, str]) -> Mapping[str, str]:
        """Set some of the metadata. Raises: as :meth:`set_metadata`."""
        return self._metadata(caller, server_id, lambda old: {**old, **metadata})

    def delete_metadata_item(self, caller: Caller, server_id: str, key: str) -> None:
        """Raises: NotFound, for the item too; Conflict."""

        def without(old: Mapping[str, str]) -> dict[str, str]:
            if key not in old:
                raise NotFound("Metadata item was not found", key=key)
            return {name: value for name, value in old.items() if name != key}

        self._metadata(caller, server_id, without, name="delete_metadata")

    def _metadata(
        self, caller: Caller, server_id: str, changed: Any, *, name: str = "update_metadata"
    ) -> Mapping[str, str]:
        with self._parts.books.writing() as tx:
            server = get_server(tx, caller.viewer, server_id)
            check_lock(caller, server)
            check_state(server, name)
            metadata: dict[str, str] = changed(server.metadata)
            quotas.check_metadata(tx, server.project_id, server.user_id, len(metadata))
            self._parts.books.change(tx, server, metadata=metadata)
            return metadata

    def set_tags(
        self, caller: Caller, server_id: str, tags: Sequence[str], *, name: str = "update_tags"
    ) -> tuple[str, ...]:
        """Give a server exactly these tags; ``name`` is what that is in the table of transitions.

        Raises: NotFound; Conflict for a state that forbids it; Invalid for too many.
        """
        unique = tuple(dict.fromkeys(tags))
        if len(unique) > MOST_TAGS:
            raise Invalid(f"The number of tags exceeded the per-server limit {MOST_TAGS}")
        with self._parts.books.writing() as tx:
            server = get_server(tx, caller.viewer, server_id)
            check_state(server, name)
            table = tables.server_tags
            tx.delete(table, table.c.server_id == server.id)
            tx.insert_many(table, [{"server_id": server.id, "tag": tag} for tag in unique])
            self._parts.books.change(tx, server)
        return unique


MOST_TAGS: Final = 50


def _conditions(query: ServerQuery) -> list[ColumnElement[bool]]:
    c = tables.servers.c
    where: list[ColumnElement[bool]] = []
    for name, value in query.equals.items():
        if name == "flavor_id":
            # The flavor is JSON, and its id comes first in it.
            where.append(type_coerce(c.flavor, String).startswith(f'{{"id":{json.dumps(value)},', autoescape=True))
        elif name == "locked":
            where.append(c.locked_by.is_not(None) if value else c.locked_by.is_(None))
        else:
            where.append(c[name].is_(None) if value is None else c[name] == value)
    for name, pattern in query.like.items():
        where.append(c[name].regexp_match(pattern))
    if query.vm_states is not None:
        where.append(c.vm_state.in_(list(query.vm_states)))
    if query.task_states is not None:
        some = [each for each in query.task_states if each is not None]
        none = c.task_state.is_(None) if None in query.task_states else None
        where.append(c.task_state.in_(some) if none is None else or_(c.task_state.in_(some), none))
    if query.deleted is not None:
        where.append(c.deleted_at.is_not(None) if query.deleted else c.deleted_at.is_(None))
    if query.changes_since is not None:
        where.append(c.updated_at >= query.changes_since)
    if query.changes_before is not None:
        where.append(c.updated_at <= query.changes_before)
    return where


def _tag_conditions(query: ServerQuery) -> list[ColumnElement[bool]]:
    t, s = tables.server_tags.c, tables.servers.c

    def has(tag: str) -> ColumnElement[bool]:
        return tables.server_tags.select().where(t.server_id == s.id, t.tag == tag).exists()

    where = [has(tag) for tag in query.tags]
    if query.tags_any:
        where.append(or_(*(has(tag) for tag in query.tags_any)))
    if query.not_tags:
        where.append(~and_(*(has(tag) for tag in query.not_tags)))
    if query.not_tags_any:
        where.append(~or_(*(has(tag) for tag in query.not_tags_any)))
    return where


def _with_address(reader: Reader, pattern: str, version: int) -> list[str]:
    """The ids of servers with an address that matches."""
    a, p = network_tables.addresses, network_tables.ports
    rows = reader.execute(
        p.select()
        .join(a, a.c.port_id == p.c.id)
        .where(
            a.c.ip_address.regexp_match(pattern),
            a.c.ip_address.contains(":") if version == 6 else ~a.c.ip_address.contains(":"),
            p.c.device_owner.startswith(ports.OWNER),
        )
        .with_only_columns(p.c.device_id)
    )
    return [row.device_id for row in rows]


def _marker(reader: Reader, viewer: Viewer, query: ServerQuery) -> Server:
    try:
        return get_server(reader, viewer, query.marker or "", deleted=True)
    except NotFound:
        raise Invalid(f"marker [{query.marker}] not found", marker=query.marker) from None


def _ordered(column: Any, down: bool) -> ColumnElement[Any]:
    """The same on every database: nothing comes before everything going up."""
    found: ColumnElement[Any] = column.desc().nulls_last() if down else column.asc().nulls_first()
    return found


def _after(marker: Server, order: Sequence[tuple[Any, bool]]) -> ColumnElement[bool]:
    """What comes behind the marker in an order: equal in the first columns and further in the next."""
    alternatives = []
    for index, (column, down) in enumerate(order):
        value = getattr(marker, column.name)
        further = _beyond(column, value, down)
        same = [_same(each, getattr(marker, each.name)) for each, _ in order[:index]]
        alternatives.append(and_(*same, further))
    return or_(*alternatives)


def _same(column: Any, value: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column.is_(None) if value is None else column == value
    return found


def _beyond(column: Any, value: Any, down: bool) -> ColumnElement[bool]:
    """What is beyond a value; nothing is before everything going up."""
    found: ColumnElement[bool]
    if value is None:
        found = and_(column.is_(None), column.is_not(None)) if down else column.is_not(None)
    else:
        found = or_(column < value, column.is_(None)) if down else column > value
    return found
