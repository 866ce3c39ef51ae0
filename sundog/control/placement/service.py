"""Placement's use cases. Each write is one transaction: checked against the pool, written, applied at the commit.

Nothing here waits for anything, so the methods are plain functions. Given ``tx`` a write is a part of that transaction:
the pool knows of it when the transaction has been committed, and until then must not be asked about it again. So one
transaction holds one write of Placement's.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import numpy as np

from sundog.control.placement import refusals, rules
from sundog.control.placement.books import (
    STANDARD_CLASSES,
    STANDARD_TRAITS,
    Books,
    Times,
    changed_consumer,
    inventory_row,
)
from sundog.control.placement.candidates import Asked, Found, Request, candidates, fitting
from sundog.control.placement.records import Consumer, Held, NewProvider, Provider, Reshaped, TypeUsage, Wanted
from sundog.control.store import Store, Tx
from sundog.control.store.tables import placement as tables
from sundog.core.pool import Inventory, Pool
from sundog.errors import Conflict, Invalid, NotFound, PoolError
from sundog.runtime import clock

UNKNOWN_TYPE = "unknown"
"""What the type of a consumer is called for which no client said one."""


class Placement:
    """Resource providers, and who holds what of them.

    ``pool`` must be empty; it is filled with what ``store`` has. ``new_uuid`` draws ids; ``now`` says the time.
    """

    def __init__(
        self,
        store: Store,
        pool: Pool,
        *,
        new_uuid: Callable[[], uuids.UUID],
        now: Callable[[], datetime] = clock.utcnow,
    ) -> None:
        self.books = Books(pool)
        self.store, self._new_uuid, self.now = store, new_uuid, now
        with store.read() as tx:
            self.books.load(tx)

    @property
    def pool(self) -> Pool:
        """The pool itself, shared with the scheduler."""
        return self.books.pool

    @contextmanager
    def _writing(self, tx: Tx | None) -> Iterator[Tx]:
        if tx is not None:
            yield tx
        else:
            with self.store.begin() as own:
                yield own

    # ---------------------------------------------------------------- providers

    def provider(self, uuid: str) -> Provider:
        """The provider of this UUID.

        Raises: NotFound.
        """
        found = self.books.provider(uuid)
        if found is None:
            raise refusals.no_provider(uuid)
        return found

    def find_providers(self, asked: Asked, *, uuid: str | None = None, name: str | None = None) -> list[Provider]:
        """The providers that have by themselves what is asked, by row.

        Raises: Invalid for a class or a trait that is not there.
        """
        rows = np.flatnonzero(fitting(self.books, asked)).tolist()
        found = (self.provider(self.books.uuids[row]) for row in rows)
        return [each for each in found if uuid in (None, each.uuid) and name in (None, each.name)]

    def candidates(self, request: Request) -> Found:
        """All ways to serve a request now, or the first so many.

        Raises: Invalid for a class or a trait that is not there.
        """
        return candidates(self.books, request)

    def create_provider(self, new: NewProvider, *, tx: Tx | None = None) -> Provider:
        """Make a provider. As a part of ``tx`` it has the row -1 until the commit.

        Raises: as :meth:`create_providers`.
        """
        return self.create_providers([new], tx=tx)[0]

    def create_providers(self, several: Sequence[NewProvider], *, tx: Tx | None = None) -> list[Provider]:
        """Make providers, all or none; a parent may be one that stands before its children.

        Raises: Conflict for a name or UUID in use; Invalid for a parent, a class or a trait that is not there, or an
        inventory that cannot be.
        """
        now = self.now()
        roots: dict[str, str] = {}
        names: set[str] = set()
        made: list[Provider] = []
        for new in several:
            uuid = new.uuid or str(self._new_uuid())
            self._check_new(new, uuid, roots, names)
            above = new.parent_uuid
            roots[uuid] = uuid if above is None else roots.get(above) or self.provider(above).root_uuid
            names.add(new.name)
            made.append(Provider(uuid, new.name, -1, 0, above, roots[uuid], now, now))
        with self._writing(tx) as tx:
            self._insert_providers(tx, made, several)
            tx.on_commit(lambda: self.books.add_providers(made, several))
        return [self.books.provider(each.uuid) or each for each in made]

    @staticmethod
    def _insert_providers(tx: Tx, made: Sequence[Provider], several: Sequence[NewProvider]) -> None:
        fields = [column.name for column in tables.providers.columns if column.name != "number"]
        tx.insert_many(tables.providers, [{name: getattr(each, name) for name in fields} for each in made])
        both = list(zip(made, several, strict=True))
        tx.insert_many(
            tables.inventories, [inventory_row(p.uuid, *item) for p, new in both for item in new.inventories.items()]
        )
        tx.insert_many(
            tables.provider_traits,
            [{"provider_uuid": p.uuid, "trait": name} for p, new in both for name in dict.fromkeys(new.traits)],
        )
        tx.insert_many(
            tables.provider_aggregates,
            [{"provider_uuid": p.uuid, "aggregate_uuid": a} for p, new in both for a in dict.fromkeys(new.aggregates)],
        )

    def _check_new(self, new: NewProvider, uuid: str, others: Mapping[str, str], names: Container[str]) -> None:
        twice = [f"uuid: {uuid}"] if uuid in self.books.providers or uuid in others else []
        twice += [f"name: {new.name}"] if new.name in self.pool or new.name in names else []
        if twice:
            raise Conflict(
                f"Conflicting resource provider {', '.join(twice)} already exists.", code=refusals.DUPLICATE_NAME
            )
        wrong = None
        if not new.name:
            wrong = "name is required"
        elif new.parent_uuid == uuid:
            wrong = (
                "parent provider UUID cannot be same as UUID. "
                "Please set parent provider UUID to None if there is no parent."
            )
        elif new.parent_uuid is not None and not (new.parent_uuid in self.books.providers or new.parent_uuid in others):
            wrong = "parent provider UUID does not exist."
        if wrong:
            raise Invalid(
                f'Unable to create resource provider "{new.name}", {uuid}: Object action create failed because: {wrong}'
            )
        self._check_inventories(uuid, new.inventories, True, "create")
        self._check_traits(new.traits)

    def _check_traits(self, traits: Iterable[str]) -> None:
        missing = [name for name in dict.fromkeys(traits) if not self.books.has_trait(name)]
        if missing:
            raise Invalid(f"No such trait {', '.join(missing)}")

    def _root_uuid(self, uuid: str | None) -> str | None:
        return None if uuid is None else self.provider(uuid).root_uuid

    def update_provider(
        self, uuid: str, name: str, *, parent_uuid: str | None, may_reparent: bool = False, tx: Tx | None = None
    ) -> Provider:
        """Give a provider another name, or another place in its tree.

        Without ``may_reparent`` only a root may be put below another.
        Raises: NotFound; Conflict for a name in use; Invalid for a place that it cannot have.
        """
        old = self.provider(uuid)
        if name != old.name and name in self.pool:
            raise Conflict(f"Conflicting resource provider {name} already exists.", code=refusals.DUPLICATE_NAME)
        self._check_place(old, parent_uuid, may_reparent=may_reparent)
        now = self.now()
        with self._writing(tx) as tx:
            where = tables.providers.c.uuid == uuid
            tx.update(tables.providers, where, name=name, parent_uuid=parent_uuid, updated_at=now)
            tx.on_commit(lambda: self._place(old, name, parent_uuid, now))
        return replace(
            old, name=name, parent_uuid=parent_uuid, root_uuid=self._root_uuid(parent_uuid) or uuid, updated_at=now
        )

    def _place(self, old: Provider, name: str, parent_uuid: str | None, now: datetime) -> None:
        if name != old.name:
            self.pool.rename(old.row, name)
        if parent_uuid != old.parent_uuid:
            above = None if parent_uuid is None else self.books.providers[parent_uuid].row
            self.pool.reparent(old.row, above)
        self.books.touch(old.uuid, old.generation, now)

    def _check_place(self, old: Provider, parent_uuid: str | None, *, may_reparent: bool) -> None:
        wrong = None
        if parent_uuid is None:
            if old.parent_uuid is not None and not may_reparent:
                wrong = "update", "un-parenting a provider is not currently allowed."
        elif parent_uuid not in self.books.providers:
            wrong = "create", "parent provider UUID does not exist."
        elif old.parent_uuid not in (None, parent_uuid) and not may_reparent:
            wrong = "update", "re-parenting a provider is not currently allowed."
        elif self.books.providers[parent_uuid].row in self.pool.tree(old.row):
            wrong = "update", "creating loop in the provider tree is not allowed."
        if wrong:
            raise Invalid(
                f"Unable to save resource provider {old.uuid}: Object action {wrong[0]} failed because: {wrong[1]}"
            )

    def delete_provider(self, uuid: str, *, tx: Tx | None = None) -> None:
        """Remove a provider with its inventories, traits and aggregates.

        Raises: NotFound; Conflict if it has children or is used.
        """
        if uuid not in self.books.providers:
            raise refusals.no_provider(uuid, " for delete")
        row = self.books.providers[uuid].row
        if self.pool.children(row):
            raise Conflict(
                f"Unable to delete parent resource provider {uuid}: It has child resource providers.",
                code=refusals.PROVIDER_CANNOT_DELETE_PARENT,
            )
        if self.pool.claims[row]:
            raise Conflict(
                f"Unable to delete resource provider {uuid}: Resource provider has allocations.",
                code=refusals.PROVIDER_IN_USE,
            )
        with self._writing(tx) as tx:
            for table in (tables.inventories, tables.provider_traits, tables.provider_aggregates):
                tx.delete(table, table.c.provider_uuid == uuid)
            tx.delete(tables.providers, tables.providers.c.uuid == uuid)
            tx.on_commit(lambda: self.books.remove_provider(uuid))

    def _next(self, tx: Tx, provider: Provider, now: datetime, *, steps: int = 1) -> Provider:
        """The provider with its next generation, which is written."""
        after = replace(provider, generation=provider.generation + steps, updated_at=now)
        tx.update(tables.providers, {"uuid": provider.uuid}, generation=after.generation, updated_at=now)
        return after

    # ---------------------------------------------------------------- inventories

    def inventories(self, uuid: str) -> dict[str, Inventory]:
        """What a provider has, by class, in the order of the pool's columns.

        Raises: NotFound.
        """
        return self.pool.inventory(self.provider(uuid).row)

    def set_inventories(
        self,
        uuid: str,
        inventories: Mapping[str, Inventory],
        *,
        generation: int | None = None,
        may_reserve_all: bool = True,
        tx: Tx | None = None,
    ) -> Provider:
        """Give a provider exactly these inventories, if its generation is still the one given.

        Raises: NotFound; Conflict for another generation, or a class that is used and would be gone; Invalid for a
        class that is not there or an inventory that cannot be.
        """
        provider = self.provider(uuid)
        self._check_generation(provider, generation)
        for name in inventories:
            if not self.books.has_class(name):
                raise Invalid(
                    f"Unknown resource class in inventory for resource provider {uuid}: {refusals.no_class(name)}"
                )
        self._check_inventories(uuid, inventories, may_reserve_all, "update")
        self._check_unused(provider, inventories, "update conflict: ")
        return self._write_inventories(provider, inventories, tx)

    def add_inventory(
        self, uuid: str, name: str, inventory: Inventory, *, may_reserve_all: bool = True, tx: Tx | None = None
    ) -> Provider:
        """Give a provider some of a class that it had none of.

        Raises: NotFound; Conflict if it had some; Invalid for a class that is not there or an inventory that cannot be.
        """
        provider = self.provider(uuid)
        had = self.pool.inventory(provider.row)
        self._check_inventories(uuid, {name: inventory}, may_reserve_all, "create")
        if name in had:
            raise Conflict(
                f"Update conflict: the provider has an inventory of {name} already", code=refusals.CONCURRENT_UPDATE
            )
        return self._write_inventories(provider, had | {name: inventory}, tx)

    def update_inventory(
        self,
        uuid: str,
        name: str,
        inventory: Inventory,
        *,
        generation: int,
        may_reserve_all: bool = True,
        tx: Tx | None = None,
    ) -> Provider:
        """Change the inventory of a class that a provider has.

        Raises: NotFound; Conflict for another generation; Invalid for a class that it has none of.
        """
        provider = self.provider(uuid)
        self._check_generation(provider, generation)
        had = self.pool.inventory(provider.row)
        self._check_inventories(uuid, {name: inventory}, may_reserve_all, "update")
        if name not in had:
            raise Invalid(
                f"No inventory record with resource class for resource provider {uuid}: "
                f"No inventory of class {name} found."
            )
        return self._write_inventories(provider, had | {name: inventory}, tx)

    def delete_inventory(self, uuid: str, name: str, *, tx: Tx | None = None) -> None:
        """Take the inventory of a class away.

        Raises: NotFound for the provider, the class or its inventory; Conflict if it is used.
        """
        provider = self.provider(uuid)
        had = self.pool.inventory(provider.row)
        if name not in had:
            why = f"No inventory of class {name} found for delete"
            raise NotFound(f"{why}: {why if self.books.has_class(name) else refusals.no_class(name)}")
        left = {each: inventory for each, inventory in had.items() if each != name}
        self._check_unused(
            provider, left, f"Unable to delete inventory of class {name}: ", code=refusals.CONCURRENT_UPDATE
        )
        self._write_inventories(provider, left, tx)

    def delete_inventories(self, uuid: str, *, tx: Tx | None = None) -> None:
        """Take all inventories away.

        Raises: NotFound; Conflict if one is used.
        """
        provider = self.provider(uuid)
        self._check_unused(provider, {}, "")
        self._write_inventories(provider, {}, tx)

    @staticmethod
    def _check_generation(provider: Provider, generation: int | None) -> None:
        if generation is not None and generation != provider.generation:
            raise refusals.stale_provider("resource provider generation conflict", provider.uuid)

    def _check_inventories(
        self, uuid: str, inventories: Mapping[str, Inventory], may_reserve_all: bool, verb: str
    ) -> None:
        for name, inventory in inventories.items():
            try:
                capacity = rules.capacity_of(inventory)
                if capacity < 0 or (capacity == 0 and not may_reserve_all):
                    than = "greater than total" if may_reserve_all else "greater than or equal to total"
                    raise PoolError(
                        f"Invalid inventory for '{name}' on resource provider '{uuid}'. The reserved value is {than}."
                    )
                if not self.books.has_class(name):
                    raise PoolError(refusals.no_class(name))
                self.pool.check_inventory({name: inventory})
            except (PoolError, OverflowError) as exc:
                raise Invalid(f"Unable to {verb} inventory for resource provider {uuid}: {exc}") from None

    def _check_unused(
        self, provider: Provider, left: Mapping[str, Inventory], prefix: str, *, code: str = refusals.INVENTORY_INUSE
    ) -> None:
        used = [name for name, amount in self.books.used(provider.row).items() if amount and name not in left]
        if used:
            names = ", ".join(rules.by_number(used))
            raise Conflict(f"{prefix}Inventory for '{names}' on resource provider '{provider.uuid}' in use.", code=code)

    def _write_inventories(self, provider: Provider, inventories: Mapping[str, Inventory], tx: Tx | None) -> Provider:
        now = self.now()
        with self._writing(tx) as tx:
            after = self._next(tx, provider, now)
            tx.delete(tables.inventories, tables.inventories.c.provider_uuid == provider.uuid)
            tx.insert_many(tables.inventories, [inventory_row(provider.uuid, *each) for each in inventories.items()])
            tx.on_commit(lambda: self._apply_inventories(after, inventories))
        return after

    def _apply_inventories(self, after: Provider, inventories: Mapping[str, Inventory]) -> None:
        self.books.set_inventory(after.row, inventories)
        self.books.touch(after.uuid, after.generation, after.updated_at)

    # ---------------------------------------------------------------- traits and aggregates

    def traits_of(self, uuid: str) -> list[str]:
        """The traits of a provider.

        Raises: NotFound.
        """
        return self.books.traits_of(self.provider(uuid).row)

    def set_traits(
        self, uuid: str, traits: Sequence[str], *, generation: int | None = None, tx: Tx | None = None
    ) -> Provider:
        """Give a provider exactly these traits; its generation stays where that changes nothing.

        Raises: NotFound; Conflict for another generation; Invalid for a trait that is not there.
        """
        provider = self.provider(uuid)
        if generation is not None and generation != provider.generation:
            raise refusals.stale_provider(
                "Resource provider's generation already changed. Please update the generation and try again.", uuid
            )
        self._check_traits(traits)
        wanted = sorted(dict.fromkeys(traits))
        if wanted == sorted(self.pool.traits.of(provider.row)):
            return provider
        now = self.now()
        with self._writing(tx) as tx:
            after = self._next(tx, provider, now)
            tx.delete(tables.provider_traits, tables.provider_traits.c.provider_uuid == uuid)
            tx.insert_many(tables.provider_traits, [{"provider_uuid": uuid, "trait": name} for name in wanted])

            def apply() -> None:
                self.pool.set_traits(after.row, wanted)
                self.books.touch(uuid, after.generation, now)

            tx.on_commit(apply)
        return after

    def aggregates_of(self, uuid: str) -> tuple[str, ...]:
        """The UUIDs of the aggregates that a provider is a member of.

        Raises: NotFound.
        """
        return self.pool.aggregates.of(self.provider(uuid).row)

    def set_aggregates(
        self, uuid: str, aggregates: Sequence[str], *, generation: int | None = None, tx: Tx | None = None
    ) -> Provider:
        """Make a provider a member of exactly these aggregates. Its generation grows only if one was given.

        Raises: NotFound; Conflict for another generation.
        """
        provider = self.provider(uuid)
        if generation is not None and generation != provider.generation:
            raise refusals.stale_provider(
                "Resource provider's generation already changed. Please update the generation and try again.", uuid
            )
        now, wanted = self.now(), list(dict.fromkeys(aggregates))
        with self._writing(tx) as tx:
            after = self._next(tx, provider, now, steps=0 if generation is None else 1)
            table = tables.provider_aggregates
            tx.delete(table, table.c.provider_uuid == uuid)
            tx.insert_many(table, [{"provider_uuid": uuid, "aggregate_uuid": each} for each in wanted])

            def apply() -> None:
                self.pool.set_aggregates(after.row, wanted)
                self.books.touch(uuid, after.generation, now)

            tx.on_commit(apply)
        return after

    def trait(self, name: str) -> datetime | None:
        """When a trait was made; None for a standard one, which always was.

        Raises: NotFound.
        """
        if name in STANDARD_TRAITS:
            return None
        if name not in self.books.traits:
            raise NotFound(refusals.no_traits([name]))
        return self.books.traits[name].created_at

    def traits(
        self, *, among: Iterable[str] | None = None, prefix: str = "", associated: bool | None = None
    ) -> list[str]:
        """The names of all traits: the standard ones sorted, then custom ones as they came. Or of some of them."""
        names = [*sorted(STANDARD_TRAITS), *self.books.traits]
        if among is not None:
            wanted = frozenset(among)
            names = [name for name in names if name in wanted]
        if associated is not None:
            had = self._traits_in_use()
            names = [name for name in names if (name in had) is associated]
        return [name for name in names if name.startswith(prefix)]

    def _traits_in_use(self) -> frozenset[str]:
        return frozenset(name for name in self.pool.traits.names if self.pool.traits.having_any([name]).any())

    def create_trait(self, name: str, *, tx: Tx | None = None) -> bool:
        """Make a custom trait; whether it is new."""
        if self.books.has_trait(name):
            return False
        now = self.now()
        with self._writing(tx) as tx:
            tx.insert(tables.custom_traits, name=name, created_at=now)
            tx.on_commit(lambda: self.books.traits.__setitem__(name, Times(now, now)))
        return True

    def delete_trait(self, name: str, *, tx: Tx | None = None) -> None:
        """Remove a custom trait.

        Raises: NotFound; Invalid for a standard one; Conflict while a provider has it.
        """
        if name in STANDARD_TRAITS:
            raise Invalid(f"Cannot delete standard trait {name}.")
        self.trait(name)
        if name in self._traits_in_use():
            raise Conflict(f"The trait {name} is in use by a resource provider.")
        with self._writing(tx) as tx:
            tx.delete(tables.custom_traits, tables.custom_traits.c.name == name)
            tx.on_commit(lambda: self.books.traits.pop(name))

    # ---------------------------------------------------------------- resource classes

    def resource_classes(self) -> dict[str, Times | None]:
        """All resource classes, with the times of custom ones: the standard ones by number, then as they came."""
        return dict.fromkeys(STANDARD_CLASSES) | dict(self.books.classes)

    def resource_class(self, name: str) -> Times | None:
        """The times of a custom class; None for a standard one.

        Raises: NotFound.
        """
        if not self.books.has_class(name):
            raise NotFound(refusals.no_class(name))
        return self.books.classes.get(name)

    def create_resource_class(self, name: str, *, tx: Tx | None = None) -> bool:
        """Make a custom resource class; whether it is new."""
        if self.books.has_class(name):
            return False
        now = self.now()
        with self._writing(tx) as tx:
            tx.insert(tables.custom_classes, name=name, created_at=now, updated_at=now)
            tx.on_commit(lambda: self.books.classes.__setitem__(name, Times(now, now)))
        return True

    def rename_resource_class(self, name: str, new: str, *, tx: Tx | None = None) -> None:
        """Call a custom resource class otherwise.

        Raises: NotFound; Invalid for a standard one; Conflict for a name in use, and while a provider has some of it.
        """
        self.resource_class(name)
        if name in STANDARD_CLASSES:
            raise Invalid(f"Cannot update standard resource class {name}")
        if new == name:
            return
        if self.books.has_class(new):
            raise Conflict(f"Resource class already exists: {new}")
        if self._class_is_used(name):
            raise Conflict(f"Resource class {name} is in use in inventory and cannot be renamed; make {new} beside it.")
        times = Times(self.books.classes[name].created_at, self.now())
        with self._writing(tx) as tx:
            where = tables.custom_classes.c.name == name
            tx.update(tables.custom_classes, where, name=new, updated_at=times.updated_at)

            def apply() -> None:
                del self.books.classes[name]
                self.books.classes[new] = times

            tx.on_commit(apply)

    def delete_resource_class(self, name: str, *, tx: Tx | None = None) -> None:
        """Remove a custom resource class.

        Raises: NotFound; Invalid for a standard one; Conflict while a provider has some of it.
        """
        self.resource_class(name)
        if name in STANDARD_CLASSES:
            raise Invalid(f"Error in delete resource class: Cannot delete standard resource class {name}.")
        if self._class_is_used(name):
            raise Conflict(
                f"Error in delete resource class: Cannot delete resource class {name}. Class is in use in inventory."
            )
        with self._writing(tx) as tx:
            tx.delete(tables.custom_classes, tables.custom_classes.c.name == name)
            tx.on_commit(lambda: self.books.classes.pop(name))

    def _class_is_used(self, name: str) -> bool:
        pool = self.pool
        pool.follow_classes()
        return name in pool.classes and bool(pool.total[pool.classes.column(name)].any())

    # ---------------------------------------------------------------- usages and allocations

    def usages(self, uuid: str) -> dict[str, int]:
        """What is used of each class that a provider has.

        Raises: NotFound.
        """
        return self.books.used(self.provider(uuid).row)

    def project_usages(
        self, project_id: str, *, user_id: str | None = None, consumer_type: str | None = None
    ) -> dict[str, TypeUsage]:
        """What the consumers of a project use, by their type; ``all`` puts all of them into one."""
        totals: dict[str, dict[str, int]] = {}
        counts: dict[str, int] = {}
        for consumer in self.books.of_project(project_id):
            kind = consumer.consumer_type or UNKNOWN_TYPE
            if (user_id is not None and consumer.user_id != user_id) or consumer_type not in (None, "all", kind):
                continue
            key = "all" if consumer_type == "all" else kind
            counts[key] = counts.get(key, 0) + 1
            mine = totals.setdefault(key, {})
            for resources in self.held(consumer.uuid).values():
                for name, amount in resources.items():
                    mine[name] = mine.get(name, 0) + amount
        return {key: TypeUsage(total, counts[key]) for key, total in totals.items()}

    def consumer(self, uuid: str) -> Consumer | None:
        """Who a consumer is; None for one that holds nothing."""
        return self.books.consumers.get(uuid)

    def held(self, uuid: str) -> Mapping[str, Mapping[str, int]]:
        """What a consumer holds, by provider and class."""
        held = self.books.held(uuid)
        return {} if held is None else held.allocations

    def is_unused(self, uuid: str) -> bool:
        """Whether nobody holds anything of a provider; so it is of one that is not there."""
        standing = self.books.providers.get(uuid)
        return standing is None or not self.pool.claims[standing.row]

    def held_on(self, uuid: str) -> list[Held]:
        """What is held on a provider, by consumer; of each only what it holds there.

        Raises: NotFound.
        """
        row = self.provider(uuid).row
        every = (self.books.held(consumer) for consumer in self.books.holders(row))
        return [Held(held.consumer, {uuid: held.allocations[uuid]}) for held in every if held is not None]

    def set_allocations(self, wanted: Sequence[Wanted], *, tx: Tx | None = None) -> None:
        """Let consumers hold exactly what is wanted, all or none; one that wants nothing gives everything back.

        Raises: Conflict for another generation of a consumer, or what is not there; Invalid for a provider or a
        resource class that is not there.
        """
        self._check_consumers(wanted)
        rules.check_fit(self.books, wanted)
        now = self.now()
        with self._writing(tx) as tx:
            after = self._write_allocations(tx, wanted, now)

            def apply() -> None:
                self.books.settle(wanted, now)
                for provider in after:
                    self.books.touch(provider.uuid, provider.generation, now)

            tx.on_commit(apply)

    def delete_allocations(self, consumer_uuid: str, *, tx: Tx | None = None) -> None:
        """Give back all that a consumer holds. Generations of providers stay, as in Placement.

        Raises: NotFound if it holds nothing.
        """
        consumer = self.books.consumers.get(consumer_uuid)
        if consumer is None:
            raise NotFound(f"No allocations for consumer '{consumer_uuid}'", consumer=consumer_uuid)
        nothing = Wanted(consumer_uuid, {}, consumer.project_id, consumer.user_id)
        now = self.now()
        with self._writing(tx) as tx:
            self._forget(tx, consumer_uuid)
            tx.on_commit(lambda: self.books.settle([nothing], now))

    def _check_consumers(self, wanted: Sequence[Wanted]) -> None:
        for each in wanted:
            known = self.books.consumers.get(each.consumer_uuid)
            expected = None if known is None else known.generation
            if each.check_generation and each.generation != expected:
                said = "null" if expected is None else expected
                raise Conflict(
                    f"consumer generation conflict - expected {said} but got {each.generation}",
                    code=refusals.CONCURRENT_UPDATE,
                )
            for uuid, resources in each.allocations.items():
                if uuid not in self.books.providers:
                    raise Invalid(f"Allocation for resource provider '{uuid}' that does not exist.")
                for name in resources:
                    if not self.books.has_class(name):
                        raise Invalid(
                            f"Unable to allocate inventory for consumer {each.consumer_uuid}: {refusals.no_class(name)}"
                        )

    def _write_allocations(self, tx: Tx, wanted: Sequence[Wanted], now: datetime) -> list[Provider]:
        """Write the rows; returns the providers that were written of, with their next generations."""
        visited: dict[str, None] = {}
        for each in wanted:
            uuid, old = each.consumer_uuid, self.books.consumers.get(each.consumer_uuid)
            visited |= dict.fromkeys(each.allocations or self.held(uuid))
            if not each.allocations:
                self._forget(tx, uuid)
                continue
            consumer = changed_consumer(old, each, now)
            values = {field: getattr(consumer, field) for field in consumer.__slots__}
            if old is None:
                tx.insert(tables.consumers, **values)
            else:
                tx.delete(tables.allocations, tables.allocations.c.consumer_uuid == uuid)
                tx.update(tables.consumers, tables.consumers.c.uuid == uuid, **values)
            tx.insert_many(
                tables.allocations,
                [
                    {"consumer_uuid": uuid, "provider_uuid": provider, "resource_class": name, "used": amount}
                    for provider, resources in each.allocations.items()
                    for name, amount in resources.items()
                ],
            )
        return [self._next(tx, self.provider(uuid), now) for uuid in visited]

    def _forget(self, tx: Tx, consumer_uuid: str) -> None:
        tx.delete(tables.allocations, tables.allocations.c.consumer_uuid == consumer_uuid)
        tx.delete(tables.consumers, tables.consumers.c.uuid == consumer_uuid)

    # ---------------------------------------------------------------- reshape

    def reshape(self, inventories: Mapping[str, Reshaped], wanted: Sequence[Wanted], *, tx: Tx | None = None) -> None:
        """Replace inventories of providers and allocations of consumers together, all or nothing.

        Raises: as :meth:`set_inventories` and :meth:`set_allocations`.
        """
        self._check_reshape(inventories)
        self._check_consumers(wanted)
        rules.check_fit(self.books, wanted, {uuid: each.inventories for uuid, each in inventories.items()})
        self._check_left(inventories, wanted)
        now = self.now()
        with self._writing(tx) as tx:
            allocated = {provider.uuid: provider for provider in self._write_allocations(tx, wanted, now)}
            after = dict(allocated)
            for uuid, each in inventories.items():
                # Placement changes the inventories in two steps, of which the first is left out where there is none.
                steps = 2 if each.inventories else 1
                after[uuid] = self._next(tx, allocated.get(uuid) or self.provider(uuid), now, steps=steps)
                tx.delete(tables.inventories, tables.inventories.c.provider_uuid == uuid)
                tx.insert_many(tables.inventories, [inventory_row(uuid, *item) for item in each.inventories.items()])

            def apply() -> None:
                for uuid, each in inventories.items():
                    row = self.books.providers[uuid].row
                    self.books.set_inventory(row, self.pool.inventory(row) | dict(each.inventories))
                self.books.settle(wanted, now)
                for uuid, each in inventories.items():
                    self.books.set_inventory(self.books.providers[uuid].row, each.inventories)
                for provider in after.values():
                    self.books.touch(provider.uuid, provider.generation, now)

            tx.on_commit(apply)

    def _check_reshape(self, inventories: Mapping[str, Reshaped]) -> None:
        for uuid, each in inventories.items():
            if uuid not in self.books.providers:
                raise Invalid(
                    f"Resource provider {uuid} in inventories not found: No resource provider with uuid {uuid} found",
                    code=refusals.RESOURCE_PROVIDER_NOT_FOUND,
                )
            actual = self.books.providers[uuid].generation
            if actual != each.generation:
                raise refusals.stale_provider(
                    f"resource provider generation conflict for provider {uuid}: "
                    f"actual: {actual}, given: {each.generation}",
                    uuid,
                )
            for name in each.inventories:
                if not self.books.has_class(name):
                    raise Invalid(f"malformed reshaper data: {refusals.no_class(name)}")
            self._check_inventories(uuid, each.inventories, True, "update")

    def _check_left(self, inventories: Mapping[str, Reshaped], wanted: Sequence[Wanted]) -> None:
        """Refuse a reshape that takes away what would still be used."""
        left = self._use_after(inventories, wanted)
        for uuid, each in inventories.items():
            used = [name for (mine, name), amount in left.items() if mine == uuid and amount]
            gone = [name for name in used if name not in each.inventories]
            if gone:
                names = ", ".join(rules.by_number(gone))
                raise Conflict(
                    f"update conflict: Inventory for '{names}' on resource provider '{uuid}' in use.",
                    code=refusals.INVENTORY_INUSE,
                )

    def _use_after(self, providers: Iterable[str], wanted: Sequence[Wanted]) -> dict[tuple[str, str], int]:
        """What will be used of these providers, by provider and class; of others only the change."""
        total = {
            (uuid, name): amount
            for uuid in providers
            for name, amount in self.books.used(self.books.providers[uuid].row).items()
        }
        for each in wanted:
            for sign, allocations in ((-1, self.held(each.consumer_uuid)), (1, each.allocations)):
                for uuid, resources in allocations.items():
                    for name, amount in resources.items():
                        total[uuid, name] = total.get((uuid, name), 0) + sign * amount
        return total
