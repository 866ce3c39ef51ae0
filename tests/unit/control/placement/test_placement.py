"""Placement's use cases by example: what is refused changes nothing, and what was taken is there after a restart."""

from __future__ import annotations

import pytest

from sundog.control.placement import NewProvider, Placement, refusals
from sundog.control.placement.candidates import Asked, Request
from sundog.control.placement.records import Reshaped
from sundog.core.pool import Inventory, Pool
from sundog.errors import Conflict, InputError, Invalid, NotFound, StoreUnavailable, SundogError
from tests.unit.control.placement.books_of import host, make_placement, make_store, photograph, wanted

AGGREGATE = "5ac0a5c6-62b6-4b6b-8d3c-4a3d3ab1a5d0"


def make_cloud() -> tuple[Placement, str, str]:
    """Two hosts, one of them used, with all that can be kept."""
    placement = make_placement()
    first = host(placement, "h1", VCPU=Inventory(8, allocation_ratio=2.0), MEMORY_MB=Inventory(1024, 24, max_unit=512))
    second = host(placement, "h2", VCPU=4, MEMORY_MB=512)
    placement.create_trait("CUSTOM_FAST")
    placement.create_resource_class("CUSTOM_FPGA")
    placement.set_traits(first, ["HW_CPU_X86_AVX", "CUSTOM_FAST"])
    placement.set_aggregates(second, [AGGREGATE], generation=1)
    placement.set_allocations([wanted("c1", {first: {"VCPU": 10, "MEMORY_MB": 100}})])
    placement.set_allocations([wanted("c2", {first: {"VCPU": 1}, second: {"VCPU": 1}}, consumer_type="INSTANCE")])
    return placement, first, second


# ---------------------------------------------------------------- refusals


