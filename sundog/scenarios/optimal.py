"""The fewest hosts that a small workload can do with: a mixed-integer programme, solved by HiGHS.

A lower bound to hold policies against, and the policy ``optimal``, which plans the whole workload beforehand and then
follows the plan. It knows the future, so no real scheduler can be it.

The programme is vector bin packing with bins of several kinds over time: a VM is on one host from arrival to departure
and never moves; a host is used if any VM is ever on it. Sources: Panigrahy et al., "Heuristics for Vector Bin Packing"
(2011); with intervals, temporal bin packing, as in Dell'Amico, Furini, Iori, "A branch-and-price algorithm for the
temporal bin packing problem" (2020). HiGHS: Huangfu, Hall, "Parallelizing the dual revised simplex method" (2018),
through ``scipy.optimize.milp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from sundog.core.scheduler import HostView, Outlook, Request, Scheduler, Shape
from sundog.errors import InputError

MOST_VARIABLES: Final = 20_000
"""Pairs of VM and host beyond which a programme is refused: it would not be solved in a reasonable time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where every VM goes: ``host[i]`` is a position in ``names``; ``hosts_used`` of them are used."""

    hosts_used: int
    host: tuple[int, ...]
    names: tuple[str, ...]
    shapes: tuple[Shape, ...]


def fewest_hosts(outlook: Outlook, *, time_limit: float = 60.0, most_variables: int = MOST_VARIABLES) -> Plan:
    """The plan with the fewest hosts that places every VM of ``outlook``.

    As the engine plays it: departures at an instant come before arrivals, and VMs that arrive together are all there
    at once. Traits, zones, aggregates and demands by machine count; a VM may be on any host that the static filters let
    it on.
    Raises: InputError if it is too large, asks for devices or server groups, has no plan that places every VM, or is
    not solved within ``time_limit`` seconds of computing.
    """
    shapes = tuple(outlook.shapes[code] for code in outlook.shape.tolist())
    _check_plain(outlook, shapes)
    scheduler = Scheduler(outlook.pool, policy=None)
    names = tuple(scheduler.hosts.name(host) for host in range(scheduler.hosts.n))
    n, m = len(shapes), len(names)
    if not n:
        return Plan(0, (), names, shapes)
    allowed = np.zeros((n, m), dtype=bool)
    classes = len(outlook.pool.classes)
    demand = np.zeros((n, m, classes), dtype=np.int64)
    for code, shape in enumerate(outlook.shapes):
        shaped = scheduler.shaped(shape)
        mine = outlook.shape == code
        allowed[mine] = shaped.passes
        for column, units in zip(shaped.demand.columns, shaped.demand.units, strict=True):
            demand[mine, :, column] = np.broadcast_to(units, (m,))
    capacity = np.stack([scheduler.hosts.column(outlook.pool.capacity, c) for c in range(classes)], axis=1)
    kind = _kinds(allowed, demand, capacity)
    rank = np.asarray([int(np.count_nonzero(kind[:host] == kind[host])) for host in range(m)])
    # Hosts of a kind are interchangeable: number them by the first VM that each gets, and VM i needs none beyond i.
    allowed &= rank[None, :] <= np.arange(n)[:, None]
    if not allowed.any(axis=1).all():
        hopeless = shapes[int(np.argmin(allowed.any(axis=1)))]
        raise InputError(
            f"policy optimal: no host can take {hopeless.name or hopeless.describe()}, so there is no plan"
        )
    pairs = np.argwhere(allowed)
    if len(pairs) > most_variables:
        raise InputError(
            f"policy optimal: {n:,} VMs on {m:,} hosts are {len(pairs):,} pairs, and it takes up to "
            f"{most_variables:,}; take fewer VMs (workload.trace.limit, a shorter horizon) or hosts"
        )
    found = _solve(pairs, n, m, _crowds(outlook), demand, capacity, kind, time_limit)
    host = tuple(found.tolist())
    return Plan(len(dict.fromkeys(host)), host, names, shapes)


class Optimal:
    """The plan of :func:`fewest_hosts`, followed. Knows the whole workload beforehand; for small cases.

    ``time_limit``: seconds of computing after which it gives up.
    Raises: ValueError for a time limit that is not above 0.
    """

    def __init__(self, time_limit: float = 60.0) -> None:
        if isinstance(time_limit, bool) or not isinstance(time_limit, int | float) or not time_limit > 0:
            raise ValueError(f"time_limit is {time_limit!r}; it is a number of seconds above 0")
        self.time_limit = float(time_limit)
        self.plan: Plan | None = None

    def prepare(self, outlook: Outlook) -> None:
        """Plan. Raises: as :func:`fewest_hosts`."""
        self.plan = fewest_hosts(outlook, time_limit=self.time_limit)

    def choose(self, request: Request, hosts: HostView) -> int:
        """The planned host of the VM whose turn it is.

        Raises: RuntimeError if there is no plan, or things do not happen as planned.
        """
        if self.plan is None:
            raise RuntimeError("it has no plan: it must be told the workload beforehand, as `sundog run` does")
        vm = hosts.decision
        planned = self.plan.names[self.plan.host[vm]] if vm < len(self.plan.host) else ""
        if not planned or self.plan.shapes[vm] != request.shape:
            raise RuntimeError("things do not happen as planned; it takes no failures, maintenance or waiting")
        host = hosts.index(planned)
        if host is None or not hosts.feasible[host]:
            raise RuntimeError(f"the planned host {planned} is not to be had; it takes no failures or late hosts")
        return host


def _check_plain(outlook: Outlook, shapes: tuple[Shape, ...]) -> None:
    if any(shape.devices is not None for shape in outlook.shapes):
        raise InputError("policy optimal: it does not plan devices (GPUs); use a workload without them")
    if outlook.grouped:
        raise InputError("policy optimal: it does not plan server groups; use a workload without them")
    if len(shapes) > 5_000:
        raise InputError(f"policy optimal: {len(shapes):,} VMs are too many for it; take up to a few hundred")


def _kinds(allowed: NDArray[np.bool_], demand: NDArray[np.int64], capacity: NDArray[np.int64]) -> NDArray[np.intp]:
    """``intp[m]``: hosts with one number are alike in all that the programme knows of them."""
    seen: dict[bytes, int] = {}
    keys = [allowed[:, h].tobytes() + demand[:, h].tobytes() + capacity[h].tobytes() for h in range(len(capacity))]
    return np.asarray([seen.setdefault(key, len(seen)) for key in keys], dtype=np.intp)


def _crowds(outlook: Outlook) -> list[NDArray[np.intp]]:
    """Which VMs are there together, at each instant that no other covers."""
    begin = np.maximum(outlook.arrival_s, 0.0)
    end = begin + (outlook.lifetime_s + np.minimum(outlook.arrival_s, 0.0))
    crowds: list[NDArray[np.intp]] = []
    for instant in np.unique(begin).tolist():
        here = np.flatnonzero((begin <= instant) & ((end > instant) | (begin == instant)))
        if crowds and np.isin(crowds[-1], here).all():
            crowds.pop()
        crowds.append(here)
    return crowds


def _solve(
    pairs: NDArray[np.intp],
    n: int,
    m: int,
    crowds: list[NDArray[np.intp]],
    demand: NDArray[np.int64],
    capacity: NDArray[np.int64],
    kind: NDArray[np.intp],
    time_limit: float,
) -> NDArray[np.intp]:
    """``intp[n]``: the host of each VM. Variables: one a pair (is the VM there), then one a host (is it used)."""
    vm, host = pairs[:, 0], pairs[:, 1]
    variables = len(pairs) + m
    rows, columns, values, low, high = [], [], [], [], []
    count = 0

    def constrain(index: NDArray[np.intp], factors: NDArray[np.float64], least: float, most: float) -> None:
        nonlocal count
        rows.append(np.full(len(index), count))
        columns.append(index)
        values.append(factors)
        low.append(least)
        high.append(most)
        count += 1

    for each in range(n):
        mine = np.flatnonzero(vm == each)
        constrain(mine, np.ones(len(mine)), 1.0, 1.0)
    for crowd in crowds:
        together = np.isin(vm, crowd)
        for each in range(m):
            mine = np.flatnonzero(together & (host == each))
            if not len(mine):
                continue
            for column in range(capacity.shape[1]):
                asked = demand[vm[mine], each, column].astype(np.float64)
                if asked.any():
                    # In shares of the host, so that MiB and vCPUs are of one size to the solver's tolerances.
                    size = float(max(1, capacity[each, column]))
                    index = np.append(mine, len(pairs) + each)
                    constrain(index, np.append(asked / size, -float(capacity[each, column]) / size), -np.inf, 0.0)
    for pair in range(len(pairs)):  # tightens the relaxation, and counts hosts whose VMs ask for nothing
        constrain(np.asarray([pair, len(pairs) + host[pair]]), np.asarray([1.0, -1.0]), -np.inf, 0.0)
    for each in range(1, m):
        before = np.flatnonzero(kind[:each] == kind[each])
        if len(before):
            index = np.asarray([len(pairs) + before[-1], len(pairs) + each])
            constrain(index, np.asarray([-1.0, 1.0]), -np.inf, 0.0)
    matrix = coo_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(count, variables)
    ).tocsr()
    result = milp(
        c=np.concatenate([np.zeros(len(pairs)), np.ones(m)]),
        constraints=LinearConstraint(matrix, low, high),
        integrality=np.ones(variables),
        bounds=Bounds(0, 1),
        options={"time_limit": time_limit, "mip_rel_gap": 0.0},
    )
    if result.status == 2:
        raise InputError(
            f"policy optimal: no plan places all {n:,} VMs on the {m:,} hosts; add hosts, or take fewer VMs"
        )
    if result.status != 0 or result.x is None:
        bounds = ""
        if result.x is not None:
            bounds = (
                f"; the answer is between {int(np.ceil(result.mip_dual_bound - 1e-6))} and {round(result.fun)} hosts"
            )
        raise InputError(
            f"policy optimal: not solved in {time_limit:g} s{bounds}. Take fewer VMs or hosts, or a longer time_limit"
        )
    chosen = result.x[: len(pairs)] > 0.5
    plan = np.empty(n, dtype=np.intp)
    plan[vm[chosen]] = host[chosen]
    return plan
