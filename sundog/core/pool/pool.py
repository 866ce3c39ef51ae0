"""The pool itself: providers as rows, their inventories as columns, claims that are atomic or refused."""

from __future__ import annotations

import copy
import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sundog.core.pool.allocations import Allocation, AllocationTable, Amounts
from sundog.core.pool.bitsets import BitColumns
from sundog.core.pool.changes import ChangeLog
from sundog.core.pool.resource_classes import ResourceClass, ResourceClasses
from sundog.errors import InvariantError, PoolError

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]

Claim: TypeAlias = tuple[int, Amounts]
"""(provider row, amounts): what is wanted of one provider."""

NO_ROW: Final = -1
UNLIMITED: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a provider has of one class, in the class's own unit (VCPU, MiB, GiB).

    ``max_unit`` None means no limit. Capacity is ``floor((total - reserved) * allocation_ratio)``, as in Placement.
    """

    total: float
    reserved: float = 0
    allocation_ratio: float = 1.0
    min_unit: float | None = None
    max_unit: float | None = None
    step_size: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a claim was refused; nothing changed. ``reason`` is a sentence for people, the rest are its facts."""

    reason: str
    row: int
    provider: str
    resource_class: str | None = None
    asked: float | None = None
    free: float | None = None


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """A whole pool at one moment. Opaque; give it to :meth:`Pool.restore`. It can be pickled."""

    state: dict[str, Any]