def refused_writes(first: str, second: str):
    """(what is done, the family of the error, its code)"""
    stale, in_use = refusals.CONCURRENT_UPDATE, refusals.INVENTORY_INUSE
    return {
        "a name in use": (lambda p: p.create_provider(NewProvider("h1")), Conflict, refusals.DUPLICATE_NAME),
        "a uuid in use": (lambda p: p.create_provider(NewProvider("h9", first)), Conflict, refusals.DUPLICATE_NAME),
        "no such parent": (lambda p: p.create_provider(NewProvider("h9", None, "nowhere")), Invalid, None),
        "no name": (lambda p: p.create_provider(NewProvider("")), Invalid, None),
        "its own parent": (lambda p: p.update_provider(first, "h1", parent_uuid=first), Invalid, None),
        "renamed to another": (lambda p: p.update_provider(first, "h2", parent_uuid=None), Conflict, "duplicate"),
        "deleted in use": (lambda p: p.delete_provider(first), Conflict, refusals.PROVIDER_IN_USE),
        "deleted unknown": (lambda p: p.delete_provider("nowhere"), NotFound, None),
        "stale inventories": (lambda p: p.set_inventories(first, {}, generation=0), Conflict, stale),
        "used inventories gone": (lambda p: p.set_inventories(first, {}), Conflict, in_use),
        "used inventory gone": (lambda p: p.delete_inventory(first, "VCPU"), Conflict, stale),
        "all inventories gone": (lambda p: p.delete_inventories(first), Conflict, in_use),
        "unknown class": (lambda p: p.set_inventories(second, {"CUSTOM_NO": Inventory(1)}), Invalid, None),
        "more reserved than there is": (lambda p: p.add_inventory(second, "DISK_GB", Inventory(1, 2)), Invalid, None),
        "all reserved, early": (
            lambda p: p.add_inventory(second, "DISK_GB", Inventory(1, 1), may_reserve_all=False),
            Invalid,
            None,
        ),
        "uncountable": (lambda p: p.add_inventory(second, "DISK_GB", Inventory(9, 0, 3e38)), Invalid, None),
        "no ratio": (lambda p: p.add_inventory(second, "DISK_GB", Inventory(9, 0, 0.0)), Invalid, None),
        "added twice": (lambda p: p.add_inventory(second, "VCPU", Inventory(1)), Conflict, stale),
        "updated, not there": (
            lambda p: p.update_inventory(second, "DISK_GB", Inventory(1), generation=3),
            Invalid,
            None,
        ),
        "stale traits": (lambda p: p.set_traits(first, [], generation=0), Conflict, stale),
        "unknown trait": (lambda p: p.set_traits(first, ["CUSTOM_NO"]), Invalid, None),
        "used trait deleted": (lambda p: p.delete_trait("CUSTOM_FAST"), Conflict, None),
        "standard trait deleted": (lambda p: p.delete_trait("HW_CPU_X86_AVX"), Invalid, None),
        "standard class deleted": (lambda p: p.delete_resource_class("VCPU"), Invalid, None),
        "stale aggregates": (lambda p: p.set_aggregates(first, [], generation=0), Conflict, stale),
        "too much": (lambda p: p.set_allocations([wanted("c9", {first: {"VCPU": 6}})]), Conflict, None),
        "more than one unit": (
            lambda p: p.set_allocations([wanted("c9", {first: {"MEMORY_MB": 513}})]),
            Conflict,
            None,
        ),
        "not there": (lambda p: p.set_allocations([wanted("c9", {first: {"DISK_GB": 1}})]), Conflict, None),
        "one of two too much": (
            lambda p: p.set_allocations([wanted("c8", {second: {"VCPU": 1}}), wanted("c9", {second: {"VCPU": 3}})]),
            Conflict,
            None,
        ),
        "no provider": (lambda p: p.set_allocations([wanted("c9", {"nowhere": {"VCPU": 1}})]), Invalid, None),
        "no class": (lambda p: p.set_allocations([wanted("c9", {first: {"CUSTOM_NO": 1}})]), Invalid, None),
        "stale consumer": (
            lambda p: p.set_allocations([wanted("c1", {}, generation=7, check_generation=True)]),
            Conflict,
            stale,
        ),
        "new consumer, not null": (
            lambda p: p.set_allocations([wanted("c9", {}, generation=1, check_generation=True)]),
            Conflict,
            stale,
        ),
        "nothing to delete": (lambda p: p.delete_allocations("c9"), NotFound, None),
        "stale reshape": (lambda p: p.reshape({first: Reshaped(0, {})}, []), Conflict, stale),
        "reshape of what is used": (
            lambda p: p.reshape({first: Reshaped(p.provider(first).generation, {})}, []),
            Conflict,
            in_use,
        ),
        "reshape of nothing": (
            lambda p: p.reshape({"nowhere": Reshaped(0, {})}, []),
            Invalid,
            refusals.RESOURCE_PROVIDER_NOT_FOUND,
        ),
    }


@pytest.mark.parametrize("case", list(refused_writes("", "")))
def test_a_refused_write_changes_neither_the_pool_nor_the_store(case: str) -> None:
    placement, first, second = make_cloud()
    write, family, code = refused_writes(first, second)[case]
    before = photograph(placement)
    with pytest.raises(family) as caught:
        write(placement)
    assert code is None or code in caught.value.code
    assert photograph(placement) == before
    assert photograph(reopened(placement)) == before


def reopened(placement: Placement) -> Placement:
    """Another one over the same store, as after a restart."""
    return make_placement(placement.store)


# ---------------------------------------------------------------- generations


def test_a_providers_generation_grows_with_what_placement_counts_and_with_nothing_else() -> None:
    placement = make_placement()
    uuid = host(placement, "h1")

    def generation() -> int:
        return placement.provider(uuid).generation

    assert generation() == 0
    placement.set_inventories(uuid, {"VCPU": Inventory(4)}, generation=0)
    placement.add_inventory(uuid, "DISK_GB", Inventory(10))
    placement.update_inventory(uuid, "DISK_GB", Inventory(20), generation=2)
    placement.delete_inventory(uuid, "DISK_GB")
    assert generation() == 4
    placement.set_traits(uuid, ["HW_CPU_X86_AVX"])
    placement.set_traits(uuid, ["HW_CPU_X86_AVX"])
    assert generation() == 5
    placement.set_aggregates(uuid, [AGGREGATE])
    assert generation() == 5
    placement.set_aggregates(uuid, [AGGREGATE], generation=5)
    placement.update_provider(uuid, "other", parent_uuid=None)
    assert generation() == 6
    placement.set_allocations([wanted("c1", {uuid: {"VCPU": 1}})])
    placement.set_allocations([wanted("c1", {uuid: {"VCPU": 2}}, generation=1, check_generation=True)])
    assert generation() == 8
    placement.delete_allocations("c1")
    assert generation() == 8


