"""The pool by example: inventories, rows, claims, refusals and what is said of them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from sundog.core.pool import Inventory, Pool, Refusal, ResourceClass, ResourceClasses
from sundog.errors import InvariantError, PoolError
from tests.builders import make_pool, photograph


def claim(pool: Pool, consumer: int, row: int, **amounts: float) -> Refusal | None:
    return pool.claim(consumer, [(row, pool.classes.amounts(amounts))])


# ---------------------------------------------------------------- inventories


@pytest.mark.parametrize(
    ("inventory", "capacity"),
    [
        (Inventory(64), 64),
        (Inventory(64, reserved=2), 62),
        (Inventory(10, 1, 1.5), 13),  # floor(13.5), as in Placement
        (Inventory(100, 0, 1.15), 114),  # 100 * 1.15 is 114.99999999999999 in floating point: Placement says 114 too
        (Inventory(3, 3, 16.0), 0),
        (Inventory(7, 0, 0.5), 3),
        (12, 12),
    ],
)
def test_capacity_is_the_floor_of_total_less_reserved_times_the_ratio(inventory: Any, capacity: int) -> None:
    pool = make_pool(1, {"VCPU": inventory})
    assert pool.capacity[0, 0] == pool.free[0, 0] == capacity


def test_a_scaled_class_counts_fractions_exactly() -> None:
    pool = make_pool(1, {"VCPU": 1}, classes=[ResourceClass("VCPU", 1000)])
    assert [claim(pool, consumer, 0, VCPU=0.1) for consumer in range(10)] == [None] * 10
    assert pool.free[0, 0] == 0
    refusal = claim(pool, 10, 0, VCPU=0.1)
    assert refusal is not None
    assert (refusal.asked, refusal.free, refusal.resource_class) == (0.1, 0.0, "VCPU")
    assert refusal.reason == "h0 has 0 of 1 VCPU free; asked 0.1"


@pytest.mark.parametrize(
    ("inventory", "says"),
    [
        (Inventory(2, reserved=3), "3 VCPU reserved of a total of 2"),
        (Inventory(2, allocation_ratio=0), "allocation ratio 0 of VCPU is not a positive number"),
        (Inventory(2, allocation_ratio=float("nan")), "is not a positive number"),
        (Inventory(2, allocation_ratio=float("inf")), "is not a positive number"),
        (Inventory(2, min_unit=3, max_unit=2), "do not fit together"),
        (Inventory(2, min_unit=0), "do not fit together"),
        (Inventory(2, step_size=0), "do not fit together"),
        (Inventory(-1), "must be a finite number, 0 or more"),
        (Inventory(float("nan")), "must be a finite number, 0 or more"),
        (Inventory(0.5), "not a whole number"),
        (Inventory(2**62, allocation_ratio=4.0), "more than can be counted"),
    ],
)
def test_a_bad_inventory_is_refused_and_changes_nothing(inventory: Inventory, says: str) -> None:
    pool = make_pool(1)
    before = photograph(pool)
    with pytest.raises(PoolError, match=says):
        pool.set_inventory(0, {"MEMORY_MB": 1, "VCPU": inventory})
    with pytest.raises(PoolError, match=says):
        pool.add_provider("h9", {"MEMORY_MB": 1, "VCPU": inventory})
    assert photograph(pool) == before


def test_an_unknown_class_of_an_inventory_is_refused_with_a_hint() -> None:
    with pytest.raises(PoolError, match="no resource class 'CPU'; did you mean VCPU"):
        make_pool(1, {"CPU": 4})


def test_inventory_may_shrink_below_its_use_and_then_refuses_only_that_class() -> None:
    pool = make_pool(2)
    assert claim(pool, 1, 1, VCPU=6, MEMORY_MB=10) is None
    pool.set_inventory(1, {"VCPU": 4})
    assert pool.over_capacity() == [(1, "VCPU", 2)]
    pool.check()
    refusal = claim(pool, 2, 1, VCPU=1)
    assert refusal is not None
    assert refusal.reason == "h1 has -2 of 4 VCPU free; asked 1"
    assert claim(pool, 3, 1, MEMORY_MB=1) is None
    pool.release(1)
    assert pool.over_capacity() == []


def test_inventory_of_many_rows_is_set_at_once() -> None:
    pool = make_pool(3)
    pool.set_inventory(np.asarray([0, 2]), {"VCPU": Inventory(20, allocation_ratio=2)})
    assert pool.capacity[0].tolist() == [40, 8, 40]
    assert pool.generation.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("limits", "asked", "says"),
    [
        ({"min_unit": 2}, 1, "h0 takes VCPU with min_unit 2; asked 1"),
        ({"max_unit": 4}, 5, "h0 takes VCPU with max_unit 4; asked 5"),
        ({"step_size": 2}, 3, "h0 takes VCPU with step_size 2; asked 3"),
        ({"min_unit": 2, "max_unit": 6, "step_size": 2}, 4, None),
        ({"min_unit": 2}, 0, None),
    ],
)
def test_a_claim_keeps_to_the_units_of_an_inventory(limits: dict[str, float], asked: int, says: str | None) -> None:
    pool = make_pool(1, {"VCPU": Inventory(8, **limits)})
    refusal = pool.claim(1, [(0, ((0, asked),))])
    assert (refusal.reason if refusal else None) == says


def test_the_units_hold_for_the_sum_of_one_claim() -> None:
    pool = make_pool(1, {"VCPU": Inventory(8, max_unit=4)})
    amounts = pool.classes.amounts({"VCPU": 3})
    refusal = pool.claim(1, [(0, amounts), (0, amounts)])
    assert refusal is not None
    assert "max_unit 4; asked 6" in refusal.reason


def test_nothing_asked_of_a_class_does_not_matter_even_over_capacity() -> None:
    pool = make_pool(1, {"VCPU": Inventory(8, min_unit=2), "MEMORY_MB": 10})
    assert claim(pool, 1, 0, MEMORY_MB=10) is None
    pool.set_inventory(0, {"MEMORY_MB": 4})
    assert pool.claim(2, [(0, ((0, 2), (1, 0)))]) is None
    assert pool.claim(3, [(0, ())]) is None
    assert pool.claims[0] == 3


def test_a_class_that_a_provider_has_nothing_of_is_blank_not_zero() -> None:
    pool = make_pool(1, {"VCPU": 4})
    pool.add_provider("h1", {"VCPU": 4, "DISK_GB": 10})
    assert pool.step_size.tolist() == [[1, 1]] * 3
    assert pool.min_unit.tolist() == [[1, 1]] * 3
    assert (pool.max_unit == np.iinfo(np.int64).max).all()
    assert (pool.allocation_ratio == 1).all()


def test_a_class_added_after_the_pool_was_made_has_no_inventory_until_it_is_set() -> None:
    pool = make_pool(2)
    assert claim(pool, 1, 0, VCPU=2) is None
    pool.classes.add("CUSTOM_FPGA")
    refusal = claim(pool, 2, 0, CUSTOM_FPGA=1)
    assert refusal is not None
    assert refusal.reason == "h0 has 0 of 0 CUSTOM_FPGA free; asked 1"
    pool.set_inventory(0, {"CUSTOM_FPGA": 2})
    assert claim(pool, 2, 0, CUSTOM_FPGA=1, VCPU=1) is None
    assert pool.used[:, 0].tolist() == [3, 0, 0, 1]
    pool.check()


# ---------------------------------------------------------------- providers


def test_rows_of_removed_providers_are_used_again_lowest_first_and_come_back_blank() -> None:
    pool = make_pool(4, {"VCPU": Inventory(8, 1, 2.0, 2, 4, 2)}, zone="z1", traits=["CUSTOM_A"], aggregates=["x"])
    for name in ("h3", "h1"):
        pool.remove_provider(pool.row(name))
    assert (len(pool), pool.rows) == (2, 4)
    assert pool.roots().tolist() == [0, 2]
    rows = pool.add_providers(["a", "b", "c"], {"MEMORY_MB": 5})
    assert rows.tolist() == [1, 3, 4]
    for row in rows.tolist():
        assert pool.capacity[:, row].tolist() == [0, 5, 0]
        assert (pool.min_unit[0, row], pool.step_size[0, row], pool.allocation_ratio[0, row]) == (1, 1, 1)
        assert (pool.zone_of(row), pool.traits.of(row), pool.aggregates.of(row)) == (None, (), ())
        assert pool.up[row]
        assert pool.enabled[row]


def test_the_generation_of_a_row_goes_on_when_another_provider_takes_it() -> None:
    pool = make_pool(1)
    seen = {0: int(pool.generation[0])}
    pool.remove_provider(0)
    refusal = pool.claim(1, [], generations=seen)
    assert refusal is not None
    assert refusal.reason == "row 0 holds no provider"
    assert pool.add_provider("other", {"VCPU": 8}) == 0
    refusal = pool.claim(1, [(0, ((0, 1),))], generations=seen)
    assert refusal is not None
    assert refusal.reason == "other changed meanwhile: generation 1, not 0"


def test_nested_providers_know_their_parent_root_and_zone() -> None:
    pool = make_pool(2, zone="z1")
    numa = pool.add_providers(["n0", "n1"], {"VCPU": 4}, parent=1)
    gpu = pool.add_provider("g0", {"VCPU": 1}, parent=int(numa[0]), zone="z2")
    assert pool.tree(1) == [1, *numa.tolist(), gpu]
    assert pool.root[gpu] == 1
    assert pool.parent[gpu] == numa[0]
    assert pool.children(1) == tuple(numa.tolist())
    assert [pool.zone_of(row) for row in pool.tree(1)] == ["z1", "z1", "z1", "z2"]
    pool.set_zone(1, None)
    assert [pool.zone_of(row) for row in pool.tree(1)] == [None] * 4
    with pytest.raises(PoolError, match="h1 still has 2 child providers; remove them first"):
        pool.remove_provider(1)
    for row in (gpu, *numa.tolist(), 1):
        pool.remove_provider(int(row))
    assert len(pool) == 1


def test_each_provider_may_have_its_own_parent() -> None:
    pool = make_pool(2)
    rows = pool.add_providers(["a", "b"], parent=[1, 0])
    assert pool.parent[rows].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("names", "parent", "says"),
    [
        (["a", "a"], None, "the same provider name is given twice"),
        (["a", "h1"], None, "already has a provider 'h1'"),
        (["a"], 9, "row 9 holds no provider; the pool has 2 rows"),
        (["a"], -1, "row -1 holds no provider"),
        (["a", "b", "c"], [0, 1], "2 parents were given for 3 providers"),
        (["a", "b"], [], "0 parents were given for 2 providers"),
    ],
)
def test_providers_that_cannot_be_added_add_nothing(names: list[str], parent: Any, says: str) -> None:
    pool = make_pool(2)
    before, versions = photograph(pool), (pool.facts_version, pool.topology_version)
    with pytest.raises(PoolError, match=says):
        pool.add_providers(names, {"VCPU": 1}, parent=parent)
    assert photograph(pool) == before
    assert (pool.facts_version, pool.topology_version) == versions


def test_no_providers_may_be_added() -> None:
    assert make_pool(0).add_providers([]).tolist() == []
    assert make_pool(0).roots().tolist() == []


@pytest.mark.parametrize("row", [-1, 2, 99])
def test_every_change_of_a_row_without_provider_is_refused(row: int) -> None:
    pool = make_pool(3)
    pool.remove_provider(2)
    changes: list[Any] = [
        lambda: pool.remove_provider(row),
        lambda: pool.set_inventory(row, {"VCPU": 1}),
        lambda: pool.set_traits(row, ["A"]),
        lambda: pool.set_aggregates(row, ["x"]),
        lambda: pool.set_zone(row, "z"),
        lambda: pool.set_status(row, up=False),
        lambda: pool.name(row),
    ]
    for change in changes:
        with pytest.raises(PoolError, match=f"row {row} holds no provider"):
            change()
    refusal = pool.claim(1, [(row, ())])
    assert refusal is not None
    assert (refusal.reason, refusal.row, refusal.provider) == (f"row {row} holds no provider", row, "")


def test_an_unknown_name_is_refused() -> None:
    assert "h9" not in make_pool(1)
    with pytest.raises(PoolError, match="no provider 'h9'"):
        make_pool(1).row("h9")


def test_a_provider_in_use_is_not_removed() -> None:
    pool = make_pool(1)
    claim(pool, 1, 0, VCPU=1)
    with pytest.raises(PoolError, match="h0 still has 1 allocations; release them first"):
        pool.remove_provider(0)


# ---------------------------------------------------------------- claims


def test_a_claim_over_several_providers_is_whole_or_refused() -> None:
    pool = make_pool(2)
    small, large = pool.classes.amounts({"VCPU": 2}), pool.classes.amounts({"VCPU": 9})
    before = photograph(pool)
    assert pool.claim(1, [(0, small), (1, large)]) is not None
    assert photograph(pool) == before
    assert pool.claim(1, [(0, small), (1, small)]) is None
    assert pool.used[0].tolist() == [2, 2]
    assert pool.consumers_on(1) == [1]


def test_what_is_claimed_twice_of_one_provider_must_fit_twice() -> None:
    pool = make_pool(1)
    amounts = pool.classes.amounts({"VCPU": 5})
    refusal = pool.claim(1, [(0, amounts), (0, amounts)])
    assert refusal is not None
    assert refusal.asked == 10
    amounts = pool.classes.amounts({"VCPU": 4})
    assert pool.claim(1, [(0, amounts), (0, amounts)]) is None
    assert pool.used[0, 0] == 8
    pool.release(1)
    assert pool.used[0, 0] == 0


@pytest.mark.parametrize("claims", [[(0, ((0, -1),))], [(0, ((0, 5),)), (0, ((0, -3),))]])
def test_a_negative_amount_is_an_error_also_beside_a_positive_one(claims: Any) -> None:
    pool = make_pool(1)
    before = photograph(pool)
    with pytest.raises(PoolError, match="units is not an amount to claim"):
        pool.claim(1, claims)
    assert photograph(pool) == before


def test_a_negative_consumer_is_an_error() -> None:
    pool = make_pool(1)
    claim(pool, 1, 0, VCPU=1)
    with pytest.raises(PoolError, match="consumer -1 is negative"):
        claim(pool, -1, 0, VCPU=1)
    with pytest.raises(PoolError, match="consumer -2 is negative"):
        pool.move(1, [], hold_as=-2)
    with pytest.raises(PoolError, match="consumer -3 is negative"):
        pool.transfer(1, -3)
    pool.check()
    assert pool.used[0, 0] == 1


def test_a_consumer_claims_once_and_then_moves() -> None:
    pool = make_pool(2)
    claim(pool, 1, 0, VCPU=5)
    with pytest.raises(PoolError, match="consumer 1 already holds allocations; move or release them"):
        claim(pool, 1, 1, VCPU=1)
    refusal = pool.move(1, [(0, pool.classes.amounts({"VCPU": 5}))])
    assert refusal is not None
    assert refusal.reason == "h0 has 3 of 8 VCPU free; asked 5"  # the source is held until the target is claimed
    assert pool.move(1, [(1, pool.classes.amounts({"VCPU": 5}))]) is None
    assert pool.used[0].tolist() == [0, 5]
    with pytest.raises(PoolError, match="consumer 2 holds nothing to move"):
        pool.move(2, [])


def test_a_move_that_holds_its_source_can_be_confirmed_or_reverted() -> None:
    pool = make_pool(2)
    claim(pool, 1, 0, VCPU=5)
    target = [(1, pool.classes.amounts({"VCPU": 5}))]
    assert pool.move(1, target, hold_as=40) is None
    assert pool.used[0].tolist() == [5, 5]
    pool.release(1)
    pool.transfer(40, 1)  # reverted
    assert pool.used[0].tolist() == [5, 0]
    assert pool.move(1, target, hold_as=40) is None
    pool.release(40)  # confirmed
    assert pool.used[0].tolist() == [0, 5]
    with pytest.raises(PoolError, match="consumer 40 holds nothing to transfer"):
        pool.transfer(40, 2)
    with pytest.raises(PoolError, match="consumer 1 already holds allocations"):
        pool.move(1, target, hold_as=1)


def test_a_claim_for_a_generation_that_passed_is_refused() -> None:
    pool = make_pool(2)
    seen = {0: 0, 1: 0}
    pool.set_traits(1, ["CUSTOM_A"])
    refusal = pool.claim(1, [(0, ((0, 1),))], generations=seen)
    assert refusal is not None
    assert refusal.reason == "h1 changed meanwhile: generation 1, not 0"
    assert pool.claim(1, [(0, ((0, 1),))], generations={0: 0, 1: 1}) is None


def test_refusal_foretells_without_claiming() -> None:
    pool = make_pool(1)
    before = photograph(pool)
    assert pool.refusal([(0, ((0, 8),))]) is None
    assert pool.refusal([(0, ((0, 9),))]) is not None
    assert photograph(pool) == before


# ---------------------------------------------------------------- snapshots


def test_a_snapshot_is_independent_of_what_follows_and_stays_usable() -> None:
    pool = make_pool(2, zone="z1", traits=["CUSTOM_A"])
    claim(pool, 1, 0, VCPU=2)
    taken, before = pool.snapshot(), photograph(pool)
    for _ in range(2):
        claim(pool, 2, 1, VCPU=8)
        pool.set_traits(0, ["CUSTOM_B"])
        pool.add_provider("h7", {"VCPU": 1}, zone="z2")
        versions = pool.facts_version, pool.topology_version
        pool.restore(taken)
        assert photograph(pool) == before
        assert pool.facts_version > versions[0]
        assert pool.topology_version > versions[1]
    pool.check()


def test_classes_added_since_a_snapshot_stay_without_inventory() -> None:
    pool = make_pool(1)
    taken = pool.snapshot()
    pool.classes.add("CUSTOM_FPGA")
    pool.set_inventory(0, {"CUSTOM_FPGA": 4})
    pool.restore(taken)
    assert pool.capacity[:, 0].tolist() == [8, 1024, 100, 0]
    assert pool.step_size[3, 0] == 1


def test_a_pickled_snapshot_revives_the_pool_elsewhere() -> None:
    pool = make_pool(2, classes=["VCPU", "MEMORY_MB", "DISK_GB", ResourceClass("CUSTOM_FPGA", 4)])
    claim(pool, 3, 1, VCPU=2)
    taken = pickle.loads(pickle.dumps(pool.snapshot()))
    other = Pool(ResourceClasses(["VCPU"]))
    other.restore(taken)
    assert photograph(other) == photograph(pool)
    assert list(other.classes) == list(pool.classes)
    other.check()


@pytest.mark.parametrize("classes", [["MEMORY_MB"], [ResourceClass("VCPU", 10)], ["VCPU", "DISK_GB", "MEMORY_MB"]])
def test_a_snapshot_with_other_classes_is_refused_and_changes_nothing(classes: list[Any]) -> None:
    taken = make_pool(2).snapshot()
    pool = make_pool(1, {}, classes=classes)
    before = photograph(pool)
    with pytest.raises(PoolError, match="order and scale must be the same"):
        pool.restore(taken)
    assert photograph(pool) == before


# ---------------------------------------------------------------- the books


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("used", "used amounts are not the sum of its allocations"),
        ("claims", "claim counts are not those of its allocations"),
        ("free", "free amounts are not capacity less use"),
    ],
)
def test_books_that_do_not_add_up_are_found(column: str, says: str) -> None:
    pool = make_pool(2)
    claim(pool, 1, 0, VCPU=2)
    pool.check()
    getattr(pool, column)[..., 0] += 1
    with pytest.raises(InvariantError, match=says):
        pool.check()
