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
    Codes,
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

    The raw rows are the starts of all stays, then their ends, then ``changes``. ``raw_time_s`` are their times,
    ``by_time`` sorts them by time alone and ``order`` by host and time, without the stays on hosts that do not exist.
    ``closing`` are the places in ``order`` of the last row of each entry; ``host`` and ``first`` (of its host) belong
    to the entries. So at equal times departures and arrivals net out: a place freed at an instant can be taken at that
    instant.
    """

    changes: HostChanges
    raw_time_s: Floats
    by_time: npt.NDArray[np.intp]
    order: npt.NDArray[np.intp]
    closing: npt.NDArray[np.intp]
    host: Codes
    first: npt.NDArray[np.bool_]

    def time_s(self, entries: npt.NDArray[np.intp]) -> Floats:
        """The times of ``entries``, given by their number. Shape: as ``entries``."""
        return self.raw_time_s[self.order[self.closing[entries]]]

    def level(self, changes: npt.NDArray) -> npt.NDArray:
        """The running sum of ``changes`` within each host, at each entry. Shapes: (rows,) to (entries,)."""
        rows = changes[self.order]
        del changes  # seldom anyone else's, and as large as a column of all stays twice
        return _level(rows, self.closing, self.first)

    def jumps(self, level: npt.NDArray) -> npt.NDArray:
        """How much ``level`` changes at each entry; a host begins at 0. Shape: (entries,)."""
        return _jumps(level, self.first)

    def spread(self, start: int, end: int, changes: npt.NDArray | int = 0) -> npt.NDArray:
        """Raw rows with one value for starts, one for ends, and ``changes``, all -1, 0 or 1. Shape: (rows,)."""
        stays = (len(self.raw_time_s) - len(self.changes.host)) // 2
        rows = np.zeros(len(self.raw_time_s), dtype=np.int8)
        rows[:stays], rows[stays : 2 * stays], rows[2 * stays :] = start, end, changes
        return rows

    def raw(self, jumps: npt.NDArray) -> npt.NDArray:
        """``jumps`` of the entries as changes of raw rows: each at the last row of its entry. Shape: (rows,)."""
        changes = np.zeros(len(self.raw_time_s), dtype=jumps.dtype)
        changes[self.order[self.closing]] = jumps
        return changes


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


def build_timeline(results: Results, ledger: Ledger | None = None) -> Timeline:
    """The step functions of ``results``, exact: no sampling. ``ledger``: that of the results, if built already."""
    stays, hosts = results.stays, results.hosts
    entries = ledger or build_ledger(results)
    changes, rows = entries.changes, 2 * len(stays)
    on_stays = stepper(entries.raw_time_s, entries.by_time[entries.by_time < rows])
    allocated = {r: on_stays(np.concatenate((stays.amount[r], -stays.amount[r]))) for r in results.resources}
    vms_running = on_stays(_comings_and_goings(stays))
    del on_stays  # it holds an order of all stays
    vms = entries.level(entries.spread(1, -1))
    enabled = entries.level(entries.spread(0, 0, changes.enabled))
    now_occupied = entries.jumps((vms > 0).view(np.int8))
    now_empty = entries.jumps(((vms == 0) & (enabled > 0)).view(np.int8))
    on_entries, on_hosts = stepper(entries.raw_time_s, entries.by_time), stepper(changes.time_s)
    return Timeline(
        allocated=allocated,
        capacity={r: on_hosts(changes.up * hosts.capacity[r][changes.host]) for r in results.resources},
        occupied_capacity={
            r: on_entries(entries.raw(now_occupied * hosts.capacity[r][entries.host])) for r in results.resources
        },
        vms_running=vms_running,
        hosts_present=on_hosts(changes.present),
        hosts_up=on_hosts(changes.up),
        hosts_disabled=on_hosts(changes.up - changes.enabled),
        hosts_empty=on_entries(entries.raw(now_empty)),
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


def build_ledger(results: Results) -> Ledger:
    """The stays and host changes by time, and by host and time.

    Open stays end at +inf, so that the sum of every host returns to 0 and rounding cannot wander from one to the next.
    """
    stays, changes = results.stays, host_changes(results)
    host = np.concatenate((stays.host, stays.host, changes.host), dtype=np.int32)
    time = np.concatenate((stays.start_s, stays.end_s, changes.time_s))
    by_time = np.argsort(time, kind="stable")
    return Ledger(changes, time, by_time, *_entries(host, time, by_time))


def _entries(
    key: npt.NDArray, time: Floats, by_time: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray, npt.NDArray[np.bool_]]:
    """(order, closing, key, first) of rows by key and time, as in ``Ledger``, without those of a negative key."""
    order = by_time if not len(key) or key.min() >= 0 else by_time[key[by_time] >= 0]
    order = stable_order(key, order)
    key, time = key[order], time[order]
    closes = np.append((key[1:] != key[:-1]) | (time[1:] != time[:-1]), True) if len(key) else np.zeros(0, np.bool_)
    closing = np.flatnonzero(closes)
    key = key[closing]
    return order, closing, key, _first_of_run(key)


def stable_order(key: npt.NDArray, order: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The rows of ``order`` by ``key`` (whole numbers from 0 on), rows of equal key as they were.

    numpy sorts 16-bit integers by radix, in a tenth of the time that wider ones take; so wider keys are sorted by their
    lower and then by their upper half.
    """
    for shift in range(0, int(key.max(initial=0)).bit_length(), 16):
        order = order[np.argsort((key >> shift).astype(np.uint16)[order], kind="stable")]
    return order