def test_a_provider_that_is_over_capacity_takes_what_makes_it_no_worse() -> None:
    placement = make_placement()
    uuid = host(placement, "h1", VCPU=8)
    placement.set_allocations([wanted("c1", {uuid: {"VCPU": 8}})])
    placement.set_inventories(uuid, {"VCPU": Inventory(4)})
    placement.set_allocations([wanted("c1", {uuid: {"VCPU": 6}})])
    with pytest.raises(Conflict, match="would exceed the capacity"):
        placement.set_allocations([wanted("c1", {uuid: {"VCPU": 7}})])
    assert placement.usages(uuid) == {"VCPU": 6}
    assert photograph(reopened(placement)) == photograph(placement)


# ---------------------------------------------------------------- restarts


def test_everything_is_there_again_after_a_restart() -> None:
    placement, first, second = make_cloud()
    child = host(placement, "numa0", parent=first, CUSTOM_FPGA=Inventory(2, max_unit=1, step_size=1))
    host(placement, "fpga", parent=child)
    placement.update_provider(second, "renamed", parent_uuid=first)
    placement.delete_allocations("c1")
    assert photograph(reopened(placement)) == photograph(placement)


def test_a_file_is_read_by_the_next_process(tmp_path) -> None:
    store = make_store(tmp_path)
    placement = make_placement(store)
    host(placement, "h1", VCPU=4)
    before = photograph(placement)
    store.close()
    again = make_store(tmp_path)
    assert photograph(make_placement(again)) == before
    again.close()


def test_rows_come_in_the_order_in_which_providers_were_made() -> None:
    placement = make_placement()
    for number in (5, 3, 9, 1):
        host(placement, f"h{number}")
    again = reopened(placement)
    assert [again.pool.name(row) for row in again.pool.roots().tolist()] == ["h5", "h3", "h9", "h1"]


def test_a_pool_that_is_not_empty_is_not_filled() -> None:
    pool = Pool()
    pool.add_provider("h1")
    with pytest.raises(InputError, match="has 1 providers"):
        make_placement(pool=pool)


# ---------------------------------------------------------------- transactions


def test_a_write_in_a_transaction_that_fails_never_happened() -> None:
    placement, first, _second = make_cloud()
    before = photograph(placement)

    def half() -> None:
        with placement.store.begin() as tx:
            placement.set_allocations([wanted("c9", {first: {"VCPU": 1}})], tx=tx)
            raise StoreUnavailable("the disk is full")

    with pytest.raises(StoreUnavailable):
        half()
    assert photograph(placement) == before
    assert photograph(reopened(placement)) == before


def test_a_write_in_a_transaction_counts_from_the_commit_on() -> None:
    placement, first, _second = make_cloud()
    with placement.store.begin() as tx:
        placement.set_allocations([wanted("c9", {first: {"VCPU": 1}})], tx=tx)
        assert placement.held("c9") == {}
    assert placement.held("c9") == {first: {"VCPU": 1}}
    assert photograph(reopened(placement)) == photograph(placement)


# ---------------------------------------------------------------- reshape and usages


