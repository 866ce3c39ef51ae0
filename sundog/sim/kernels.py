"""Compiled replay: every VM that comes and goes between two events of the world, in one call.

The order within an instant is the engine's: departures, then those who wait for room, then (outside) what happens to
hosts, then those whose wait is over, then arrivals. Departures are known beforehand for VMs placed when they arrive, so
they are read off a sorted column; only those of VMs that waited first need a heap.
"""
# Numba infers the types; mypy leaves this file out.

from __future__ import annotations

from enum import IntEnum

import numpy as np

from sundog.core.pool.allocations import ROW
from sundog.core.scheduler.compiled.block import bools, floats, ints, ints_at, longs, prefetch
from sundog.core.scheduler.compiled.cache import kernel
from sundog.core.scheduler.compiled.kernels import NOBODY, choose, committed, leave, release, row_of, why_not
from sundog.core.scheduler.compiled.slots import (
    CLAIMS,
    CLASSES,
    CORE_SLOTS,
    ENTRIES,
    ENTRY_MARKS,
    FREE,
    GENERATION,
    GROUP_MARKS,
    HEAD,
    ROOT,
    ROWS,
    SIZES,
    USED,
)
from sundog.sim.records import Outcome

# ---- slots beyond those of the scheduler, by VM unless said otherwise
(
    ARRIVAL,  # float64: as in the workload, negative for VMs alive at the beginning
    LIFETIME,
    SHAPE,  # int32: the decider's code
    GROUP,  # int32: -1 for none
    START,
    OUTCOME,  # int8
    REASON,  # int32: a reason's code, or a refusal (negative, see ``refusal``)
    STAY,  # int32
    SPECIAL_END,  # bool: is down or migrates, so that Python code must see to its end
    STAY_VM,  # by stay
    STAY_HOST,
    STAY_START,
    STAY_END,
    STAY_CAUSE,
    BY_END,  # int32: VMs with an end, by the end they have if placed on arrival
    END_TIME,  # float64: that end, in the same order
    LATE_END,  # float64: heap of the ends of VMs that waited
    LATE_VM,  # int32: which they are
    QUEUE,  # int32: who waits, first come first
    HOPELESS,  # int64, by shape: the last pass in which it found no host
    STATIC_REASON,  # int32, by shape: why no host could take it, for shapes that no host can
    TOO_LARGE,  # bool, by shape: whether that is for ever
    GROUP_CODE,  # int32, by group
    GROUP_RULE,
    GROUP_LIMIT,
    FLEET_HOST,  # int32, by pool row
    MARKS,  # int64: scalars, see below
    TIMES,  # float64: scalars, see below
) = range(CORE_SLOTS, CORE_SLOTS + 28)
SLOTS = CORE_SLOTS + 28

# ---- MARKS
(
    VMS,
    ENDS,
    ARRIVED,
    EVENTS,
    OPEN,
    STAYS,
    NEXT_END,
    LATE,
    WAITING,
    SERVE,  # whether room appeared that those who wait have not been offered
    PASS,
    TO_ENTER,
    STAY_ROOM,
    ENTRY_ROOM,
    GROUP_ROOM,
    MOST_ENTRIES,
    SPECIAL_VM,
    GROUPS,
) = range(18)

# ---- TIMES
NOW, WAIT_LIMIT, HORIZON = range(3)

_AHEAD = 12  # departures

WAITED, STILL_WAITING = 1 << 28, 1 << 29
"""Bits of a refusal: its VM waited in vain, or still waits at the end."""


class Status(IntEnum):
    """Why :func:`play` came back."""

    REACHED = 0  # all is done up to the limit
    MORE = 1  # the budget is spent
    SETTLED = 2  # no fate is open any more, and there is no horizon
    SPECIAL = 3  # a VM ends that Python code must see to
    GROW = 4  # a column is nearly full


REACHED, MORE, SETTLED, SPECIAL, GROW = (int(each) for each in Status)
_NONE, _COMPLETED, _REJECTED = int(Outcome.NONE), int(Outcome.COMPLETED), int(Outcome.REJECTED)


# ------------------------------------------------------------------------------------------------ departures


@kernel
def _push_late(b, end, vm):
    ends, vms, marks = floats(b, LATE_END), ints(b, LATE_VM), longs(b, MARKS)
    at = marks[LATE]
    marks[LATE] += 1
    while at > 0 and ends[(at - 1) >> 1] > end:
        ends[at], vms[at] = ends[(at - 1) >> 1], vms[(at - 1) >> 1]
        at = (at - 1) >> 1
    ends[at], vms[at] = end, vm


@kernel
def _pop_late(b):
    ends, vms, marks = floats(b, LATE_END), ints(b, LATE_VM), longs(b, MARKS)
    marks[LATE] -= 1
    size, at = marks[LATE], 0
    end, vm = ends[size], vms[size]
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and ends[child + 1] < ends[child]:
            child += 1
        if ends[child] >= end:
            break
        ends[at], vms[at] = ends[child], vms[child]
        at = child
    ends[at], vms[at] = end, vm