def _level(changes: npt.NDArray, closing: npt.NDArray[np.intp], first: npt.NDArray[np.bool_]) -> npt.NDArray:
    """The running sum of ordered ``changes`` within each key, at each entry. Shapes: (rows,) to (entries,)."""
    exact = changes.dtype if changes.dtype.kind == "f" else np.int32  # counts of stays fit, at half the memory
    total = np.cumsum(changes, dtype=exact)
    del changes
    total = total[closing]
    starts = np.flatnonzero(first)
    before = np.where(starts > 0, total[starts - 1], 0)
    total -= np.repeat(before, np.diff(np.append(starts, len(total))))
    return total


def _jumps(level: npt.NDArray, first: npt.NDArray[np.bool_]) -> npt.NDArray:
    jumps = level.copy()
    jumps[1:] -= np.where(first[1:], 0, level[:-1])
    return jumps


def _staying_again(stays: Stays) -> npt.NDArray[np.intp]:
    """The rows of the known VMs that stay more than once: most VMs never move, and what is asked of them is plain."""
    known = stays.vm if len(stays) and stays.vm.min() >= 0 else stays.vm[stays.vm >= 0]
    often = np.append(np.bincount(known) > 1, False)  # the last is for unknown VMs, whose row is -1
    return np.flatnonzero(often[stays.vm])


def _comings_and_goings(stays: Stays) -> npt.NDArray[np.int8]:
    """By how much the VMs that are on a host change with each start and each end. Shape: (2 * stays,).

    A VM on two hosts, while it migrates, is one VM; an unknown one is none.
    """
    n, some = len(stays), _staying_again(stays)
    coming = (stays.vm >= 0).astype(np.int8)
    coming[some] = 0
    found = np.concatenate((coming, -coming))
    rows = np.concatenate((some, n + some))
    time = np.concatenate((stays.start_s[some], stays.end_s[some]))
    order, closing, _, first = _entries(stays.vm[rows % n] if n else rows, time, np.argsort(time, kind="stable"))
    one = np.ones(len(some), dtype=np.int8)
    places = _level(np.concatenate((one, -one))[order], closing, first)
    found[rows[order[closing]]] = _jumps((places > 0).view(np.int8), first)
    return found


def first_stays(stays: Stays) -> npt.NDArray[np.intp]:
    """The row of the first stay of each known VM that has one; at one instant the arrival is first."""
    again = _staying_again(stays)
    later = (stays.cause[again] != ARRIVAL).astype(np.int8)
    again = again[np.lexsort((later, stays.start_s[again], stays.vm[again]))]
    rows = np.flatnonzero(stays.vm >= 0)
    first = np.full(int(stays.vm.max(initial=-1)) + 1, -1, dtype=np.intp)
    first[stays.vm[rows]] = rows
    first[stays.vm[again[::-1]]] = again[::-1]
    return first[first >= 0]


def other_places(stays: Stays) -> Ints:
    """On how many hosts each stay finds its VM when it begins, by the stays alone. Shape: (stays,).

    What ends at that instant has ended. A stay of no length is nowhere: it finds nothing and is not found. Of stays
    that begin at one instant, the arrival is first.
    """
    again = _staying_again(stays)
    lasting = again[stays.end_s[again] > stays.start_s[again]]
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
