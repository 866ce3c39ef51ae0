"""Compiled decisions: the best host for a shape from an index, or from one pass over all hosts.

An **index** is a tree of bounds over the hosts: of each block of 32, of 8 of those, and so on to one root it knows a
score that no host below exceeds, and who has it, unless that is stale. It belongs to one shape and is repaired lazily:
a decision first tells it of the rows that changed since the shape was last decided on, which raises bounds and makes
winners stale, and then works out anew only what is stale and could win. A decision so costs what has changed, not what
there is. Of equal hosts the first wins, everywhere.

What these functions answer is what the general path in ``scheduler.py`` answers, to the bit: the same operations on the
same numbers in the same order. Tests compare the two.
"""
# Numba infers the types from those of the arrays in the block, so there are none to write; mypy leaves this file out.

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sundog.core.pool.allocations import AMOUNTS as AMOUNTS_ID
from sundog.core.pool.allocations import CONSUMER, NEXT, ROW
from sundog.core.scheduler.compiled import slots as s_
from sundog.core.scheduler.compiled.block import (
    bools,
    bools_at,
    floats,
    floats_at,
    ints,
    ints_at,
    longs,
    longs_at,
    shorts,
)
from sundog.core.scheduler.compiled.cache import kernel, reduction
from sundog.core.scheduler.compiled.slots import (
    AMOUNT_COLUMN,
    AMOUNT_UNITS,
    AMOUNT_USES,
    AMOUNT_WIDTH,
    AMOUNTS,
    ASKED,
    BEHIND,
    BOUND,
    BOUNDED,
    CANDIDATE,
    CAPACITY,
    CHANGES,
    CHILD_ROW,
    CHILD_START,
    CLAIMS,
    CLASS_SCALE,
    COLUMN,
    COUNT,
    CURSOR,
    CUSTOM,
    DEVICE_AMOUNTS,
    DEVICE_COLUMN,
    DEVICE_UNITS,
    DEVICE_WIDTH,
    DEVICES,
    ELIGIBLE,
    ENTRIES,
    ENTRY_MARKS,
    FLAT,
    FREE,
    GENERATION,
    GROUP_COUNT,
    GROUP_HEAD,
    GROUP_MARKS,
    GROUP_NEXT,
    GROUP_ROW,
    HEAD,
    HIGHEST,
    HOST_OF_ROW,
    HOST_ROW,
    HOSTS,
    IN_SERVICE,
    INDEX,
    KIND,
    KINDS,
    LAST_ROW,
    LEAST,
    LEFT,
    LEVEL_START,
    LEVELS,
    METHOD,
    MOST_CLASSES,
    MOST_PARAMETERS,
    MOST_VARIANTS,
    MULTIPLIER,
    NODES,
    PARAMETERS,
    PLAIN,
    RATIO,
    RAW,
    RAW_CURSOR,
    RESERVED,
    RING,
    RING_MASK,
    ROOM,
    ROOM_SCALE,
    ROOT,
    ROWS,
    SCALE,
    SCALED_BY,
    SCORED,
    SCORED_FREE,
    SCORED_HOST,
    SCORED_RAW,
    SCORED_ROW,
    SEED,
    SEQUENCE,
    SHORT_CURSOR,
    SHORT_MASK,
    SIZES,
    SOFT_WEIGHERS,
    TAKEN_OUT,
    TAKING_OUT,
    TELLING,
    TOTAL,
    UNITS,
    USED,
    VARIANT,
    WEIGHER,
    WEIGHERS,
    WEIGHS,
    WEIGHS_CLASS,
    WEIGHS_GROUPS,
    WIDTH,
    WINNER,
    WITNESS,
)

NOBODY, STALE = -1, -2
WORST = -np.inf
_ROUNDED_UP = 1.0 + 2.0**-40  # far more than a sum of some weights can be off

_BLOCK_SHIFT, _SHIFT = int(s_.BLOCK_SHIFT), int(s_.NODE_SHIFT)

FIRST_FIT, BEST_FIT, WORST_FIT, DOT_PRODUCT = (int(s_.Method(i)) for i in range(4))
_CUSTOM, NEXT_FIT, ROUND_ROBIN, RANDOM = (int(s_.Method(i)) for i in range(4, 8))
NOVA = int(s_.Method.NOVA)
WEIGHS_SOFT_AFFINITY, WEIGHS_SOFT_ANTI_AFFINITY, WEIGHS_CPU = (int(s_.Weighs(i)) for i in range(3))
WEIGHS_DISK, WEIGHS_INSTANCES, WEIGHS_RAM = (int(s_.Weighs(i)) for i in range(3, 6))
AFFINITY, ANTI_AFFINITY, SOFT_AFFINITY, SOFT_ANTI_AFFINITY = (int(s_.Rule(i)) for i in range(1, 5))
STATIC, NOT_IN_SERVICE, NO_AFFINITY, NO_ANTI_AFFINITY = (int(s_.Why(i)) for i in range(1, 5))
SHORT = int(s_.Why.SHORT)


@intrinsic
def _call_score(typing_context, address, width, left, asked, room, scale, parameters):
    """Call the score function at an address: ``(width, five pointers) -> float64``."""

    def build(context, builder, signature, arguments):
        pointer = ir.IntType(64)
        function = ir.FunctionType(ir.DoubleType(), [pointer] * 6)
        return builder.call(builder.inttoptr(arguments[0], function.as_pointer()), arguments[1:])

    return types.float64(*[types.int64] * 7), build


# ------------------------------------------------------------------------------------------------ one host


@kernel
def row_of(b, host):
    """The pool row of a host."""
    return np.int64(host) if longs(b, SIZES)[FLAT] else longs(b, HOST_ROW)[host]


