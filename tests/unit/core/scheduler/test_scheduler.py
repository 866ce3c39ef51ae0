"""Deciding is pure; committing claims, or says why that is no longer possible."""

from __future__ import annotations

import numpy as np
import pytest

from sundog.core.pool import Refusal
from sundog.core.scheduler import Decision, Devices, NoValidHost, Request, Scheduler, ServerGroup, policy_names
from sundog.core.scheduler.filters import DEFAULT_FILTERS
from sundog.errors import InvariantError, PoolError
from tests.builders import make_pool, make_request, make_scheduler, photograph

GROUP = ServerGroup("g", "anti-affinity")


def decided(scheduler: Scheduler, request: Request) -> Decision:
    decision = scheduler.decide(request)
    assert isinstance(decision, Decision)
    return decision


@pytest.mark.parametrize("policy", policy_names())
def test_deciding_changes_nothing_and_answers_the_same_again(policy: str) -> None:
    scheduler = make_scheduler(make_pool(6), policy)
    scheduler.place(make_request(2, group=GROUP), 1)
    before, state = photograph(scheduler.pool), (scheduler.hosts.sequence, scheduler.hosts.last_row)
    for request in (make_request(2), make_request(2, group=GROUP), make_request(99)):
        assert scheduler.decide(request) == scheduler.decide(request)
    assert photograph(scheduler.pool) == before
    assert (scheduler.hosts.sequence, scheduler.hosts.last_row) == state
    assert dict(scheduler.groups.members("g")) == {decided_row(scheduler): 1}


def decided_row(scheduler: Scheduler) -> int:
    return scheduler.host_of(1)


def test_a_decision_says_all_that_is_to_be_claimed_and_commit_claims_it() -> None:
    scheduler = make_scheduler(make_pool(2))
    request = make_request(2, 64, group=GROUP)
    decision = decided(scheduler, request)
    assert decision == Decision(request, 0, "h0", ((0, ((0, 2), (1, 64))),))
    assert scheduler.commit(decision, 5) is None
    assert scheduler.pool.used[:2, 0].tolist() == [2, 64]
    assert dict(scheduler.groups.members("g")) == {0: 1}
    assert (scheduler.hosts.sequence, scheduler.hosts.last_row, scheduler.host_of(5)) == (1, 0, 0)


def refused(scheduler: Scheduler, decision: Decision, consumer: int = 7) -> str:
    before, state = photograph(scheduler.pool), (scheduler.hosts.sequence, scheduler.hosts.last_row)
    members = dict(scheduler.groups.members("g"))
    refusal = scheduler.commit(decision, consumer)
    assert isinstance(refusal, Refusal)
    assert photograph(scheduler.pool) == before
    assert (scheduler.hosts.sequence, scheduler.hosts.last_row) == state
    assert dict(scheduler.groups.members("g")) == members
    return refusal.reason


def test_commit_is_refused_when_the_room_went_meanwhile() -> None:
    scheduler = make_scheduler(make_pool(1))
    decision = decided(scheduler, make_request(5, group=GROUP))
    scheduler.pool.claim(1, [(0, ((0, 4),))])
    assert refused(scheduler, decision) == "h0 has 4 of 8 VCPU free; asked 5"


def test_commit_is_refused_when_the_host_left_meanwhile() -> None:
    scheduler = make_scheduler(make_pool(2))
    decision = decided(scheduler, make_request())
    scheduler.pool.remove_provider(0)
    assert refused(scheduler, decision) == "h0 is not what it was when it was chosen"


def test_commit_is_refused_when_another_host_took_the_row_meanwhile() -> None:
    scheduler = make_scheduler(make_pool(2))
    decision = decided(scheduler, make_request())
    scheduler.pool.remove_provider(0)
    assert scheduler.pool.add_provider("other", {"VCPU": 8}) == 0
    assert refused(scheduler, decision) == "h0 has left the pool"
    scheduler.pool.add_provider("h0", {"VCPU": 8})  # back, but on another row
    assert refused(scheduler, decision) == "h0 has left the pool"


