"""Hypervisors: the hosts again, with what they have, what is used of it, and what is on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from sundog.control.compute.books import Books
from sundog.control.compute.hosts import Hosts
from sundog.control.compute.records import Host
from sundog.control.placement import Placement
from sundog.control.store.tables import compute as tables
from sundog.core.pool import Inventory
from sundog.errors import NotFound
from sundog.units import Seconds

_NOTHING = Inventory(0)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a host stands. Memory is in MiB, disk in GiB; what is used includes what is reserved.

    ``running`` counts its servers, ``workload`` those with a task under way. ``up_for_s`` is for how long the cloud
    has had it, None while it is down.
    """

    host: Host
    vcpus: int
    vcpus_used: int
    memory_mb: int
    memory_mb_used: int
    local_gb: int
    local_gb_used: int
    running: int
    workload: int
    up_for_s: Seconds | None


class Hypervisors:
    """What hosts have and hold, from Placement's books and the servers."""

    def __init__(self, books: Books, placement: Placement, hosts: Hosts) -> None:
        self._books, self._placement, self._hosts = books, placement, hosts

    def list_all(self, pattern: str = "") -> list[Host]:
        """The hosts with ``pattern`` somewhere in their names, in the order of their numbers."""
        found = [each for each in self._hosts.list_all() if pattern in each.name]
        return sorted(found, key=lambda host: host.number)

    def by_number(self, number: int) -> Host:
        """The host of this number.

        Raises: NotFound.
        """
        found = next((each for each in self._hosts.list_all() if each.number == number), None)
        if found is None:
            raise missing(str(number))
        return found

    def stand(self, hosts: Sequence[Host]) -> list[Standing]:
        """How these hosts stand."""
        servers = tables.servers.c
        counts = (
            select(servers.host, func.count().label("running"), func.count(servers.task_state).label("workload"))
            .where(servers.deleted_at.is_(None), servers.host.in_([each.uuid for each in hosts]))
            .group_by(servers.host)
        )
        with self._books.reading() as tx:
            counted = {row["host"]: (row["running"], row["workload"]) for row in tx.execute(counts).mappings()}
        return [self._standing(each, *counted.get(each.uuid, (0, 0))) for each in hosts]

    def servers(self, hosts: Sequence[Host]) -> dict[str, list[tuple[str, str]]]:
        """``(name, id)`` of the servers on these hosts, by the uuid of the host."""
        servers = tables.servers.c
        asked = (
            select(servers.host, servers.name, servers.id)
            .where(servers.deleted_at.is_(None), servers.host.in_([each.uuid for each in hosts]))
            .order_by(servers.number)
        )
        found: dict[str, list[tuple[str, str]]] = {}
        with self._books.reading() as tx:
            for row in tx.execute(asked).mappings():
                found.setdefault(row["host"], []).append((row["name"], row["id"]))
        return found

    def _standing(self, host: Host, running: int, workload: int) -> Standing:
        has: dict[str, Inventory] = {}
        used: dict[str, int] = {}
        if host.uuid in self._placement.books.providers:
            has, used = self._placement.inventories(host.uuid), self._placement.usages(host.uuid)

        def of(name: str) -> tuple[int, int]:
            inventory = has.get(name, _NOTHING)
            return int(inventory.total), int(inventory.reserved) + used.get(name, 0)

        vcpus, memory, disk = of("VCPU"), of("MEMORY_MB"), of("DISK_GB")
        age = (self._books.now() - host.created_at).total_seconds()
        return Standing(host, *vcpus, *memory, *disk, running, workload, age if host.is_up else None)


def missing(identifier: str) -> NotFound:
    """The error for a hypervisor that is not there."""
    return NotFound(f"Hypervisor with ID '{identifier}' could not be found.", hypervisor=identifier)
