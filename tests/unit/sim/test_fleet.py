"""Fleets: names, racks, zones, what is selected, and what enters the pool."""

from __future__ import annotations

from typing import Any

import pytest

from sundog.core.pool import Inventory, Pool
from sundog.errors import InputError
from sundog.sim.fleet import classes_for, custom_resource, gpu_trait, machine_trait
from tests.unit.sim.worlds import make_fleet, make_hosts


def entered(*groups: Any, **overcommit: float) -> tuple[Any, Pool]:
    fleet = make_fleet(*groups, **overcommit)
    pool = Pool(classes_for(fleet.resources(), {}))
    for number in range(len(fleet.groups)):
        fleet.enter(pool, number)
    return fleet, pool


# ---------------------------------------------------------------- names


def test_hosts_are_numbered_through_their_type_over_all_entries_with_equal_width() -> None:
    fleet = make_fleet(make_hosts(9, 4, zone="a"), make_hosts(1, 8, name="big"), make_hosts(2, 4, zone="b"))
    assert fleet.names[:2] == ("h-00", "h-01")
    assert fleet.names[8:] == ("h-08", "big-0", "h-09", "h-10")
    assert len(fleet) == 12
    assert fleet.group.tolist() == [0] * 9 + [1] + [2] * 2
    assert fleet.hosts_of_group(2) == [10, 11]
    assert (fleet.type_of(9).name, fleet.zone_of(0), fleet.zone_of(9), fleet.zone_of(11)) == ("big", "a", "", "b")


def test_ten_hosts_take_one_digit_and_eleven_take_two() -> None:
    assert make_fleet(make_hosts(10, 4)).names[-1] == "h-9"
    assert make_fleet(make_hosts(11, 4)).names[-1] == "h-10"
    assert make_fleet(make_hosts(11, 4)).names[0] == "h-00"


def test_racks_are_blocks_of_hosts_counted_through_their_zone() -> None:
    fleet = make_fleet(
        make_hosts(5, 4, zone="a", racks=2),
        make_hosts(2, 8, name="big", zone="a"),
        make_hosts(2, 4, zone="b", racks=2),
        make_hosts(1, 4),
        make_hosts(1, 4, zone="rack"),
    )
    assert fleet.racks_with_hosts() == {
        "a-r0": [0, 1, 2], "a-r1": [3, 4], "a-r2": [5, 6], "b-r0": [7], "b-r1": [8], "rack-r0": [9], "rack-r1": [10],
    }  # fmt: skip


def test_one_type_may_be_given_twice_if_it_is_the_same_and_only_then() -> None:
    assert len(make_fleet(make_hosts(1, 4), make_hosts(1, 4))) == 2
    with pytest.raises(InputError, match="host type 'h' is defined twice, differently; give one of them another name"):
        make_fleet(make_hosts(1, 4), make_hosts(1, 8))


def test_the_time_at_which_a_host_enters_service_is_that_of_its_entry() -> None:
    fleet = make_fleet(make_hosts(1, 4), make_hosts(1, 4, at="2 h"))
    assert [fleet.at(host) for host in range(2)] == [0, 7200]


# ---------------------------------------------------------------- selection


PLACES = make_fleet(
    make_hosts(4, 4, zone="a", racks=2), make_hosts(2, 8, name="big", zone="a"), make_hosts(2, 8, name="big", zone="b")
)


@pytest.mark.parametrize(("what", "hosts"), [
    ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
    ({"zone": "a"}, [0, 1, 2, 3, 4, 5]),
    ({"rack": "a-r1"}, [2, 3]),
    ({"host_type": "big"}, [4, 5, 6, 7]),
    ({"hosts": ["h-3", "h-0"]}, [0, 3]),
    ({"zone": "a", "host_type": "big"}, [4, 5]),
    ({"zone": "b", "rack": "b-r0", "host_type": "big"}, [6, 7]),
])  # fmt: skip
def test_select_takes_the_hosts_that_fit_everything_given(what: dict, hosts: list[int]) -> None:
    assert PLACES.select(**what) == hosts


