"""What Placement needs of the pool beside claims: replacing, holding, renaming, other parents, inventories told."""

from __future__ import annotations

import pytest

from sundog.core.pool import Inventory, Pool
from sundog.errors import PoolError
from tests.builders import make_pool, photograph


def claims(pool: Pool, *wanted: tuple[int, int]) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    return [(row, pool.classes.amounts({"VCPU": vcpus})) for row, vcpus in wanted]


def used(pool: Pool) -> list[int]:
    return pool.used[0].tolist()


def test_consumers_are_given_exactly_what_is_wanted_together() -> None:
    pool = make_pool(2, {"VCPU": 8})
    assert pool.replace({1: claims(pool, (0, 8)), 2: claims(pool, (1, 3))}) is None
    # They change places, which neither could do alone.
    assert pool.replace({1: claims(pool, (1, 8)), 2: claims(pool, (0, 8))}) is None
    assert used(pool) == [8, 8]
    assert pool.replace({1: [], 2: claims(pool, (0, 1), (0, 1), (1, 2))}) is None
    assert (used(pool), pool.allocations(1)) == ([2, 2], [])
    pool.check()


@pytest.mark.parametrize(
    ("inventory", "wanted", "reason"),
    [
        (8, {1: [(0, 5)], 2: [(0, 4)]}, "h0 has 8 of 8 VCPU free; asked 9"),
        (Inventory(8, min_unit=2), {1: [(0, 1)]}, "h0 takes VCPU with min_unit 2; asked 1"),
        (Inventory(8, max_unit=4), {1: [(0, 2), (0, 3)]}, "h0 takes VCPU with max_unit 4; asked 5"),
        (Inventory(8, step_size=2), {1: [(0, 3)]}, "h0 takes VCPU with step_size 2; asked 3"),
        (8, {1: [(7, 1)]}, "row 7 holds no provider"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(inventory, wanted, reason: str) -> None:
    pool = make_pool(1, {"VCPU": inventory})
    before = photograph(pool)
    refusal = pool.replace({consumer: claims(pool, *each) for consumer, each in wanted.items()})
    assert refusal is not None
    assert refusal.reason == reason
    assert photograph(pool) == before


def test_over_capacity_takes_what_makes_it_no_worse() -> None:
    pool = make_pool(1, {"VCPU": 8})
    assert pool.claim(1, claims(pool, (0, 8))) is None
    pool.set_inventory(0, {"VCPU": 4})
    assert pool.replace({1: claims(pool, (0, 9))}) is not None
    assert pool.replace({1: claims(pool, (0, 7))}) is None
    assert pool.over_capacity() == [(0, "VCPU", 3)]


def test_what_is_held_already_is_recorded_without_asking_for_room() -> None:
    pool = make_pool(1, {"VCPU": 2})
    pool.hold(3, claims(pool, (0, 5)))
    assert (used(pool), pool.consumers_on(0)) == ([5], [3])
    pool.check()
    with pytest.raises(PoolError, match="already holds"):
        pool.hold(3, claims(pool, (0, 1)))
    with pytest.raises(PoolError, match="negative"):
        pool.replace({-1: []})


def test_a_provider_has_its_new_name_and_only_that() -> None:
    pool = make_pool(2)
    pool.rename(0, "first")
    assert (pool.name(0), pool.row("first"), "h0" in pool) == ("first", 0, False)
    pool.rename(0, "first")
    with pytest.raises(PoolError, match="already has a provider 'h1'"):
        pool.rename(0, "h1")
    assert pool.add_provider("h0") == 2


def test_a_provider_goes_below_another_with_all_that_is_below_it() -> None:
    pool = make_pool(2)
    child = pool.add_provider("child", parent=0)
    leaf = pool.add_provider("leaf", parent=child)
    pool.reparent(child, 1)
    assert (pool.tree(0), pool.tree(1)) == ([0], [1, child, leaf])
    assert pool.root[[child, leaf]].tolist() == [1, 1]
    pool.reparent(child, None)
    assert pool.roots().tolist() == [0, 1, child]
    assert pool.root[[child, leaf]].tolist() == [child, child]
    with pytest.raises(PoolError, match="child cannot be put below leaf"):
        pool.reparent(child, leaf)


def test_an_inventory_is_told_as_it_was_given() -> None:
    given = {"VCPU": Inventory(8, 1, 2.0, 1, 4, 2), "MEMORY_MB": Inventory(64, 0, 1.0, 1, None, 1)}
    pool = make_pool(1, given)
    assert pool.inventory(0) == given
    pool.set_inventory(0, {"VCPU": 0})
    assert list(pool.inventory(0)) == ["MEMORY_MB"]
    pool.check_inventory({"CUSTOM_NEW": 3})
    with pytest.raises(PoolError, match="do not fit together"):
        pool.check_inventory({"CUSTOM_NEW": Inventory(3, min_unit=3, max_unit=2)})