def test_a_reshape_moves_inventory_and_what_is_held_to_a_child_at_once() -> None:
    placement, first, second = make_cloud()
    child = host(placement, "numa0", parent=first)
    root, below = placement.provider(first).generation, placement.provider(child).generation
    memory = {"MEMORY_MB": placement.inventories(first)["MEMORY_MB"]}
    cpus = {"VCPU": placement.inventories(first)["VCPU"]}
    moved = [
        wanted("c1", {child: {"VCPU": 10}, first: {"MEMORY_MB": 100}}),
        wanted("c2", {child: {"VCPU": 1}, second: {"VCPU": 1}}),
    ]
    placement.reshape({first: Reshaped(root, memory), child: Reshaped(below, cpus)}, moved)
    assert placement.usages(first) == {"MEMORY_MB": 100}
    assert placement.usages(child) == {"VCPU": 11}
    assert placement.provider(first).generation == root + 3
    assert photograph(reopened(placement)) == photograph(placement)
    placement.pool.check()


def test_usages_of_a_project_are_told_by_type_and_by_user() -> None:
    placement, _first, second = make_cloud()
    placement.set_allocations([wanted("c3", {second: {"VCPU": 1}}, project_id="p1", user_id="u2")])
    placement.set_allocations([wanted("c4", {second: {"VCPU": 1}}, project_id="p2")])
    usages = placement.project_usages("p1")
    assert {kind: (dict(each.resources), each.consumers) for kind, each in usages.items()} == {
        "unknown": ({"VCPU": 11, "MEMORY_MB": 100}, 2),
        "INSTANCE": ({"VCPU": 2}, 1),
    }
    assert placement.project_usages("p1", user_id="u2")["unknown"].resources == {"VCPU": 1}
    assert placement.project_usages("p1", consumer_type="all")["all"].consumers == 3
    assert placement.project_usages("nobody") == {}


def test_a_custom_class_that_was_deleted_can_be_made_again() -> None:
    placement, first, _second = make_cloud()
    placement.add_inventory(first, "CUSTOM_FPGA", Inventory(2))
    with pytest.raises(Conflict, match="in use in inventory"):
        placement.delete_resource_class("CUSTOM_FPGA")
    placement.delete_inventory(first, "CUSTOM_FPGA")
    placement.delete_resource_class("CUSTOM_FPGA")
    with pytest.raises(SundogError, match="No such resource class CUSTOM_FPGA"):
        placement.add_inventory(first, "CUSTOM_FPGA", Inventory(2))
    assert placement.create_resource_class("CUSTOM_FPGA") is True
    assert placement.create_resource_class("CUSTOM_FPGA") is False
    placement.rename_resource_class("CUSTOM_FPGA", "CUSTOM_ASIC")
    assert list(placement.resource_classes())[-1] == "CUSTOM_ASIC"
    assert photograph(reopened(placement)) == photograph(placement)


# ---------------------------------------------------------------- candidates


def found_by_names(placement: Placement, **asked: object) -> list[str]:
    found = placement.candidates(Request({"": Asked(**asked)}))  # type: ignore[arg-type]
    return ["+".join(sorted(placement.pool.name(row) for row, _ in each.amounts)) for each in found.candidates]


def test_candidates_are_the_providers_with_room_traits_and_aggregates() -> None:
    placement, _first, _second = make_cloud()
    assert found_by_names(placement, resources={"VCPU": 3}) == ["h1", "h2"]
    assert found_by_names(placement, resources={"VCPU": 4}) == ["h1"]
    assert found_by_names(placement, resources={"VCPU": 1}, required=(frozenset(["CUSTOM_FAST"]),)) == ["h1"]
    assert found_by_names(placement, resources={"VCPU": 1}, forbidden=frozenset(["CUSTOM_FAST"])) == ["h2"]
    assert found_by_names(placement, resources={"VCPU": 1}, member_of=(frozenset([AGGREGATE]),)) == ["h2"]
    assert found_by_names(placement, resources={"VCPU": 1}, not_member_of=frozenset([AGGREGATE])) == ["h1"]
    assert found_by_names(placement, resources={"DISK_GB": 1}) == []


def test_a_sharing_provider_serves_the_trees_that_it_has_an_aggregate_in_common_with() -> None:
    placement, _first, _second = make_cloud()
    storage = host(placement, "nfs", DISK_GB=100)
    placement.set_traits(storage, ["MISC_SHARES_VIA_AGGREGATE"])
    placement.set_aggregates(storage, [AGGREGATE])
    assert found_by_names(placement, resources={"VCPU": 1, "DISK_GB": 10}) == ["h2+nfs"]


