"""The hosts as a policy sees them: read-only columns, and a shape worked out against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sundog.core.pool import Amounts, Pool
from sundog.core.pool.pool import NO_ROW, Bools, Ints, Rows
from sundog.core.scheduler.facts import HostFacts
from sundog.core.scheduler.groups import ServerGroups
from sundog.core.scheduler.request import Request, Shape
from sundog.errors import InvariantError

Floats: TypeAlias = NDArray[np.float64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Demand:
    """A shape against a pool's classes and hosts.

    ``units`` is ``int64[classes asked, 1]``, or ``[classes asked, hosts]`` where the demand depends on the machine; it
    broadcasts over host columns either way. ``variant`` is the index of each host's variant (all 0 without variants).
    ``devices`` is the demand on each child provider.
    """

    columns: tuple[int, ...]
    units: Ints
    amounts: tuple[Amounts, ...]
    variant: NDArray[np.int16]
    devices: Amounts = ()
    device_count: int = 0


class Hosts:
    """The hosts of a pool as columns indexed by host, 0 to ``n - 1``, in the order of their rows.

    Filters read this; a policy reads a :class:`HostView` of it. ``sequence`` counts committed decisions and
    ``last_row`` is where the last one went: all the memory that most built-in policies have. ``now`` is the time in
    seconds and ``consumer`` who asks, where whoever runs the scheduler says so (:meth:`Scheduler.at`).
    """

    def __init__(self, pool: Pool, groups: ServerGroups, seed: int = 0) -> None:
        self.pool = pool
        self.groups = groups
        self.seed = seed
        self.facts: HostFacts | None = None
        self.sequence = 0
        self.last_row = NO_ROW
        self.now = 0.0
        self.consumer = -1
        self._topology = self._scale_version = -1
        self._scales: dict[int, float] = {}
        self.refresh()

    def refresh(self) -> None:
        """Follow providers and classes that came or went. Cheap when none did."""
        self.pool.follow_classes()
        if self._topology == self.pool.topology_version:
            return
        self._topology = self.pool.topology_version
        self.rows: Rows = self.pool.roots()
        self.n = len(self.rows)
        self._whole = self.n == self.pool.rows
        self._index: NDArray[np.intp] = np.full(self.pool.rows, NO_ROW, dtype=np.intp)
        self._index[self.rows] = np.arange(self.n)
        self.children: Rows = np.flatnonzero(self.pool.parent != NO_ROW)
        self.child_host: Rows = self._index[self.pool.root[self.children]]
        self._device_rows: Rows | None = None

    # ------------------------------------------------------------ columns

    def column(self, matrix: Ints, column: int) -> Ints:
        """``int64[n]``: one class of a pool matrix over the hosts; a view where there are only hosts, else a copy."""
        values: Ints = matrix[column] if self._whole else matrix[column, self.rows]
        return values

    def of(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Any per-row column of the pool over the hosts."""
        return values if self._whole else values[self.rows]

    def scale(self, column: int) -> float:
        """The largest capacity of a class on any host, in units, at least 1. Cached until a fact changes."""
        if self._scale_version != self.pool.facts_version:
            self._scale_version = self.pool.facts_version
            self._scales = {}
        if column not in self._scales:
            self._scales[column] = float(max(1, self.column(self.pool.capacity, column).max(initial=0)))
        return self._scales[column]

    def members(self, group: str) -> Floats:
        """``float64[n]``: members of a server group on each host.

        Raises: InvariantError for members on a host that is gone.
        """
        counts = np.zeros(self.n)
        for row, count in self.groups.members(group).items():
            host = self.index_of_row(row)
            if host == NO_ROW:
                raise InvariantError(f"server group {group} has members on row {row}, which holds no host")
            counts[host] = count
        return counts

    def device_rows(self) -> Rows:
        """``intp[n, d]``: provider rows of each host's devices in their order, -1 where it has fewer than ``d``."""
        if self._device_rows is None:
            order = np.argsort(self.child_host, kind="stable")
            counts = np.bincount(self.child_host, minlength=self.n)
            first = np.cumsum(counts) - counts
            rows: Rows = np.full((self.n, int(counts.max(initial=0))), NO_ROW, dtype=np.intp)
            of = self.child_host[order]
            rows[of, np.arange(len(of)) - first[of]] = self.children[order]
            self._device_rows = rows
        return self._device_rows

    # ------------------------------------------------------------ one host

    def name(self, host: int) -> str:
        """The name of host ``host``."""
        return self.pool.name(int(self.rows[host]))

    def index(self, name: str) -> int | None:
        """The host called ``name``, or None if there is no such host."""
        if name not in self.pool:
            return None
        host = int(self._index[self.pool.row(name)])
        return None if host == NO_ROW else host

    def index_of_row(self, row: int) -> int:
        """The host on provider row ``row``, or -1."""
        return int(self._index[row]) if 0 <= row < len(self._index) else NO_ROW

    def uniform(self, draw: int = 0) -> float:
        """A number in [0, 1) that depends on the seed, the number of this decision and ``draw`` alone.

        Draw 0 is output number ``sequence`` of SplitMix64 seeded with ``seed``; draw *j* is output number *j* of
        SplitMix64 seeded with the 64 bits of draw 0 (Steele, Lea, Flood, "Fast splittable pseudorandom number
        generators", OOPSLA 2014).
        """
        return uniform(self.seed, self.sequence, draw)

    # ------------------------------------------------------------ demand

    def demand(self, shape: Shape) -> Demand:
        """What ``shape`` asks of each host, in units.

        Raises: PoolError for an unknown class or an amount that is not a whole number of units.
        """
        classes = self.pool.classes
        devices = classes.amounts(dict(shape.devices.resources)) if shape.devices else ()
        count = shape.devices.count if shape.devices else 0
        variant = np.zeros(self.n, dtype=np.int16)
        if not shape.variants:
            amounts = classes.amounts(dict(shape.resources))
            units = np.asarray([[u] for _, u in amounts], dtype=np.int64).reshape(len(amounts), 1)
            units.setflags(write=False)
            return Demand(tuple(c for c, _ in amounts), units, (amounts,), variant, devices, count)
        options = tuple(classes.amounts(dict(v.resources)) for v in shape.variants)
        columns = tuple(sorted({c for option in options for c, _ in option}))
        units = np.zeros((len(columns), self.n), dtype=np.int64)
        for index in reversed(range(len(options))):  # the first variant that a host has wins
            has = self.of(self.pool.traits.having_all([shape.variants[index].trait])).astype(bool)
            variant[has] = index
            asked = dict(options[index])
            for position, column in enumerate(columns):
                units[position, has] = asked.get(column, 0)
        units.setflags(write=False)
        return Demand(columns, units, options, variant, devices, count)

    def claims_on(
        self, demand: Demand, host: int, devices: Sequence[int] | None = None
    ) -> tuple[tuple[int, Amounts], ...] | None:
        """What a server of this demand claims on ``host``: the host itself and its devices.

        ``devices`` are positions in :meth:`device_rows`; without them the fullest are taken. None if too few devices
        have room.
        """
        row = int(self.rows[host])
        own = (row, demand.amounts[int(demand.variant[host])])
        if not demand.device_count:
            return (own,)
        if devices is not None:
            chosen: list[int] = self.device_rows()[host, list(devices)].tolist()
            return (own, *((child, demand.devices) for child in chosen))
        below = np.asarray(sorted(self.pool.tree(row)[1:]), dtype=np.intp)
        children = below[self._fits(below, demand, self.pool.free)]
        if len(children) < demand.device_count:
            return None
        first, _ = demand.devices[0]
        fullest = children[np.argsort(self.pool.free[first, children], kind="stable")][: demand.device_count]
        return (own, *((child, demand.devices) for child in fullest.tolist()))

    def device_fits(self, demand: Demand, host: int) -> Bools:
        """``bool[d]``: which of the host's devices have room for one of the demand's."""
        rows = self.device_rows()[host]
        fits: Bools = (rows != NO_ROW) & self._fits(rows, demand, self.pool.free)
        return fits

    def devices_with_room(self, demand: Demand, matrix: Ints) -> NDArray[np.intp]:
        """``intp[n]``: how many of each host's children could give the devices' amounts, by ``matrix``."""
        return np.bincount(self.child_host[self._fits(self.children, demand, matrix)], minlength=self.n)

    def _fits(self, rows: Rows, demand: Demand, matrix: Ints) -> Bools:
        """``bool[len(rows)]``: which providers could give one device, by ``matrix`` and the units of one claim."""
        pool = self.pool
        fits: Bools = np.ones(len(rows), dtype=bool)
        for column, units in demand.devices:
            fits &= matrix[column, rows] >= units
            if pool.has_units:
                fits &= (units >= pool.min_unit[column, rows]) & (units <= pool.max_unit[column, rows])
                fits &= units % pool.step_size[column, rows] == 0
        return fits


