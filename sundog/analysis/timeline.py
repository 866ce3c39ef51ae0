"""From stays and host events to step functions: what was allocated, in service, running and empty at every instant.

Words: a host is *up* from the time it is added until it fails or is removed, and again when it is repaired; a *disabled*
host is up and takes no new VM; a host is *empty* when it is up, not disabled and no VM stays on it. Capacity in service
is that of the hosts that are up, the disabled ones too, because their VMs still run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sundog.analysis.steps import Share, Steps, stepper
from sundog.analysis.tables import (
    ADDED,
    ARRIVAL,
    DISABLED,
    ENABLED,
    FAILED,
    REMOVED,
    REPAIRED,
    Floats,
    Ints,
    Results,
    Stays,
)


@dataclass(frozen=True, slots=True, eq=False)
class HostChanges:
    """Each change of a host's state as one row, ordered by host and time; the deltas are -1, 0 or 1. Shape: (n,)."""

    host: Ints
    time_s: Floats
    present: Ints
    up: Ints
    enabled: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """Everything that happens on hosts, ordered by host, then time; what happens at one instant is one entry.

    ``order`` sorts the raw rows (arrivals, then departures, then host changes), ``closing`` are the last raw rows of
    the entries, ``host`` and ``time_s`` belong to the entries. So at equal times departures and arrivals net out: a
    place freed at an instant can be taken at that instant.
    """

    order: npt.NDArray[np.intp]
    closing: npt.NDArray[np.intp]
    host: Ints
    time_s: Floats
    first: npt.NDArray[np.bool_]

    def level(self, changes: npt.NDArray) -> npt.NDArray:
        """The running sum of ``changes`` within each host, at each entry. Shapes: (rows,) to (entries,)."""
        total = np.cumsum(changes[self.order])[self.closing]
        before = np.concatenate(([0], total[:-1]))
        starts = np.flatnonzero(self.first)
        return total - np.repeat(before[starts], np.diff(np.append(starts, len(total))))

    def jumps(self, level: npt.NDArray) -> npt.NDArray:
        """How much ``level`` changes at each entry; a host begins at 0. Shape: (entries,)."""
        before = np.concatenate(([0], level[:-1]))
        return level - np.where(self.first, 0, before)