@kernel
def _fits(b, shape, child):
    """Whether a child provider, by its row, could give one device of the shape."""
    size, free = longs(b, SIZES), longs(b, FREE)
    column = ints_at(b, DEVICE_COLUMN, shape * size[MOST_CLASSES])
    units = longs_at(b, DEVICE_UNITS, shape * size[MOST_CLASSES])
    fits = True
    for k in range(ints(b, DEVICE_WIDTH)[shape]):
        fits &= free[column[k] * size[ROWS] + child] >= units[k]
    return fits


@kernel
def devices_with_room(b, shape, host):
    """How many of a host's child providers could give one device of the shape."""
    start, child, ready = longs(b, CHILD_START), longs(b, CHILD_ROW), 0
    for each in range(start[host], start[host + 1]):
        ready += _fits(b, shape, child[each])
    return ready


@kernel
def _raw_weight(b, weigher, host):
    """What a weigher of ``nova`` gives a host, before it is scaled; for groups the members counted in scratch."""
    size, row = longs(b, SIZES), row_of(b, host)
    which, c = ints(b, WEIGHS)[weigher], ints(b, WEIGHS_CLASS)[weigher]
    if which == WEIGHS_SOFT_AFFINITY:
        return float(ints(b, COUNT)[host])
    if which == WEIGHS_SOFT_ANTI_AFFINITY:
        return -float(ints(b, COUNT)[host])
    if which == WEIGHS_INSTANCES:
        return float(ints(b, CLAIMS)[row])
    at, scale = c * size[ROWS] + row, floats(b, CLASS_SCALE)[c]
    total = longs(b, TOTAL)[at] / scale
    used = (longs(b, USED)[at] + longs(b, RESERVED)[at]) / scale
    if which == WEIGHS_CPU:
        total = total * floats(b, RATIO)[at]
    return max(total - used, 0.0)


@kernel
def _keep_raw_weights(b):
    """Follow the change log with the raw weights of all hosts, which are the same for every shape."""
    size, count, raw = longs(b, SIZES), longs(b, CHANGES)[0], floats(b, RAW)
    ring, mask, host_of, hosts = ints(b, RING), size[RING_MASK], longs(b, HOST_OF_ROW), size[HOSTS]
    anew = size[RAW_CURSOR] < 0 or count - size[RAW_CURSOR] > size[BEHIND]
    for w in range(size[WEIGHERS]):
        if ints(b, WEIGHS)[w] <= WEIGHS_SOFT_ANTI_AFFINITY:
            continue
        if anew:
            for host in range(hosts):
                raw[w * hosts + host] = _raw_weight(b, w, host)
        else:
            for change in range(size[RAW_CURSOR], count):
                host = host_of[ring[change & mask]]
                if host != NOBODY:
                    raw[w * hosts + host] = _raw_weight(b, w, host)
    size[RAW_CURSOR] = count


@kernel
def _nova_score(b, host):
    """What the weigher in question gives a host, or all of them together by the highest raw weights."""
    size, high, multiplier, raw = longs(b, SIZES), floats(b, HIGHEST), floats(b, MULTIPLIER), floats(b, RAW)
    if size[WEIGHER] < size[WEIGHERS]:
        return raw[size[WEIGHER] * size[HOSTS] + host]
    total = 0.0
    for w in range(size[SOFT_WEIGHERS], size[WEIGHERS]):
        if high[w] > 0.0:
            total += raw[w * size[HOSTS] + host] / high[w] * multiplier[w]
    return total


@kernel
def score_of(b, shape, host):
    """What the policy scores a host that has room: more is better."""
    size, row = longs(b, SIZES), row_of(b, host)
    method = size[METHOD]
    if method == NOVA:
        return _nova_score(b, host)
    if method == FIRST_FIT or method >= NEXT_FIT:
        return -float(host)
    most, rows = size[MOST_CLASSES], size[ROWS]
    free, column, scale = longs(b, FREE), ints(b, COLUMN), floats(b, SCALE)
    variant = shorts(b, VARIANT)[shape * size[KINDS] + ints(b, KIND)[host]]
    units, first = longs(b, UNITS), (shape * size[MOST_VARIANTS] + variant) * most
    width, total = ints(b, WIDTH)[shape], 0.0
    if method in (BEST_FIT, WORST_FIT):
        weight = floats(b, PARAMETERS)
        for k in range(width):
            c = column[shape * most + k]
            share = (free[c * rows + row] - units[first + k]) / scale[c]
            w = weight[shape * size[MOST_PARAMETERS] + k]
            total += share if w == 1.0 else w * share
        return -total if method == BEST_FIT else total
    if method == DOT_PRODUCT:
        for k in range(width):
            c = column[shape * most + k]
            total += free[c * rows + row] / scale[c] * (units[first + k] / scale[c])
        return total
    left, room, room_scale, asked = longs(b, LEFT), longs(b, ROOM), floats(b, ROOM_SCALE), longs(b, ASKED)
    capacity = longs(b, CAPACITY)
    for k in range(width):
        c = column[shape * most + k]
        left[k], room[k], asked[k] = free[c * rows + row], capacity[c * rows + row], units[first + k]
        room_scale[k] = scale[c]
    told = _call_score(
        size[CUSTOM], width, b[LEFT], b[ASKED], b[ROOM], b[ROOM_SCALE],
        b[PARAMETERS] + 8 * shape * size[MOST_PARAMETERS],
    )  # fmt: skip
    return max(told, -1.7976931348623157e308)  # minus infinity is for hosts without room


