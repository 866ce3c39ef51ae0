"""Three private clouds whose log names the node that each VM was really put on, replayed with each cloud's scheduler.

DS1 and DS3 ran Eucalyptus' ROUNDROBIN, DS2 its GREEDY (TRACE-README), which is first fit over the list of nodes. The
order of that list is not on record. It is estimated from the first half of the arrivals and judged on the second: for
round robin the ring with the most observed steps from one arrival's node to the next one's; for greedy the list that
most of the choices agree with, where a chosen node comes before every other one that had room.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

from sundog.core.pool import Pool
from sundog.core.scheduler import Decision, Request, Scheduler, load_policy
from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import Study, prepare
from sundog.sim.records import Outcome

CLOUDS = {"DS1": (13, 24, "round-robin"), "DS2": (7, 12, "first-fit"), "DS3": (7, 8, "round-robin")}
"""Hosts, cores of each, and the scheduler in the words of Sundog."""


@dataclass(frozen=True)
class Log:
    """A cloud's log, one entry a VM in arrival order; ``node`` is the number of the recorded node."""

    arrival: np.ndarray
    end: np.ndarray
    cores: np.ndarray
    node: np.ndarray
    hosts: int
    size: int

    def events(self, upto: int | None = None) -> list[tuple[float, int, int]]:
        """(time, 1 for an arrival or else a departure, VM) in the order that the engine takes them."""
        vms = range(len(self.arrival) if upto is None else upto)
        # Departures first (0), but not those of VMs that come and go within one second (2).
        ends = ((float(self.end[vm]), 2 if self.end[vm] == self.arrival[vm] else 0, vm) for vm in vms)
        leave = [each for each in ends if math.isfinite(each[0])]
        return sorted([*leave, *((float(self.arrival[vm]), 1, vm) for vm in vms)])


@dataclass(frozen=True)
class Replay:
    """What a cloud's replay shows. Shares are of VMs of the second half of the log.

    ``same``: on the recorded node, in a run of its own. ``step``: on the recorded node, where everything before was
    put back to what was recorded. ``step_alone``: the same, for VMs that alone arrive within their second.
    ``by_chance``: what ``random`` would reach in the place of ``step``. ``difference``: mean absolute difference of
    the cores in use, a share of all. ``elsewhere``: cores in use on another node, a share of those in use.
    ``recorded``, ``simulated``: mean shares in use. ``rejected``: VMs without room.
    """

    cloud: str
    vms: int
    nodes: tuple[int, ...]
    same: float
    step: float
    step_alone: float
    by_chance: float
    recorded: float
    simulated: float
    difference: float
    elsewhere: float
    rejected: int
    overcommitted: int
    times: tuple[float, ...]
    in_use: tuple[tuple[float, float], ...]


def study_of(traces: Path, cloud: str, policy: str | None = None) -> Study:
    """The library's scenario for a cloud."""
    hosts, cores, own = CLOUDS[cloud]
    path = traces / "eucalyptus" / f"{cloud}-trace.txt"
    options = [f"workload.trace.path={path}", f"fleet.0.count={hosts}", f"fleet.0.type.vcpus={cores}"]
    return prepare(load_scenario("eucalyptus", [*options, f"policy={policy or own}"]))


def log_of(study: Study) -> Log:
    """The columns that are compared."""
    work, host = study.workload, study.fleet.type_of(0)
    node = np.asarray([int(str(name).removeprefix("NODE")) for name in work.frame["node"]])
    cores = np.asarray([dict(shape.resources)["VCPU"] for shape in work.shapes])[work.shape]
    return Log(
        work.arrival_s, work.arrival_s + work.lifetime_s, cores, node, len(study.fleet), round(float(host.vcpus))
    )


# ---------------------------------------------------------------- the order of the nodes


def ring(log: Log, upto: int) -> tuple[int, ...]:
    """The cyclic order with the most steps in it, among the first ``upto`` arrivals. Held and Karp's recursion, exact.

    Only steps between VMs that came alone in their second count: within a second the log is sorted by name.
    """
    alone = _alone(log)
    steps = np.zeros((log.hosts, log.hosts))
    for vm in range(1, upto):
        if alone[vm] and alone[vm - 1]:
            steps[log.node[vm - 1], log.node[vm]] += 1
    n = log.hosts
    best = {(1, 0): (0.0, (0,))}
    for _ in range(n - 1):
        longer: dict[tuple[int, int], tuple[float, tuple[int, ...]]] = {}
        for (seen, last), (value, path) in best.items():
            for node in range(n):
                if seen >> node & 1:
                    continue
                key, found = (seen | 1 << node, node), (value + steps[last, node], (*path, node))
                if key not in longer or found > longer[key]:
                    longer[key] = found
        best = longer
    return max((value + steps[last, 0], path) for (_, last), (value, path) in best.items())[1]


def list_of(log: Log, upto: int) -> tuple[int, ...]:
    """The list that agrees with the most choices among the first ``upto`` arrivals."""
    before = np.zeros((log.hosts, log.hosts))
    used = np.zeros(log.hosts)
    for _, arrives, vm in log.events(upto):
        node = log.node[vm]
        if arrives == 1:
            roomy = used + log.cores[vm] <= log.size
            before[node, roomy] += 1
            used[node] += log.cores[vm]
        else:
            used[node] -= log.cores[vm]
    np.fill_diagonal(before, 0)
    agreed = [
        (sum(before[a, b] for a, b in itertools.combinations(order, 2)), order)
        for order in itertools.permutations(range(log.hosts))
    ]
    return max(agreed)[1]


def _alone(log: Log) -> np.ndarray:
    counts = Counter(log.arrival.tolist())
    return np.asarray([counts[at] == 1 for at in log.arrival.tolist()])


