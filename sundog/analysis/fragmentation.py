"""Free capacity that the requests cannot use, measured by rebuilding the occupancy of every host at sample instants.

*Stranded* is the free amount on hosts where the most common request does not fit. *Fragmentation* weighs that over the
whole request mix: the amount that is expected to be of no use to a request drawn from it.

Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent",
USENIX ATC 2023, section 3: F = sum over tasks m of p_m times the resources that no task m can get. There a task that
asks for no GPU finds every free GPU useless; here a request that fits leaves nothing useless. Only amounts count: a
host that a trait or a zone rules out still counts as one that fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sundog.analysis.steps import ratio
from sundog.analysis.tables import Coded, Floats, Ints, Results, first_rows
from sundog.analysis.timeline import Ledger, build_ledger
from sundog.units import format_mebibytes

COVERED: Final = 0.95
MOST_SHAPES: Final = 30
HEAT_ROWS: Final = 200


@dataclass(frozen=True, slots=True, eq=False)
class RequestMix:
    """The most common request shapes, commonest first. ``asked``: (shapes, resources); ``weight`` adds up to 1.

    ``count``: requests of each shape; ``covered``: the share of all requests that these shapes are.
    """

    names: tuple[str, ...]
    asked: Floats
    count: Ints
    weight: Floats
    covered: float


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What the hosts look like at the sample instants. Shapes: (instants, resources), units of the resources.

    ``free`` is on hosts that take VMs (up, not disabled); ``stranded`` and ``fragmented`` are parts of it.
    ``heat``: (resources, rows, instants), the allocated share of each bin of neighbouring hosts, NaN where all of them
    are down; ``heat_groups``: (first row, zone) of each zone; ``hosts_per_row``: how many hosts the fullest bin holds.
    """

    instants: Floats
    free: Floats
    stranded: Floats
    fragmented: Floats
    heat: Floats
    heat_groups: tuple[tuple[int, str], ...]
    hosts_per_row: int


def request_mix(results: Results, *, covered: float = COVERED, most: int = MOST_SHAPES) -> RequestMix:
    """The commonest shapes (flavor and amounts) among the requests of the window, until ``covered`` of them are in.

    Where no request arrived in the window, all requests count. A tie goes to the shape that was asked for first.
    """
    vms = results.vms
    start, end = results.window
    rows = np.flatnonzero((vms.arrival_s >= start) & (vms.arrival_s <= end))
    rows = rows if len(rows) else np.arange(len(vms))
    if not len(rows):
        none = np.zeros(0)
        return RequestMix((), np.zeros((0, len(results.resources))), none.astype(np.int64), none, 0.0)
    shape = _coded(vms.flavor.codes[rows])
    for resource in results.resources:
        code = _coded(vms.asked[resource][rows])
        shape = _coded(shape * (int(code.max()) + 1) + code)
    count, first = np.bincount(shape), first_rows(shape)
    order = np.lexsort((first, -count))
    enough = int(np.searchsorted(np.cumsum(count[order]), covered * len(rows) - 1e-9)) + 1
    order = order[: min(most, enough)]
    chosen = rows[first[order]]
    asked = np.stack([vms.asked[resource][chosen] for resource in results.resources], axis=1)
    names = tuple(vms.flavor[int(row)] or _shape_name(results, asked[i]) for i, row in enumerate(chosen))
    kept = count[order].astype(np.int64)
    return RequestMix(names, asked, kept, kept / kept.sum(), float(kept.sum() / len(rows)))


def _coded(values: npt.NDArray) -> Ints:
    """The place of each value among the different ones, in the order in which they first come."""
    return pa.array(values).dictionary_encode().indices.to_numpy().astype(np.int64)


def _shape_name(results: Results, asked: Floats) -> str:
    """What a request without a flavor is called: ``"4 vCPU, 8 GiB"``."""
    parts = [
        format_mebibytes(amount) if resource.unit == "MiB" else f"{amount:g} {resource.unit}"
        for resource, amount in zip(results.run.resources, asked, strict=True)
        if amount
    ]
    return ", ".join(parts) or "nothing"


