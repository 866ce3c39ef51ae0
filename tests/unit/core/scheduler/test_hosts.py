"""What a policy sees of the hosts."""

from __future__ import annotations

import numpy as np
import pytest

from sundog.core.pool import Inventory, Pool, ResourceClass, ResourceClasses
from sundog.core.scheduler import HostView
from tests.builders import make_pool, make_request, make_scheduler


def view_of(pool: Pool, vcpus: float = 1) -> HostView:
    scheduler = make_scheduler(pool)
    return HostView(scheduler.hosts, *scheduler.feasible(make_request(vcpus)))


def test_columns_are_in_each_classs_own_unit() -> None:
    pool = Pool(ResourceClasses([ResourceClass("VCPU", 10), "MEMORY_MB"]))
    pool.add_providers(["h0", "h1"], {"VCPU": Inventory(4, 0.5, 2.0), "MEMORY_MB": 64})
    pool.claim(1, [(1, pool.classes.amounts({"VCPU": 1.5}))])
    view = view_of(pool, 0.5)
    assert view.n == 2
    assert view.total("VCPU").tolist() == [4, 4]
    assert view.reserved("VCPU").tolist() == [0.5, 0.5]
    assert view.capacity("VCPU").tolist() == [7, 7]
    assert view.used("VCPU").tolist() == [0, 1.5]
    assert view.free("VCPU").tolist() == [7, 5.5]
    assert view.asked("VCPU").tolist() == [0.5, 0.5]
    assert view.asked("MEMORY_MB").tolist() == [0, 0]
    assert view.servers().tolist() == [0, 1]
    assert view.last == -1


def test_only_hosts_are_seen_not_their_devices_nor_vacant_rows() -> None:
    pool = make_pool(2)
    pool.add_provider("d0", {"VCPU": 99}, parent=0)
    pool.add_provider("h2", {"VCPU": 3})
    pool.remove_provider(1)
    scheduler = make_scheduler(pool)
    view = view_of(pool)
    assert view.free("VCPU").tolist() == [8, 3]
    assert view.servers().tolist() == [0, 0]
    assert [scheduler.hosts.name(host) for host in range(view.n)] == ["h0", "h2"]
    assert scheduler.hosts.index("h2") == 1
    assert scheduler.hosts.index("d0") is None
    assert scheduler.hosts.index("h1") is None
    assert scheduler.hosts.index_of_row(3) == 1
    assert scheduler.hosts.index_of_row(99) == scheduler.hosts.index_of_row(2) == -1


def test_a_host_over_capacity_has_negative_free() -> None:
    pool = make_pool(2)
    pool.claim(1, [(0, ((0, 6),))])
    pool.set_inventory(0, {"VCPU": 4})
    assert view_of(pool).free("VCPU").tolist() == [-2, 8]


def test_shares_are_of_the_largest_host_and_follow_its_changes() -> None:
    pool = make_pool(2, {"VCPU": 8})
    scheduler = make_scheduler(pool)
    view = HostView(scheduler.hosts, *scheduler.feasible(make_request(2)))
    assert view.left_shares()[0].tolist() == [0.75, 0.75]
    pool.set_inventory(1, {"VCPU": 16})
    view = HostView(scheduler.hosts, *scheduler.feasible(make_request(2)))
    assert view.left_shares()[0].tolist() == [6 / 16, 14 / 16]
    ((free, asked),) = view.free_and_asked_shares()
    assert (free.tolist(), asked.tolist()) == ([0.5, 1.0], [0.125])


def test_the_scale_of_no_hosts_is_one() -> None:
    assert make_scheduler(make_pool(0)).hosts.scale(0) == 1.0


def test_what_is_feasible_cannot_be_written_by_a_policy() -> None:
    view = view_of(make_pool(2))
    with pytest.raises(ValueError, match="read-only"):
        view.feasible[0] = False
    with pytest.raises(ValueError, match="read-only"):
        view.demand.units[0] = 0


def test_columns_handed_to_a_policy_are_its_own() -> None:
    pool = make_pool(2)
    view = view_of(pool)
    for column in (view.free("VCPU"), view.capacity("VCPU"), view.servers(), *view.left_shares()):
        column[:] = -1
    pool.check()
    assert view.free("VCPU").tolist() == [8, 8]
    assert pool.claims.tolist() == [0, 0]
    assert np.all(view.feasible)


def test_the_last_host_is_told_and_forgotten_with_the_host() -> None:
    pool = make_pool(3)
    scheduler = make_scheduler(pool)
    scheduler.place(make_request(force=("h2",)), 1)
    assert HostView(scheduler.hosts, *scheduler.feasible(make_request())).last == 2
    scheduler.release(1)
    pool.remove_provider(2)
    assert HostView(scheduler.hosts, *scheduler.feasible(make_request())).last == -1


def test_more_variants_than_a_byte_counts() -> None:
    pool = make_pool(1)
    pool.set_traits(0, ["CUSTOM_V199"])
    scheduler = make_scheduler(pool)
    request = make_request(resources={}, variants={f"CUSTOM_V{i}": {"VCPU": 1 + i / 100 // 1} for i in range(200)})
    demand, feasible = scheduler.feasible(request)
    assert demand.variant.tolist() == [199]
    assert demand.amounts[199] == ((0, 2),)
    assert feasible.all()
