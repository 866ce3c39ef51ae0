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

from sundog.analysis.steps import ratio
from sundog.analysis.tables import Codes, Floats, Ints, Results
from sundog.analysis.timeline import host_changes
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
    shape = vms.flavor.codes[rows].astype(np.int64)
    for resource in results.resources:
        _, code = np.unique(vms.asked[resource][rows], return_inverse=True)
        _, shape = np.unique(shape * (int(code.max()) + 1) + code, return_inverse=True)
    _, first, count = np.unique(shape, return_index=True, return_counts=True)
    order = np.lexsort((first, -count))
    enough = int(np.searchsorted(np.cumsum(count[order]), covered * len(rows) - 1e-9)) + 1
    order = order[: min(most, enough)]
    chosen = rows[first[order]]
    asked = np.stack([vms.asked[resource][chosen] for resource in results.resources], axis=1)
    names = tuple(vms.flavor[int(row)] or _shape_name(results, asked[i]) for i, row in enumerate(chosen))
    kept = count[order].astype(np.int64)
    return RequestMix(names, asked, kept, kept / kept.sum(), float(kept.sum() / len(rows)))


def _shape_name(results: Results, asked: Floats) -> str:
    """What a request without a flavor is called: ``"4 vCPU, 8 GiB"``."""
    parts = [
        format_mebibytes(amount) if resource.unit == "MiB" else f"{amount:g} {resource.unit}"
        for resource, amount in zip(results.run.resources, asked, strict=True)
        if amount
    ]
    return ", ".join(parts) or "nothing"


@dataclass(slots=True, eq=False)
class _Fleet:
    """The hosts at one instant: amounts in use, whether up, whether they take VMs. Moved forward in time."""

    used: Floats
    up: Ints
    enabled: Ints


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    """Changes of the hosts in order of time."""

    time_s: Floats
    host: Codes | Ints
    changes: tuple[Floats | Ints, ...]


def sample(results: Results, mix: RequestMix, instants: Floats, *, heat_rows: int = HEAT_ROWS) -> Samples:
    """Rebuild the hosts x resources occupancy at each instant, after everything that happens at it.

    Costs one pass over the stays, plus hosts x shapes x resources an instant. ``instants`` must not decrease.
    """
    hosts, names = results.hosts, results.resources
    capacity = np.stack([hosts.capacity[name] for name in names])
    stays, states = _stay_stream(results), _state_stream(results)
    order, row_of, groups, rows = _heat_layout(results, heat_rows)
    fleet = _Fleet(np.zeros_like(capacity), np.zeros(len(hosts), dtype=np.int64), np.zeros(len(hosts), dtype=np.int64))
    shape = (len(instants), len(names))
    free, stranded, fragmented = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    heat = np.full((len(names), rows, len(instants)), np.nan)
    stay_ends = np.searchsorted(stays.time_s, instants, side="right")
    state_ends = np.searchsorted(states.time_s, instants, side="right")
    stay_at = state_at = 0
    for i in range(len(instants)):
        _forward(fleet, stays, states, slice(stay_at, stay_ends[i]), slice(state_at, state_ends[i]))
        stay_at, state_at = stay_ends[i], state_ends[i]
        takes = fleet.enabled > 0
        room = np.where(takes, np.maximum(capacity - fleet.used, 0.0), 0.0)
        free[i] = room.sum(axis=1)
        stranded[i], fragmented[i] = _useless(room, capacity, mix)
        up = (fleet.up > 0).astype(np.float64)
        for r in range(len(names)):
            used_row = np.bincount(row_of, weights=(fleet.used[r] * up)[order], minlength=rows)
            whole = np.bincount(row_of, weights=(capacity[r] * up)[order], minlength=rows)
            heat[r, :, i] = ratio(used_row, whole)
    per_row = int(np.bincount(row_of, minlength=1).max()) if len(row_of) else 0
    return Samples(instants, free, stranded, fragmented, heat, groups, per_row)


def _forward(fleet: _Fleet, stays: _Stream, states: _Stream, some: slice, others: slice) -> None:
    for r, changes in enumerate(stays.changes):
        np.add.at(fleet.used[r], stays.host[some], changes[some])
    np.add.at(fleet.up, states.host[others], states.changes[0][others])
    np.add.at(fleet.enabled, states.host[others], states.changes[1][others])


def _useless(room: Floats, capacity: Floats, mix: RequestMix) -> tuple[Floats, Floats]:
    """Free amounts on hosts that the commonest shape does not fit, and the expectation over the mix.

    Shapes: ``room`` and ``capacity`` (resources, hosts); both answers (resources,). A host that takes no VMs has no
    room, so it adds nothing.
    """
    nothing = np.zeros(len(room))
    if not len(mix.weight):
        return nothing, nothing
    slack = room + 1e-9 * np.maximum(capacity, 1.0)
    expected_misfit = np.zeros(room.shape[1])
    commonest = nothing
    for i, asked in enumerate(mix.asked):
        misfit = (slack < asked[:, None]).any(axis=0).astype(np.float64)
        expected_misfit += mix.weight[i] * misfit
        if i == 0:
            commonest = room @ misfit
    return commonest, room @ expected_misfit


def _stay_stream(results: Results) -> _Stream:
    stays = results.stays
    known = np.flatnonzero(stays.host >= 0)
    leaves = known[np.isfinite(stays.end_s[known])]
    time = np.concatenate((stays.start_s[known], stays.end_s[leaves]))
    host = np.concatenate((stays.host[known], stays.host[leaves]))
    order = np.argsort(time, kind="stable")
    amounts = (
        np.concatenate((stays.amount[name][known], -stays.amount[name][leaves]))[order] for name in results.resources
    )
    return _Stream(time[order], host[order], tuple(amounts))


def _state_stream(results: Results) -> _Stream:
    changes = host_changes(results)
    order = np.argsort(changes.time_s, kind="stable")
    return _Stream(changes.time_s[order], changes.host[order], (changes.up[order], changes.enabled[order]))


def _heat_layout(results: Results, most_rows: int) -> tuple[Ints, Ints, tuple[tuple[int, str], ...], int]:
    """Hosts by zone, rack and type, and the row of the heat map that each falls into.

    Returns the order of the hosts, the row of each in that order, the (first row, zone) pairs, and the row count.
    """
    hosts = results.hosts
    keys = [(hosts.zone[i], hosts.rack[i], hosts.type[i], i) for i in range(len(hosts))]
    keys.sort()
    order = np.array([key[3] for key in keys], dtype=np.int64)
    rows = min(most_rows, len(hosts))
    row_of = np.arange(len(hosts)) * rows // max(1, len(hosts))
    groups: list[tuple[int, str]] = []
    for place, key in enumerate(keys):
        if not groups or groups[-1][1] != key[0]:
            groups.append((int(row_of[place]), key[0]))
    return order, row_of, tuple(groups), rows