# ---------------------------------------------------------------- the comparison


@lru_cache(maxsize=8)
def replay(traces: Path, cloud: str) -> Replay:
    """Replay one cloud with its own scheduler."""
    study = study_of(traces, cloud)
    log = log_of(study)
    half = len(log.node) // 2
    order = ring(log, half) if study.loaded.scenario.policy.name == "round-robin" else list_of(log, half)
    record = study.engine().run()
    hosts = np.full(len(log.node), -1)
    hosts[record.stays.vm] = np.asarray(order)[record.stays.host]
    late = np.arange(len(log.node)) >= half
    step = one_step_ahead(study, log, order)
    chance = one_step_ahead(study, log, order, policy="random")
    admitted = record.outcome != Outcome.REJECTED
    stays, every = record.stays, np.arange(len(log.node))
    ends = np.where(np.isnan(stays.end_s), math.inf, stays.end_s)
    times, used = _in_use(
        log, (every, log.node, log.arrival, log.end), (stays.vm, hosts[stays.vm], stays.start_s, ends)
    )
    width, all_cores = np.diff(times), log.hosts * log.size
    recorded, simulated = used[0].sum(axis=1), used[1].sum(axis=1)
    elsewhere = np.abs(used[0] - used[1]).sum(axis=1) / 2
    return Replay(
        cloud,
        len(log.node),
        order,
        same=float((hosts == log.node)[late].mean()),
        step=float(step[late].mean()),
        step_alone=float(step[late & _alone(log)].mean()),
        by_chance=float(chance[late].mean()),
        recorded=float(recorded[:-1] @ width / width.sum() / all_cores),
        simulated=float(simulated[:-1] @ width / width.sum() / all_cores),
        difference=float(np.abs(recorded - simulated)[:-1] @ width / width.sum() / all_cores),
        elsewhere=float(elsewhere[:-1] @ width / (recorded[:-1] @ width)),
        rejected=int((~admitted).sum()),
        overcommitted=_overcommitted(log),
        times=tuple(times.tolist()),
        in_use=tuple(zip(recorded.tolist(), simulated.tolist(), strict=True)),
    )


def one_step_ahead(study: Study, log: Log, order: tuple[int, ...], policy: str | None = None) -> np.ndarray:
    """For each VM, whether the scheduler would have put it where it was, given where all before its second were.

    Within a second the log is sorted by name, so which VM of several came first is not known. They are placed one after
    the other, and as many of them count as equal as nodes and sizes agree, in whatever order.
    """
    pool = Pool(study.workload.classes)
    rows = study.fleet.enter(pool, 0)
    row_of = {node: rows[position] for position, node in enumerate(order)}
    name = policy or study.loaded.scenario.policy.name
    scheduler = Scheduler(pool, load_policy(name), policy_name=name, seed=1)
    column, scale = pool.classes.column("VCPU"), pool.classes["VCPU"].scale
    equal = np.zeros(len(log.node), dtype=bool)
    for (_, kind), events in itertools.groupby(log.events(), key=lambda event: event[:2]):
        vms = [vm for _, _, vm in events]
        if kind != 1:
            for vm in vms:
                pool.release(vm)
            continue
        before = scheduler.hosts.last_row
        found: list[tuple[int, float]] = []
        for vm in vms:
            decision = scheduler.place(Request(study.workload.shapes[study.workload.shape[vm]]), vm)
            if isinstance(decision, Decision):
                found.append((decision.row, float(log.cores[vm])))
        for vm in vms:
            scheduler.release(vm)
        left = Counter(found)
        for vm in vms:
            row = row_of[int(log.node[vm])]
            key = (row, float(log.cores[vm]))
            equal[vm] = left[key] > 0
            left[key] -= 1
            # What was put on a full node takes what is left of it: the log has nodes beyond their cores.
            cores = min(int(pool.free[column, row]), int(log.cores[vm]) * scale)
            if cores:
                assert pool.claim(vm, [(row, ((column, cores),))]) is None
        scheduler.hosts.last_row = _last_around(rows, before, [row_of[int(log.node[vm])] for vm in vms])
    return equal


def _last_around(rows: list[int], before: int, used: list[int]) -> int:
    """The node that a ring which stood at ``before`` reached last, if ``used`` are the nodes of one second."""
    counts, start = Counter(used), rows.index(before) if before in rows else -1
    most = max(counts.values())
    return max(
        (row for row in counts if counts[row] == most), key=lambda row: (rows.index(row) - start - 1) % len(rows)
    )


_Stays: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""VM, node, from, to: one entry a stay; infinite for one without end."""


def _in_use(log: Log, *kinds: _Stays) -> tuple[np.ndarray, list[np.ndarray]]:
    """All instants at which something changes, and for each of ``kinds`` the cores in use on each node from then on."""
    bounds = np.concatenate([np.concatenate(stays[2:]) for stays in kinds])
    instants = np.unique(bounds[np.isfinite(bounds)])
    found = []
    for vm, node, start, end in kinds:
        change = np.zeros((len(instants), log.hosts))
        ended = np.isfinite(end)
        np.add.at(change, (np.searchsorted(instants, start), node), log.cores[vm])
        np.add.at(change, (np.searchsorted(instants, end[ended]), node[ended]), -log.cores[vm][ended])
        found.append(np.cumsum(change, axis=0))
    return instants, found


def _overcommitted(log: Log) -> int:
    """Arrivals that went to a node without room for them."""
    used, beyond = np.zeros(log.hosts), 0
    for _, arrives, vm in log.events():
        used[log.node[vm]] += log.cores[vm] if arrives == 1 else -log.cores[vm]
        beyond += bool(arrives == 1 and used[log.node[vm]] > log.size)
    return beyond
