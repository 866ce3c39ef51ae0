"""Compiled decisions for one scheduler: its hosts, shapes and indexes as arrays, kept in step with the pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numba import cfunc, njit, types
from numpy.typing import NDArray

from sundog.core.pool import Amounts
from sundog.core.pool.pool import NO_ROW
from sundog.core.scheduler.compiled import kernels
from sundog.core.scheduler.compiled import slots as s_
from sundog.core.scheduler.compiled.block import Block, float_array, long_array
from sundog.core.scheduler.compiled.methods import Compilable
from sundog.core.scheduler.compiled.slots import Method, Rule, Weighs
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.request import ServerGroup, Shape
from sundog.errors import PolicyError

_INDEX_BYTES: Final = 64 << 20
"""What all indexes together may take; shapes beyond that are decided in one pass over the hosts."""

RULES: Final = {
    "affinity": Rule.AFFINITY,
    "anti-affinity": Rule.ANTI_AFFINITY,
    "soft-affinity": Rule.SOFT_AFFINITY,
    "soft-anti-affinity": Rule.SOFT_ANTI_AFFINITY,
}


class Decider:
    """Takes a scheduler's decisions in compiled code, and lends its block to code that takes many in a row.

    ``static`` gives a shape's demand and the hosts that pass the static filters, as the general path works them out.
    """

    def __init__(
        self,
        hosts: Hosts,
        policy: Any,
        how: Compilable,
        static: Callable[[Shape], tuple[Demand, NDArray[np.bool_]]],
        *,
        slots: int = s_.CORE_SLOTS,
    ) -> None:
        self.hosts = hosts
        self.block = Block(slots)
        self._policy = policy
        self._method = how.method
        self._weighers = how.weighers
        self._static = static
        self._codes: dict[Shape, int] = {}
        self._shapes: list[Shape] = []
        self._facts = self._layout = (-1, -1, -1)
        self._interned: dict[Amounts, int] = {}
        self._size = np.zeros(s_.SCALARS, dtype=np.int64)
        self._size[s_.METHOD] = how.method
        self._size[s_.WEIGHS_GROUPS] = bool(getattr(policy, "weighs_groups", False))
        self._size[s_.SEED] = np.uint64(hosts.seed).astype(np.int64)
        self._function = _score_function(policy) if how.method == Method.CUSTOM else None
        self._size[s_.CUSTOM] = self._function.address if self._function is not None else 0
        self.block.pack({s_.SIZES: self._size})

    # ---------------------------------------------------------------- deciding

    def choose(self, shape: Shape, group: ServerGroup | None) -> int:
        """The host for a request, or -1."""
        code = self.code(shape)
        number, rule, limit = self.group(group)
        self.refresh()
        self.lend()
        return int(kernels.choose(self.block.addresses, code, number, rule, limit))

    def lend(self) -> None:
        """Tell compiled code what the last decision was; :meth:`take_back` tells the scheduler what it made of it."""
        self._size[s_.SEQUENCE], self._size[s_.LAST_ROW] = self.hosts.sequence, self.hosts.last_row

    def take_back(self) -> None:
        """Compiled code has decided and committed by itself: see :meth:`lend`."""
        self.hosts.sequence, self.hosts.last_row = int(self._size[s_.SEQUENCE]), int(self._size[s_.LAST_ROW])

    def group(self, group: ServerGroup | None, *, keep: bool = False) -> tuple[int, int, int]:
        """A server group as kernels take it: (code, rule, most members on a host)."""
        if group is None:
            return kernels.NOBODY, Rule.NONE, 0
        return self.hosts.groups.code(group.id, keep=keep), RULES[group.policy], group.max_server_per_host

    # ---------------------------------------------------------------- keeping in step

    def code(self, shape: Shape) -> int:
        """The number of a shape; it stays the same."""
        code = self._codes.get(shape)
        if code is None:
            code = self._codes[shape] = len(self._shapes)
            self._shapes.append(shape)
            self._facts = (-1, -1, -1)
        return code

    def refresh(self) -> None:
        """Follow facts, providers and shapes that came or went, and columns that were replaced. Cheap if none did."""
        self.hosts.refresh()
        pool = self.hosts.pool
        facts = (pool.facts_version, pool.topology_version, len(self._shapes))
        if facts != self._facts:
            self._tabulate_hosts()
            self._tabulate_shapes()
            self._facts = facts
        layout = (pool.layout, pool.holdings.layout, self.hosts.groups.layout)
        if layout != self._layout:
            self._pack_books()
            self._layout = layout

    def _pack_books(self) -> None:
        pool, table, groups = self.hosts.pool, self.hosts.pool.holdings, self.hosts.groups
        self.block.pack(
            {
                s_.FREE: pool.free,
                s_.USED: pool.used,
                s_.CAPACITY: pool.capacity,
                s_.CLAIMS: pool.claims,
                s_.GENERATION: pool.generation,
                s_.IN_SERVICE: pool.in_service,
                s_.ROOT: pool.root,
                s_.TOTAL: pool.total,
                s_.RESERVED: pool.reserved,
                s_.RATIO: pool.allocation_ratio,
                s_.RING: pool.changes.ring,
                s_.CHANGES: pool.changes.count,
                s_.HEAD: table.head,
                s_.ENTRIES: table.entries,
                s_.ENTRY_MARKS: table.marks,
                s_.AMOUNT_USES: table.uses,
                s_.GROUP_HEAD: groups.head,
                s_.GROUP_ROW: groups.row,
                s_.GROUP_COUNT: groups.count,
                s_.GROUP_NEXT: groups.next,
                s_.GROUP_MARKS: groups.marks,
            }
        )
        self._size[s_.RING_MASK] = len(pool.changes.ring) - 1

    def _tabulate_hosts(self) -> None:
        hosts, pool = self.hosts, self.hosts.pool
        n = hosts.n
        # A weigher of a class that the pool does not have says nothing.
        weighers = [w for w in self._weighers if w.resource_class is None or w.resource_class in pool.classes]
        self._size[s_.WEIGHERS] = len(weighers)
        soft = [w.which in (Weighs.SOFT_AFFINITY, Weighs.SOFT_ANTI_AFFINITY) for w in weighers]
        plain = weighers[sum(soft) :]
        bounded = all(w.multiplier > 0 and w.which != Weighs.INSTANCES for w in plain)
        self._size[s_.SOFT_WEIGHERS] = sum(soft)
        self._size[s_.BOUNDED] = bounded and bool(plain) and all(soft[: sum(soft)])
        columns = [0 if w.resource_class is None else pool.classes.column(w.resource_class) for w in weighers]
        host_of_row = np.full(pool.rows, NO_ROW, dtype=np.int64)
        host_of_row[hosts.rows] = np.arange(n)
        host_of_row[hosts.children] = hosts.child_host
        by_host = np.argsort(hosts.child_host, kind="stable")  # a host's children stay in the order of their rows
        starts = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(np.bincount(hosts.child_host, minlength=n), out=starts[1:])
        nodes = -(-n // (1 << s_.BLOCK_SHIFT))
        levels = [0, nodes]
        while nodes > 1:
            nodes = -(-nodes // (1 << s_.NODE_SHIFT))
            levels.append(levels[-1] + nodes)
        size = self._size
        size[s_.HOSTS], size[s_.ROWS] = n, pool.rows
        size[s_.RAW_CURSOR] = -1
        size[s_.FLAT] = n == pool.rows  # rows ascend, so then each is its own
        size[s_.NODES], size[s_.LEVELS] = levels[-1], len(levels) - 1
        size[s_.BEHIND] = min(len(pool.changes.ring), 64 + n // 4)
        scored = max(int(size[s_.BEHIND]), 1 << s_.BLOCK_SHIFT)
        most_children = int(np.diff(starts).max(initial=0))
        self.block.pack(
            {
                s_.HOST_ROW: hosts.rows.astype(np.int64),
                s_.HOST_OF_ROW: host_of_row,
                s_.SCALE: np.asarray([hosts.scale(c) for c in range(len(pool.classes))], dtype=np.float64),
                s_.CHILD_START: starts,
                s_.CHILD_ROW: hosts.children[by_host].astype(np.int64),
                s_.LEVEL_START: np.asarray(levels, dtype=np.int64),
                s_.TAKEN_OUT: np.zeros(n, dtype=np.uint8),
                s_.COUNT: np.zeros(n, dtype=np.int32),
                s_.WEIGHS: np.asarray([w.which for w in weighers], dtype=np.int32),
                s_.WEIGHS_CLASS: np.asarray(columns, dtype=np.int32),
                s_.MULTIPLIER: np.asarray([w.multiplier for w in weighers], dtype=np.float64),
                s_.HIGHEST: np.zeros(len(weighers)),
                s_.LEAST: np.zeros(len(weighers)),
                s_.RAW: np.zeros((len(weighers), n)),
                s_.CLASS_SCALE: np.asarray([item.scale for item in pool.classes], dtype=np.float64),
                s_.SCORED_HOST: np.zeros(scored, dtype=np.int64),
                s_.SCORED_ROW: np.zeros(scored, dtype=np.int64),
                s_.SCORED: np.zeros(scored),
                s_.SCORED_RAW: np.zeros(scored),
                s_.SCORED_FREE: np.zeros(scored, dtype=np.int64),
                s_.TELLING: np.zeros(scored, dtype=np.int32),
                s_.CANDIDATE: np.zeros(max(n, most_children), dtype=np.int32),
            }
        )

    def _tabulate_shapes(self) -> None:
        """Every shape against the hosts as they are now."""
        classes = self.hosts.pool.classes
        facts = [self._static(shape) for shape in self._shapes]
        demands = [demand for demand, _ in facts]
        count = len(facts)
        most = max([1, *(len(d.columns) for d in demands), *(len(d.devices) for d in demands)])
        variants = max([1, *(len(d.amounts) for d in demands)])
        told = [self._parameters([classes[c].name for c in demand.columns]) for demand in demands]
        parameters = max([1, *(len(each) for each in told)])
        kind, first = _kinds(self.hosts.n, [(passes, demand.variant) for demand, passes in facts])
        width, devices, device_width = (np.zeros(count, dtype=np.int32) for _ in range(3))
        column, device_column = (np.zeros((count, most), dtype=np.int32) for _ in range(2))
        device_units = np.zeros((count, most), dtype=np.int64)
        units = np.zeros((count, variants, most), dtype=np.int64)
        amounts, device_amounts = np.zeros((count, variants), dtype=np.int32), np.zeros(count, dtype=np.int32)
        eligible = np.zeros((count, len(first)), dtype=np.bool_)
        variant = np.zeros((count, len(first)), dtype=np.int16)
        numbers = np.zeros((count, parameters))
        for code, (demand, passes) in enumerate(facts):
            width[code] = len(demand.columns)
            column[code, : len(demand.columns)] = demand.columns
            for v, each in enumerate(demand.amounts):
                asked = dict(each)
                units[code, v, : len(demand.columns)] = [asked.get(c, 0) for c in demand.columns]
                amounts[code, v] = self._intern(each)
            eligible[code], variant[code] = passes[first], demand.variant[first]
            devices[code], device_width[code] = demand.device_count, len(demand.devices)
            device_column[code, : len(demand.devices)] = [c for c, _ in demand.devices]
            device_units[code, : len(demand.devices)] = [u for _, u in demand.devices]
            if demand.device_count:
                device_amounts[code] = self._intern(demand.devices)
            numbers[code, : len(told[code])] = told[code]
        # No devices, no variants, and a score that kernels know: the way of nearly every shape.
        known = self._method != Method.CUSTOM
        plain = np.asarray([known and len(d.amounts) == 1 and not d.device_count for d in demands], dtype=np.bool_)
        size = self._size
        size[s_.KINDS], size[s_.CLASSES] = len(first), len(classes)
        size[s_.MOST_CLASSES], size[s_.MOST_VARIANTS], size[s_.MOST_PARAMETERS] = most, variants, parameters
        self.block.pack(
            {
                s_.KIND: kind,
                s_.WIDTH: width,
                s_.COLUMN: column,
                s_.UNITS: units,
                s_.ELIGIBLE: eligible,
                s_.VARIANT: variant,
                s_.AMOUNTS: amounts,
                s_.DEVICES: devices,
                s_.DEVICE_WIDTH: device_width,
                s_.DEVICE_COLUMN: device_column,
                s_.DEVICE_UNITS: device_units,
                s_.DEVICE_AMOUNTS: device_amounts,
                s_.PARAMETERS: numbers,
                s_.PLAIN: plain,
                s_.ASKED: np.zeros(most, dtype=np.int64),
                s_.LEFT: np.zeros(most, dtype=np.int64),
                s_.ROOM: np.zeros(most, dtype=np.int64),
                s_.ROOM_SCALE: np.zeros(most),
                s_.SHORT_CURSOR: np.full(count, -1, dtype=np.int64),
                s_.SHORT_MASK: np.zeros(count, dtype=np.int64),
                s_.WITNESS: np.full((count, most + 1), -1, dtype=np.int32),
            }
        )
        self._tabulate_amounts(most)
        self._make_indexes(count)

    def _tabulate_amounts(self, most: int) -> None:
        interned = max([0, *(number + 1 for number in self._interned.values())])
        width = np.zeros(interned, dtype=np.int32)
        column = np.zeros((interned, most), dtype=np.int32)
        units = np.zeros((interned, most), dtype=np.int64)
        for amounts, number in self._interned.items():
            width[number] = len(amounts)
            column[number, : len(amounts)] = [c for c, _ in amounts]
            units[number, : len(amounts)] = [u for _, u in amounts]
        self.block.pack({s_.AMOUNT_WIDTH: width, s_.AMOUNT_COLUMN: column, s_.AMOUNT_UNITS: units})

    def _make_indexes(self, shapes: int) -> None:
        nodes = max(1, int(self._size[s_.NODES]))
        each = 1 + int(self._size[s_.WEIGHERS] - self._size[s_.SOFT_WEIGHERS])  # ``nova`` has one a weigher besides
        indexes = each * min(shapes, max(1, _INDEX_BYTES // (12 * nodes * each)))
        number = each * np.arange(shapes, dtype=np.int32)
        self.block.pack(
            {
                s_.INDEX: np.where(number < indexes, number, -1).astype(np.int32),
                s_.BOUND: np.zeros((indexes, nodes)),
                s_.SCALED_BY: np.zeros(indexes),
                s_.WINNER: np.zeros((indexes, nodes), dtype=np.int32),
                s_.CURSOR: np.full(indexes, -1, dtype=np.int64),
            }
        )

    def _intern(self, amounts: Amounts) -> int:
        """The number of ``amounts`` in the pool's table, where it is kept from now on."""
        if amounts not in self._interned:
            self._interned[amounts] = self.hosts.pool.holdings.intern(amounts)
        return self._interned[amounts]

    def _parameters(self, names: Sequence[str]) -> Sequence[float]:
        told = getattr(self._policy, "parameters", None)
        return () if told is None else tuple(told(tuple(names)))