def test_commit_is_refused_when_a_device_went_to_another_host_meanwhile() -> None:
    pool = make_pool(2, classes=["VCPU", "MEMORY_MB", "DISK_GB", "PGPU"])
    gpu = pool.add_provider("gpu", {"PGPU": 1}, parent=0)
    scheduler = make_scheduler(pool)
    decision = decided(scheduler, make_request(devices=Devices((("PGPU", 1),))))
    pool.remove_provider(gpu)
    assert refused(scheduler, decision) == "h0 is not what it was when it was chosen"
    assert pool.add_provider("gpu2", {"PGPU": 1}, parent=1) == gpu
    assert refused(scheduler, decision) == "h0 is not what it was when it was chosen"


def test_a_consumer_that_holds_something_cannot_be_placed_again() -> None:
    scheduler = make_scheduler()
    scheduler.place(make_request(), 1)
    with pytest.raises(PoolError, match="consumer 1 already holds allocations"):
        scheduler.place(make_request(), 1)
    assert scheduler.hosts.sequence == 1


def test_a_move_takes_the_group_along_and_gives_the_source_back() -> None:
    scheduler = make_scheduler(make_pool(2))
    scheduler.place(make_request(5, group=GROUP), 1)
    decision = decided(scheduler, make_request(5, group=GROUP, ignore=("h0",)))
    assert scheduler.commit_move(decision, 1) is None
    assert scheduler.pool.used[0].tolist() == [0, 5]
    assert dict(scheduler.groups.members("g")) == {1: 1}
    assert scheduler.hosts.sequence == 2


def test_a_move_may_hold_its_source() -> None:
    scheduler = make_scheduler(make_pool(2))
    scheduler.place(make_request(5), 1)
    assert scheduler.commit_move(decided(scheduler, make_request(5)), 1, hold_as=9) is None
    assert scheduler.pool.used[0].tolist() == [5, 5]
    scheduler.release(9)
    assert scheduler.pool.used[0].tolist() == [0, 5]


def test_a_refused_move_leaves_all_where_it_was() -> None:
    scheduler = make_scheduler(make_pool(2))
    scheduler.place(make_request(5, group=GROUP), 1)
    decision = decided(scheduler, make_request(5, group=GROUP))
    scheduler.pool.claim(2, [(1, ((0, 8),))])
    before = photograph(scheduler.pool)
    refusal = scheduler.commit_move(decision, 1)
    assert refusal is not None
    assert refusal.reason == "h1 has 0 of 8 VCPU free; asked 5"
    scheduler.pool.release(2)
    scheduler.pool.remove_provider(1)
    refusal = scheduler.commit_move(decision, 1)
    assert refusal is not None
    assert "h1 is not what it was" in refusal.reason
    scheduler.pool.add_provider("h1", {"VCPU": 8})
    assert dict(scheduler.groups.members("g")) == {0: 1}
    assert photograph(scheduler.pool)["allocations"] == [each for each in before["allocations"] if each[0] == 1]


def test_moving_or_releasing_a_consumer_that_holds_nothing_is_an_error() -> None:
    scheduler = make_scheduler()
    with pytest.raises(PoolError, match="consumer 3 holds nothing, so it is on no host"):
        scheduler.commit_move(decided(scheduler, make_request()), 3)
    with pytest.raises(PoolError, match="consumer 3 holds nothing, so it is on no host"):
        scheduler.release(3, GROUP)
    scheduler.release(3)  # nothing to give back is no error


def test_releasing_gives_back_the_place_in_the_group() -> None:
    scheduler = make_scheduler(make_pool(1))
    scheduler.place(make_request(2, group=GROUP), 1)
    assert isinstance(scheduler.decide(make_request(2, group=GROUP)), NoValidHost)
    scheduler.release(1, GROUP)
    assert isinstance(scheduler.decide(make_request(2, group=GROUP)), Decision)
    assert not scheduler.pool.used.any()


def test_releasing_from_a_group_it_never_joined_is_found() -> None:
    scheduler = make_scheduler(make_pool(1))
    scheduler.place(make_request(2), 1)
    with pytest.raises(InvariantError, match="server group g has no member on row 0"):
        scheduler.release(1, GROUP)


