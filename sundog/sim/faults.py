"""What breaks: host and rack failures by laws, outages told beforehand, and machine events replayed from a trace.

None of it looks at the VMs, and each host and rack has a random stream of its own: its faults fall at the same times
whatever the policy does and however many others there are. Comparisons use common random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sundog.sim.spec import Faults, FaultsSpec, Outage
from sundog.sim.workload.laws import LEAST_UNIFORM, LifetimeLaw

if TYPE_CHECKING:
    import pandas as pd

    from sundog.runtime.seeds import Streams
    from sundog.sim.engine import Engine, Steps


def start_faults(engine: Engine, spec: FaultsSpec, machine_events: pd.DataFrame | None = None) -> None:
    """Start the processes that break hosts.

    ``machine_events`` has columns time_s, machine, event (add, remove, update), in order of time.
    Raises: InputError if an outage names what the fleet does not have.
    """
    fleet = engine.fleet
    if spec.hosts is not None:
        units = [
            _Unit(_unpadded(name), [host], "host failure", fleet.at(host)) for host, name in enumerate(fleet.names)
        ]
        engine.world.process(_all_break(engine, spec.hosts, units, engine.streams.child("faults.hosts")))
    if spec.racks is not None:
        units = [_Unit(rack, hosts, f"rack {rack} failure", 0.0) for rack, hosts in fleet.racks_with_hosts().items()]
        engine.world.process(_all_break(engine, spec.racks, units, engine.streams.child("faults.racks")))
    for outage in spec.outages:
        hosts = fleet.select(zone=outage.zone, rack=outage.rack, hosts=outage.hosts)
        engine.world.process(_outage(engine, outage, hosts))
    if machine_events is not None:
        engine.world.process(_replay(engine, machine_events))


def _unpadded(name: str) -> str:
    """A host's name without the zeros that depend on how many hosts its type has."""
    kind, _, number = name.rpartition("-")
    return f"{kind}-{int(number)}"


class _Unit(NamedTuple):
    """What breaks as a whole, from ``begin`` on: the name of its random stream, its hosts, what is said of it."""

    name: str
    hosts: Sequence[int]
    detail: str
    begin: float


def _all_break(engine: Engine, faults: Faults, units: Sequence[_Unit], luck: Streams) -> Steps:
    """Start the process of each unit when it first breaks: of a large fleet most never do."""
    draws = luck.uniforms([unit.name for unit in units], 2)
    after = faults.failure_law.at(np.maximum(draws, LEAST_UNIFORM))
    first = np.array([unit.begin for unit in units]) + after
    for number in np.argsort(first, kind="stable").tolist():
        if not first[number] < math.inf:  # later, or never, which a law says as NaN
            return
        yield engine.world.at(float(first[number]))
        rng = luck.fresh(units[number].name)
        _after(faults.failure_law, rng)  # that is what it was
        engine.world.process(_breaks(engine, faults, units[number], rng))


def _breaks(engine: Engine, faults: Faults, unit: _Unit, rng: np.random.Generator) -> Steps:
    """The life of a unit from its first failure on."""
    world = engine.world
    while True:
        for host in unit.hosts:
            engine.host_down(host, unit.detail)
        yield world.at(world.now + _after(faults.repair_law, rng))
        for host in unit.hosts:
            engine.host_up(host, unit.detail)
        yield world.at(world.now + _after(faults.failure_law, rng))


def _after(law: LifetimeLaw, rng: np.random.Generator) -> float:
    """Seconds until the next failure or repair; infinite where there is none, which a law says as NaN."""
    seconds = float(law.sample(rng, 1)[0])
    return math.inf if math.isnan(seconds) else seconds


def _outage(engine: Engine, outage: Outage, hosts: Sequence[int]) -> Steps:
    detail = f"outage of {outage.zone or outage.rack or 'hosts'}"
    if outage.at:  # what is down from the start is down before the first VM comes
        yield engine.world.at(outage.at)
    for host in hosts:
        engine.host_down(host, detail)
    yield engine.world.at(outage.at + outage.duration)
    for host in hosts:
        engine.host_up(host, detail)


def _replay(engine: Engine, events: pd.DataFrame) -> Steps:
    """Machine *i* of the file, by first appearance, is host *i*; machines beyond the fleet are left out.

    One that is added later than at time 0 is down until then: the file lists those there at the beginning at 0.
    """
    machines = {machine: index for index, machine in enumerate(dict.fromkeys(events["machine"].tolist()))}
    down: dict[int, None] = {}
    come_or_go = events[events["event"] != "update"].drop_duplicates("machine")
    for machine in come_or_go["machine"][(come_or_go["event"] == "add") & (come_or_go["time_s"] > 0)].tolist():
        if machines[machine] < len(engine.fleet):
            down[machines[machine]] = None
            engine.host_down(machines[machine], "machine event")
    columns = (events["time_s"].tolist(), events["machine"].tolist(), events["event"].tolist())
    for time, machine, event in zip(*columns, strict=True):
        host = machines[machine]
        if host >= len(engine.fleet) or event == "update":
            continue
        if time > engine.world.now:
            yield engine.world.at(time)
        if event == "remove" and host not in down:
            down[host] = None
            engine.host_down(host, "machine event")
        elif event == "add" and host in down:
            del down[host]
            engine.host_up(host, "machine event")