@kernel
def _end_of(b, vm, start):
    """When a VM that starts then will end: one alive at the beginning has lived a part of its life."""
    return start + (floats(b, LIFETIME)[vm] + min(floats(b, ARRIVAL)[vm], 0.0))


@kernel
def _next_departure(b):
    """(time, VM) of the next VM to leave by either list; those that are gone, or were placed late, are passed over."""
    marks, by_end, outcome = longs(b, MARKS), ints(b, BY_END), bools(b, OUTCOME)
    waits, arrived = floats(b, TIMES)[WAIT_LIMIT] > 0, marks[ARRIVED]
    when, who = np.inf, NOBODY
    while marks[NEXT_END] < marks[ENDS]:
        vm = by_end[marks[NEXT_END]]
        if vm >= arrived:
            break
        if outcome[vm] != _NONE or (waits and floats(b, START)[vm] != max(floats(b, ARRIVAL)[vm], 0.0)):
            marks[NEXT_END] += 1
            continue
        when, who = floats(b, END_TIME)[marks[NEXT_END]], vm
        break
    ends, vms = floats(b, LATE_END), ints(b, LATE_VM)
    while marks[LATE] and outcome[vms[0]] != _NONE:
        _pop_late(b)
    if marks[LATE] and ends[0] < when:
        when, who = ends[0], vms[0]
    return when, who