@dataclass(frozen=True, slots=True, eq=False)
class VmOrder:
    """The stays of each VM in order of time, and how long the earlier ones of the same VM last.

    ``order``: rows of the stays, by VM and start. ``busy_until``: the latest end of all earlier stays of that VM, -inf
    for the first; ``busy_until_last_but_one`` leaves out the stay just before. Shape: (stays of known VMs,).
    """

    order: npt.NDArray[np.intp]
    first: npt.NDArray[np.bool_]
    busy_until: Floats
    busy_until_last_but_one: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The run as step functions of time. The mappings are by resource, in its own unit; the rest counts."""

    allocated: Mapping[str, Steps]
    capacity: Mapping[str, Steps]
    occupied_capacity: Mapping[str, Steps]
    vms_running: Steps
    hosts_present: Steps
    hosts_up: Steps
    hosts_disabled: Steps
    hosts_empty: Steps

    def utilisation(self, resource: str) -> Share:
        """Allocated as a share of the capacity in service."""
        return Share(self.allocated[resource], self.capacity[resource])

    def packing(self, resource: str) -> Share:
        """Allocated as a share of the capacity of the hosts that hold at least one VM."""
        return Share(self.allocated[resource], self.occupied_capacity[resource])


def build_timeline(results: Results) -> Timeline:
    """The step functions of ``results``, exact: no sampling."""
    stays, hosts = results.stays, results.hosts
    changes = host_changes(results)
    entries = build_ledger(stays, changes)
    nothing = np.zeros(2 * len(stays), dtype=np.int64)
    one = np.ones(len(stays), dtype=np.int64)
    vms = entries.level(np.concatenate((one, -one, np.zeros(len(changes.host), dtype=np.int64))))
    enabled = entries.level(np.concatenate((nothing, changes.enabled)))
    now_occupied = entries.jumps((vms > 0).astype(np.int64))
    now_empty = entries.jumps(((vms == 0) & (enabled > 0)).astype(np.int64))

    on_entries = stepper(entries.time_s)
    on_hosts = stepper(changes.time_s)
    on_stays = stepper(np.concatenate((stays.start_s, stays.end_s)))
    return Timeline(
        allocated={r: on_stays(np.concatenate((stays.amount[r], -stays.amount[r]))) for r in results.resources},
        capacity={r: on_hosts(changes.up * hosts.capacity[r][changes.host]) for r in results.resources},
        occupied_capacity={r: on_entries(now_occupied * hosts.capacity[r][entries.host]) for r in results.resources},
        vms_running=_vms_running(stays),
        hosts_present=on_hosts(changes.present),
        hosts_up=on_hosts(changes.up),
        hosts_disabled=on_hosts(changes.up - changes.enabled),
        hosts_empty=on_entries(now_empty),
    )


def host_changes(results: Results) -> HostChanges:
    """When each host came, failed, was repaired, disabled, enabled and removed.

    An event that changes nothing (a failed host fails again) is level. Events of one host at one instant count in the
    order of the file, after the host was added.
    """
    events, hosts = results.events, results.hosts
    exists = np.flatnonzero(np.isfinite(hosts.added_s))
    host = np.concatenate((exists, events.host)).astype(np.int64)
    time = np.concatenate((hosts.added_s[exists], events.time_s))
    event = np.concatenate((np.full(len(exists), ADDED, dtype=np.int8), events.event))
    order = np.lexsort((time, host))  # stable, so equal times keep the order of the file
    host, time, event = host[order], time[order], event[order]
    first = _first_of_run(host)
    present = _latest(first, event, on=ADDED, off=REMOVED)
    up = present & ~_latest(first, event, on=FAILED, off=REPAIRED)
    enabled = up & ~_latest(first, event, on=DISABLED, off=ENABLED)

    def jumps(state: npt.NDArray[np.bool_]) -> Ints:
        before = np.concatenate(([False], state[:-1])) & ~first
        return state.astype(np.int64) - before.astype(np.int64)

    return HostChanges(host, time, jumps(present), jumps(up), jumps(enabled))


def _first_of_run(keys: npt.NDArray) -> npt.NDArray[np.bool_]:
    """True where a key differs from the one before it. Shape: as ``keys``."""
    return np.concatenate(([True], keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, dtype=np.bool_)


def _latest(first: npt.NDArray[np.bool_], event: npt.NDArray[np.int8], *, on: int, off: int) -> npt.NDArray[np.bool_]:
    """Whether the latest of the two events so far on the same host is ``on``; False before either."""
    rows = np.arange(len(event))
    latest = np.maximum.accumulate(np.where((event == on) | (event == off), rows, -1))
    host_began = np.maximum.accumulate(np.where(first, rows, 0))
    return (latest >= host_began) & (event[latest] == on)


def build_ledger(stays: Stays, changes: HostChanges) -> Ledger:
    """The stays and changes by host and time. Stays on a host that does not exist are left out.

    Open stays end at +inf, so that the sum of every host returns to 0 and rounding cannot wander from host to host.
    """
    known = stays.host >= 0
    host = np.concatenate((stays.host, stays.host, changes.host)).astype(np.int64)
    time = np.concatenate((stays.start_s, stays.end_s, changes.time_s))
    order = np.lexsort((time, host))
    if not known.all():
        order = order[host[order] >= 0]
    host, time = host[order], time[order]
    closes = np.append((host[1:] != host[:-1]) | (time[1:] != time[:-1]), True) if len(host) else np.zeros(0, np.bool_)
    closing = np.flatnonzero(closes)
    host, time = host[closing], time[closing]
    return Ledger(order, closing, host, time, _first_of_run(host))


def order_by_vm(stays: Stays) -> VmOrder:
    """Stays of known VMs by VM and time; at one instant the arrival comes before an evacuation or a migration."""
    known = np.flatnonzero(stays.vm >= 0)
    later = (stays.cause[known] != ARRIVAL).astype(np.int8)
    order = known[np.lexsort((later, stays.start_s[known], stays.vm[known]))]
    vm, end = stays.vm[order], stays.end_s[order]
    first = _first_of_run(vm)
    # A running maximum within each VM without a loop: ends become ranks, and the VM's number outweighs every rank.
    by_end = np.argsort(end, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[by_end] = np.arange(len(order))
    highest = np.maximum.accumulate(vm.astype(np.int64) * len(order) + rank) if len(order) else rank
    until = end[by_end[highest % max(1, len(order))]]
    busy = np.where(first, -np.inf, np.concatenate(([-np.inf], until))[: len(order)])
    second = np.concatenate(([True], first))[: len(order)]
    earlier = np.where(first | second, -np.inf, np.concatenate(([-np.inf, -np.inf], until))[: len(order)])
    return VmOrder(order, first, busy, earlier)


def _vms_running(stays: Stays) -> Steps:
    """How many VMs are on a host. A VM on two hosts, while it migrates, is one VM."""
    by_vm = order_by_vm(stays)
    start = np.maximum(stays.start_s[by_vm.order], by_vm.busy_until)
    end = stays.end_s[by_vm.order]
    adds = start < end
    start, end = start[adds], end[adds]
    one = np.ones(len(start))
    return stepper(np.concatenate((start, end)))(np.concatenate((one, -one)))