def test_isolated_groups_come_from_different_providers_of_one_tree() -> None:
    placement = make_placement()
    root = host(placement, "h1", VCPU=8)
    for number in range(2):
        host(placement, f"pf{number}", parent=root, SRIOV_NET_VF=4)
    groups = {"": Asked({"VCPU": 1}), "_a": Asked({"SRIOV_NET_VF": 3}), "_b": Asked({"SRIOV_NET_VF": 3})}
    names = [
        {suffix: placement.pool.name(rows[0]) for suffix, rows in each.mappings.items()}
        for each in placement.candidates(Request(groups, isolate=True)).candidates
    ]
    assert names == [{"": "h1", "_a": "pf0", "_b": "pf1"}, {"": "h1", "_a": "pf1", "_b": "pf0"}]
    together = placement.candidates(Request(groups)).candidates
    assert len(together) == 2, "three and three do not fit in four, so both on one is no candidate"


def test_candidates_that_are_alike_are_told_as_any_others() -> None:
    placement, first, second = make_cloud()
    request = Request({"_A": Asked({"VCPU": 1, "MEMORY_MB": 8})})
    plain = placement.candidates(request)
    host(placement, "child", parent=first)  # a tree anywhere makes the search a general one
    general = placement.candidates(request)
    assert list(plain.candidates) == list(general.candidates)
    assert list(plain.candidates[1:]) == list(plain.candidates)[1:]
    assert {placement.books.uuids[row] for row in plain.rows} == {first, second}


def test_a_limit_is_the_first_so_many() -> None:
    placement = make_placement()
    for number in range(5):
        host(placement, f"h{number}", VCPU=1)
    found = placement.candidates(Request({"": Asked({"VCPU": 1})}, limit=2))
    assert [placement.pool.name(row) for each in found.candidates for row, _ in each.amounts] == ["h0", "h1"]
    assert [placement.pool.name(row) for row in found.rows] == ["h0", "h1"]


# ---------------------------------------------------------------- many at once


def test_a_fleet_is_made_in_one_go_with_what_its_hosts_have() -> None:
    placement = make_placement()
    small = {"VCPU": Inventory(8, 0, 4.0), "MEMORY_MB": Inventory(1024, 64)}
    fleet = [
        NewProvider(f"h{i}", uuid=f"u{i}", inventories=small, traits=["HW_CPU_X86_AVX"], aggregates=[AGGREGATE])
        for i in range(50)
    ]
    nested = [NewProvider(f"gpu{i}", parent_uuid=f"u{i}", inventories={"VGPU": Inventory(4)}) for i in range(50)]
    made = placement.create_providers([*fleet, *nested])
    assert [each.name for each in made][49:51] == ["h49", "gpu0"]
    assert made[50].root_uuid == "u0"
    assert placement.inventories("u7") == {
        "VCPU": Inventory(8, 0, 4.0, 1, None, 1),
        "MEMORY_MB": Inventory(1024, 64, 1.0, 1, None, 1),
    }
    assert found_by_names(placement, resources={"VCPU": 1, "VGPU": 1})[:2] == ["gpu0+h0", "gpu1+h1"]
    assert photograph(reopened(placement)) == photograph(placement)


@pytest.mark.parametrize(
    "second",
    [
        NewProvider("h1"),
        NewProvider("h2", uuid="u1"),
        NewProvider("h2", parent_uuid="nowhere"),
        NewProvider("h2", traits=["CUSTOM_NO"]),
        NewProvider("h2", inventories={"CUSTOM_NO": Inventory(1)}),
        NewProvider("h2", inventories={"VCPU": Inventory(1, 2)}),
    ],
)
def test_of_several_providers_with_one_that_cannot_be_none_is_made(second: NewProvider) -> None:
    placement = make_placement()
    before = photograph(placement)
    with pytest.raises((Conflict, Invalid)):
        placement.create_providers([NewProvider("h1", uuid="u1"), second])
    assert photograph(placement) == photograph(reopened(placement)) == before
