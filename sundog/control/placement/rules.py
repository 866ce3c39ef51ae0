"""Whether allocations fit, decided before anything is written, in the order and the words of OpenStack's Placement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sundog.control.placement.books import STANDARD_CLASSES, Books
from sundog.control.placement.records import Wanted
from sundog.core.pool import Inventory
from sundog.errors import Conflict

Overlay = Mapping[str, Mapping[str, Inventory]]
"""Inventories by provider that are about to be: they count instead of those that the pool has."""


def check_fit(books: Books, wanted: Sequence[Wanted], overlay: Overlay | None = None) -> None:
    """Raises: Conflict if what is wanted is not there, instead of what the consumers hold now.

    A provider that is over capacity takes what makes it no worse.
    """
    before, after = _use_now(books, wanted), _sum(each.allocations for each in wanted)
    stock = _Stock(books, overlay or {})
    for each in wanted:
        for uuid, resources in each.allocations.items():
            for name, asked in resources.items():
                inventory = stock.of(uuid).get(name)
                if inventory is None:
                    raise _unfit(f"Inventory for '{name}' on resource provider '{uuid}' invalid.", uuid, name)
                if not _is_taken(inventory, asked):
                    raise _unfit(_cannot(name, uuid, "would violate inventory constraints"), uuid, name)
    for (uuid, name), asked in after.items():
        given_back = before.get((uuid, name), 0)
        if asked > given_back and asked > capacity_of(stock.of(uuid)[name]) - stock.used(uuid, name) + given_back:
            raise _unfit(_cannot(name, uuid, "would exceed the capacity"), uuid, name)


def capacity_of(inventory: Inventory) -> int:
    """What can be given out of an inventory: a part of one cannot."""
    return int((inventory.total - inventory.reserved) * inventory.allocation_ratio)


def by_number(names: Iterable[str]) -> list[str]:
    """Resource classes in Placement's own order: the standard ones by their number, then the others as they come."""
    return sorted(names, key=lambda name: STANDARD_CLASSES.get(name, len(STANDARD_CLASSES)))


class _Stock:
    """The inventories that count for a check, read once for each provider."""

    def __init__(self, books: Books, overlay: Overlay) -> None:
        self._books, self._overlay = books, overlay
        self._read: dict[str, Mapping[str, Inventory]] = {}

    def of(self, uuid: str) -> Mapping[str, Inventory]:
        if uuid not in self._read:
            had = self._books.pool.inventory(self._books.providers[uuid].row)
            self._read[uuid] = had | dict(self._overlay.get(uuid, {}))
        return self._read[uuid]

    def used(self, uuid: str, name: str) -> int:
        pool = self._books.pool
        if name not in pool.classes:
            return 0
        pool.follow_classes()
        units = int(pool.used[pool.classes.column(name), self._books.providers[uuid].row])
        return int(pool.classes[name].value(units))


def _is_taken(inventory: Inventory, asked: int) -> bool:
    """Whether an amount is of a size that the inventory gives out."""
    most = inventory.max_unit
    fits = asked >= (inventory.min_unit or 1) and (most is None or asked <= most)
    return fits and asked % (inventory.step_size or 1) == 0


def _use_now(books: Books, wanted: Sequence[Wanted]) -> dict[tuple[str, str], int]:
    held = (books.held(each.consumer_uuid) for each in wanted)
    return _sum(each.allocations for each in held if each is not None)


def _sum(allocations: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[tuple[str, str], int]:
    total: dict[tuple[str, str], int] = {}
    for mine in allocations:
        for uuid, resources in mine.items():
            for name, amount in resources.items():
                total[uuid, name] = total.get((uuid, name), 0) + amount
    return total


def _cannot(name: str, uuid: str, why: str) -> str:
    return f"Unable to create allocation for '{name}' on resource provider '{uuid}'. The requested amount {why}."


def _unfit(message: str, uuid: str, name: str) -> Conflict:
    return Conflict(f"Unable to allocate inventory: {message}", provider=uuid, resource_class=name)
