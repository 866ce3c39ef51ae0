"""Placement's state in memory: the pool, and beside it what clients see and the pool has no need of.

The pool is shared with the scheduler, so it is referred to, never copied. Only ``service`` changes the books, after the
store has taken the change.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import os_resource_classes
import os_traits

from sundog.control.placement.records import Consumer, Held, NewProvider, Provider, Wanted
from sundog.control.store import Reader, Row
from sundog.control.store.tables import placement as tables
from sundog.core.pool import Inventory, Pool
from sundog.core.pool.pool import Claim
from sundog.errors import InputError, InvariantError

STANDARD_TRAITS: Final = frozenset(os_traits.get_traits())
STANDARD_CLASSES: Final = {name: number for number, name in enumerate(os_resource_classes.STANDARDS)}


@dataclass(frozen=True, slots=True)
class Standing:
    """What the pool does not say of a provider."""

    uuid: str
    row: int
    generation: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Times:
    """When something was made and last changed."""

    created_at: datetime
    updated_at: datetime


class Books:
    """The state. ``providers``, ``consumers``, ``traits`` and ``classes`` (custom ones) are by UUID or name."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.providers: dict[str, Standing] = {}
        self.uuids: dict[int, str] = {}
        self.traits: dict[str, Times] = {}
        self.classes: dict[str, Times] = {}
        self.consumers: dict[str, Consumer] = {}
        self.numbers: dict[str, int] = {}
        self._by_number: list[str | None] = []
        self._vacant: list[int] = []
        self._by_project: defaultdict[str, dict[str, None]] = defaultdict(dict)

    # ---------------------------------------------------------------- reading

    def provider(self, uuid: str) -> Provider | None:
        """The provider of this UUID, if there is one."""
        standing = self.providers.get(uuid)
        return None if standing is None else self._provider(standing)

    def _provider(self, standing: Standing) -> Provider:
        pool, row = self.pool, standing.row
        above = int(pool.parent[row])
        return Provider(
            uuid=standing.uuid,
            name=pool.name(row),
            row=row,
            generation=standing.generation,
            parent_uuid=None if above < 0 else self.uuids[above],
            root_uuid=self.uuids[int(pool.root[row])],
            created_at=standing.created_at,
            updated_at=standing.updated_at,
        )

    def has_class(self, name: str) -> bool:
        """Whether there is a resource class of this name, a standard or a custom one."""
        return name in STANDARD_CLASSES or name in self.classes

    def has_trait(self, name: str) -> bool:
        """Whether there is a trait of this name, a standard or a custom one."""
        return name in STANDARD_TRAITS or name in self.traits

    def traits_of(self, row: int) -> list[str]:
        """The traits of a provider: the standard ones, then the custom ones, each sorted."""
        return trait_order(self.pool.traits.of(row))

    def used(self, row: int) -> dict[str, int]:
        """What is used of each class that the provider has."""
        pool = self.pool
        return {
            name: _whole(pool.classes[name].value(int(pool.used[pool.classes.column(name), row])))
            for name in pool.inventory(row)
        }

    def holders(self, row: int) -> list[str]:
        """The UUIDs of the consumers that hold something on a provider."""
        return [self.consumer_uuid(number) for number in self.pool.consumers_on(row)]

    def consumer_uuid(self, number: int) -> str:
        """The consumer that the pool knows by ``number``."""
        uuid = self._by_number[number] if number < len(self._by_number) else None
        if uuid is None:
            raise InvariantError(f"the pool has allocations of consumer {number}, which Placement does not know")
        return uuid

    def unused_number(self) -> int:
        """A number from which on the pool knows no consumer, for claims that are only tried."""
        return len(self._by_number)

    def held(self, uuid: str) -> Held | None:
        """What a consumer holds; None for one that holds nothing."""
        consumer = self.consumers.get(uuid)
        if consumer is None:
            return None
        resources: dict[str, dict[str, int]] = {}
        for allocation in self.pool.allocations(self.numbers[uuid]):
            amounts = self.pool.classes.values(allocation.amounts)
            mine = resources.setdefault(self.uuids[allocation.row], {})
            mine.update({name: _whole(value) for name, value in amounts.items()})
        return Held(consumer, resources)

    def of_project(self, project_id: str) -> list[Consumer]:
        """The consumers of a project, oldest first."""
        return [self.consumers[uuid] for uuid in self._by_project.get(project_id, ())]

    # ---------------------------------------------------------------- changing

    def add_providers(self, made: Sequence[Provider], several: Sequence[NewProvider]) -> None:
        """Take providers in that were made, with what they have. Those that are alike go into the pool together."""
        waiting = list(made)
        while waiting:
            level = [each for each in waiting if each.parent_uuid is None] or [
                each for each in waiting if each.parent_uuid in self.providers
            ]
            parents = [self.providers[each.parent_uuid].row for each in level if each.parent_uuid is not None]
            self._place(
                [(Standing(e.uuid, -1, e.generation, e.created_at, e.updated_at), e.name) for e in level], parents
            )
            waiting = [each for each in waiting if each.uuid not in self.providers]
        alike: dict[tuple[tuple[str, Inventory], ...], list[int]] = {}
        for each, new in zip(made, several, strict=True):
            row = self.providers[each.uuid].row
            alike.setdefault(tuple(new.inventories.items()), []).append(row)
            if new.traits:
                self.pool.set_traits(row, new.traits)
            if new.aggregates:
                self.pool.set_aggregates(row, new.aggregates)
        self._stock(alike)

    def _stock(self, alike: Mapping[tuple[tuple[str, Inventory], ...], Sequence[int]]) -> None:
        """Give inventories to the rows of providers that are alike."""
        for inventories, rows in alike.items():
            self._count(name for name, _ in inventories)
            self.pool.set_inventory(np.asarray(rows, dtype=np.intp), dict(inventories))

    def _place(self, level: Sequence[tuple[Standing, str]], parents: Sequence[int]) -> None:
        """Add providers to the pool, all of them roots or each with a parent, and remember their rows."""
        places = self.pool.add_providers([name for _, name in level], parent=parents or None)
        for (standing, _), row in zip(level, places.tolist(), strict=True):
            self.providers[standing.uuid] = replace(standing, row=row)
            self.uuids[row] = standing.uuid

    def _count(self, classes: Iterable[str]) -> None:
        """Let the pool count these classes."""
        for name in classes:
            if name not in self.pool.classes:
                self.pool.classes.add(name)
        self.pool.follow_classes()

    def remove_provider(self, uuid: str) -> None:
        """Forget a provider."""
        row = self.providers[uuid].row
        self.pool.remove_provider(row)
        del self.providers[uuid], self.uuids[row]

    def touch(self, uuid: str, generation: int, now: datetime) -> None:
        """The provider was changed."""
        old = self.providers[uuid]
        self.providers[uuid] = Standing(uuid, old.row, generation, old.created_at, now)

    def set_inventory(self, row: int, inventories: Mapping[str, Inventory]) -> None:
        """Give the provider exactly these inventories."""
        gone = {name: Inventory(0) for name in self.pool.inventory(row) if name not in inventories}
        self._count(inventories)
        self.pool.set_inventory(row, gone | dict(inventories))

    def settle(self, wanted: Iterable[Wanted], now: datetime) -> None:
        """Let consumers hold exactly what is wanted; those that want nothing are forgotten.

        Raises: InvariantError if the pool refuses, which it cannot if the same was checked before.
        """
        every = list(wanted)
        claims = {self._number(each.consumer_uuid): self.claims(each.allocations) for each in every}
        refusal = self.pool.replace(claims)
        if refusal is not None:
            raise InvariantError(f"the pool refused what had been checked: {refusal.reason}")
        for each in every:
            old = self.consumers.get(each.consumer_uuid)
            if old is not None:
                self._by_project[old.project_id].pop(each.consumer_uuid, None)
            if each.allocations:
                self._keep(changed_consumer(old, each, now))
            else:
                self._forget(each.consumer_uuid)

    def claims(self, allocations: Mapping[str, Mapping[str, int]]) -> list[Claim]:
        """Allocations by provider UUID as the pool's claims."""
        return [(self.providers[uuid].row, self.pool.classes.amounts(amounts)) for uuid, amounts in allocations.items()]

    def _keep(self, consumer: Consumer) -> None:
        self.consumers[consumer.uuid] = consumer
        self._by_project[consumer.project_id][consumer.uuid] = None

    def _forget(self, uuid: str) -> None:
        self.consumers.pop(uuid, None)
        number = self.numbers.pop(uuid)
        self._by_number[number] = None
        heapq.heappush(self._vacant, number)

    def _number(self, uuid: str) -> int:
        """The consumer's number in the pool; the lowest that is free for a new one."""
        number = self.numbers.get(uuid)
        if number is None:
            if self._vacant:
                number = heapq.heappop(self._vacant)
                self._by_number[number] = uuid
            else:
                number = len(self._by_number)
                self._by_number.append(uuid)
            self.numbers[uuid] = number
        return number

    # ---------------------------------------------------------------- at start

    def load(self, tx: Reader) -> None:
        """Fill the pool with what the store has.

        Raises: InputError if the pool has providers already.
        """
        if len(self.pool):
            raise InputError(f"the pool has {len(self.pool)} providers before any was read from the store")
        for row in tx.find(tables.custom_traits):
            self.traits[row["name"]] = Times(row["created_at"], row["created_at"])
        for row in tx.find(tables.custom_classes):
            self.classes[row["name"]] = Times(row["created_at"], row["updated_at"])
        self._load_providers(tx.find(tables.providers))
        self._load_facts(tx)
        self._load_allocations(tx)

    def _load_providers(self, rows: list[Row]) -> None:
        """Roots, then what is below them, level by level, each level in the order of the numbers."""
        level = [row for row in rows if row["parent_uuid"] is None]
        below = _grouped([row for row in rows if row["parent_uuid"] is not None], "parent_uuid")
        while level:
            parents = [self.providers[row["parent_uuid"]].row for row in level if row["parent_uuid"] is not None]
            self._place([(_standing(row), row["name"]) for row in level], parents)
            level = [child for row in level for child in below.get(row["uuid"], ())]
            level.sort(key=lambda row: int(row["number"]))
        if len(self.providers) != len(rows):
            raise InvariantError("the store has providers that are above each other in a loop")

    def _load_facts(self, tx: Reader) -> None:
        alike: dict[tuple[tuple[str, Inventory], ...], list[int]] = {}
        for uuid, rows in _grouped(tx.find(tables.inventories), "provider_uuid").items():
            inventories = tuple((row["resource_class"], inventory_of(row)) for row in rows)
            alike.setdefault(inventories, []).append(self.providers[uuid].row)
        self._stock(alike)
        for uuid, rows in _grouped(tx.find(tables.provider_traits), "provider_uuid").items():
            self.pool.set_traits(self.providers[uuid].row, [row["trait"] for row in rows])
        for uuid, rows in _grouped(tx.find(tables.provider_aggregates), "provider_uuid").items():
            self.pool.set_aggregates(self.providers[uuid].row, [row["aggregate_uuid"] for row in rows])

    def _load_allocations(self, tx: Reader) -> None:
        order = tables.consumers.c.created_at, tables.consumers.c.uuid
        for row in tx.find(tables.consumers, order_by=order):
            self._keep(Consumer(**row))
        for uuid, rows in _grouped(tx.find(tables.allocations), "consumer_uuid").items():
            resources: dict[str, dict[str, int]] = {}
            for row in rows:
                resources.setdefault(row["provider_uuid"], {})[row["resource_class"]] = row["used"]
            self._count(row["resource_class"] for row in rows)
            self.pool.hold(self._number(uuid), self.claims(resources))