@kernel
def has_room(b, shape, host):
    """Whether a host that may take the shape at all has room for it now."""
    size, row = longs(b, SIZES), row_of(b, host)
    most, rows = size[MOST_CLASSES], size[ROWS]
    free, column = longs(b, FREE), ints(b, COLUMN)
    variant = shorts(b, VARIANT)[shape * size[KINDS] + ints(b, KIND)[host]]
    units, first = longs(b, UNITS), (shape * size[MOST_VARIANTS] + variant) * most
    for k in range(ints(b, WIDTH)[shape]):
        asked = units[first + k]
        if asked > 0 and free[column[shape * most + k] * rows + row] < asked:
            return False
    wanted = ints(b, DEVICES)[shape]
    return wanted == 0 or devices_with_room(b, shape, host) >= wanted


@kernel
def may_take(b, shape, host):
    """Whether a host passes the static filters and is in service."""
    row = row_of(b, host)
    if not bools(b, ELIGIBLE)[shape * longs(b, SIZES)[KINDS] + ints(b, KIND)[host]]:
        return False
    return bools(b, IN_SERVICE)[row] != 0


@kernel
def leaf(b, shape, host):
    """A host's score; minus infinity if it is not feasible, or taken out of the tree."""
    if bools(b, TAKEN_OUT)[host] or not may_take(b, shape, host) or not has_room(b, shape, host):
        return WORST
    return score_of(b, shape, host)


# ------------------------------------------------------------------------------------------------ the index


@reduction
def _best_of(score, begin, end):
    """(score, position) of the first of the best in a stretch, in two passes that take several at a time."""
    best = WORST
    for i in range(begin, end):
        best = max(best, score[i])
    first = end
    for i in range(begin, end):
        first = min(first, i if score[i] == best else end)
    return best, first


@kernel
def _nova_scores(b, first, number):
    """Add :func:`_nova_score` of each host to what is in scratch for it; see :func:`_scores`."""
    size, high, multiplier = longs(b, SIZES), floats(b, HIGHEST), floats(b, MULTIPLIER)
    hosts, score, told = longs(b, SCORED_HOST), floats(b, SCORED), floats(b, SCORED_RAW)
    alone = size[WEIGHER] < size[WEIGHERS]
    begin, end = (size[WEIGHER], size[WEIGHER] + 1) if alone else (size[SOFT_WEIGHERS], size[WEIGHERS])
    for w in range(begin, end):
        raw, highest, times = floats_at(b, RAW, w * size[HOSTS]), high[w], multiplier[w]
        if first >= 0:
            for i in range(number):
                told[i] = raw[first + i]
        else:
            for i in range(number):
                told[i] = raw[hosts[i]]
        if alone:
            for i in range(number):
                score[i] += told[i]
        elif highest > 0.0:
            for i in range(number):
                score[i] += told[i] / highest * times


@kernel
def _scores(b, shape, first, number):
    """What hosts score now, for a plain shape, into scratch; minus infinity for those that are not feasible.

    They are ``number`` hosts from ``first`` on, or, if that is -1, those in scratch. It goes class by class and without
    a branch a host, so that the processor can work on several at once.
    """
    size, method = longs(b, SIZES), longs(b, SIZES)[METHOD]
    rows, most = size[ROWS], size[MOST_CLASSES]
    width, scale = ints(b, WIDTH)[shape], floats(b, SCALE)
    column, units = ints_at(b, COLUMN, shape * most), longs_at(b, UNITS, shape * size[MOST_VARIANTS] * most)
    weight = floats_at(b, PARAMETERS, shape * size[MOST_PARAMETERS])
    kind, service, eligible = ints(b, KIND), bools(b, IN_SERVICE), bools_at(b, ELIGIBLE, shape * size[KINDS])
    hosts, score, there = longs(b, SCORED_HOST), floats(b, SCORED), longs(b, SCORED_FREE)
    row, host_row = hosts if size[FLAT] else longs(b, SCORED_ROW), longs(b, HOST_ROW)
    if first >= 0:
        for i in range(number):
            hosts[i] = first + i
        if not size[FLAT]:
            for i in range(number):
                row[i] = host_row[first + i]
    if size[KINDS] == 1 and eligible[0]:
        for i in range(number):
            score[i] = 0.0 if service[row[i]] else WORST
    else:
        for i in range(number):
            score[i] = 0.0 if eligible[kind[hosts[i]]] & service[row[i]] else WORST
    if size[TAKING_OUT]:
        out = bools(b, TAKEN_OUT)
        for i in range(number):
            score[i] = WORST if out[hosts[i]] else score[i]
    for k in range(width):
        of_class, asked, largest = longs_at(b, FREE, column[k] * rows), units[k], scale[column[k]]
        if first >= 0 and size[FLAT]:
            for i in range(number):
                there[i] = of_class[first + i]
        else:  # gathered first: what follows can then be done several at a time
            for i in range(number):
                there[i] = of_class[row[i]]
        if method == BEST_FIT:
            heavy = -weight[k]
            for i in range(number):
                score[i] += heavy * ((there[i] - asked) / largest)
        elif method == WORST_FIT:
            heavy = weight[k]
            for i in range(number):
                score[i] += heavy * ((there[i] - asked) / largest)
        elif method == DOT_PRODUCT:
            share = asked / largest
            for i in range(number):
                score[i] += there[i] / largest * share
        for i in range(number):
            score[i] = score[i] if there[i] >= asked else WORST
    if method == NOVA:
        _nova_scores(b, first, number)
    elif method == FIRST_FIT or method >= NEXT_FIT:
        for i in range(number):
            score[i] -= float(hosts[i])


@kernel
def _score_block(b, shape, node):
    """Score the hosts of a block, into scratch; returns the first of them and how many there are."""
    first = node << _BLOCK_SHIFT
    number = min(longs(b, SIZES)[HOSTS] - first, 1 << _BLOCK_SHIFT)
    if bools(b, PLAIN)[shape]:
        _scores(b, shape, first, number)
    else:
        score = floats(b, SCORED)
        for i in range(number):
            score[i] = leaf(b, shape, first + i)
    return first, number


@kernel
def _tell(bound, winner, start, levels, host, now):
    """A host's score may have changed: raise the bounds above it, or leave behind that its block's winner is stale."""
    child = host >> _BLOCK_SHIFT
    if now < bound[child]:
        if winner[child] == host:
            winner[child] = STALE
        return
    if now == bound[child]:
        if winner[child] > host:
            winner[child] = host
        return
    bound[child], winner[child] = now, host
    for level in range(1, levels):
        node = child >> _SHIFT
        at = start[level] + node
        if now <= bound[at]:
            if now == bound[at] and winner[at] > child:
                winner[at] = child
            return
        bound[at], winner[at] = now, child
        child = node


@kernel
def update(b, shape, index, host):
    """A host's score may have changed."""
    size = longs(b, SIZES)
    base = index * size[NODES]
    now = leaf(b, shape, host)
    _tell(floats_at(b, BOUND, base), ints_at(b, WINNER, base), longs(b, LEVEL_START), size[LEVELS], host, now)


@kernel
def _forget(b, index):
    """Any host may be the best."""
    nodes = longs(b, SIZES)[NODES]
    bound, winner = floats_at(b, BOUND, index * nodes), ints_at(b, WINNER, index * nodes)
    for node in range(nodes):
        bound[node], winner[node] = -WORST, STALE


@kernel
def repair(b, shape, index):
    """Follow the change log."""
    size, cursor, count = longs(b, SIZES), longs(b, CURSOR), longs(b, CHANGES)[0]
    seen, ring, mask, host_of = cursor[index], ints(b, RING), size[RING_MASK], longs(b, HOST_OF_ROW)
    cursor[index] = count
    if seen < 0 or count - seen > size[BEHIND]:
        _forget(b, index)
        return
    if not bools(b, PLAIN)[shape]:
        for change in range(seen, count):
            host = host_of[ring[change & mask]]
            if host != NOBODY:
                update(b, shape, index, host)
        return
    hosts, row, host_row, number = longs(b, SCORED_HOST), longs(b, SCORED_ROW), longs(b, HOST_ROW), 0
    if size[FLAT]:
        for change in range(seen, count):
            hosts[number] = ring[change & mask]
            number += 1
    else:
        for change in range(seen, count):
            host = host_of[ring[change & mask]]
            if host != NOBODY:
                hosts[number], row[number] = host, host_row[host]
                number += 1
    _scores(b, shape, NOBODY, number)
    base, start, levels, score = index * size[NODES], longs(b, LEVEL_START), size[LEVELS], floats(b, SCORED)
    bound, winner = floats_at(b, BOUND, base), ints_at(b, WINNER, base)
    # Few of them matter, which branches cannot foretell. One that does not will not after others were told.
    telling, matter = ints(b, TELLING), 0
    for i in range(number):
        host, now, at = hosts[i], score[i], hosts[i] >> _BLOCK_SHIFT
        telling[matter] = i
        matter += (
            (now > bound[at]) | ((winner[at] == host) & (now < bound[at])) | ((winner[at] > host) & (now == bound[at]))
        )
    for i in range(matter):
        _tell(bound, winner, start, levels, hosts[telling[i]], score[telling[i]])


@kernel
def settle(b, shape, index, level, node):
    """The best host below a node, the first of equals, or -1. Only what can win is looked at.

    From the node down to where its bound comes from. What is stale on the way is worked out anew; if it falls short of
    its bound, back up to where another may be better.
    """
    size, start = longs(b, SIZES), longs(b, LEVEL_START)
    base, score = index * size[NODES], floats(b, SCORED)
    bound, winner = floats_at(b, BOUND, base), ints_at(b, WINNER, base)
    top = level
    while True:
        at = start[level] + node
        if winner[at] == STALE:
            if level == 0:
                first, number = _score_block(b, shape, node)
                best, who = _best_of(score, 0, number)
                who += first
            else:
                below = start[level - 1]
                end = min(below + ((node + 1) << _SHIFT), start[level])
                best, who = _best_of(bound, below + (node << _SHIFT), end)
                who -= below
            short = best < bound[at]
            bound[at], winner[at] = best, who if best > WORST else NOBODY
            if short and level + 1 < size[LEVELS]:
                over = start[level + 1] + (node >> _SHIFT)
                if winner[over] == node:
                    winner[over] = STALE
                if level < top:
                    level, node = level + 1, node >> _SHIFT
                    continue
        if level == 0 or winner[at] == NOBODY:
            return winner[at]
        level, node = level - 1, winner[at]


@kernel
def winner_of(b, shape, index):
    """The best host of all, or -1."""
    return settle(b, shape, index, longs(b, SIZES)[LEVELS] - 1, 0)


@kernel
def first_from(b, shape, index, begin):
    """The first feasible host at or after ``begin`` by an index whose scores fall with the host; -1 if none is."""
    size, start = longs(b, SIZES), longs(b, LEVEL_START)
    if begin >= size[HOSTS]:
        return NOBODY
    node = begin >> _BLOCK_SHIFT
    for host in range(begin, min((node + 1) << _BLOCK_SHIFT, size[HOSTS])):
        if leaf(b, shape, host) > WORST:
            return host
    for level in range(size[LEVELS]):
        # Siblings to the right of what has been looked at; a node's winner is its first feasible host.
        for sibling in range(node + 1, min(((node >> _SHIFT) + 1) << _SHIFT, start[level + 1] - start[level])):
            who = settle(b, shape, index, level, sibling)
            if who != NOBODY:
                return who
        node >>= _SHIFT
    return NOBODY


