"""Small worlds for the tests of the engine: made by hand, told as a list of lines, and audited by brute force."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sundog.core.scheduler import Request, load_policy
from sundog.sim.engine import Engine
from sundog.sim.faults import start_faults
from sundog.sim.fleet import Fleet, build_fleet
from sundog.sim.maintenance import start_maintenance
from sundog.sim.outlook import prepare_policy
from sundog.sim.records import Cause, Outcome, Record
from sundog.sim.requests import Workload, build_workload
from sundog.sim.spec import (
    Evacuation,
    FaultsSpec,
    HostGroup,
    HostType,
    Maintenance,
    Migration,
    OnFull,
    Overcommit,
    Wait,
)

FOREVER = None
SLOW = Migration(bandwidth_mib_s=100, rounds=1, pause=0, parallel=1)
"""With the 1000 MiB of ``make_vm``: 10 s a migration, one after the other."""


def make_vm(arrival: float, lifetime: float | None, vcpus: float = 1, memory_mb: float = 1000, **more: Any) -> dict:
    return {"arrival_s": arrival, "lifetime_s": lifetime, "vcpus": vcpus, "memory_mb": memory_mb, **more}


def make_frame(rows: Sequence[dict]) -> pd.DataFrame:
    """A normalised trace; rows may leave out what is optional."""
    frame = pd.DataFrame(list(rows), columns=None if rows else ["arrival_s", "lifetime_s", "vcpus", "memory_mb"])
    for name in ("arrival_s", "lifetime_s", "vcpus", "memory_mb"):
        frame[name] = frame[name].astype("float64")
    for name in ("group", "group_policy", "zone", "flavor", "gpu_models"):
        if name in frame:
            frame[name] = frame[name].astype("string")
    frame.insert(0, "vm_id", np.arange(len(frame)))
    return frame


def make_hosts(count: int = 1, vcpus: float = 4, *, name: str = "h", memory: float = 64000, **more: Any) -> HostGroup:
    of_type = {key: more.pop(key) for key in ("disk", "gpus", "gpu_model", "machine", "resources", "reserved", "traits")
               if key in more}  # fmt: skip
    return HostGroup(type=HostType(name=name, vcpus=vcpus, memory=memory, **of_type), count=count, **more)


def make_fleet(*groups: HostGroup, **overcommit: float) -> Fleet:
    return build_fleet(groups or (make_hosts(),), Overcommit(**overcommit))


@dataclass(frozen=True)
class Played:
    """A run that is over, with what is asked of it most."""

    engine: Engine
    record: Record

    @property
    def stays(self) -> list[str]:
        """``vm0 h-0 0..10 arrival`` for each stay, in the order they began; an open stay has no second time."""
        stays, names = self.record.stays, self.engine.fleet.names
        columns = (stays.vm.tolist(), stays.host.tolist(), stays.start_s.tolist(), stays.end_s.tolist(), stays.cause)
        return [
            f"vm{vm} {names[host]} {start:g}..{'' if math.isnan(end) else f'{end:g}'} {Cause(cause).name.lower()}"
            for vm, host, start, end, cause in zip(*columns, strict=True)
        ]

    @property
    def outcomes(self) -> list[str]:
        """``completed``, or ``rejected: the reason``, for each VM that arrived."""
        texts = []
        for outcome, reason in zip(self.record.outcome.tolist(), self.record.reason.tolist(), strict=True):
            why = self.record.reasons[reason]
            texts.append(Outcome(outcome).name.lower() + (f": {why}" if why else ""))
        return texts

    @property
    def host_events(self) -> list[str]:
        """``5 h-0 failed`` for each event but those of hosts that enter at 0, in order."""
        events, names = self.record.host_events, self.engine.fleet.names
        return [
            f"{time:g} {names[host]} {event}"
            for time, host, event in zip(events.time_s, events.host, events.event, strict=True)
            if (time, event) != (0, "added")
        ]


def make_engine(
    rows: Sequence[dict],
    fleet: Fleet | None = None,
    *,
    policy: str = "first-fit",
    faults: FaultsSpec | None = None,
    machine_events: pd.DataFrame | None = None,
    maintenance: Sequence[Maintenance] = (),
    evacuation: Evacuation | None = None,
    migration: Migration = SLOW,
    on_full: OnFull = "reject",
    horizon: float = math.inf,
    seed: int = 0,
    group_policy: str | None = None,
    on_decision: Callable[[int, Request], None] | None = None,
    engine_type: type[Engine] = Engine,
) -> Engine:
    fleet = fleet or make_fleet()
    faults = faults or FaultsSpec()
    workload = build_workload(make_frame(rows), fleet, group_policy=group_policy, horizon_s=horizon)
    chosen = load_policy(policy)
    prepare_policy(chosen, fleet, workload)
    engine = engine_type(
        fleet,
        workload,
        chosen,
        policy_name=policy,
        seed=seed,
        on_full=on_full,
        evacuation=evacuation or faults.evacuation,
        migration=migration,
        horizon_s=horizon,
        on_decision=on_decision,
    )
    start_faults(engine, faults, machine_events)
    for plan in maintenance:
        start_maintenance(engine, plan)
    return engine


def play(rows: Sequence[dict], fleet: Fleet | None = None, **how: Any) -> Played:
    """Make it, run it, and audit it."""
    return finish(make_engine(rows, fleet, **how))


def finish(engine: Engine, **how: Any) -> Played:
    record = engine.run(**how)
    audit(engine, record)
    return Played(engine, record)


def at(engine: Engine, when: float, act: Callable[[], Any]) -> None:
    """Do something in the middle of a run, as a process that was started before it."""
    engine.world.at(when).callbacks.append(lambda _event: act())


# ---------------------------------------------------------------- the audit


@dataclass(frozen=True)
class _Stay:
    vm: int
    host: int
    start: float
    end: float
    cause: int


def audit(engine: Engine, record: Record) -> None:
    """Recount a run from its stays and host events, trusting nothing else; then the books that the pool still holds."""
    raw = record.stays
    ends = np.nan_to_num(raw.end_s, nan=math.inf).tolist()
    columns = (raw.vm.tolist(), raw.host.tolist(), raw.start_s.tolist(), ends, raw.cause.tolist())
    stays = [_Stay(*row) for row in zip(*columns, strict=True)]
    by_vm: list[list[_Stay]] = [[] for _ in range(len(record.outcome))]
    by_host: list[list[_Stay]] = [[] for _ in range(len(engine.fleet))]
    for stay in stays:
        assert stay.start <= stay.end
        assert stay.end == math.inf or stay.end <= record.reached_s
        by_vm[stay.vm].append(stay)
        by_host[stay.host].append(stay)
    for vm, mine in enumerate(by_vm):
        _audit_vm(engine, record, vm, mine)
    for host, there in enumerate(by_host):
        _audit_capacity(engine, host, there)
        _audit_service(engine, record, host, there)
    _audit_anti_affinity(engine.workload, by_host)
    if not (raw.cause == Cause.MIGRATION).any():  # a migration that comes to nothing may leave a group divided
        _audit_affinity(engine.workload, stays)
    _audit_books(engine, record, stays)


def _audit_vm(engine: Engine, record: Record, vm: int, stays: list[_Stay]) -> None:
    workload = engine.workload
    outcome, start, end = Outcome(record.outcome[vm]), float(record.start_s[vm]), float(record.end_s[vm])
    begun = max(float(workload.arrival_s[vm]), 0.0)
    if outcome is Outcome.REJECTED:
        assert not stays
        assert math.isnan(start)
        assert math.isnan(end)
        assert record.reasons[record.reason[vm]]
        return
    assert outcome is not Outcome.NONE
    assert stays[0].cause == Cause.ARRIVAL
    assert stays[0].start == start >= begun
    assert [stay.cause for stay in stays].count(Cause.ARRIVAL) == 1
    life = float(workload.lifetime_s[vm] + min(workload.arrival_s[vm], 0.0))
    last = max(stay.end for stay in stays)
    if outcome is Outcome.RUNNING:
        assert math.isnan(end)
        assert last == math.inf
        assert start + life >= record.reached_s
    elif outcome is Outcome.COMPLETED:
        assert end == start + life
        assert last <= end
    else:
        assert outcome is Outcome.LOST
        assert record.reasons[record.reason[vm]]
        assert last <= end <= min(start + life, record.reached_s)
    running = sorted(stays, key=lambda stay: stay.start)
    for before, after in itertools.pairwise(running):
        assert after.start >= before.end or after.cause == Cause.MIGRATION, "in two places, and not migrating"
    for stay in running:
        assert sum(other.start <= stay.start < other.end for other in running) <= 2, "in three places"
    # Downtime is what no stay covers, and the pauses of migrations that were carried out.
    until = record.reached_s if math.isnan(end) else end
    covered, reached = 0.0, start
    for stay in running:
        covered += max(min(stay.end, until) - max(stay.start, reached), 0.0)
        reached = max(reached, min(stay.end, until))
    paused = float(record.migrations[vm]) * engine.migration.pause
    assert math.isclose(record.downtime_s[vm], until - start - covered + paused, abs_tol=1e-6)
    assert record.evacuations[vm] == sum(stay.cause == Cause.EVACUATION for stay in stays)
    assert record.migrations[vm] <= sum(stay.cause == Cause.MIGRATION for stay in stays)


def _audit_capacity(engine: Engine, host: int, stays: list[_Stay]) -> None:
    """At every instant at which something begins, what is there fits: recounted from nothing, quadratic on purpose."""
    fleet, workload = engine.fleet, engine.workload
    kind = fleet.type_of(host)
    room = {
        name: math.floor((entry.total - entry.reserved) * entry.allocation_ratio * workload.classes[name].scale + 1e-6)
        for name, entry in fleet.inventory(kind).items()
    }
    for now in dict.fromkeys(stay.start for stay in stays):
        used: dict[str, int] = {}
        gpus = 0.0
        for stay in stays:
            if not stay.start <= now < stay.end:
                continue
            shape = workload.shapes[workload.shape[stay.vm]]
            for name, amount in shape.resources:
                used[name] = used.get(name, 0) + workload.classes[name].units(amount)
            if shape.devices:
                gpus += shape.devices.count * shape.devices.resources[0][1]
            assert shape.zone is None or shape.zone == fleet.zone_of(host)
        for name, amount in used.items():
            assert amount <= room[name], f"{fleet.names[host]} is over capacity of {name} at {now}"
        assert gpus <= kind.gpus + 1e-9


def _audit_service(engine: Engine, record: Record, host: int, stays: list[_Stay]) -> None:
    """Nobody is on a host that is down or not there yet, and nobody new comes to one that is disabled."""
    events = record.host_events
    mine = [(t, e) for t, h, e in zip(events.time_s, events.host, events.event, strict=True) if h == host]
    assert [event for _, event in mine].count("added") == (1 if mine else 0)
    down = _intervals(mine, ("failed", "stopped"), ("repaired", "started"))
    closed = _intervals(mine, ("disabled",), ("enabled",))
    for stay in stays:
        assert mine[0][1] == "added"
        assert mine[0][0] <= stay.start
        for begin, end in down:
            assert not max(stay.start, begin) < min(stay.end, end), "runs on a host that is down"
            assert not begin < stay.start < end
        for begin, end in closed:
            assert not begin < stay.start < end or stay.cause == Cause.RESTART, "came to a disabled host"


def _intervals(
    events: list[tuple[float, str]], opens: Sequence[str], closes: Sequence[str]
) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    begin: float | None = None
    for time, event in events:
        if event in opens:
            assert begin is None, f"{event} twice"
            begin = time
        elif event in closes:
            assert begin is not None, f"{event} and never {opens[0]}"
            found.append((begin, time))
            begin = None
    return found if begin is None else [*found, (begin, math.inf)]


def _audit_anti_affinity(workload: Workload, by_host: list[list[_Stay]]) -> None:
    for stays in by_host:
        for index, one in enumerate(stays):
            for other in stays[:index]:
                code = workload.group[one.vm]
                if one.vm == other.vm or code < 0 or code != workload.group[other.vm]:
                    continue
                if workload.groups[code].policy == "anti-affinity":
                    assert not max(one.start, other.start) < min(one.end, other.end)


def _audit_affinity(workload: Workload, stays: list[_Stay]) -> None:
    for index, one in enumerate(stays):
        code = workload.group[one.vm]
        if code < 0 or workload.groups[code].policy != "affinity":
            continue
        for other in stays[:index]:
            if workload.group[other.vm] == code and max(one.start, other.start) < min(one.end, other.end):
                assert one.host == other.host


def _audit_books(engine: Engine, record: Record, stays: list[_Stay]) -> None:
    """What the pool holds at the end is what runs at the end, and a group counts its members, each where it is."""
    engine.pool.check()
    n = len(engine.workload)
    left: dict[int, list[int]] = {}
    for stay in stays:
        if stay.end == math.inf:
            left.setdefault(stay.vm, []).append(stay.host)
    members: dict[str, dict[int, int]] = {}
    for vm in range(n):
        hosts = left.get(vm, [])
        held = [[a.row for a in engine.pool.allocations(consumer)][:1] for consumer in (n + vm, vm)]
        expected = [engine.row_of(host) for host in hosts]
        assert [row for rows in held for row in rows] == expected, "holds what it does not use"
        group = engine.group(vm)
        if group is not None and hosts:
            counts = members.setdefault(group.id, {})
            counts[expected[-1]] = counts.get(expected[-1], 0) + 1
    for group in engine.workload.groups:
        assert dict(engine.scheduler.groups.members(group.id)) == members.get(group.id, {})
    assert len(record.outcome) <= n


def fingerprint(record: Record) -> str:
    """A hash of everything that a run leaves behind."""
    digest = hashlib.sha256()
    stays = record.stays
    columns = (stays.vm, stays.host, stays.start_s, stays.end_s, stays.cause)
    by_vm = (record.start_s, record.end_s, record.outcome, record.reason, record.downtime_s, record.migrations)
    for column in (*columns, *by_vm):
        digest.update(np.ascontiguousarray(column).tobytes())
    events = record.host_events
    digest.update(repr((record.reasons, events.time_s, events.host, events.event, events.detail)).encode())
    return digest.hexdigest()


def busy_run(policy: str = "best-fit", seed: int = 7) -> Record:
    """A day of 400 VMs on hosts that fail, racks too, with maintenance, groups and a queue: every path at once."""
    dice = np.random.Generator(np.random.PCG64(1))
    rows = [
        make_vm(
            float(arrival),
            float(dice.exponential(9000)) if dice.random() > 0.1 else None,
            float(dice.choice([1, 2, 4])),
            float(dice.choice([1000, 4000])),
            group=f"g{dice.integers(12)}" if dice.random() < 0.3 else None,
        )
        for arrival in np.sort(dice.uniform(-3600, 80000, 400)).round()
    ]
    rules = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
    for row in rows:
        row["group_policy"] = rules[int(row["group"][1:]) % 4] if row["group"] else None
    fleet = make_fleet(
        make_hosts(5, 8, zone="a", racks=2),
        make_hosts(4, 12, name="big", zone="b"),
        make_hosts(2, 8, at=30000, zone="b"),
    )
    faults = FaultsSpec.model_validate(
        {
            "hosts": {"mtbf": "12 h", "mttr": "30 min"},
            "racks": {"mtbf": "20 h", "mttr": "10 min"},
            "outages": [{"at": "10 h", "duration": "20 min", "zone": "a"}],
        }
    )
    plan = Maintenance.model_validate({"at": "2 h", "duration": "15 min", "every": "8 h", "at_once": 2, "zone": "a"})
    engine = make_engine(
        rows,
        fleet,
        policy=policy,
        faults=faults,
        maintenance=[plan],
        migration=Migration(bandwidth_mib_s=10),
        on_full=Wait(wait=1800),
        horizon=86400,
        seed=seed,
    )
    return finish(engine).record