def _kinds(n: int, facts: Sequence[tuple[NDArray[np.bool_], NDArray[np.int16]]]) -> tuple[NDArray[np.int32], Any]:
    """``int32[n]``: hosts that no shape tells apart have one number; and the first host of each."""
    kind = np.zeros(n, dtype=np.int64)
    first = np.zeros(min(n, 1), dtype=np.intp)
    for passes, variant in facts:
        told = passes.astype(np.int64) << 16 | variant
        if not np.array_equal(told, told[first][kind]) if n else False:
            _, first, kind = np.unique(kind << 17 | told, return_index=True, return_inverse=True)
    return kind.astype(np.int32), first


def _score_function(policy: Any) -> Any:
    """The policy's ``host_score`` as a function that compiled code calls by its address.

    Raises: PolicyError if Numba cannot compile it.
    """
    score = njit(policy.host_score)
    number = types.int64

    def called(width, free, asked, capacity, scale, parameters):  # type: ignore[no-untyped-def]
        return score(
            long_array(free)[:width],
            long_array(asked)[:width],
            long_array(capacity)[:width],
            float_array(scale)[:width],
            float_array(parameters),
        )

    try:
        return cfunc(types.float64(number, number, number, number, number, number))(called)
    except Exception as exc:  # Numba's errors have no common root but this, and the code is the user's
        name = type(policy).__name__
        raise PolicyError(
            f"host_score of policy {name} cannot be compiled; leave it out, or see what Numba says: {exc}", policy=name
        ) from exc