class _Fleet:
    """The hosts at one instant, moved forward in time. Shapes: (hosts,), or (resources, hosts).

    ``used`` and ``room`` are amounts; room is on hosts that take VMs alone. ``up`` and ``enabled`` tell the state.
    ``misfit`` is 1 where the commonest shape does not fit, ``expected`` the weight of all shapes that do not. The hosts
    of the heat map are in the order of its rows: ``taken`` of ``whole`` is allocated, both 0 on a host that is down.
    What follows from others is worked out again for those hosts only that something happened on.
    """

    def __init__(self, results: Results, ledger: Ledger, mix: RequestMix, heat_order: Ints) -> None:
        self.stays, self.changes, self.mix = results.stays, ledger.changes, mix
        self.amounts = [results.stays.amount[name] for name in results.resources]
        self.capacity = np.stack([results.hosts.capacity[name] for name in results.resources])
        hosts = self.capacity.shape[1]
        self.used, self.room, self.taken, self.whole = (np.zeros_like(self.capacity) for _ in range(4))
        self.up, self.enabled = np.zeros(hosts, dtype=np.int64), np.zeros(hosts, dtype=np.int64)
        self.misfit, self.expected = np.zeros(hosts), np.zeros(hosts)
        self.heat_place = np.empty(hosts, dtype=np.intp)
        self.heat_place[heat_order] = np.arange(hosts)
        self._look(np.arange(hosts))

    def forward(self, rows: npt.NDArray[np.intp]) -> None:
        """Let these raw rows of the ledger happen, in their order."""
        n = len(self.stays)
        begun = rows[rows < 2 * n]
        stay = begun % n if n else begun
        known = self.stays.host[stay] >= 0
        stay, sign = stay[known], np.where(begun[known] < n, 1.0, -1.0)
        host = self.stays.host[stay]
        for used, amount in zip(self.used, self.amounts, strict=True):
            np.add.at(used, host, sign * amount[stay])
        change = rows[rows >= 2 * n] - 2 * n
        changed = self.changes.host[change]
        np.add.at(self.up, changed, self.changes.up[change])
        np.add.at(self.enabled, changed, self.changes.enabled[change])
        touched = np.zeros(len(self.up), dtype=np.bool_)
        touched[host] = touched[changed] = True
        self._look(np.flatnonzero(touched))

    def _look(self, hosts: npt.NDArray[np.intp]) -> None:
        capacity, used, up = self.capacity[:, hosts], self.used[:, hosts], self.up[hosts] > 0
        self.taken[:, self.heat_place[hosts]] = used * up
        self.whole[:, self.heat_place[hosts]] = capacity * up
        room = np.maximum(capacity - used, 0.0) * (self.enabled[hosts] > 0)
        self.room[:, hosts] = room
        slack = room + 1e-9 * np.maximum(capacity, 1.0)
        expected = np.zeros(len(hosts))
        for i, (asked, weight) in enumerate(zip(self.mix.asked, self.mix.weight, strict=True)):
            misfit = (slack < asked[:, None]).any(axis=0)
            expected += weight * misfit
            if i == 0:
                self.misfit[hosts] = misfit
        self.expected[hosts] = expected


def sample(
    results: Results, mix: RequestMix, instants: Floats, ledger: Ledger | None = None, *, heat_rows: int = HEAT_ROWS
) -> Samples:
    """Rebuild the hosts x resources occupancy at each instant, after everything that happens at it.

    Costs one pass over the stays, plus shapes x resources for each host that something happened on since the instant
    before. ``instants`` must not decrease. ``ledger``: that of the results, if it is built already.
    """
    ledger = ledger or build_ledger(results)
    order, row_of, groups, rows = _heat_layout(results, heat_rows)
    row_begins = np.searchsorted(row_of, np.arange(rows))
    fleet = _Fleet(results, ledger, mix, order)
    shape = (len(instants), len(results.resources))
    free, stranded, fragmented = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    heat = np.full((len(results.resources), rows, len(instants)), np.nan)
    at = 0
    for i, end in enumerate(np.searchsorted(ledger.raw_time_s, instants, side="right", sorter=ledger.by_time)):
        fleet.forward(ledger.by_time[at:end])
        at = end
        free[i] = fleet.room.sum(axis=1)
        stranded[i], fragmented[i] = fleet.room @ fleet.misfit, fleet.room @ fleet.expected
        if rows:
            taken, whole = (np.add.reduceat(each, row_begins, axis=1) for each in (fleet.taken, fleet.whole))
            heat[:, :, i] = ratio(taken, whole)
    per_row = int(np.bincount(row_of, minlength=1).max()) if len(row_of) else 0
    return Samples(instants, free, stranded, fragmented, heat, groups, per_row)


def _heat_layout(results: Results, most_rows: int) -> tuple[Ints, Ints, tuple[tuple[int, str], ...], int]:
    """Hosts by zone, rack and type, and the row of the heat map that each falls into.

    Returns the order of the hosts, the row of each in that order, the (first row, zone) pairs, and the row count.
    """
    hosts = results.hosts
    order = np.lexsort([_alphabetical(column) for column in (hosts.type, hosts.rack, hosts.zone)])
    rows = min(most_rows, len(hosts))
    row_of = np.arange(len(hosts)) * rows // max(1, len(hosts))
    zones = hosts.zone.codes[order]
    begins = np.flatnonzero(np.append(True, zones[1:] != zones[:-1])) if len(zones) else np.zeros(0, np.intp)
    groups = tuple((int(row_of[place]), hosts.zone.names[zones[place]]) for place in begins)
    return order, row_of, groups, rows


def _alphabetical(column: Coded) -> Ints:
    """The place of each row's name in the alphabet of the column's names."""
    place = np.empty(len(column.names), dtype=np.int64)
    place[sorted(range(len(place)), key=column.names.__getitem__)] = np.arange(len(place))
    return place[column.codes]