# ------------------------------------------------------------------------------------------------ server groups


@kernel
def _best_member(b, shape, group, members):
    """The best feasible host among those with that many members of the group (any number, if 0)."""
    row, count, following = ints(b, GROUP_ROW), ints(b, GROUP_COUNT), ints(b, GROUP_NEXT)
    host_of = longs(b, HOST_OF_ROW)
    best, who = WORST, NOBODY
    entry = ints(b, GROUP_HEAD)[group]
    while entry != NOBODY:
        host = host_of[row[entry]]
        if members == 0 or count[entry] == members:
            score = leaf(b, shape, host)
            if score > best or (score == best and score > WORST and host < who):
                best, who = score, host
        entry = following[entry]
    return who


@kernel
def _members_where_feasible(b, shape, group, most):
    """The largest (or smallest) number of members on a feasible host that has any; 0 if none is feasible."""
    row, count, following = ints(b, GROUP_ROW), ints(b, GROUP_COUNT), ints(b, GROUP_NEXT)
    host_of, found = longs(b, HOST_OF_ROW), 0
    entry = ints(b, GROUP_HEAD)[group]
    while entry != NOBODY:
        better = count[entry] > found if most else found == 0 or count[entry] < found
        if better and leaf(b, shape, host_of[row[entry]]) > WORST:
            found = count[entry]
        entry = following[entry]
    return found


@kernel
def _best_without(b, shape, index, group, limit):
    """The winner when hosts with ``limit`` members or more are taken out for the moment."""
    row, count, following = ints(b, GROUP_ROW), ints(b, GROUP_COUNT), ints(b, GROUP_NEXT)
    host_of, out = longs(b, HOST_OF_ROW), bools(b, TAKEN_OUT)
    for value in (1, 0):
        longs(b, SIZES)[TAKING_OUT] = value
        entry = ints(b, GROUP_HEAD)[group]
        while entry != NOBODY:
            if count[entry] >= limit:
                out[host_of[row[entry]]] = value
            entry = following[entry]
        entry = ints(b, GROUP_HEAD)[group]
        while entry != NOBODY:
            if count[entry] >= limit:
                update(b, shape, index, host_of[row[entry]])
            entry = following[entry]
        if value:
            who = winner_of(b, shape, index)
    return who


@kernel
def _choose_in_group(b, shape, index, group, rule, limit):
    """The best host for a member of a group that has members already."""
    if rule == AFFINITY:
        return _best_member(b, shape, group, 0)
    if rule == ANTI_AFFINITY:
        return _best_without(b, shape, index, group, limit)
    if rule == SOFT_AFFINITY:
        members = _members_where_feasible(b, shape, group, True)
        return _best_member(b, shape, group, members) if members else winner_of(b, shape, index)
    who = _best_without(b, shape, index, group, 1)
    if who == NOBODY:
        members = _members_where_feasible(b, shape, group, False)
        if members:
            who = _best_member(b, shape, group, members)
    return who


@kernel
def _mark_members(b, group, sign):
    """Spread a group's members over the hosts' scratch column, or take them off it again."""
    row, count, following = ints(b, GROUP_ROW), ints(b, GROUP_COUNT), ints(b, GROUP_NEXT)
    host_of, there = longs(b, HOST_OF_ROW), ints(b, COUNT)
    entry = ints(b, GROUP_HEAD)[group]
    while entry != NOBODY:
        there[host_of[row[entry]]] = count[entry] if sign else 0
        entry = following[entry]


# ------------------------------------------------------------------------------------------------ one pass


@kernel
def candidates(b, shape, group, rule, limit):
    """Put the feasible hosts, ascending, into the scratch column ``CANDIDATE``; returns how many there are.

    ``group`` is -1 where nothing is asked of a group, or where it has no members.
    """
    size, found, there = longs(b, SIZES), ints(b, CANDIDATE), ints(b, COUNT)
    number, soft = 0, group != NOBODY and rule >= SOFT_AFFINITY and size[WEIGHS_GROUPS] == 0
    if group != NOBODY:
        _mark_members(b, group, True)
    best = 0
    for host in range(size[HOSTS]):
        if group != NOBODY:
            if rule == AFFINITY and there[host] == 0:
                continue
            if rule == ANTI_AFFINITY and there[host] >= limit:
                continue
        if not may_take(b, shape, host) or not has_room(b, shape, host):
            continue
        if soft:
            better = there[host] > best if rule == SOFT_AFFINITY else there[host] < best
            if number == 0 or better:
                best, number = there[host], 0
            elif there[host] != best:
                continue
        found[number] = host
        number += 1
    if group != NOBODY:
        _mark_members(b, group, False)
    return number