@pytest.mark.parametrize(("what", "said"), [
    ({"zone": "c"}, "the fleet has no zone 'c'; it has a, b"),
    ({"rack": "r9"}, "the fleet has no rack 'r9'; it has a-r0, a-r1, a-r2, b-r0"),
    ({"host_type": "tiny"}, "the fleet has no type 'tiny'; it has h, big"),
    ({"hosts": ["h-0", "x"]}, "the fleet has no host 'x'; names are such as 'h-0'"),
    ({"zone": "b", "host_type": "h"}, "no host of the fleet has all of zone 'b', type 'h'; leave one of them out"),
    ({"zone": "b", "hosts": ["h-0", "h-1"]}, "no host of the fleet has all of zone 'b', host 'h-0, h-1'"),
])  # fmt: skip
def test_select_refuses_what_is_unknown_or_names_nothing(what: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        PLACES.select(**what)


def test_a_fleet_without_zones_says_so() -> None:
    with pytest.raises(InputError, match="the fleet has no zone 'a'; it has none"):
        make_fleet().select(zone="a")


# ---------------------------------------------------------------- resources and the pool


def test_resources_are_those_that_any_host_has() -> None:
    fleet = make_fleet(make_hosts(1, 4), make_hosts(1, 4, name="d", disk=100, resources={"CUSTOM_NIC": 10}))
    assert [each.name for each in fleet.resources()] == ["vcpus", "memory_mb", "disk_gb", "nic"]
    assert [each.name for each in make_fleet(make_hosts(1, 4, gpus=2)).resources()] == ["vcpus", "memory_mb", "gpus"]
    assert custom_resource("CUSTOM_FAST_NIC").name == "fast_nic"


def test_sizes_are_physical_amounts() -> None:
    fleet = make_fleet(make_hosts(1, 4, disk=100, gpus=2, resources={"CUSTOM_NIC": 10}), make_hosts(1, 8, name="bare"))
    full, bare = (fleet.type_of(host) for host in range(2))
    assert [fleet.sizes(full, each) for each in fleet.resources()] == [4, 64000, 100, 2, 10]
    assert [fleet.sizes(bare, each) for each in fleet.resources()] == [8, 64000, 0, 0, 0]


def test_inventory_has_what_is_kept_and_the_overcommit() -> None:
    kept = {"vcpus": 1, "memory": "8 GiB", "disk": 10}
    fleet = make_fleet(make_hosts(1, 4, disk=100, reserved=kept, resources={"CUSTOM_NIC": 10}), vcpus=4, memory=1.5)
    assert fleet.inventory(fleet.type_of(0)) == {
        "VCPU": Inventory(4, 1, 4.0),
        "MEMORY_MB": Inventory(64000, 8192, 1.5),
        "DISK_GB": Inventory(100, 10, 1.0),
        "CUSTOM_NIC": Inventory(10),
    }


def test_hosts_enter_the_pool_with_all_that_they_have() -> None:
    fleet, pool = entered(
        make_hosts(
            2, 4, disk=100, zone="a", reserved={"vcpus": 1}, traits=["CUSTOM_FAST"], machine=3, aggregates=["agg"]
        ),
        make_hosts(1, 8, name="plain"),
        vcpus=4,
    )
    row = pool.row("h-1")
    assert pool.capacity[:, row].tolist() == [12, 64000, 100]
    assert pool.zone_of(row) == "a"
    assert sorted(pool.traits.of(row)) == ["CUSTOM_FAST", "CUSTOM_MACHINE_3"]
    assert list(pool.aggregates.of(row)) == ["agg"]
    plain = pool.row("plain-0")
    assert pool.capacity[:, plain].tolist() == [32, 64000, 0]
    assert pool.zone_of(plain) is None
    assert not list(pool.traits.of(plain))
    assert len(pool) == len(fleet)


def test_gpus_are_children_of_their_host_with_one_unit_each() -> None:
    _, pool = entered(make_hosts(2, 4, gpus=2, gpu_model="V100-32G"), make_hosts(1, 4, name="bare", gpu_model="T4"))
    column = pool.classes.column("PGPU")
    for host in ("h-0", "h-1"):
        row = pool.row(host)
        assert [pool.name(child) for child in pool.children(row)] == [f"{host}:gpu0", f"{host}:gpu1"]
        assert [int(pool.capacity[column, child]) for child in pool.children(row)] == [1, 1]
        assert pool.capacity[column, row] == 0
        assert list(pool.traits.of(row)) == ["CUSTOM_GPU_V100_32G"]
    assert not pool.children(pool.row("bare-0"))
    assert not list(pool.traits.of(pool.row("bare-0")))  # a model without a GPU is none


def test_traits_are_spelt_as_placement_allows() -> None:
    assert machine_trait("gen-4.1 b") == "CUSTOM_MACHINE_GEN_4_1_B"
    assert gpu_trait("A10 µ") == "CUSTOM_GPU_A10__"
