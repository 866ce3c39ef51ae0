"""The pool against a model made of dictionaries: whatever is done to it, both tell the same, step by step."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sundog.core.pool import Inventory, Pool, PoolSnapshot, Refusal, ResourceClass, ResourceClasses
from sundog.errors import PoolError
from tests.builders import facts_of, photograph

SCALES = {"VCPU": 10, "MEMORY_MB": 1, "CUSTOM_NIC": 4, "CUSTOM_FPGA": 1}
EXTRA = ("CUSTOM_NIC", "CUSTOM_FPGA")  # added while the machine runs
NOTHING = (0, 0, 1.0, 1, 2**63 - 1, 1)
CONSUMERS = 8

picks = st.integers(min_value=0, max_value=10**6)
consumers = st.integers(min_value=0, max_value=CONSUMERS - 1)
words = st.lists(st.sampled_from(["A", "B", "C", "D"]), max_size=3)
zones = st.sampled_from([None, "z1", "z2"])


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, tuple[int, int, float, int, int, int]]:
    """By class: (total, reserved, ratio, min, max, step), in units."""
    result = {}
    for name in draw(st.sampled_from([list(SCALES)] * 4 + [["VCPU"], ["MEMORY_MB", "CUSTOM_NIC"], []])):
        total = draw(st.sampled_from([20, 30, 13, 6, 3, 0]))
        limits = draw(st.sampled_from([(1, 2**63 - 1, 1)] * 6 + [(2, 6, 1), (1, 8, 2), (1, 2**63 - 1, 3)]))
        ratio = draw(st.sampled_from([1.0, 1.0, 1.5, 4.0, 0.9]))
        result[name] = (total, min(total, draw(st.sampled_from([0, 0, 0, 2, 20]))), ratio, *limits)
    return result


asked = st.dictionaries(st.sampled_from(list(SCALES)), st.sampled_from([0, 1, 2, 3, 4, 6, 9]), max_size=2)
several = st.lists(st.tuples(picks, asked), min_size=1, max_size=3)


@dataclass
class Provider:
    """A provider as the model sees it."""

    row: int
    parent: str | None
    zone: str | None
    traits: list[str]
    aggregates: list[str]
    inventory: dict[str, tuple[int, int, float, int, int, int]]
    generation: int
    up: bool = True
    enabled: bool = True

    def capacity(self, name: str) -> int:
        total, reserved, ratio, *_ = self.inventory.get(name, NOTHING)
        return math.floor((total - reserved) * ratio)


@dataclass
class Model:
    """Providers by name, allocations by consumer as lists of (provider, amounts in units)."""

    providers: dict[str, Provider] = field(default_factory=dict)
    held: dict[int, list[tuple[str, dict[str, int]]]] = field(default_factory=dict)
    rows: int = 0
    vacant: dict[int, int] = field(default_factory=dict)  # row: the generation it stopped at
    limited: bool = False

    def used(self, provider: str, name: str) -> int:
        return sum(a.get(name, 0) for held in self.held.values() for p, a in held if p == provider)

    def claims_on(self, provider: str) -> int:
        return sum(p == provider for held in self.held.values() for p, _ in held)

    def children(self, provider: str | None) -> list[str]:
        return [name for name, each in self.providers.items() if each.parent == provider]

    def tree(self, provider: str) -> list[str]:
        return [provider, *(name for child in self.children(provider) for name in self.tree(child))]

    def root(self, provider: str) -> str:
        parent = self.providers[provider].parent
        return provider if parent is None else self.root(parent)

    def fits(self, claims: list[tuple[str, dict[str, int]]]) -> bool:
        for provider in dict.fromkeys(p for p, _ in claims):
            for name in SCALES:
                wanted = sum(a.get(name, 0) for p, a in claims if p == provider)
                if not wanted:
                    continue
                each = self.providers[provider]
                *_, least, most, step = each.inventory.get(name, NOTHING)
                if wanted > each.capacity(name) - self.used(provider, name):
                    return False
                if not least <= wanted <= most or wanted % step:
                    return False
        return True

    def fits_instead(self, every: dict[int, list[tuple[str, dict[str, int]]]]) -> bool:
        """Whether all of ``every`` fit at once instead of what their consumers hold, or make nothing worse."""
        for provider, name in [(p, name) for p in self.providers for name in SCALES]:
            each = self.providers[provider]
            *_, least, most, step = each.inventory.get(name, NOTHING)
            mine = [a.get(name, 0) for claims in every.values() for p, a in claims if p == provider]
            if any(asked and (not least <= asked <= most or asked % step) for asked in mine):
                return False
            held = sum(a.get(name, 0) for c in every for p, a in self.held.get(c, []) if p == provider)
            others = self.used(provider, name) - held
            if sum(mine) > max(held, each.capacity(name) - others) and sum(mine):
                return False
        return True

    def touch(self, claims: list[tuple[str, dict[str, int]]]) -> None:
        for provider, _ in claims:
            self.providers[provider].generation += 1


class PoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(ResourceClasses(ResourceClass(name, SCALES[name]) for name in SCALES if name not in EXTRA))
        self.model = Model()
        self.snapshots: list[tuple[PoolSnapshot, Model]] = []
        self.named = 0
        self.seen: tuple[dict[str, Any], int, int] | None = None
        self.logged: tuple[int, tuple[np.ndarray, ...], int] | None = None

    @initialize(given=st.lists(inventories(), max_size=3))
    def begin(self, given: list[dict[str, Any]]) -> None:
        for each in given:
            self.add_providers(1, 0, False, each, None, [], [])

    # ------------------------------------------------------------ from the model's words to the pool's

    def known(self, amounts: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in amounts.items() if name in self.pool.classes}

    def inventory(self, given: dict[str, tuple[int, int, float, int, int, int]]) -> dict[str, Inventory]:
        result = {}
        for name, (total, reserved, ratio, least, most, step) in given.items():
            scale = SCALES[name]
            result[name] = Inventory(
                total / scale,
                reserved / scale,
                ratio,
                None if least == 1 else least / scale,
                None if most == NOTHING[4] else most / scale,
                None if step == 1 else step / scale,
            )
        return result

    def claims(self, wanted: list[tuple[str, dict[str, int]]]) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
        classes = self.pool.classes
        return [
            (self.pool.row(p), classes.amounts({name: units / SCALES[name] for name, units in a.items()}))
            for p, a in wanted
        ]

    def picked(self, pick: int) -> str:
        return list(self.model.providers)[pick % len(self.model.providers)]

    def wanted(self, picks: list[tuple[int, dict[str, int]]]) -> list[tuple[str, dict[str, int]]]:
        return [
            (self.picked(pick), {name: units for name, units in self.known(amounts).items() if units})
            for pick, amounts in picks
        ]

    # ------------------------------------------------------------ providers

    @rule(
        count=st.integers(1, 3),
        pick=picks,
        nested=st.booleans(),
        given=inventories(),
        zone=zones,
        traits=words,
        aggregates=words,
    )
    def add_providers(
        self,
        count: int,
        pick: int,
        nested: bool,
        given: dict[str, Any],
        zone: str | None,
        traits: list[str],
        aggregates: list[str],
    ) -> None:
        model, given = self.model, self.known(given)
        if self.named + count > 60:
            return
        parent = self.picked(pick) if nested and model.providers else None
        names = [f"p{self.named + i}" for i in range(count)]
        self.named += count
        rows = self.pool.add_providers(
            names,
            self.inventory(given),
            parent=None if parent is None else self.pool.row(parent),
            zone=zone,
            traits=traits,
            aggregates=aggregates,
        ).tolist()
        inherited = zone if zone is not None or parent is None else model.providers[model.root(parent)].zone
        for name, row in zip(names, rows, strict=True):
            expected = min(model.vacant, default=model.rows)
            assert row == expected, "rows are used again, lowest first"
            generation = model.vacant.pop(row, 0)
            model.rows = max(model.rows, row + 1)
            model.providers[name] = Provider(row, parent, inherited, traits, aggregates, dict(given), generation)

    @precondition(lambda self: self.model.providers)
    @rule(pick=picks)
    def remove_provider(self, pick: int) -> None:
        name, model = self.picked(pick), self.model
        if model.claims_on(name) or model.children(name):
            before = photograph(self.pool)
            with pytest.raises(PoolError, match="still has"):
                self.pool.remove_provider(self.pool.row(name))
            assert photograph(self.pool) == before
            return
        self.pool.remove_provider(self.pool.row(name))
        gone = model.providers.pop(name)
        model.vacant[gone.row] = gone.generation + 1

    @precondition(lambda self: self.model.providers)
    @rule(pick=picks, given=inventories())
    def set_inventory(self, pick: int, given: dict[str, Any]) -> None:
        provider = self.model.providers[self.picked(pick)]
        self.pool.set_inventory(provider.row, self.inventory(self.known(given)))
        provider.inventory |= self.known(given)
        provider.generation += 1

    @precondition(lambda self: self.model.providers)
    @rule(pick=picks, names=words, which=st.sampled_from(["traits", "aggregates"]))
    def set_names(self, pick: int, names: list[str], which: str) -> None:
        provider = self.model.providers[self.picked(pick)]
        (self.pool.set_traits if which == "traits" else self.pool.set_aggregates)(provider.row, names)
        setattr(provider, which, names)
        provider.generation += 1

    @precondition(lambda self: self.model.providers)
    @rule(pick=picks, zone=zones)
    def set_zone(self, pick: int, zone: str | None) -> None:
        name = self.picked(pick)
        self.pool.set_zone(self.pool.row(name), zone)
        for each in self.model.tree(name):
            self.model.providers[each].zone = zone
            self.model.providers[each].generation += 1

    @precondition(lambda self: self.model.providers)
    @rule(pick=picks, up=st.sampled_from([None, True, False]), enabled=st.sampled_from([None, True, False]))
    def set_status(self, pick: int, up: bool | None, enabled: bool | None) -> None:
        provider = self.model.providers[self.picked(pick)]
        self.pool.set_status(provider.row, up=up, enabled=enabled)
        provider.up = provider.up if up is None else up
        provider.enabled = provider.enabled if enabled is None else enabled
        provider.generation += 1

    @precondition(lambda self: any(name not in self.pool.classes for name in EXTRA))
    @rule()
    def add_class(self) -> None:
        name = next(name for name in EXTRA if name not in self.pool.classes)
        self.pool.classes.add(ResourceClass(name, SCALES[name]))

    # ------------------------------------------------------------ claims

    @precondition(lambda self: self.model.providers)
    @rule(picks=several, twice=st.booleans())
    def claim_for_a_new_consumer(self, picks: list[tuple[int, dict[str, int]]], twice: bool) -> None:
        fresh = next((each for each in range(CONSUMERS) if each not in self.model.held), None)
        if fresh is not None:
            self.claim(fresh, [*picks, *picks[:twice]], stale=False)

    @precondition(lambda self: self.model.providers)
    @rule(consumer=consumers, picks=several, stale=st.sampled_from([False, False, True]))
    def claim(self, consumer: int, picks: list[tuple[int, dict[str, int]]], stale: bool) -> None:
        wanted, model, before = self.wanted(picks), self.model, photograph(self.pool)
        claims = self.claims(wanted)
        if consumer in model.held:
            with pytest.raises(PoolError, match="already holds"):
                self.pool.claim(consumer, claims)
            assert photograph(self.pool) == before
            return
        seen = {model.providers[p].row: model.providers[p].generation - stale for p, _ in wanted}
        refusal = self.pool.claim(consumer, claims, generations=seen)
        if stale or not model.fits(wanted):
            assert isinstance(refusal, Refusal)
            assert refusal.provider in refusal.reason
            assert photograph(self.pool) == before
            return
        assert refusal is None
        model.held[consumer] = wanted
        model.touch(wanted)

    @precondition(lambda self: self.model.held)
    @rule(pick=picks, nobody=st.sampled_from([False, False, False, True]))
    def release(self, pick: int, nobody: bool) -> None:
        consumer = CONSUMERS if nobody else list(self.model.held)[pick % len(self.model.held)]
        held = self.pool.release(consumer)
        expected = self.model.held.pop(consumer, [])
        assert [(each.row, each.amounts) for each in reversed(held)] == self.claims(expected)
        self.model.touch(expected)

    @precondition(lambda self: self.model.held)
    @rule(pick=picks, picks=several, hold=st.none() | consumers)
    def move(self, pick: int, picks: list[tuple[int, dict[str, int]]], hold: int | None) -> None:
        wanted, model, before = self.wanted(picks), self.model, photograph(self.pool)
        consumer = list(model.held)[pick % len(model.held)]
        if hold in model.held:
            with pytest.raises(PoolError, match="already holds"):
                self.pool.move(consumer, self.claims(wanted), hold_as=hold)
            assert photograph(self.pool) == before
            return
        refusal = self.pool.move(consumer, self.claims(wanted), hold_as=hold)
        if not model.fits(wanted):  # the target must fit while the source is still held
            assert isinstance(refusal, Refusal)
            assert photograph(self.pool) == before
            return
        assert refusal is None
        old = model.held[consumer]
        if hold is not None:
            model.held[hold] = old
        else:
            model.touch(old)
        model.held[consumer] = wanted
        model.touch(wanted)

    @precondition(lambda self: self.model.providers)
    @rule(every=st.dictionaries(consumers, several | st.just([]), min_size=1, max_size=3))
    def replace(self, every: dict[int, list[tuple[int, dict[str, int]]]]) -> None:
        model, before = self.model, photograph(self.pool)
        wanted = {consumer: self.wanted(picks) for consumer, picks in every.items()}
        merged = {consumer: self.merged(claims) for consumer, claims in wanted.items()}
        refusal = self.pool.replace({consumer: self.claims(claims) for consumer, claims in wanted.items()})
        if not model.fits_instead(merged):
            assert isinstance(refusal, Refusal)
            assert photograph(self.pool) == before
            return
        assert refusal is None
        for consumer, claims in merged.items():
            model.touch(model.held.pop(consumer, []))
            model.touch(claims)
            if claims:
                model.held[consumer] = claims

    def merged(self, claims: list[tuple[str, dict[str, int]]]) -> list[tuple[str, dict[str, int]]]:
        """One claim a provider, with the classes in the pool's order."""
        total: dict[str, dict[str, int]] = {}
        for provider, amounts in claims:
            mine = total.setdefault(provider, {})
            for name, units in amounts.items():
                mine[name] = mine.get(name, 0) + units
        order = [item.name for item in self.pool.classes]
        return [(p, {name: mine[name] for name in order if name in mine}) for p, mine in total.items()]

    @precondition(lambda self: self.model.held)
    @rule(pick=picks, to=consumers, nobody=st.sampled_from([False, False, False, True]))
    def transfer(self, pick: int, to: int, nobody: bool) -> None:
        model = self.model
        consumer = CONSUMERS if nobody else list(model.held)[pick % len(model.held)]
        if consumer not in model.held or to in model.held:
            before = photograph(self.pool)
            with pytest.raises(PoolError, match=r"holds nothing to transfer|already holds"):
                self.pool.transfer(consumer, to)
            assert photograph(self.pool) == before
            return
        self.pool.transfer(consumer, to)
        model.held[to] = model.held.pop(consumer)

    # ------------------------------------------------------------ snapshots

    @precondition(lambda self: len(self.snapshots) < 3)
    @rule(pickled=st.booleans())
    def snapshot(self, pickled: bool) -> None:
        taken = self.pool.snapshot()
        if pickled:
            taken = pickle.loads(pickle.dumps(taken))
        self.snapshots.append((taken, copy.deepcopy(self.model)))

    @precondition(lambda self: self.snapshots)
    @rule(pick=picks, elsewhere=st.booleans())
    def restore(self, pick: int, elsewhere: bool) -> None:
        taken, model = self.snapshots[pick % len(self.snapshots)]
        if elsewhere:  # in another pool, as after a start: it must learn the classes
            classes = list(self.pool.classes)
            self.pool = Pool(ResourceClasses(classes[:1]))
            self.pool.restore(taken)
            for item in classes:
                self.pool.classes.add(item)
            self.seen = self.logged = None
        else:
            self.pool.restore(taken)
        self.model = copy.deepcopy(model)

    # ------------------------------------------------------------ both tell the same

    @invariant()
    def books_add_up(self) -> None:
        self.pool.check()

    @invariant()
    def pool_and_model_tell_the_same(self) -> None:
        pool, model = self.pool, self.model
        pool.follow_classes()
        assert len(pool) == len(model.providers)
        assert pool.rows == model.rows
        assert pool.roots().tolist() == sorted(model.providers[name].row for name in model.children(None))
        for name, each in model.providers.items():
            row = pool.row(name)
            assert row == each.row
            assert pool.name(row) == name
            assert pool.parent[row] == (-1 if each.parent is None else model.providers[each.parent].row)
            assert pool.root[row] == model.providers[model.root(name)].row
            assert pool.children(row) == tuple(model.providers[child].row for child in model.children(name))
            assert pool.zone_of(row) == each.zone
            assert sorted(pool.traits.of(row)) == sorted(set(each.traits))
            assert sorted(pool.aggregates.of(row)) == sorted(set(each.aggregates))
            assert (pool.up[row], pool.enabled[row]) == (each.up, each.enabled)
            assert pool.claims[row] == model.claims_on(name)
            assert pool.generation[row] == each.generation
            assert pool.consumers_on(row) == sorted(
                c for c, held in model.held.items() if any(p == name for p, _ in held)
            )
            for column, item in enumerate(pool.classes):
                total, reserved, ratio, least, most, step = each.inventory.get(item.name, NOTHING)
                used, capacity = model.used(name, item.name), each.capacity(item.name)
                assert (pool.total[column, row], pool.reserved[column, row]) == (total, reserved)
                assert pool.allocation_ratio[column, row] == ratio
                limits = (pool.min_unit[column, row], pool.max_unit[column, row], pool.step_size[column, row])
                assert limits == (least, most, step)
                assert pool.used[column, row] == used
                assert (pool.capacity[column, row], pool.free[column, row]) == (capacity, capacity - used)
        for consumer in range(CONSUMERS):
            held = [(each.row, each.amounts) for each in pool.allocations(consumer)]
            assert held == self.claims(model.held.get(consumer, []))

    @invariant()
    def vacant_rows_are_blank(self) -> None:
        pool = self.pool
        for row in self.model.vacant:
            assert (pool.up[row], pool.enabled[row]) == (False, False)
            assert not pool.capacity[:, row].any()
            assert not pool.free[:, row].any()
            assert not pool.traits.of(row)
            assert not pool.children(row)
            with pytest.raises(PoolError, match="holds no provider"):
                pool.name(row)

    @invariant()
    def only_a_shrunken_inventory_is_over_capacity(self) -> None:
        over = [
            (each.row, item.name, (self.model.used(name, item.name) - each.capacity(item.name)) / item.scale)
            for name, each in sorted(self.model.providers.items(), key=lambda pair: pair[1].row)
            for item in self.pool.classes
            if self.model.used(name, item.name) > each.capacity(item.name)
        ]
        assert self.pool.over_capacity() == over

    @invariant()
    def versions_grow_with_the_facts(self) -> None:
        pool, facts = self.pool, facts_of(photograph(self.pool))
        for name in ("up", "enabled", "in_service"):  # told by the change log, see below
            facts.pop(name)
        if self.seen is not None:
            before, facts_version, topology_version = self.seen
            assert pool.facts_version >= facts_version
            assert pool.topology_version >= topology_version
            grown = len(facts["total"]) > len(before["total"])  # a class more, which nobody has any of
            if facts != before and not grown:
                assert pool.facts_version > facts_version
            if facts["roots"] != before["roots"] or facts["parent"] != before["parent"]:
                assert pool.topology_version > topology_version
        self.seen = (facts, pool.facts_version, pool.topology_version)

    @invariant()
    def what_changes_without_a_fact_is_in_the_change_log(self) -> None:
        pool, count = self.pool, int(self.pool.changes.count[0])
        now = (pool.free.copy(), pool.claims.copy(), pool.up.copy(), pool.enabled.copy())
        assert np.array_equal(pool.in_service, pool.up & pool.enabled)
        if self.logged is not None and self.logged[0] == pool.facts_version:
            before, seen = self.logged[1:]
            told = pool.changes.ring[np.arange(seen, count) % len(pool.changes.ring)]
            for old, new in zip(before, now, strict=True):
                new = new[: len(old)]  # a class more, which nobody has any of
                assert set(np.nonzero(old != new)[-1].tolist()) <= set(told.tolist())
        self.logged = (pool.facts_version, now, count)


PoolMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_the_pool_and_a_model_of_dictionaries_tell_the_same = PoolMachine.TestCase
