"""Placements over a store of their own, for tests, and a photograph of one that can be compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from sundog.control.placement import NewProvider, Placement, Wanted
from sundog.control.store import Store, open_store, tables
from sundog.core.pool import Inventory, Pool
from sundog.runtime.ids import Ids


class Ticks:
    """A clock that is a second later each time it is looked at."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


def make_store(place: Any = ":memory:") -> Store:
    """A store with the tables. In memory they are made at once, as a test of migrations says that it is the same."""
    store = open_store(place)
    if place != ":memory:":
        store.migrate()
        return store
    with store.begin() as tx:
        tables.load().create_all(tx.connection)
    return store


def make_placement(store: Store | None = None, *, pool: Pool | None = None, seed: int = 1) -> Placement:
    ids = Ids(np.random.default_rng(seed))
    return Placement(store or make_store(), pool or Pool(), new_uuid=ids.uuid, now=Ticks())


def host(placement: Placement, name: str, *, parent: str | None = None, **inventory: Any) -> str:
    """A provider with inventories by class; its UUID."""
    uuid = placement.create_provider(NewProvider(name, parent_uuid=parent)).uuid
    if inventory:
        given = {each: value if isinstance(value, Inventory) else Inventory(value) for each, value in inventory.items()}
        placement.set_inventories(uuid, given)
    return uuid


def wanted(consumer: str, allocations: dict[str, dict[str, int]], **told: Any) -> Wanted:
    return Wanted(consumer, allocations, told.pop("project_id", "p1"), told.pop("user_id", "u1"), **told)


def photograph(placement: Placement) -> dict[str, Any]:
    """All that clients can see, in plain values that do not hang on rows."""
    books = placement.books
    uuids = list(books.providers)
    return {
        "providers": {uuid: _without_row(placement, uuid) for uuid in sorted(uuids)},
        "inventories": {uuid: placement.inventories(uuid) for uuid in sorted(uuids)},
        "usages": {uuid: placement.usages(uuid) for uuid in sorted(uuids)},
        "traits": {uuid: placement.traits_of(uuid) for uuid in sorted(uuids)},
        "aggregates": {uuid: sorted(placement.aggregates_of(uuid)) for uuid in sorted(uuids)},
        "custom": (sorted(books.traits.items()), sorted(books.classes.items())),
        "consumers": dict(sorted(books.consumers.items())),
        "held": {uuid: {k: dict(v) for k, v in placement.held(uuid).items()} for uuid in sorted(books.consumers)},
        "projects": {
            project: placement.project_usages(project)
            for project in sorted({each.project_id for each in books.consumers.values()})
        },
    }


def _without_row(placement: Placement, uuid: str) -> tuple[Any, ...]:
    told = placement.provider(uuid)
    return told.name, told.generation, told.parent_uuid, told.root_uuid, told.created_at, told.updated_at
