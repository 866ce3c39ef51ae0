"""Planned maintenance: hosts are drained by live migration, worked on, and opened again, a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import simpy

from sundog.sim.spec import Maintenance

if TYPE_CHECKING:
    from sundog.sim.engine import Engine, Steps


def start_maintenance(engine: Engine, spec: Maintenance) -> None:
    """Start the process of one maintenance plan.

    Raises: InputError if it names what the fleet does not have.
    """
    hosts = engine.fleet.select(zone=spec.zone, rack=spec.rack, host_type=spec.type)
    engine.world.process(_rounds(engine, spec, hosts))


def _rounds(engine: Engine, spec: Maintenance, hosts: list[int]) -> Steps:
    begin = spec.at
    while True:
        yield engine.world.at(max(begin, engine.now))
        queue = [host for host in reversed(hosts) if engine.row_of(host) >= 0]
        crews = [engine.world.process(_crew(engine, spec, queue)) for _ in range(min(spec.at_once, len(queue)))]
        yield simpy.AllOf(engine.world, crews)
        if spec.every is None:
            return
        begin += spec.every


def _crew(engine: Engine, spec: Maintenance, queue: list[int]) -> Steps:
    """One host after the other from the common queue."""
    while queue:
        yield from _maintain(engine, spec, queue.pop())


def _maintain(engine: Engine, spec: Maintenance, host: int) -> Steps:
    world, deadline = engine.world, engine.now + spec.drain_timeout
    engine.set_enabled(host, False, "maintenance")
    while engine.in_use(host) and world.now < deadline:
        senders = [world.process(_send(engine, host, queue, deadline)) for queue in _shares(engine, host)]
        yield simpy.AllOf(world, senders)
        if engine.in_use(host) and world.now < deadline:
            yield world.at(min(deadline, world.now + spec.retry))
    if engine.in_use(host) and spec.on_timeout == "skip":
        engine.set_enabled(host, True, "maintenance skipped: not drained in time")
        return
    engine.stop_vms(host)
    engine.host_down(host, "maintenance", planned=True)
    yield world.at(world.now + spec.duration)
    engine.set_enabled(host, True, "maintenance")
    engine.host_up(host, "maintenance", planned=True)


def _shares(engine: Engine, host: int) -> list[list[int]]:
    """The VMs of a host, dealt to as many senders as it has at once."""
    vms = engine.vms_on(host)
    return [vms[i :: engine.migration.parallel] for i in range(min(len(vms), engine.migration.parallel))]


def _send(engine: Engine, host: int, vms: list[int], deadline: float) -> Steps:
    """Migrate VMs one after the other, none of them from the deadline on; those for which there is no place stay."""
    for vm in vms:
        begun = engine.now
        if begun < deadline and engine.begin_migration(vm, host):
            yield engine.world.at(begun + engine.migration_s(vm))
            engine.finish_migration(vm, begun)
