"""What the cloud as a whole looks like now, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from sundog.backends.contract import HostState
from sundog.control import clock
from sundog.control.cloud import Cloud
from sundog.control.store import Store
from sundog.control.store.tables import compute as tables
from sundog.core.lifecycle.statuses import status_of
from sundog.core.pool import Pool


@dataclass(frozen=True, slots=True)
class Readings:
    """``hosts`` by state; ``capacity`` (after reserves and ratios) and ``used`` by resource class, over all providers.

    ``servers`` are counted by the status that users see. ``faults`` are orders that stand, ``streams`` those of events
    that are open.
    """

    clock: clock.Reading
    hosts: Mapping[str, int]
    servers: Mapping[str, int]
    capacity: Mapping[str, float]
    used: Mapping[str, float]
    faults: int
    streams: int


async def read(cloud: Cloud) -> Readings:
    """Take the readings."""
    found = Counter(host.record.state for host in await cloud.fleet.hosts())
    capacity, used = _resources(cloud.placement.pool)
    return Readings(
        clock=cloud.clock.read(),
        hosts={str(state): found[state] for state in HostState},
        servers=_servers(cloud.store),
        capacity=capacity,
        used=used,
        faults=len(cloud.fleet.orders()),
        streams=cloud.fleet.watches,
    )


def _servers(store: Store) -> dict[str, int]:
    """How many servers have each status, in the order of the statuses' names."""
    s = tables.servers.c
    states = select(s.vm_state, s.task_state, func.count()).where(s.deleted_at.is_(None))
    found: Counter[str] = Counter()
    with store.read() as tx:
        for row in tx.execute(states.group_by(s.vm_state, s.task_state)):
            vm_state, task_state, count = tuple(row)
            found[status_of(vm_state, task_state)] += count
    return dict(sorted(found.items()))


def _resources(pool: Pool) -> tuple[dict[str, float], dict[str, float]]:
    """Capacity and use of every class that any provider has, in the class's own unit."""
    capacity, used = pool.capacity.sum(axis=1), pool.used.sum(axis=1)
    there = [(column, each) for column, each in enumerate(pool.classes) if capacity[column] or used[column]]
    return (
        {each.name: each.value(int(capacity[column])) for column, each in there},
        {each.name: each.value(int(used[column])) for column, each in there},
    )
