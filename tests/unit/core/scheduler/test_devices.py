"""GPUs and the like: child providers of which a server takes a share of one, or several whole ones."""

from __future__ import annotations

from typing import Any

import pytest

from sundog.core.pool import Inventory, Pool, ResourceClass, ResourceClasses
from sundog.core.scheduler import TOO_LARGE, Decision, Devices, NoValidHost, Scheduler, explain
from tests.builders import make_request, make_scheduler


def gpu_pool(*counts: int, inventory: Any = 1, scale: int = 1000) -> Pool:
    """A host for each count, with that many GPUs."""
    pool = Pool(ResourceClasses(["VCPU", "MEMORY_MB", ResourceClass("PGPU", scale)]))
    rows = pool.add_providers([f"h{i}" for i in range(len(counts))], {"VCPU": 16, "MEMORY_MB": 64}).tolist()
    for host, count in enumerate(counts):
        pool.add_providers([f"h{host}:gpu{i}" for i in range(count)], {"PGPU": inventory}, parent=rows[host])
    return pool


def share(amount: float, count: int = 1) -> Devices:
    return Devices((("PGPU", amount),), count)


def place(scheduler: Scheduler, consumer: int, devices: Devices, **more: Any) -> list[str] | str:
    """Where it went: the names of all it claimed; or the reason that it did not."""
    answer = scheduler.place(make_request(1, devices=devices, **more), consumer)
    if isinstance(answer, NoValidHost):
        return answer.reason
    return [scheduler.pool.name(row) for row, _ in answer.claims]


def test_a_share_comes_from_one_device_never_from_two() -> None:
    scheduler = make_scheduler(gpu_pool(2))
    assert place(scheduler, 1, share(0.6)) == ["h0", "h0:gpu0"]
    assert place(scheduler, 2, share(0.6)) == ["h0", "h0:gpu1"]
    assert place(scheduler, 3, share(0.6)) == "no room: PGPU", "0.8 is free, but 0.4 on each"
    assert place(scheduler, 4, share(0.4)) == ["h0", "h0:gpu0"]


def test_the_fullest_device_that_still_has_room_is_taken_and_the_first_of_equals() -> None:
    scheduler = make_scheduler(gpu_pool(3))
    assert place(scheduler, 1, share(0.3)) == ["h0", "h0:gpu0"]
    scheduler.pool.claim(50, [(scheduler.pool.row("h0:gpu2"), scheduler.pool.classes.amounts({"PGPU": 0.5}))])
    assert place(scheduler, 2, share(0.5)) == ["h0", "h0:gpu2"]
    assert place(scheduler, 3, share(0.5)) == ["h0", "h0:gpu0"]
    assert place(scheduler, 4, share(0.5)) == ["h0", "h0:gpu1"]


def test_a_count_takes_that_many_different_devices() -> None:
    scheduler = make_scheduler(gpu_pool(1, 4))
    assert place(scheduler, 1, share(1.0, 3)) == ["h1", "h1:gpu0", "h1:gpu1", "h1:gpu2"]
    assert place(scheduler, 2, share(1.0, 2)) == "no room: PGPU"
    assert place(scheduler, 3, share(1.0)) == ["h0", "h0:gpu0"]
    assert place(scheduler, 4, share(1.0, 5)) == TOO_LARGE
    scheduler.release(1)
    assert place(scheduler, 5, share(0.5, 4)) == ["h1", "h1:gpu0", "h1:gpu1", "h1:gpu2", "h1:gpu3"]
    scheduler.pool.check()


def test_devices_below_devices_count_for_their_host() -> None:
    pool = gpu_pool(0, 0)
    numa = pool.add_providers(["n0", "n1"], parent=1)
    pool.add_providers(["g0", "g1"], {"PGPU": 1}, parent=numa.tolist())
    scheduler = make_scheduler(pool)
    assert place(scheduler, 1, share(1.0, 2)) == ["h1", "g0", "g1"]


def test_a_device_outside_the_units_of_one_claim_is_refused_by_a_filter_not_by_the_pool() -> None:
    scheduler = make_scheduler(gpu_pool(2, inventory=Inventory(1, max_unit=0.5)))
    assert place(scheduler, 1, share(0.6)) == TOO_LARGE
    assert place(scheduler, 2, share(0.5)) == ["h0", "h0:gpu0"]
    scheduler = make_scheduler(gpu_pool(2, inventory=Inventory(1, min_unit=0.2, step_size=0.2)))
    assert place(scheduler, 1, share(0.1)) == TOO_LARGE
    assert place(scheduler, 2, share(0.3)) == TOO_LARGE
    assert place(scheduler, 3, share(0.4)) == ["h0", "h0:gpu0"]


def test_a_device_added_or_removed_later_counts_at_once() -> None:
    pool = gpu_pool(0, 1)
    scheduler = make_scheduler(pool)
    assert place(scheduler, 1, share(1.0)) == ["h1", "h1:gpu0"]
    assert place(scheduler, 2, share(1.0)) == "no room: PGPU"
    pool.add_provider("late", {"PGPU": 1}, parent=0)
    assert place(scheduler, 2, share(1.0)) == ["h0", "late"]
    scheduler.release(2)
    pool.remove_provider(pool.row("late"))
    assert place(scheduler, 3, share(1.0)) == "no room: PGPU"


def test_a_device_that_asks_several_classes_gives_them_all_from_one() -> None:
    pool = gpu_pool(0)
    pool.classes.add("VGPU")
    pool.add_providers(["a", "b", "c"], {"PGPU": 1, "VGPU": 4}, parent=0)
    pool.set_inventory(pool.row("a"), {"VGPU": 0})
    pool.set_inventory(pool.row("b"), {"PGPU": 0})
    scheduler = make_scheduler(pool)
    assert place(scheduler, 1, Devices((("PGPU", 0.5), ("VGPU", 2)))) == ["h0", "c"]


def test_only_devices_may_be_asked_for() -> None:
    scheduler = make_scheduler(gpu_pool(1))
    decision = scheduler.place(make_request(0, devices=share(0.5)), 1)
    assert isinstance(decision, Decision)
    assert scheduler.pool.allocations(1)[0].amounts == ()
    assert scheduler.host_of(1) == 0
    assert scheduler.pool.claims[0] == 1


def test_a_host_without_hosts_has_no_devices() -> None:
    assert make_scheduler(gpu_pool()).funnel(make_request(devices=share(1.0)))[-1].hosts == 0


@pytest.mark.parametrize("policy", ["best-fit", "nova", "dot-product"])
def test_scoring_policies_place_devices_too(policy: str) -> None:
    scheduler = make_scheduler(gpu_pool(1, 2), policy)
    assert place(scheduler, 1, share(1.0, 2)) == ["h1", "h1:gpu0", "h1:gpu1"]
    assert explain(scheduler, make_request(1, devices=share(1.0, 2))).best == ()