@kernel
def _look_ahead(b):
    """Have brought near what the next VMs to leave will need, each thing when it is known where it is.

    On a large fleet a departure otherwise spends most of its time waiting for its VM's few numbers, which lie anywhere.
    """
    upcoming = ints_at(b, BY_END, longs(b, MARKS)[NEXT_END])
    if longs(b, MARKS)[NEXT_END] + _AHEAD >= longs(b, MARKS)[ENDS]:
        return
    head, entries = ints(b, HEAD), ints(b, ENTRIES)
    first, second, third = upcoming[_AHEAD], upcoming[2 * _AHEAD // 3], upcoming[_AHEAD // 3]
    prefetch(head, first)
    prefetch(bools(b, OUTCOME), first)
    if head[second] != NOBODY:
        prefetch(entries, 4 * head[second])
    if head[third] != NOBODY:
        row = entries[4 * head[third] + ROW]
        rows, free, used = longs(b, SIZES)[ROWS], longs(b, FREE), longs(b, USED)
        for column in range(longs(b, SIZES)[CLASSES]):
            prefetch(free, column * rows + row)
            prefetch(used, column * rows + row)
        prefetch(ints(b, CLAIMS), row)
        prefetch(longs(b, GENERATION), row)
        prefetch(ints(b, ROOT), row)


@kernel
def _depart(b, vm):
    """A VM leaves. When, and when its stay ended, is worked out from its start after the run, for all at once."""
    marks = longs(b, MARKS)
    marks[EVENTS] += 1
    marks[OPEN] -= 1
    marks[SERVE] = 1
    _look_ahead(b)
    row = release(b, vm)
    if marks[GROUPS]:
        group = ints(b, GROUP)[vm]
        if group != NOBODY:
            leave(b, ints(b, GROUP_CODE)[group], row)
    bools(b, OUTCOME)[vm] = _COMPLETED


# ------------------------------------------------------------------------------------------------ arrivals


@kernel
def _place(b, vm, now):
    """Put a VM onto a host; False if there is none."""
    marks, group, shape = longs(b, MARKS), ints(b, GROUP)[vm], ints(b, SHAPE)[vm]
    code, rule, limit = NOBODY, 0, 0
    if group != NOBODY:
        code, rule, limit = ints(b, GROUP_CODE)[group], ints(b, GROUP_RULE)[group], ints(b, GROUP_LIMIT)[group]
    host = choose(b, shape, code, rule, limit)
    if host == NOBODY:
        return False
    committed(b, shape, host, vm, code)
    number = marks[STAYS]
    marks[STAYS] += 1
    ints(b, STAY_VM)[number] = vm
    ints(b, STAY_HOST)[number] = ints(b, FLEET_HOST)[row_of(b, host)]
    floats(b, STAY_START)[number] = now
    floats(b, STAY_END)[number] = np.nan
    bools(b, STAY_CAUSE)[number] = 0
    ints(b, STAY)[vm] = number
    floats(b, START)[vm] = now
    end = _end_of(b, vm, now)
    if end == np.inf:
        marks[OPEN] -= 1
    elif now != max(floats(b, ARRIVAL)[vm], 0.0):
        _push_late(b, end, vm)
    return True


@kernel
def _refused(b, vm):
    """Why a VM found no host, as a negative number: the kernel's reason, and what there is to say about it."""
    group, shape = ints(b, GROUP)[vm], ints(b, SHAPE)[vm]
    code, rule, limit = NOBODY, 0, 0
    if group != NOBODY:
        code, rule, limit = ints(b, GROUP_CODE)[group], ints(b, GROUP_RULE)[group], ints(b, GROUP_LIMIT)[group]
    why = why_not(b, shape, code, rule, limit)
    if why == 1:
        why += ints(b, STATIC_REASON)[shape] << 5
    return why, why & 31 == 1 and bools(b, TOO_LARGE)[shape] != 0


@kernel
def _reject(b, vm, refusal):
    marks = longs(b, MARKS)
    bools(b, OUTCOME)[vm] = _REJECTED
    ints(b, REASON)[vm] = -refusal
    marks[OPEN] -= 1


@kernel
def _arrive(b, vm, now):
    marks = longs(b, MARKS)
    marks[ARRIVED] = vm + 1
    marks[EVENTS] += 1
    marks[OPEN] += 1
    if _place(b, vm, now):
        return
    refusal, for_ever = _refused(b, vm)
    if floats(b, TIMES)[WAIT_LIMIT] > 0 and (not for_ever or marks[TO_ENTER] > 0):
        ints(b, REASON)[vm] = -refusal
        ints(b, QUEUE)[marks[WAITING]] = vm
        marks[WAITING] += 1
    else:
        _reject(b, vm, refusal)


@kernel
def _serve(b, now):
    """Offer the room that appeared to those who wait, first come first served."""
    marks, queue, hopeless = longs(b, MARKS), ints(b, QUEUE), longs(b, HOPELESS)
    marks[SERVE] = 0
    marks[PASS] += 1
    left = 0
    for each in range(marks[WAITING]):
        vm = queue[each]
        shape = ints(b, SHAPE)[vm]
        if hopeless[shape] != marks[PASS]:
            if _place(b, vm, now):
                ints(b, REASON)[vm] = 0
                continue
            if ints(b, GROUP)[vm] == NOBODY:
                hopeless[shape] = marks[PASS]
        queue[left] = vm
        left += 1
    marks[WAITING] = left


@kernel
def _deadline(b):
    """When the wait of the first in the queue is over; infinite if nobody waits."""
    if longs(b, MARKS)[WAITING] == 0:
        return np.inf
    return max(floats(b, ARRIVAL)[ints(b, QUEUE)[0]], 0.0) + floats(b, TIMES)[WAIT_LIMIT]


@kernel
def _expire(b, now):
    """Turn away those whose wait is over."""
    marks, queue = longs(b, MARKS), ints(b, QUEUE)
    over = 0
    limit = floats(b, TIMES)[WAIT_LIMIT]
    while over < marks[WAITING] and max(floats(b, ARRIVAL)[queue[over]], 0.0) + limit <= now:
        vm = queue[over]
        marks[EVENTS] += 1
        _reject(b, vm, -ints(b, REASON)[vm] | WAITED)
        over += 1
    if over:
        marks[WAITING] -= over
        for each in range(marks[WAITING]):
            queue[each] = queue[each + over]


# ------------------------------------------------------------------------------------------------ the replay


@kernel
def _full(b, vms):
    """Whether the columns might not hold what placing that many VMs writes."""
    marks, entries, groups = longs(b, MARKS), longs(b, ENTRY_MARKS), longs(b, GROUP_MARKS)
    if marks[STAYS] + vms > marks[STAY_ROOM] or groups[0] + vms > marks[GROUP_ROOM]:
        return True
    return entries[0] + vms * marks[MOST_ENTRIES] > marks[ENTRY_ROOM]


@kernel
def _settled(b):
    marks = longs(b, MARKS)
    return marks[OPEN] == 0 and marks[ARRIVED] == marks[VMS] and floats(b, TIMES)[HORIZON] == np.inf


@kernel
def play(b, limit, inclusive, budget):
    """Replay up to ``limit``: at that instant itself only departures and those who wait, unless ``inclusive``.

    Stops at ``budget`` events, between two instants. Returns a ``Status``; ``TIMES[NOW]`` is the last instant reached.
    """
    marks, times, arrival = longs(b, MARKS), floats(b, TIMES), floats(b, ARRIVAL)
    enough = marks[EVENTS] + budget
    while True:
        if marks[SERVE] and marks[WAITING]:
            if _full(b, marks[WAITING]):
                return GROW
            _serve(b, times[NOW])
            if _settled(b):
                return SETTLED
        marks[SERVE] = 0
        when, vm = _next_departure(b)
        coming = max(arrival[marks[ARRIVED]], 0.0) if marks[ARRIVED] < marks[VMS] else np.inf
        deadline = _deadline(b)
        now = min(when, coming, deadline)
        if now > limit or now == np.inf:
            return REACHED
        if now > times[NOW] and marks[EVENTS] >= enough:
            return MORE
        if when == now:
            times[NOW] = now
            while when == now:
                if bools(b, SPECIAL_END)[vm]:
                    marks[SPECIAL_VM] = vm
                    return SPECIAL
                _depart(b, vm)
                when, vm = _next_departure(b)
            if _settled(b):
                return SETTLED
            continue
        if now == limit and not inclusive:
            return REACHED
        times[NOW] = now
        _expire(b, now)
        while marks[ARRIVED] < marks[VMS] and max(arrival[marks[ARRIVED]], 0.0) == now:
            if _full(b, 1):
                return GROW
            _arrive(b, marks[ARRIVED], now)
        if _settled(b):
            return SETTLED
