"""Aggregates: hosts with something in common, told by metadata. One piece of it makes an availability zone.

What is in the store is known elsewhere too: Placement knows who is in which aggregate, the pool the zone of each host,
the scheduler the metadata. All follow when the transaction is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sundog.control.compute.books import Books
from sundog.control.compute.hosts import DEFAULT_ZONE
from sundog.control.compute.records import record
from sundog.control.placement import Placement
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import compute as tables
from sundog.core.pool import Pool
from sundog.core.scheduler.facts import HostFacts
from sundog.errors import Conflict, Invalid, NotFound, SundogError

Refuse = Callable[[str], SundogError]
"""``reason -> error``: in the words of the operation that is refused."""

ZONE: Final = "availability_zone"
"""The key of metadata that puts the hosts of an aggregate into an availability zone."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate. ``hosts`` are names, in the order in which they were added to the cloud."""

    number: int
    uuid: str
    name: str
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime | None
    hosts: tuple[str, ...] = ()

    @property
    def zone(self) -> str | None:
        """The availability zone of its hosts, if it makes one."""
        return self.metadata.get(ZONE)


class Aggregates:
    """The aggregates. Call :meth:`load` at the start, when the hosts have their resource providers."""

    def __init__(self, books: Books, placement: Placement) -> None:
        self._books, self._placement = books, placement
        self._pool, self._facts = placement.pool, HostFacts()
        self._stands: dict[str, str] = {}

    def load(self, pool: Pool, facts: HostFacts) -> None:
        """Tell the pool and the scheduler what is in the store, and from now on what changes.

        A host that is in no zone of an aggregate's is in the one where the pool has it now.
        """
        self._pool, self._facts = pool, facts
        with self._books.reading() as tx:
            for each in _all(tx):
                facts.set_metadata(each.uuid, each.metadata)
            zones = _zones(tx)
            uuids = [row["uuid"] for row in tx.find(tables.hosts)]
        for uuid in uuids:
            standing = self._placement.books.providers.get(uuid)
            if standing is not None:
                self._stands[uuid] = pool.zone_of(standing.row) or DEFAULT_ZONE
                if uuid in zones:
                    pool.set_zone(standing.row, zones[uuid])

    # ---------------------------------------------------------------- reading

    def list_all(self) -> list[Aggregate]:
        """All aggregates, in the order in which they were made."""
        with self._books.reading() as tx:
            return _all(tx)

    def show(self, number: int) -> Aggregate:
        """An aggregate by its number.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return _of(tx, number)

    # ---------------------------------------------------------------- changing

    def create(self, name: str, zone: str | None = None) -> Aggregate:
        """Make an aggregate without hosts.

        Raises: Conflict for a name that another has.
        """
        uuid = self._books.new_uuid()
        with self._books.writing() as tx:
            _check_name(tx, name)
            tx.insert(
                tables.aggregates,
                uuid=uuid,
                name=name,
                metadata={ZONE: zone} if zone else {},
                created_at=self._books.now(),
            )
            row = tx.get(tables.aggregates, uuid=uuid)
            assert row is not None
            aggregate = _of(tx, row["number"])
            self._follow(tx, aggregate, ())
        return aggregate

    def update(self, number: int, *, name: str | None = None, zone: str | None = None) -> Aggregate:
        """Rename an aggregate, make it another zone, or both. None leaves as it was.

        Raises: NotFound; Conflict for a name that another has; Invalid for a zone that its hosts cannot be in.
        """
        with self._books.writing() as tx:
            before = _of(tx, number)
            if name is not None and name != before.name:
                _check_name(tx, name)
            metadata = dict(before.metadata)
            if zone is not None:
                _check_zone(tx, before, zone, lambda reason: _cannot("update aggregate", number, reason))
                metadata[ZONE] = zone
            return self._change(tx, before, name=name or before.name, metadata=metadata)

    def set_metadata(self, number: int, changes: Mapping[str, str | None]) -> Aggregate:
        """Set keys of the metadata; None removes a key.

        Raises: NotFound; Invalid for a zone that its hosts cannot be in, or to take the zone away.
        """
        with self._books.writing() as tx:
            before = _of(tx, number)
            if ZONE in changes:
                zone = changes[ZONE]
                refuse = lambda reason: _cannot("update metadata of aggregate", number, reason)  # noqa: E731
                if not zone:
                    raise refuse(f"Aggregate {before.name} does not support empty named availability zone")
                _check_zone(tx, before, zone, refuse)
            merged = {**before.metadata, **changes}
            return self._change(tx, before, metadata={k: v for k, v in merged.items() if v is not None})

    def delete(self, number: int) -> None:
        """Delete an aggregate.

        Raises: NotFound; Invalid while hosts are in it.
        """
        with self._books.writing() as tx:
            aggregate = _of(tx, number)
            if aggregate.hosts:
                raise _cannot("remove host from aggregate", number, "Host aggregate is not empty")
            tx.delete(tables.aggregates, tables.aggregates.c.number == number)
            tx.on_commit(lambda: self._facts.set_metadata(aggregate.uuid, {}))

    def add_host(self, number: int, host: str) -> Aggregate:
        """Put a host into an aggregate.

        Raises: NotFound; Conflict if it is there already, is in another zone, or has servers and would change its zone.
        """
        with self._books.writing() as tx:
            uuid, before = _host(tx, host), _of(tx, number)
            refuse = lambda reason: _clash("add host to aggregate", number, reason)  # noqa: E731
            if before.zone is not None:
                _check_others(tx, before, [uuid], before.zone, refuse)
            if host in before.hosts:
                raise Conflict(f"Aggregate {number} already has host {host}.", aggregate=number, host=host)
            old = _zones(tx).get(uuid)
            if before.zone is not None and old != before.zone:
                _check_empty_host(tx, uuid, "added to", (old, before.zone), refuse)
            tx.insert(tables.aggregate_hosts, aggregate_number=number, host_uuid=uuid)
            return self._moved(tx, before, uuid, joins=True)

    def remove_host(self, number: int, host: str) -> Aggregate:
        """Take a host out of an aggregate.

        Raises: NotFound; Conflict if the host has servers and would change its zone.
        """
        table = tables.aggregate_hosts
        with self._books.writing() as tx:
            uuid, before = _host(tx, host), _of(tx, number)
            if host not in before.hosts:
                raise NotFound(f"Cannot remove host {host} in aggregate {number}", aggregate=number, host=host)
            left = _zones(tx, without=number).get(uuid)
            if before.zone is not None and left != before.zone:
                refuse = lambda reason: _clash("remove host from aggregate", number, reason)  # noqa: E731
                _check_empty_host(tx, uuid, "removed from", (before.zone, left), refuse)
            tx.delete(table, table.c.aggregate_number == number, table.c.host_uuid == uuid)
            return self._moved(tx, before, uuid, joins=False)

    # ---------------------------------------------------------------- following

    def _change(self, tx: Tx, before: Aggregate, **values: Any) -> Aggregate:
        table = tables.aggregates
        tx.update(table, table.c.number == before.number, updated_at=self._books.now(), **values)
        after = _of(tx, before.number)
        moved = _uuids(tx, before.number) if after.zone != before.zone else ()
        self._follow(tx, after, moved)
        return after

    def _moved(self, tx: Tx, before: Aggregate, uuid: str, *, joins: bool) -> Aggregate:
        if uuid in self._placement.books.providers:
            known = [each for each in self._placement.aggregates_of(uuid) if each != before.uuid]
            self._placement.set_aggregates(uuid, [*known, before.uuid] if joins else known, tx=tx)
        after = _of(tx, before.number)
        self._follow(tx, after, [uuid])
        return after

    def _follow(self, tx: Tx, aggregate: Aggregate, hosts: Sequence[str]) -> None:
        """After the commit the scheduler has the metadata, and the pool the zones of these hosts."""
        zones = _zones(tx)

        def apply() -> None:
            self._facts.set_metadata(aggregate.uuid, aggregate.metadata)
            for uuid in hosts:
                standing = self._placement.books.providers.get(uuid)
                if standing is not None:
                    self._pool.set_zone(standing.row, zones.get(uuid) or self._stands.get(uuid, DEFAULT_ZONE))

        tx.on_commit(apply)


def _all(reader: Reader) -> list[Aggregate]:
    names = {row["uuid"]: row["name"] for row in reader.find(tables.hosts)}
    members: dict[int, set[str]] = {}
    for row in reader.find(tables.aggregate_hosts):
        members.setdefault(row["aggregate_number"], set()).add(row["host_uuid"])
    rows = reader.find(tables.aggregates)
    return [
        record(Aggregate, row, hosts=tuple(names[uuid] for uuid in names if uuid in members.get(row["number"], ())))
        for row in rows
    ]


def _of(reader: Reader, number: int) -> Aggregate:
    row = reader.get(tables.aggregates, number=number)
    if row is None:
        raise NotFound(f"Aggregate {number} could not be found.", aggregate=number)
    hosts = tables.hosts
    within = reader.find(hosts, hosts.c.uuid.in_(_uuids(reader, number)))
    return record(Aggregate, row, hosts=tuple(each["name"] for each in within))


def _uuids(reader: Reader, number: int) -> list[str]:
    table = tables.aggregate_hosts
    return [row["host_uuid"] for row in reader.find(table, table.c.aggregate_number == number)]


def _host(reader: Reader, name: str) -> str:
    row = reader.get(tables.hosts, name=name)
    if row is None:
        raise NotFound(f"Compute host {name} could not be found.", host=name)
    return str(row["uuid"])


def _zones(reader: Reader, *, without: int | None = None) -> dict[str, str]:
    """The zone of each host that is in one, by its uuid."""
    zones = {row["number"]: row["metadata"].get(ZONE) for row in reader.find(tables.aggregates)}
    return {
        row["host_uuid"]: zones[row["aggregate_number"]]
        for row in reader.find(tables.aggregate_hosts)
        if row["aggregate_number"] != without and zones[row["aggregate_number"]]
    }


def _check_name(tx: Tx, name: str) -> None:
    if tx.get(tables.aggregates, name=name) is not None:
        raise Conflict(f"Aggregate {name} already exists.", name=name)


def _check_zone(tx: Tx, aggregate: Aggregate, zone: str, refuse: Refuse) -> None:
    """Whether an aggregate can become this zone."""
    uuids = _uuids(tx, aggregate.number)
    _check_others(tx, aggregate, uuids, zone, refuse)
    if zone != aggregate.zone and _servers_on(tx, uuids):
        raise refuse("One or more hosts contain instances in this zone")


def _check_others(tx: Tx, aggregate: Aggregate, uuids: Sequence[str], zone: str, refuse: Refuse) -> None:
    """Whether none of the hosts is in another zone."""
    others = _zones(tx, without=aggregate.number)
    clashes = list(dict.fromkeys(others[uuid] for uuid in uuids if others.get(uuid, zone) != zone))
    if clashes:
        raise refuse(f"One or more hosts already in availability zone(s) {clashes}")


def _check_empty_host(tx: Tx, uuid: str, how: str, zones: tuple[str | None, str | None], refuse: Refuse) -> None:
    count = _servers_on(tx, [uuid])
    if count:
        raise refuse(
            f"The host cannot be {how} the aggregate as the availability zone of the host would change from "
            f"'{zones[0]}' to '{zones[1]}' but the host already has {count} instance(s). Move them to another host "
            "first"
        )


def _servers_on(tx: Tx, uuids: Iterable[str]) -> int:
    servers = tables.servers.c
    return tx.count(tables.servers, servers.host.in_(list(uuids)), servers.deleted_at.is_(None))


def _cannot(what: str, number: int, reason: str) -> Invalid:
    return Invalid(_told(what, number, reason), aggregate=number)


def _clash(what: str, number: int, reason: str) -> Conflict:
    return Conflict(_told(what, number, reason), aggregate=number)


def _told(what: str, number: int, reason: str) -> str:
    return f"Cannot {what} {number}. Reason: {reason}."