class HostView:
    """What a policy sees for one decision: columns over all hosts, ``float64[n]`` in each class's own unit.

    ``feasible`` is ``bool[n]``, read-only, the hosts it may choose from. ``last`` is the host chosen last (-1 if none)
    and :meth:`uniform` is this decision's own dice, so that explaining a decision never changes what comes next.
    """

    __slots__ = ("_hosts", "classes", "demand", "feasible", "n")

    def __init__(self, hosts: Hosts, demand: Demand, feasible: Bools) -> None:
        self._hosts = hosts
        self.classes = hosts.pool.classes
        self.demand = demand
        feasible.setflags(write=False)  # it may be the scheduler's own, and it is what a choice is checked against
        self.feasible = feasible
        self.n = hosts.n

    def free(self, name: str) -> Floats:
        """Free amount of a class; negative where a host is over capacity."""
        return self._natural(self._hosts.pool.free, name)

    def used(self, name: str) -> Floats:
        """Used amount of a class."""
        return self._natural(self._hosts.pool.used, name)

    def capacity(self, name: str) -> Floats:
        """Capacity of a class, after reserved and allocation ratio."""
        return self._natural(self._hosts.pool.capacity, name)

    def total(self, name: str) -> Floats:
        """Physical amount of a class, before reserved and allocation ratio."""
        return self._natural(self._hosts.pool.total, name)

    def reserved(self, name: str) -> Floats:
        """Amount of a class kept from servers."""
        return self._natural(self._hosts.pool.reserved, name)

    def allocation_ratio(self, name: str) -> Floats:
        """How many times over a class may be given."""
        pool, column = self._hosts.pool, self.classes.column(name)
        return self._hosts.of(pool.allocation_ratio[column]).astype(np.float64, copy=False)

    def physically_used(self, name: str, fact: str) -> Floats:
        """What the host itself counts as used of a class: claimed, reserved, and what facts of that name add."""
        pool, column = self._hosts.pool, self.classes.column(name)
        units = self._hosts.column(pool.used, column) + self._hosts.column(pool.reserved, column)
        used = units / self.classes[column].scale
        extra = self.fact(fact)
        return used if extra is None else used + extra

    def fact(self, name: str) -> Ints | None:
        """``int64[n]``: a column of the host facts; None where there is no such fact of any host."""
        values = None if self.facts is None else self.facts.column(name)
        return None if values is None else self._hosts.of(values).astype(np.int64, copy=False)

    @property
    def facts(self) -> HostFacts | None:
        """What is known of the hosts beyond the pool, or None."""
        return self._hosts.facts

    @property
    def hosts(self) -> Hosts:
        """The hosts that this is a view of, for filters' and weighers' use."""
        return self._hosts

    def asked(self, name: str) -> Floats:
        """What the request asks of a class on each host; the same on all, unless its demand depends on the machine."""
        column = self.classes.column(name)
        if column not in self.demand.columns:
            return np.zeros(self.n)
        units = self.demand.units[self.demand.columns.index(column)]
        return np.broadcast_to(units / self.classes[column].scale, (self.n,))

    def servers(self) -> Floats:
        """Servers (consumers with an allocation) on each host."""
        return self._hosts.of(self._hosts.pool.claims).astype(np.float64)

    def members(self, group: str) -> Floats:
        """Members of a server group on each host."""
        return self._hosts.members(group)

    def device_free(self, name: str) -> Ints:
        """``int64[n, d]``: what is free of a class on each device of each host, in units; -1 where there is none."""
        return self._of_devices(self._hosts.pool.free, name, -1)

    def device_capacity(self, name: str) -> Ints:
        """``int64[n, d]``: capacity of each device, in units; 0 where there is none."""
        return self._of_devices(self._hosts.pool.capacity, name, 0)

    def device_fits(self, host: int) -> Bools:
        """``bool[d]``: which devices of ``host`` could give what the request asks of one device."""
        return self._hosts.device_fits(self.demand, host)

    def has_traits(self, shape: Shape) -> Bools:
        """``bool[n]``: hosts with the traits that ``shape`` requires, forbids and lists alternatives of."""
        traits = self._hosts.pool.traits
        passes = traits.having_all(shape.required_traits) & ~traits.having_any(shape.forbidden_traits)
        for alternatives in shape.any_traits:
            passes &= traits.having_any(alternatives)
        return self._hosts.of(passes).astype(bool, copy=False)

    @property
    def facts_version(self) -> int:
        """Grows whenever anything but claims changed: what was worked out from capacities and traits is then old."""
        return self._hosts.pool.facts_version

    def index(self, name: str) -> int | None:
        """The host called ``name``, or None if there is no such host."""
        return self._hosts.index(name)

    @property
    def rows(self) -> Rows:
        """``intp[n]``: the provider row of each host, which stays the same while the host is in the pool."""
        return self._hosts.rows

    @property
    def now(self) -> float:
        """Seconds since the start, where whoever runs the scheduler tells the time, else 0."""
        return self._hosts.now

    @property
    def consumer(self) -> int:
        """Who asks (in a study the number of the VM), or -1 if nobody said."""
        return self._hosts.consumer

    def _of_devices(self, matrix: Ints, name: str, missing: int) -> Ints:
        rows = self._hosts.device_rows()
        if name not in self.classes:
            return np.full(rows.shape, missing, dtype=np.int64)
        values: Ints = np.where(rows == NO_ROW, missing, matrix[self.classes.column(name)][rows])
        return values

    def left_shares(self) -> list[Floats]:
        """For each class asked: what would be left free after placing, as a share of the largest host's capacity."""
        pool = self._hosts.pool
        return [
            (self._hosts.column(pool.free, column) - units) / self._hosts.scale(column)
            for column, units in zip(self.demand.columns, self.demand.units, strict=True)
        ]

    def free_and_asked_shares(self) -> list[tuple[Floats, Floats]]:
        """For each class asked: (free, asked) as shares of the largest host's capacity; ``asked`` may be ``[1]``."""
        pool = self._hosts.pool
        return [
            (self._hosts.column(pool.free, column) / scale, units / scale)
            for column, units in zip(self.demand.columns, self.demand.units, strict=True)
            for scale in (self._hosts.scale(column),)
        ]

    @property
    def last(self) -> int:
        """The host that the last committed decision chose, or -1."""
        return self._hosts.index_of_row(self._hosts.last_row)

    def in_units(self) -> list[tuple[Ints, Ints, Ints, float]]:
        """For each class asked: (free, asked, capacity, scale), the arguments of a ``host_score``, for all hosts.

        The first three are ``int64[n]`` in the pool's units (``asked`` may be ``[1]``); ``scale`` is the largest
        capacity on any host. In the order of :meth:`classes_asked`.
        """
        hosts, pool = self._hosts, self._hosts.pool
        return [
            (
                _read_only(hosts.column(pool.free, column)),
                units,
                _read_only(hosts.column(pool.capacity, column)),
                hosts.scale(column),
            )
            for column, units in zip(self.demand.columns, self.demand.units, strict=True)
        ]

    def classes_asked(self) -> tuple[str, ...]:
        """Names of the classes that the request asks of a host, in the order of every list by class."""
        return tuple(self.classes[column].name for column in self.demand.columns)

    @property
    def decision(self) -> int:
        """The number of this decision: how many were committed before it."""
        return self._hosts.sequence

    def uniform(self, draw: int = 0) -> float:
        """A number in [0, 1) that depends on the seed, the number of this decision and ``draw`` alone."""
        return self._hosts.uniform(draw)

    def _natural(self, matrix: Ints, name: str) -> Floats:
        column = self.classes.column(name)
        return self._hosts.column(matrix, column) / self.classes[column].scale


def _read_only(values: Ints) -> Ints:
    """A view that cannot be written to: a policy must not change the pool by accident."""
    shown = values.view()
    shown.setflags(write=False)
    return shown


def uniform(seed: int, sequence: int, draw: int = 0) -> float:
    """A number in [0, 1) that depends on the three alone; see :meth:`Hosts.uniform`."""
    bits = _mixed(seed + (sequence + 1) * _GOLDEN)
    if draw:
        bits = _mixed(bits + draw * _GOLDEN)
    return (bits >> 11) * 2.0**-53


def _mixed(bits: int) -> int:
    """SplitMix64's finaliser: 64 bits from 64 bits."""
    z = bits & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def request_text(request: Request) -> str:
    """A request in a line, for messages."""
    name = request.id or request.shape.name or "a server"
    return f"{name} ({request.shape.describe()})"