class Pool:
    """Resource providers, their inventories and who has claimed what.

    Columns are ``int64[classes, rows]``, so a scan over all hosts for one class reads contiguous memory. Rows of
    removed providers have no capacity and are used again, lowest first.

    Read-only columns for schedulers, all indexed ``[column, row]`` or ``[row]``: ``free``, ``capacity``, ``used``,
    ``claims`` (allocations on the row), ``up``, ``enabled``, ``in_service`` (both), ``zone``, ``parent``, ``root``,
    ``generation``.

    What changes often (claims, releases, being up or enabled) is told by ``changes``, row by row. ``facts_version``
    grows with every other change, ``topology_version`` when providers come or go, ``layout`` when the columns are
    replaced by longer ones. ``has_units`` says whether any inventory ever had a ``min_unit``, ``max_unit`` or
    ``step_size``. ``holdings`` is the table of allocations; only compiled code looks into it.
    """

    def __init__(self, classes: ResourceClasses | None = None) -> None:
        self.classes = classes if classes is not None else ResourceClasses()
        self.facts_version = 0
        self.topology_version = 0
        self.layout = 0
        self.changes = ChangeLog()
        self.traits = BitColumns()
        self.aggregates = BitColumns()
        self.zones: list[str] = []
        self.holdings = AllocationTable()
        self._names: list[str | None] = []
        self._rows: dict[str, int] = {}
        self._vacant: list[int] = []
        self._children: dict[int, list[int]] = {}
        self.has_units = False
        self._roots: tuple[int, Rows] = (-1, np.empty(0, dtype=np.intp))
        self._inventory_columns(len(self.classes), 0)
        self.up: Bools = np.zeros(0, dtype=bool)
        self.enabled: Bools = np.zeros(0, dtype=bool)
        self.in_service: Bools = np.zeros(0, dtype=bool)
        self.zone: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.parent: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.root: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.claims: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.generation: Ints = np.empty(0, dtype=np.int64)

    def _inventory_columns(self, classes: int, rows: int) -> None:
        self.total: Ints = np.zeros((classes, rows), dtype=np.int64)
        self.reserved: Ints = np.zeros((classes, rows), dtype=np.int64)
        self.allocation_ratio: NDArray[np.float64] = np.ones((classes, rows), dtype=np.float64)
        self.min_unit: Ints = np.ones((classes, rows), dtype=np.int64)
        self.max_unit: Ints = np.full((classes, rows), UNLIMITED, dtype=np.int64)
        self.step_size: Ints = np.ones((classes, rows), dtype=np.int64)
        self.capacity: Ints = np.zeros((classes, rows), dtype=np.int64)
        self.used: Ints = np.zeros((classes, rows), dtype=np.int64)
        self.free: Ints = np.zeros((classes, rows), dtype=np.int64)

    # ---------------------------------------------------------------- providers

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> int:
        """Rows in every column, those of removed providers included."""
        return len(self._names)

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns (names are beside them)."""
        columns = (value for value in vars(self).values() if isinstance(value, np.ndarray))
        return sum(c.nbytes for c in columns) + self.traits.nbytes + self.aggregates.nbytes + self.holdings.nbytes

    def row(self, name: str) -> int:
        """The row of the provider called ``name``.

        Raises: PoolError if there is none.
        """
        try:
            return self._rows[name]
        except KeyError:
            raise PoolError(f"the pool has no provider {name!r}", provider=name) from None

    def name(self, row: int) -> str:
        """The name of the provider on ``row``.

        Raises: PoolError if the row is vacant or out of range.
        """
        name = self._names[row] if 0 <= row < len(self._names) else None
        if name is None:
            raise PoolError(f"row {row} holds no provider; the pool has {len(self._names)} rows", row=row)
        return name

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def roots(self) -> Rows:
        """Rows of the providers without a parent (the hosts), ascending. Cached until providers come or go."""
        version, rows = self._roots
        if version != self.topology_version:
            alive = np.fromiter((name is not None for name in self._names), dtype=bool, count=len(self._names))
            rows = np.flatnonzero(alive & (self.parent == NO_ROW))
            rows.setflags(write=False)
            self._roots = (self.topology_version, rows)
        return rows

    def children(self, row: int) -> tuple[int, ...]:
        """Rows of the providers directly below ``row``, in the order they were added."""
        return tuple(self._children.get(row, ()))

    def tree(self, row: int) -> list[int]:
        """``row`` and every provider below it, parents before children."""
        found = [row]
        for each in found:
            found.extend(self._children.get(each, ()))
        return found

    def add_provider(
        self,
        name: str,
        inventory: Mapping[str, Inventory | float] | None = None,
        *,
        parent: int | None = None,
        zone: str | None = None,
        traits: Iterable[str] = (),
        aggregates: Iterable[str] = (),
    ) -> int:
        """Add one provider and return its row. See :meth:`add_providers`."""
        return int(
            self.add_providers([name], inventory, parent=parent, zone=zone, traits=traits, aggregates=aggregates)[0]
        )

    def add_providers(
        self,
        names: Sequence[str],
        inventory: Mapping[str, Inventory | float] | None = None,
        *,
        parent: int | Sequence[int] | None = None,
        zone: str | None = None,
        traits: Iterable[str] = (),
        aggregates: Iterable[str] = (),
    ) -> Rows:
        """Add providers that are alike and return their rows, ``intp[len(names)]``, in the order of ``names``.

        ``parent`` is one row for all or one row each; a child takes its root's zone unless ``zone`` is given.
        Raises: PoolError for a name in use, an unknown parent or class, or a bad inventory; nothing is added then.
        """
        if len(dict.fromkeys(names)) != len(names):
            raise PoolError("the same provider name is given twice")
        for name in names:
            if name in self._rows:
                raise PoolError(f"the pool already has a provider {name!r}", provider=name)
        parents: list[int] = [] if parent is None else np.atleast_1d(parent).tolist()
        for each in parents:
            self.name(each)
        if parent is not None and len(parents) not in (1, len(names)):
            raise PoolError(f"{len(parents)} parents were given for {len(names)} providers")
        units = self._checked(inventory or {})

        rows = self._take_rows(len(names))
        for name, row in zip(names, rows.tolist(), strict=True):
            self._names[row] = name
            self._rows[name] = row
        self.parent[rows] = parents if parents else NO_ROW
        self.root[rows] = self.root[self.parent[rows]] if parents else rows
        self.zone[rows] = self.zone[self.root[rows]] if parents and zone is None else self._zone(zone)
        self.up[rows] = self.enabled[rows] = self.in_service[rows] = True
        self.claims[rows] = 0
        for row, above in zip(rows.tolist(), self.parent[rows].tolist(), strict=True):
            if above != NO_ROW:
                self._children.setdefault(above, []).append(row)
        self.traits.assign(rows, traits)
        self.aggregates.assign(rows, aggregates)
        self._set_inventory(rows, units)
        self.topology_version += 1
        self.facts_version += 1
        return rows

    def remove_provider(self, row: int) -> None:
        """Remove a provider that nobody uses and that has no children.

        Raises: PoolError if it is in use, has children, or does not exist; nothing changes then.
        """
        name = self.name(row)
        if self.claims[row]:
            raise PoolError(f"{name} still has {self.claims[row]} allocations; release them first", provider=name)
        if self._children.get(row):
            raise PoolError(
                f"{name} still has {len(self._children[row])} child providers; remove them first", provider=name
            )
        for column, value in self._defaults():
            column[:, row] = value
        above = int(self.parent[row])
        if above != NO_ROW:
            self._children[above].remove(row)
        self.parent[row] = self.root[row] = self.zone[row] = NO_ROW
        self.up[row] = self.enabled[row] = self.in_service[row] = False
        self.generation[row] += 1  # the next provider on this row goes on from here, and is never taken for this one
        self.traits.assign(row, ())
        self.aggregates.assign(row, ())
        self._names[row] = None
        del self._rows[name]
        heapq.heappush(self._vacant, row)
        self.topology_version += 1
        self.facts_version += 1

    def rename(self, row: int, name: str) -> None:
        """Call the provider on ``row`` ``name`` from now on.

        Raises: PoolError if another provider has the name; nothing changes then.
        """
        old = self.name(row)
        if self._rows.get(name, row) != row:
            raise PoolError(f"the pool already has a provider {name!r}", provider=name)
        del self._rows[old]
        self._names[row] = name
        self._rows[name] = row
        self.topology_version += 1
        self.facts_version += 1

    def reparent(self, row: int, parent: int | None) -> None:
        """Put the provider, with everything below it, below ``parent``, or make it a root. Its zone stays.

        Raises: PoolError if ``parent`` is the provider itself or below it; nothing changes then.
        """
        name, tree = self.name(row), self.tree(row)
        if parent is not None and parent in tree:
            raise PoolError(f"{name} cannot be put below {self.name(parent)}, which is below it", provider=name)
        if parent is not None:
            self.name(parent)
        above = int(self.parent[row])
        if above != NO_ROW:
            self._children[above].remove(row)
        if parent is not None:
            self._children.setdefault(parent, []).append(row)
        self.parent[row] = NO_ROW if parent is None else parent
        self.root[np.asarray(tree, dtype=np.intp)] = row if parent is None else self.root[parent]
        self.topology_version += 1
        self.facts_version += 1

    def set_inventory(self, row: int | Rows, inventory: Mapping[str, Inventory | float]) -> None:
        """Set what providers have of the classes named; other classes stay.

        Capacity may fall below what is used, as in Placement: the provider is then over capacity, refuses every
        further claim of that class, and is listed by :meth:`over_capacity`.
        Raises: PoolError for an unknown class or a bad inventory; nothing changes then.
        """
        rows = np.atleast_1d(np.asarray(row, dtype=np.intp))
        for each in rows.tolist():
            self.name(each)
        self._set_inventory(rows, self._checked(inventory))
        self._touch(rows)

    def check_inventory(self, inventory: Mapping[str, Inventory | float]) -> None:
        """Raises: PoolError for what :meth:`set_inventory` would not take, of classes that may yet have to be added."""
        for name, given in inventory.items():
            _units(self.classes[name] if name in self.classes else ResourceClass(name), given)

    def inventory(self, row: int) -> dict[str, Inventory]:
        """What the provider has, by class, without classes of which it has none: what :meth:`set_inventory` takes."""
        self.name(row)
        self.follow_classes()
        return {
            self.classes[column].name: self._inventory(column, row)
            for column in np.flatnonzero(self.total[:, row]).tolist()
        }

    def set_traits(self, row: int, traits: Iterable[str]) -> None:
        """Give the provider exactly ``traits``."""
        self.name(row)
        self.traits.assign(row, traits)
        self._touch(row)

    def set_aggregates(self, row: int, aggregates: Iterable[str]) -> None:
        """Make the provider a member of exactly ``aggregates``."""
        self.name(row)
        self.aggregates.assign(row, aggregates)
        self._touch(row)

    def set_zone(self, row: int, zone: str | None) -> None:
        """Put the provider and everything below it into an availability zone, or into none."""
        self.name(row)
        tree = np.asarray(self.tree(row), dtype=np.intp)
        self.zone[tree] = self._zone(zone)
        self._touch(tree)

    def set_status(self, row: int, *, up: bool | None = None, enabled: bool | None = None) -> None:
        """Say that a host is up or down, or that it is enabled or disabled for new claims. What it holds stays."""
        self.name(row)
        if up is not None:
            self.up[row] = up
        if enabled is not None:
            self.enabled[row] = enabled
        self.in_service[row] = self.up[row] and self.enabled[row]
        self.generation[row] += 1
        self.changes.add(row)

    def zone_of(self, row: int) -> str | None:
        """The availability zone of a provider."""
        code = int(self.zone[row])
        return None if code < 0 else self.zones[code]

    # ---------------------------------------------------------------- claims

    def refusal(self, claims: Sequence[Claim], *, generations: Mapping[int, int] | None = None) -> Refusal | None:
        """Why :meth:`claim` would refuse ``claims`` now, or None if it would take them."""
        self.follow_classes()
        for row, generation in (generations or {}).items():
            if not 0 <= row < len(self._names) or self._names[row] is None:
                return Refusal(f"row {row} holds no provider", row, "")
            if self.generation[row] != generation:
                reason = f"{self.name(row)} changed meanwhile: generation {self.generation[row]}, not {generation}"
                return Refusal(reason, row, self.name(row))
        if len(claims) > 1:
            claims = _merged(claims)
        for row, amounts in claims:
            if not 0 <= row < len(self._names) or self._names[row] is None:
                return Refusal(f"row {row} holds no provider", row, "")
            for column, asked in amounts:
                if asked <= 0:
                    _check_amount(asked)
                    continue  # nothing is asked of the class, so its limits and its use do not matter
                if asked > self.free[column, row]:
                    return self._refused(row, column, asked, "free")
                if self.has_units:
                    if asked < self.min_unit[column, row]:
                        return self._refused(row, column, asked, "min_unit")
                    if asked > self.max_unit[column, row]:
                        return self._refused(row, column, asked, "max_unit")
                    if asked % self.step_size[column, row]:
                        return self._refused(row, column, asked, "step_size")
        return None

    def claim(
        self, consumer: int, claims: Sequence[Claim], *, generations: Mapping[int, int] | None = None
    ) -> Refusal | None:
        """Take every one of ``claims`` for ``consumer``, or none and say why. O(providers touched).

        Whether a host is up or enabled is the scheduler's business, not the pool's. ``generations`` (row to expected
        generation) refuses if a provider changed since it was read.
        Raises: PoolError if the consumer holds something already (see :meth:`move`) or is a negative number.
        """
        _check_consumer(consumer)
        if self.holdings.has(consumer):
            raise PoolError(f"consumer {consumer} already holds allocations; move or release them", consumer=consumer)
        refusal = self.refusal(claims, generations=generations)
        if refusal is None:
            self._take(consumer, claims)
        return refusal

    def replace(self, wanted: Mapping[int, Sequence[Claim]]) -> Refusal | None:
        """Give every consumer of ``wanted`` exactly these claims instead of what it holds; or refuse, changing nothing.

        A consumer without claims holds nothing afterwards. What is given back counts as free. As in Placement, a
        provider that is over capacity takes what makes it no worse.
        Raises: PoolError if a consumer is a negative number.
        """
        self.follow_classes()
        before, after = self.use_of(wanted), self._sum(claim for claims in wanted.values() for claim in claims)
        for consumer, claims in wanted.items():
            _check_consumer(consumer)
            refusal = self._misfit(_merged(claims))
            if refusal is not None:
                return refusal
        for (column, row), asked in after.items():
            given_back = before.get((column, row), 0)
            if asked > max(given_back, self.free[column, row] + given_back):
                return self._refused(row, column, asked, "free")
        for consumer, claims in wanted.items():
            self._give_back(self.holdings.pop(consumer))
            self._take(consumer, _merged(claims))
        return None

    def hold(self, consumer: int, claims: Sequence[Claim]) -> None:
        """Record what ``consumer`` holds, for a pool that is rebuilt: it may be more than there is by now.

        Raises: PoolError if the consumer holds something already or is a negative number.
        """
        self.follow_classes()
        self._check_empty(consumer)
        self._take(consumer, _merged(claims))

    def use_of(self, consumers: Iterable[int]) -> dict[tuple[int, int], int]:
        """What ``consumers`` hold in all: units by (column, row)."""
        return self._sum((held.row, held.amounts) for consumer in consumers for held in self.holdings.of(consumer))

    def release(self, consumer: int) -> list[Allocation]:
        """Give back all that ``consumer`` holds, and say what it was (nothing, if it held nothing)."""
        held = self.holdings.pop(consumer)
        self._give_back(held)
        return held

    def move(self, consumer: int, claims: Sequence[Claim], *, hold_as: int | None = None) -> Refusal | None:
        """Claim ``claims`` for ``consumer`` before giving back what it holds now, or refuse and change nothing.

        With ``hold_as`` the old allocations are not given back but handed to that consumer, as Nova hands them to
        the migration: release it when the move is confirmed, or :meth:`transfer` it back to revert.
        Raises: PoolError if the consumer holds nothing, or ``hold_as`` holds something or is a negative number.
        """
        if not self.holdings.has(consumer):
            raise PoolError(f"consumer {consumer} holds nothing to move", consumer=consumer)
        if hold_as is not None:
            self._check_empty(hold_as)
        refusal = self.refusal(claims)
        if refusal is not None:
            return refusal
        if hold_as is None:
            held = self.holdings.pop(consumer)
            self._take(consumer, claims)
            self._give_back(held)
        else:
            self.holdings.rename(consumer, hold_as)
            self._take(consumer, claims)
        return None

    def transfer(self, consumer: int, to: int) -> None:
        """Hand all that ``consumer`` holds to consumer ``to``.

        Raises: PoolError if ``consumer`` holds nothing, or ``to`` holds something or is a negative number.
        """
        if not self.holdings.has(consumer):
            raise PoolError(f"consumer {consumer} holds nothing to transfer", consumer=consumer)
        self._check_empty(to)
        self.holdings.rename(consumer, to)

    def allocations(self, consumer: int) -> list[Allocation]:
        """What ``consumer`` holds, in the order it was claimed."""
        return self.holdings.of(consumer)

    def consumers_on(self, row: int) -> list[int]:
        """The consumers that hold something on one provider, ascending."""
        return self.holdings.consumers_on(row)

    def over_capacity(self) -> list[tuple[int, str, float]]:
        """(row, class, amount beyond capacity) of every provider whose inventory shrank below its use."""
        columns, rows = np.nonzero(self.free < 0)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return [(r, self.classes[c].name, self.classes[c].value(-int(self.free[c, r]))) for r, c in sorted(pairs)]

    def check(self) -> None:
        """Recount every column from the allocations.

        Raises: InvariantError if ``used`` is not their sum, ``free`` is not what is left, or anything is negative.
        """
        used, claims = np.zeros_like(self.used), np.zeros_like(self.claims)
        for _, allocation in self.holdings:
            claims[allocation.row] += 1
            for column, amount in allocation.amounts:
                used[column, allocation.row] += amount
        if not np.array_equal(used, self.used):
            raise InvariantError("the pool's used amounts are not the sum of its allocations")
        if not np.array_equal(claims, self.claims):
            raise InvariantError("the pool's claim counts are not those of its allocations")
        if (self.used < 0).any() or not np.array_equal(self.free, self.capacity - self.used):
            raise InvariantError("the pool's free amounts are not capacity less use")

    def snapshot(self) -> PoolSnapshot:
        """The whole state, independent of what happens to the pool afterwards."""
        return PoolSnapshot(self._copied(vars(self)))

    def restore(self, snapshot: PoolSnapshot) -> None:
        """Go back to ``snapshot``, which stays usable. Versions go on growing so that no cache is mistaken.

        Resource classes are never forgotten: those added since the snapshot stay, with no inventory. A snapshot of
        another pool (an unpickled one) is taken if its classes agree in order and scale; those missing here are added.
        Raises: PoolError if they do not agree; nothing changes then.
        """
        classes, counted = self.classes, list(snapshot.state["classes"])[: len(snapshot.state["total"])]
        if list(classes)[: len(counted)] != counted[: len(classes)]:
            raise PoolError(
                f"the snapshot counts {', '.join(c.name for c in counted)}, "
                f"the pool {', '.join(c.name for c in classes)}: order and scale must be the same"
            )
        facts, topology, layout = self.facts_version, self.topology_version, self.layout
        vars(self).update(self._copied(snapshot.state))
        for item in counted[len(classes) :]:
            classes.add(item)
        self.classes = classes
        self.follow_classes()
        self.facts_version = max(facts, self.facts_version) + 1
        self.topology_version = max(topology, self.topology_version) + 1
        self.layout = max(layout, self.layout) + 1

    def follow_classes(self) -> None:
        """Make columns for classes that were added after the pool, with no inventory. Cheap when there are none."""
        if len(self.classes) > len(self.total):
            self._widen()

    # ---------------------------------------------------------------- inside

    def _check_empty(self, consumer: int) -> None:
        _check_consumer(consumer)
        if self.holdings.has(consumer):
            raise PoolError(f"consumer {consumer} already holds allocations", consumer=consumer)

    @staticmethod
    def _sum(claims: Iterable[Claim]) -> dict[tuple[int, int], int]:
        total: dict[tuple[int, int], int] = {}
        for row, amounts in claims:
            for column, amount in amounts:
                total[column, row] = total.get((column, row), 0) + amount
        return total

    def _misfit(self, claims: Sequence[Claim]) -> Refusal | None:
        """Why the inventories would not take ``claims`` however much were free."""
        for row, amounts in claims:
            if not 0 <= row < len(self._names) or self._names[row] is None:
                return Refusal(f"row {row} holds no provider", row, "")
            for column, asked in amounts:
                if not asked:
                    continue
                if asked < self.min_unit[column, row]:
                    return self._refused(row, column, asked, "min_unit")
                if asked > self.max_unit[column, row]:
                    return self._refused(row, column, asked, "max_unit")
                if asked % self.step_size[column, row]:
                    return self._refused(row, column, asked, "step_size")
        return None

    def _copied(self, state: dict[str, Any]) -> dict[str, Any]:
        shared = state["classes"]  # it only ever grows, and others hold it
        return copy.deepcopy(state, {id(shared): shared})

    def _take(self, consumer: int, claims: Sequence[Claim]) -> None:
        for row, amounts in claims:
            for column, amount in amounts:
                self.used[column, row] += amount
                self.free[column, row] -= amount
            self.claims[row] += 1
            self.generation[row] += 1
            self.changes.add(row)
            self.holdings.add(consumer, row, amounts)

    def _give_back(self, held: Iterable[Allocation]) -> None:
        for allocation in held:
            row = allocation.row
            for column, amount in allocation.amounts:
                self.used[column, row] -= amount
                self.free[column, row] += amount
            self.claims[row] -= 1
            self.generation[row] += 1
            self.changes.add(row)

    def _refused(self, row: int, column: int, asked: int, limit: str) -> Refusal:
        item, name = self.classes[column], self.name(row)
        wanted, free = item.value(asked), item.value(int(self.free[column, row]))
        if limit == "free":
            capacity = item.value(int(self.capacity[column, row]))
            reason = f"{name} has {free:g} of {capacity:g} {item.name} free; asked {wanted:g}"
        else:
            bound = item.value(int(getattr(self, limit)[column, row]))
            reason = f"{name} takes {item.name} with {limit} {bound:g}; asked {wanted:g}"
        return Refusal(reason, row, name, item.name, wanted, free)

    def _checked(self, inventory: Mapping[str, Inventory | float]) -> dict[int, tuple[int, int, float, int, int, int]]:
        """Inventories in units by column, refused before anything is changed."""
        return {self.classes.column(name): _units(self.classes[name], given) for name, given in inventory.items()}

    def _set_inventory(self, rows: Rows, units: Mapping[int, tuple[int, int, float, int, int, int]]) -> None:
        self.follow_classes()
        for column, (total, reserved, ratio, least, most, step) in units.items():
            self.total[column, rows] = total
            self.reserved[column, rows] = reserved
            self.allocation_ratio[column, rows] = ratio
            self.min_unit[column, rows] = least
            self.max_unit[column, rows] = most
            self.step_size[column, rows] = step
            self.capacity[column, rows] = int((total - reserved) * ratio)
            self.free[column, rows] = self.capacity[column, rows] - self.used[column, rows]
            self.has_units |= (least, most, step) != (1, UNLIMITED, 1)

    def _inventory(self, column: int, row: int) -> Inventory:
        value, most = self.classes[column].value, int(self.max_unit[column, row])
        return Inventory(
            total=value(int(self.total[column, row])),
            reserved=value(int(self.reserved[column, row])),
            allocation_ratio=float(self.allocation_ratio[column, row]),
            min_unit=value(int(self.min_unit[column, row])),
            max_unit=None if most == UNLIMITED else value(most),
            step_size=value(int(self.step_size[column, row])),
        )

    def _defaults(self) -> tuple[tuple[NDArray[Any], float], ...]:
        """What the inventory columns hold where there is no inventory."""
        zeros = (self.total, self.reserved, self.capacity, self.used, self.free)
        ones = (self.allocation_ratio, self.min_unit, self.step_size)
        return (*((column, 0) for column in zeros), *((column, 1) for column in ones), (self.max_unit, UNLIMITED))

    def _widen(self) -> None:
        self.layout += 1
        old = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray) and value.ndim == 2}
        self._inventory_columns(len(self.classes), len(self._names))
        for name, column in old.items():
            getattr(self, name)[: len(column)] = column

    def _take_rows(self, count: int) -> Rows:
        vacant = [heapq.heappop(self._vacant) for _ in range(min(count, len(self._vacant)))]
        first, more = len(self._names), count - len(vacant)
        if more:
            self._names.extend([None] * more)
            self._resize(first + more)
        return np.asarray(vacant + list(range(first, first + more)), dtype=np.intp)

    def _resize(self, rows: int) -> None:
        # Exactly as many rows as providers: fleets are added in bulk, and a reader may then use a column as it is.
        self.follow_classes()
        before = len(self.generation)
        for name, column in list(vars(self).items()):
            if not isinstance(column, np.ndarray):
                continue
            wider = np.zeros((*column.shape[:-1], rows), dtype=column.dtype)
            wider[..., : column.shape[-1]] = column
            setattr(self, name, wider)
        for column, value in self._defaults():
            column[:, before:] = value
        self.traits.resize(rows)
        self.aggregates.resize(rows)
        self.layout += 1

    def _zone(self, zone: str | None) -> int:
        if zone is None:
            return NO_ROW
        if zone not in self.zones:
            self.zones.append(zone)
        return self.zones.index(zone)

    def _touch(self, rows: Rows | int) -> None:
        self.generation[rows] += 1
        self.facts_version += 1


def _units(item: ResourceClass, given: Inventory | float) -> tuple[int, int, float, int, int, int]:
    """An inventory in units: total, reserved, ratio, min, max, step.

    Raises: PoolError for one that cannot be.
    """
    entry, name = given if isinstance(given, Inventory) else Inventory(given), item.name
    total, reserved = item.units(entry.total), item.units(entry.reserved)
    if reserved > total:
        raise PoolError(f"{entry.reserved:g} {name} reserved of a total of {entry.total:g}")
    if not (np.isfinite(entry.allocation_ratio) and entry.allocation_ratio > 0):
        raise PoolError(f"allocation ratio {entry.allocation_ratio!r} of {name} is not a positive number")
    if (total - reserved) * entry.allocation_ratio >= UNLIMITED:
        raise PoolError(f"{entry.total:g} {name} at ratio {entry.allocation_ratio:g} is more than can be counted")
    least = 1 if entry.min_unit is None else item.units(entry.min_unit)
    most = int(UNLIMITED) if entry.max_unit is None else item.units(entry.max_unit)
    step = 1 if entry.step_size is None else item.units(entry.step_size)
    if not 1 <= least <= most or step < 1:
        raise PoolError(f"{name}: min_unit {least}, max_unit {most}, step_size {step} units do not fit together")
    return total, reserved, float(entry.allocation_ratio), least, most, step


def _check_consumer(consumer: int) -> None:
    if consumer < 0:
        raise PoolError(f"consumer {consumer} is negative; consumers are numbered from 0", consumer=consumer)


def _check_amount(units: int) -> None:
    if units < 0:
        raise PoolError(f"{units} units is not an amount to claim; it must be 0 or more")


def _merged(claims: Sequence[Claim]) -> list[Claim]:
    """Claims with one entry a provider: what must fit is the sum."""
    total: dict[int, dict[int, int]] = {}
    for row, amounts in claims:
        mine = total.setdefault(row, {})
        for column, amount in amounts:
            _check_amount(amount)
            mine[column] = mine.get(column, 0) + amount
    return [(row, tuple(sorted(mine.items()))) for row, mine in total.items()]