@kernel
def uniform(b):
    """This decision's own number in [0, 1): ``Hosts.uniform``."""
    size = longs(b, SIZES)
    z = np.uint64(size[SEED]) + np.uint64(size[SEQUENCE] + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return float((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


@kernel
def _nova_from_all(b, number, group, rule):
    """Nova's choice among the hosts in ``CANDIDATE``: weigh them all, scale each weigher's weights, add up."""
    size, found, raw = longs(b, SIZES), ints(b, CANDIDATE), floats(b, RAW)
    hosts, weighers, multiplier, which = size[HOSTS], size[WEIGHERS], floats(b, MULTIPLIER), ints(b, WEIGHS)
    high, low = floats(b, HIGHEST), floats(b, LEAST)
    if number < 2:
        return found[0]
    if group != NOBODY:
        _mark_members(b, group, True)
    for w in range(weighers):
        high[w], low[w] = WORST, -WORST
        soft = which[w] <= WEIGHS_SOFT_ANTI_AFFINITY
        for i in range(number):
            if soft:
                raw[w * hosts + found[i]] = _raw_weight(b, w, found[i])
            value = raw[w * hosts + found[i]]
            high[w], low[w] = max(high[w], value), min(low[w], value)
        if which[w] in (WEIGHS_CPU, WEIGHS_DISK, WEIGHS_RAM):
            low[w] = 0.0
        asked = rule == SOFT_AFFINITY if which[w] == WEIGHS_SOFT_AFFINITY else rule == SOFT_ANTI_AFFINITY
        if which[w] <= WEIGHS_SOFT_ANTI_AFFINITY and (group == NOBODY or not asked):
            high[w] = low[w]
    if group != NOBODY:
        _mark_members(b, group, False)
    best, who = WORST, NOBODY
    for i in range(number):
        total = 0.0
        for w in range(weighers):
            if high[w] != low[w]:
                value = raw[w * hosts + found[i]]
                scaled = value / high[w] if low[w] == 0.0 else (value - low[w]) / (high[w] - low[w])
                total += scaled * multiplier[w]
        if total > best:
            best, who = total, found[i]
    return who


@kernel
def _rescale(b, index, whole):
    """Keep the bounds on whole weights true when the highest raw weights are others than before."""
    size, high, nodes = longs(b, SIZES), floats(b, HIGHEST), longs(b, SIZES)[NODES]
    before, bound, winner = (
        floats_at(b, SCALED_BY, index),
        floats_at(b, BOUND, whole * nodes),
        ints_at(b, WINNER, whole * nodes),
    )
    changed = False
    for w in range(size[SOFT_WEIGHERS], size[WEIGHERS]):
        at = w - size[SOFT_WEIGHERS]
        old, new, before[at] = before[at], high[w], high[w]
        changed |= old != new
        if new > 0.0 and old == 0.0:
            _forget(b, whole)
            return
        if 0.0 < new < old:
            more, most = (1.0 / new - 1.0 / old) * floats(b, MULTIPLIER)[w], floats_at(b, BOUND, (index + at) * nodes)
            for node in range(nodes):
                bound[node] += most[node] * more
    if changed:
        for node in range(nodes):
            bound[node] *= _ROUNDED_UP
            winner[node] = STALE


@kernel
def _nova_from_indexes(b, shape, index):
    """Nova's choice by branch and bound, for weighers that are scaled from 0 with multipliers above 0.

    Each weigher has an index of its raw weights, for the highest over the feasible hosts, by which they are scaled. One
    more index is of whole weights. When the highest raw weights change so do all of those, but none by more than what
    the highest raw weight of its block is worth then: its bounds grow by that, and hold on.
    """
    size, high, skipped = longs(b, SIZES), floats(b, HIGHEST), longs(b, SIZES)[SOFT_WEIGHERS]
    whole = index + size[WEIGHERS] - skipped
    for w in range(skipped, size[WEIGHERS]):
        size[WEIGHER], at = w, index + w - skipped
        repair(b, shape, at)
        if winner_of(b, shape, at) == NOBODY:
            return NOBODY
        high[w] = floats(b, BOUND)[(at + 1) * size[NODES] - 1]
    size[WEIGHER] = size[WEIGHERS]
    _rescale(b, index, whole)
    repair(b, shape, whole)
    return winner_of(b, shape, whole)


@kernel
def _choose_from_all(b, shape, group, rule, limit):
    """One pass over all hosts."""
    size, found = longs(b, SIZES), ints(b, CANDIDATE)
    number = candidates(b, shape, group, rule, limit)
    if number == 0:
        return NOBODY
    method = size[METHOD]
    if method == NOVA:
        return _nova_from_all(b, number, group, rule)
    if method == RANDOM:
        return found[int(uniform(b) * number)]
    if method in (NEXT_FIT, ROUND_ROBIN):
        last = longs(b, HOST_OF_ROW)[size[LAST_ROW]] if size[LAST_ROW] >= 0 else NOBODY
        begin = max(last, 0) if method == NEXT_FIT else last + 1
        for each in range(number):
            if found[each] >= begin:
                return found[each]
        return found[0]
    best, who = WORST, NOBODY
    for each in range(number):
        score = score_of(b, shape, found[each])
        if score > best:
            best, who = score, found[each]
    return who


@kernel
def choose(b, shape, group, rule, limit):
    """The host for a request of a shape, or -1. ``group`` is the code of its server group, -1 for none."""
    size = longs(b, SIZES)
    if group != NOBODY and ints(b, GROUP_HEAD)[group] == NOBODY:
        group = NOBODY
    index, method = ints(b, INDEX)[shape], size[METHOD]
    if method == NOVA:
        _keep_raw_weights(b)
    if method == NOVA and index != NOBODY and group == NOBODY and size[BOUNDED]:
        return _nova_from_indexes(b, shape, index)
    if index == NOBODY or method >= RANDOM or (group != NOBODY and method > _CUSTOM):
        return _choose_from_all(b, shape, group, rule, limit)
    repair(b, shape, index)
    if group != NOBODY:
        return _choose_in_group(b, shape, index, group, rule, limit)
    if method <= _CUSTOM:
        return winner_of(b, shape, index)
    last = longs(b, HOST_OF_ROW)[size[LAST_ROW]] if size[LAST_ROW] >= 0 else NOBODY
    who = first_from(b, shape, index, max(last, 0) if method == NEXT_FIT else last + 1)
    return who if who != NOBODY else winner_of(b, shape, index)


# ------------------------------------------------------------------------------------------------ why not


@kernel
def _has_class(b, shape, host, k):
    """Whether a host has enough of class number ``k`` of the shape, or enough devices where ``k`` is beyond those."""
    size, row = longs(b, SIZES), row_of(b, host)
    if k == ints(b, WIDTH)[shape]:
        return devices_with_room(b, shape, host) >= ints(b, DEVICES)[shape]
    variant = shorts(b, VARIANT)[shape * size[KINDS] + ints(b, KIND)[host]]
    asked = longs(b, UNITS)[(shape * size[MOST_VARIANTS] + variant) * size[MOST_CLASSES] + k]
    column = ints(b, COLUMN)[shape * size[MOST_CLASSES] + k]
    return asked == 0 or longs(b, FREE)[column * size[ROWS] + row] >= asked


@kernel
def _witness(b, shape, k, group, rule, limit):
    """A host left by all other filters that has enough of one class, or -1."""
    there = ints(b, COUNT)
    for host in range(longs(b, SIZES)[HOSTS]):
        if group != NOBODY and rule == AFFINITY and there[host] == 0:
            continue
        if group != NOBODY and rule == ANTI_AFFINITY and there[host] >= limit:
            continue
        if may_take(b, shape, host) and _has_class(b, shape, host, k):
            return host
    return NOBODY


@kernel
def _shortage_in_group(b, shape, classes, group, rule, limit):
    mask = 0
    _mark_members(b, group, True)
    for k in range(classes):
        if _witness(b, shape, k, group, rule, limit) == NOBODY:
            mask |= 1 << k
    _mark_members(b, group, False)
    return mask


@kernel
def shortage(b, shape, group, rule, limit):
    """A bit for each class of which no host left has enough, and one more for devices.

    Remembered by shape: a class is not short while its witness still has enough; one that was short can only be had
    on a host that changed since. So refusing a million requests does not mean a million passes.
    """
    size, count = longs(b, SIZES), longs(b, CHANGES)[0]
    classes = ints(b, WIDTH)[shape] + (1 if ints(b, DEVICES)[shape] else 0)
    if group != NOBODY:
        return _shortage_in_group(b, shape, classes, group, rule, limit)
    cursor, masks, witness = longs(b, SHORT_CURSOR), longs(b, SHORT_MASK), ints(b, WITNESS)
    seen, mask, first = cursor[shape], masks[shape], shape * (size[MOST_CLASSES] + 1)
    ring, ring_mask, host_of = ints(b, RING), size[RING_MASK], longs(b, HOST_OF_ROW)
    anew = seen < 0 or count - seen > size[BEHIND]
    for k in range(classes):
        who = witness[first + k]
        if not anew and mask >> k & 1:
            for change in range(seen, count):
                host = host_of[ring[change & ring_mask]]
                if host != NOBODY and may_take(b, shape, host) and _has_class(b, shape, host, k):
                    who = host
                    break
        elif anew or not (may_take(b, shape, who) and _has_class(b, shape, who, k)):
            who = _witness(b, shape, k, NOBODY, 0, 0)
        witness[first + k] = who
        mask = mask & ~(1 << k) if who != NOBODY else mask | (1 << k)
    cursor[shape], masks[shape] = count, mask
    return mask


@kernel
def why_not(b, shape, group, rule, limit):
    """Why :func:`choose` found no host: a ``Why``, with the classes that are short as bits above ``SHORT``."""
    size = longs(b, SIZES)
    eligible, kinds = bools(b, ELIGIBLE), size[KINDS]
    anywhere = False
    for kind in range(kinds):
        if eligible[shape * kinds + kind]:
            anywhere = True
    if not anywhere:
        return STATIC
    in_service = False
    for host in range(size[HOSTS]):
        if may_take(b, shape, host):
            in_service = True
            break
    if not in_service:
        return NOT_IN_SERVICE
    if group != NOBODY and ints(b, GROUP_HEAD)[group] == NOBODY:
        group = NOBODY
    if group != NOBODY and rule <= ANTI_AFFINITY:
        _mark_members(b, group, True)
        there, left = ints(b, COUNT), False
        for host in range(size[HOSTS]):
            if may_take(b, shape, host) and (there[host] > 0 if rule == AFFINITY else there[host] < limit):
                left = True
                break
        _mark_members(b, group, False)
        if not left:
            return NO_AFFINITY if rule == AFFINITY else NO_ANTI_AFFINITY
        return SHORT + (shortage(b, shape, group, rule, limit) << 5)
    return SHORT + (shortage(b, shape, NOBODY, 0, 0) << 5)


# ------------------------------------------------------------------------------------------------ the books


@kernel
def _take(b, row, amounts, consumer):
    """One claim: the books of ``Pool._take`` and ``AllocationTable.add``, for amounts that are interned and kept."""
    size, free, used = longs(b, SIZES), longs(b, FREE), longs(b, USED)
    most, rows = size[MOST_CLASSES], size[ROWS]
    column, units = ints(b, AMOUNT_COLUMN), longs(b, AMOUNT_UNITS)
    for k in range(amounts * most, amounts * most + ints(b, AMOUNT_WIDTH)[amounts]):
        used[column[k] * rows + row] += units[k]
        free[column[k] * rows + row] -= units[k]
    ints(b, CLAIMS)[row] += 1
    longs(b, GENERATION)[row] += 1
    _log(b, row)
    marks, entries, head = longs(b, ENTRY_MARKS), ints(b, ENTRIES), ints(b, HEAD)
    entry = marks[1]
    if entry != NOBODY:
        marks[1] = entries[4 * entry + NEXT]
    else:
        entry = marks[0]
        marks[0] += 1
    entries[4 * entry + ROW] = row
    entries[4 * entry + NEXT] = head[consumer]
    entries[4 * entry + CONSUMER] = consumer
    entries[4 * entry + AMOUNTS_ID] = amounts
    head[consumer] = entry
    longs(b, AMOUNT_USES)[amounts] += 1


@kernel
def _log(b, row):
    changes = longs(b, CHANGES)
    ints(b, RING)[changes[0] & longs(b, SIZES)[RING_MASK]] = row
    changes[0] += 1


@kernel
def _fullest_device(b, shape, host, before_free, before_row):
    """The child that comes next after (free, row) in the order in which devices are given: fullest first."""
    start, child = longs(b, CHILD_START), longs(b, CHILD_ROW)
    column = ints(b, DEVICE_COLUMN)[shape * longs(b, SIZES)[MOST_CLASSES]]
    free = longs_at(b, FREE, column * longs(b, SIZES)[ROWS])
    best_free, best_row = np.int64(0), np.int64(NOBODY)
    for each in range(start[host], start[host + 1]):
        row = child[each]
        comes_after = free[row] > before_free or (free[row] == before_free and row > before_row)
        if comes_after and (best_row == NOBODY or free[row] < best_free) and _fits(b, shape, row):
            best_free, best_row = free[row], row
    return best_row


@kernel
def claim(b, shape, host, consumer):
    """Claim for ``consumer`` what a server of the shape takes on a host that has room."""
    size = longs(b, SIZES)
    variant = shorts(b, VARIANT)[shape * size[KINDS] + ints(b, KIND)[host]]
    wanted = ints(b, DEVICES)[shape]
    chosen = ints(b, CANDIDATE)
    before_free, before_row = np.int64(-(1 << 62)), np.int64(NOBODY)
    column, free = ints(b, DEVICE_COLUMN)[shape * size[MOST_CLASSES]], longs(b, FREE)
    for device in range(wanted):  # all are chosen before any is taken, which would change the order
        before_row = _fullest_device(b, shape, host, before_free, before_row)
        before_free = free[column * size[ROWS] + before_row]
        chosen[device] = before_row
    _take(b, row_of(b, host), ints(b, AMOUNTS)[shape * size[MOST_VARIANTS] + variant], consumer)
    for device in range(wanted):
        _take(b, chosen[device], ints(b, DEVICE_AMOUNTS)[shape], consumer)


@kernel
def release(b, consumer):
    """Give back all that ``consumer`` holds, which must be interned and kept; returns the row of its host, or -1."""
    size, free, used = longs(b, SIZES), longs(b, FREE), longs(b, USED)
    most, rows = size[MOST_CLASSES], size[ROWS]
    column, units, entries = ints(b, AMOUNT_COLUMN), longs(b, AMOUNT_UNITS), ints(b, ENTRIES)
    head, marks = ints(b, HEAD), longs(b, ENTRY_MARKS)
    entry, host_row = head[consumer], np.int64(NOBODY)
    head[consumer] = NOBODY
    while entry != NOBODY:
        row, amounts = entries[4 * entry + ROW], entries[4 * entry + AMOUNTS_ID]
        for k in range(amounts * most, amounts * most + ints(b, AMOUNT_WIDTH)[amounts]):
            used[column[k] * rows + row] -= units[k]
            free[column[k] * rows + row] += units[k]
        ints(b, CLAIMS)[row] -= 1
        longs(b, GENERATION)[row] += 1
        _log(b, row)
        longs(b, AMOUNT_USES)[amounts] -= 1
        host_row = ints(b, ROOT)[row]
        after = entries[4 * entry + NEXT]
        entries[4 * entry + ROW] = NOBODY
        entries[4 * entry + NEXT] = marks[1]
        entries[4 * entry + CONSUMER] = NOBODY
        entries[4 * entry + AMOUNTS_ID] = NOBODY
        marks[1] = entry
        entry = after
    return host_row


@kernel
def join(b, group, row):
    """One more member of a group on a host row: ``ServerGroups.join``."""
    rows, count, following = ints(b, GROUP_ROW), ints(b, GROUP_COUNT), ints(b, GROUP_NEXT)
    head, marks = ints(b, GROUP_HEAD), longs(b, GROUP_MARKS)
    entry = head[group]
    while entry != NOBODY and rows[entry] != row:
        entry = following[entry]
    if entry != NOBODY:
        count[entry] += 1
        return
    entry = marks[1]
    if entry != NOBODY:
        marks[1] = following[entry]
    else:
        entry = marks[0]
        marks[0] += 1
    rows[entry], count[entry] = row, 1
    following[entry] = head[group]
    head[group] = entry


@kernel
def leave(b, group, row):
    """One member less of a group on a host row, where it has one: ``ServerGroups.leave``."""
    rows, count, following = ints(b, GROUP_ROW), ints(b, GROUP_COUNT), ints(b, GROUP_NEXT)
    head, marks = ints(b, GROUP_HEAD), longs(b, GROUP_MARKS)
    before, entry = NOBODY, head[group]
    while rows[entry] != row:
        before, entry = entry, following[entry]
    count[entry] -= 1
    if count[entry] == 0:
        if before == NOBODY:
            head[group] = following[entry]
        else:
            following[before] = following[entry]
        following[entry] = marks[1]
        marks[1] = entry


@kernel
def committed(b, shape, host, consumer, group):
    """Claim, join the group, and remember the decision: ``Scheduler.commit``."""
    size, row = longs(b, SIZES), row_of(b, host)
    claim(b, shape, host, consumer)
    if group != NOBODY:
        join(b, group, row)
    size[LAST_ROW] = row
    size[SEQUENCE] += 1