def trait_order(names: Iterable[str]) -> list[str]:
    """Traits as they are told: the standard ones, then the custom ones, each sorted."""
    return sorted(names, key=lambda name: (name not in STANDARD_TRAITS, name))


def changed_consumer(old: Consumer | None, wanted: Wanted, now: datetime) -> Consumer:
    """The consumer after a write of its allocations: another generation, and whatever else the client said."""
    return Consumer(
        uuid=wanted.consumer_uuid,
        project_id=wanted.project_id,
        user_id=wanted.user_id,
        consumer_type=wanted.consumer_type or (old.consumer_type if old else None),
        generation=(old.generation if old else 0) + 1,
        created_at=old.created_at if old else now,
        updated_at=now,
    )


def inventory_of(row: Row) -> Inventory:
    """A row of the store as the pool's inventory."""
    fields = ("total", "reserved", "allocation_ratio", "min_unit", "max_unit", "step_size")
    return Inventory(**{name: row[name] for name in fields})


def inventory_row(uuid: str, name: str, inventory: Inventory) -> dict[str, Any]:
    """An inventory as a row of the store."""
    return {
        "provider_uuid": uuid,
        "resource_class": name,
        "total": _whole(inventory.total),
        "reserved": _whole(inventory.reserved),
        "min_unit": _whole(inventory.min_unit or 1),
        "max_unit": None if inventory.max_unit is None else _whole(inventory.max_unit),
        "step_size": _whole(inventory.step_size or 1),
        "allocation_ratio": float(inventory.allocation_ratio),
    }


def _whole(value: float) -> int:
    """An amount as Placement counts, in whole ones.

    Raises: InvariantError for a part of one, which only a scaled class of a study has.
    """
    if value != int(value):
        raise InvariantError(f"Placement counts whole amounts, and {value} is none")
    return int(value)


def _standing(row: Row) -> Standing:
    return Standing(row["uuid"], -1, row["generation"], row["created_at"], row["updated_at"])


def _grouped(rows: list[Row], key: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups
