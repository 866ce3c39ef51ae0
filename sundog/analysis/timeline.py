"""From stays and host events to step functions: what was allocated, in service, running and empty at every instant.

Words: a host is *up* from the time it is added until it fails or is removed, and again when it is repaired; a
*disabled* host is up and takes no new VM; a host is *empty* when it is up, not disabled and no VM stays on it. Capacity
in service is that of the hosts that are up, the disabled ones too, because their VMs still run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    STARTED,
    STOPPED,
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

    ``order`` sorts the raw rows (starts, then ends, then host changes), ``closing`` are the last raw rows of
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
    """When each host came, failed or was stopped, was repaired or started, disabled, enabled and removed.

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
    present = _latest(first, event, on=(ADDED,), off=(REMOVED,))
    up = present & ~_latest(first, event, on=(FAILED, STOPPED), off=(REPAIRED, STARTED))
    enabled = up & ~_latest(first, event, on=(DISABLED,), off=(ENABLED,))

    def jumps(state: npt.NDArray[np.bool_]) -> Ints:
        before = np.concatenate(([False], state[:-1])) & ~first
        return state.astype(np.int64) - before.astype(np.int64)

    return HostChanges(host, time, jumps(present), jumps(up), jumps(enabled))


def _first_of_run(keys: npt.NDArray) -> npt.NDArray[np.bool_]:
    """True where a key differs from the one before it. Shape: as ``keys``."""
    return np.concatenate(([True], keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, dtype=np.bool_)


def _latest(
    first: npt.NDArray[np.bool_], event: npt.NDArray[np.int8], *, on: Sequence[int], off: Sequence[int]
) -> npt.NDArray[np.bool_]:
    """Whether the latest of these events so far on the same host is one of ``on``; False before any."""
    rows = np.arange(len(event))
    latest = np.maximum.accumulate(np.where(np.isin(event, (*on, *off)), rows, -1))
    host_began = np.maximum.accumulate(np.where(first, rows, 0))
    return (latest >= host_began) & np.isin(event[latest], on)


def build_ledger(stays: Stays, changes: HostChanges) -> Ledger:
    """The stays and changes by host and time. Stays on a host that does not exist are left out."""
    host = np.concatenate((stays.host, stays.host, changes.host))
    return _ledger(host, np.concatenate((stays.start_s, stays.end_s, changes.time_s)))


def _ledger(key: npt.NDArray, time: Floats) -> Ledger:
    """Rows by key and time; those of a negative key are left out.

    Open stays end at +inf, so that the sum of every key returns to 0 and rounding cannot wander from one to the next.
    """
    order = np.lexsort((time, key))
    order = order[np.searchsorted(key[order], 0) :]
    key, time = key[order].astype(np.int64), time[order]
    closes = np.append((key[1:] != key[:-1]) | (time[1:] != time[:-1]), True) if len(key) else np.zeros(0, np.bool_)
    closing = np.flatnonzero(closes)
    key, time = key[closing], time[closing]
    return Ledger(order, closing, key, time, _first_of_run(key))


def _vms_running(stays: Stays) -> Steps:
    """How many VMs are on a host. A VM on two hosts, while it migrates, is one VM."""
    entries = _ledger(np.concatenate((stays.vm, stays.vm)), np.concatenate((stays.start_s, stays.end_s)))
    one = np.ones(len(stays), dtype=np.int64)
    places = entries.level(np.concatenate((one, -one)))
    return stepper(entries.time_s)(entries.jumps((places > 0).astype(np.int64)))


def first_stays(stays: Stays) -> npt.NDArray[np.intp]:
    """The row of the first stay of each known VM that has one; at one instant the arrival is first."""
    known = np.flatnonzero(stays.vm >= 0)
    later = (stays.cause[known] != ARRIVAL).astype(np.int8)
    order = known[np.lexsort((later, stays.start_s[known], stays.vm[known]))]
    return order[_first_of_run(stays.vm[order])]


def other_places(stays: Stays) -> Ints:
    """On how many hosts each stay finds its VM when it begins, by the stays alone. Shape: (stays,).

    What ends at that instant has ended. A stay of no length is nowhere: it finds nothing and is not found. Of stays
    that begin at one instant, the arrival is first.
    """
    lasting = np.flatnonzero((stays.vm >= 0) & (stays.end_s > stays.start_s))
    n = len(lasting)
    vm = np.concatenate((stays.vm[lasting], stays.vm[lasting]))
    time = np.concatenate((stays.start_s[lasting], stays.end_s[lasting]))
    turn = np.concatenate((1 + (stays.cause[lasting] != ARRIVAL), np.zeros(n))).astype(np.int8)
    change = np.concatenate((np.ones(n, dtype=np.int64), -np.ones(n, dtype=np.int64)))
    order = np.lexsort((turn, time, vm))
    before = np.empty(2 * n, dtype=np.int64)
    before[order] = np.cumsum(change[order]) - change[order]  # each VM's changes add up to 0, so VMs do not mix
    found = np.zeros(len(stays), dtype=np.int64)
    found[lasting] = before[:n]
    return found