def test_hosts_added_and_removed_later_count_at_once() -> None:
    pool = make_pool(2, {"VCPU": 2})
    scheduler = make_scheduler(pool, "best-fit")
    assert isinstance(scheduler.decide(make_request(4)), NoValidHost)
    pool.add_provider("late", {"VCPU": 4})
    assert decided(scheduler, make_request(4)).host == "late"
    assert decided(scheduler, make_request(1)).host == "h0"
    pool.remove_provider(0)
    assert decided(scheduler, make_request(1)).host == "h1"
    pool.remove_provider(pool.row("late"))
    answer = scheduler.decide(make_request(4))
    assert isinstance(answer, NoValidHost)
    assert answer.funnel[0].hosts == 1
    pool.remove_provider(1)
    answer = scheduler.decide(make_request(1))
    assert isinstance(answer, NoValidHost)
    assert answer.reason == "no hosts"


def test_every_fact_that_changes_is_seen_by_the_next_decision() -> None:
    pool = make_pool(2)
    scheduler = make_scheduler(pool)
    request = make_request(
        required_traits=["CUSTOM_A"], forbidden_traits=["CUSTOM_B"], aggregates=[["x"]], zone="z"
    )  # fmt: skip
    assert isinstance(scheduler.decide(request), NoValidHost)
    steps = [
        lambda: pool.set_traits(1, ["CUSTOM_A"]),
        lambda: pool.set_aggregates(1, ["x"]),
        lambda: pool.set_zone(1, "z"),
    ]
    for step in steps:
        assert isinstance(scheduler.decide(request), NoValidHost)
        step()
    assert decided(scheduler, request).host == "h1"
    for undo, redo in (
        (lambda: pool.set_traits(1, ["CUSTOM_A", "CUSTOM_B"]), lambda: pool.set_traits(1, ["CUSTOM_A"])),
        (lambda: pool.set_status(1, enabled=False), lambda: pool.set_status(1, enabled=True)),
        (lambda: pool.set_inventory(1, {"VCPU": 0}), lambda: pool.set_inventory(1, {"VCPU": 1})),
    ):
        undo()
        assert isinstance(scheduler.decide(request), NoValidHost)
        redo()
        assert decided(scheduler, request).host == "h1"


def test_a_restored_pool_is_seen_by_the_next_decision() -> None:
    pool = make_pool(2)
    scheduler = make_scheduler(pool)
    taken = pool.snapshot()
    pool.set_status(0, up=False)
    pool.add_provider("h2", {"VCPU": 64})
    assert decided(scheduler, make_request()).host == "h1"
    assert decided(scheduler, make_request(32)).host == "h2"
    pool.restore(taken)
    assert decided(scheduler, make_request()).host == "h0"
    assert isinstance(scheduler.decide(make_request(32)), NoValidHost)


def test_what_is_kept_of_a_shape_cannot_be_spoiled_through_a_view() -> None:
    """Without dynamic filters the feasible hosts are the kept ones themselves, so they are read-only."""
    scheduler = make_scheduler(make_pool(2), filters=[each for each in DEFAULT_FILTERS if each.static])
    _, feasible = scheduler.feasible(make_request(0))
    with pytest.raises(ValueError, match="read-only"):
        feasible[0] = False
    assert decided(scheduler, make_request(0)).host == "h0"


def test_a_host_over_capacity_takes_nothing_until_it_has_room_again() -> None:
    pool = make_pool(2)
    scheduler = make_scheduler(pool)
    scheduler.place(make_request(6), 1)
    pool.set_inventory(0, {"VCPU": 4})
    assert decided(scheduler, make_request(1)).host == "h1"
    assert decided(scheduler, make_request(0, 64)).host == "h0", "memory is not what it is short of"
    scheduler.release(1)
    assert decided(scheduler, make_request(1)).host == "h0"


def test_the_same_requests_give_the_same_placements_whatever_was_asked_before() -> None:
    """The kept shapes are a cache and nothing else: a scheduler that never saw a request decides alike."""
    rng = np.random.Generator(np.random.PCG64(11))
    requests = [make_request(int(rng.integers(1, 5)), int(rng.integers(0, 200))) for _ in range(60)]
    for policy in policy_names():
        pool = make_pool(8)
        warm = make_scheduler(pool, policy)
        for consumer, request in enumerate(requests):
            fresh = make_scheduler(pool, policy)
            fresh.hosts.sequence, fresh.hosts.last_row = warm.hosts.sequence, warm.hosts.last_row
            expected = fresh.decide(request)
            assert warm.place(request, consumer) == expected
