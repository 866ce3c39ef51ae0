"""Several schedulers: conflicts, alternates, old views and queues, told line by line; and what theory says of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from sundog.core.scheduler import load_policy
from sundog.sim.records import Record, Scheduling
from sundog.sim.schedulers import SchedulersEngine
from sundog.sim.spec import FaultsSpec, Schedulers, Wait
from tests.unit.sim.worlds import Played, audit, finish, make_engine, make_fleet, make_hosts, make_vm, play


def kind(policy: str = "first-fit", **rules: Any) -> Any:
    """What ``make_engine`` is to make."""
    given = Schedulers.model_validate(rules)
    return partial(SchedulersEngine, schedulers=given, make_policy=lambda: load_policy(policy))


def run(rows: Sequence[dict], hosts: int = 3, *, policy: str = "first-fit", how: Any = None, **rules: Any) -> Played:
    """A run over hosts of 4 vCPUs."""
    engine_type = kind(policy, **rules)
    return play(rows, make_fleet(make_hosts(hosts)), policy=policy, engine_type=engine_type, **(how or {}))


def done(played: Played) -> Scheduling:
    assert played.record.scheduling is not None
    return played.record.scheduling


def whole(arrival: float, lifetime: float | None = 10, **more: Any) -> dict:
    """A VM that fills a host."""
    return make_vm(arrival, lifetime, 4, **more)


# ---------------------------------------------------------------- conflicts


def test_a_conflict_and_its_alternate_step_by_step() -> None:
    """Both schedulers take h-0 for the free host; the second hears of it, and its alternate is the next one."""
    played = run([whole(0), whole(0)], count=2, decision=1, delay=0.25)
    # Decided at 1; both messages reach the store at 1.25, the refusal comes back at 1.5, the next arrives at 1.75.
    assert played.stays == ["vm0 h-0 1.25..11.25 arrival", "vm1 h-1 1.75..11.75 arrival"]
    assert done(played).scheduler.tolist() == [0, 1]
    assert done(played).commits.tolist() == [1, 2]
    assert done(played).choice.tolist() == [0, 1]
    assert done(played).busy_s.tolist() == [1.5, 2.0]


def test_without_alternates_a_conflict_is_followed_by_a_refresh_and_a_decision() -> None:
    played = run([whole(0), whole(0)], count=2, decision=1, delay=0.25, alternates=0)
    assert played.stays[1] == "vm1 h-1 2.75..12.75 arrival"  # refused at 1.5, decided at 2.5
    assert done(played).commits.tolist() == [1, 2]
    assert done(played).choice.tolist() == [0, 0]


def test_when_retries_are_used_up_the_request_is_rejected_with_the_last_conflict() -> None:
    played = run([whole(0), whole(0)], count=2, decision=1, alternates=0, retries=0)
    assert played.outcomes == ["completed", "rejected: conflict: no room: VCPU"]
    assert done(played).commits.tolist() == [1, 1]
    assert done(played).choice.tolist() == [0, -1]


def test_alternates_come_in_the_order_of_the_scores() -> None:
    """Worst-fit by four schedulers at once on hosts of 2, 4, 3 and 1 vCPU free: best first, each one further down."""
    fleet = make_fleet(*(make_hosts(1, size, name=f"h{size}") for size in (2, 4, 3, 1)))
    rows = [make_vm(0, 10, size) for size in (4, 1, 1, 1)]
    how = {"policy": "worst-fit", "engine_type": kind("worst-fit", count=4, decision=1, alternates=3, retries=0)}
    played = play(rows, fleet, **how)
    assert [stay.split()[1] for stay in played.stays] == ["h4-0", "h3-0", "h3-0", "h3-0"]
    assert done(played).choice.tolist() == [0, 1, 1, 1]


def test_a_policy_that_only_chooses_is_asked_again_without_the_hosts_that_were_refused() -> None:
    played = run([whole(0), whole(0), whole(0)], policy="round-robin", count=3, decision=1)
    assert [stay.split()[1] for stay in played.stays] == ["h-0", "h-1", "h-2"]
    assert done(played).choice.tolist() == [0, 1, 2]


def test_a_host_that_died_since_it_was_chosen_is_a_conflict() -> None:
    faults = FaultsSpec.model_validate({"outages": [{"at": 1.5, "duration": 100, "hosts": ["h-0"]}]})
    played = run([whole(1), whole(20)], decision=1, how={"faults": faults})
    assert played.stays == ["vm0 h-1 2..12 arrival", "vm1 h-1 21..31 arrival"]
    assert done(played).choice.tolist() == [1, 0]
    alone = run([whole(1)], decision=1, alternates=0, retries=0, how={"faults": faults})
    assert alone.outcomes == ["rejected: conflict: host not in service"]


@pytest.mark.parametrize(
    ("rule", "hosts", "reason"),
    [("anti-affinity", ["h-0"], "server group anti-affinity"), ("affinity", ["h-0", "h-0"], "")],
)
def test_a_server_group_is_looked_at_again_when_a_decision_is_committed(
    rule: str, hosts: list[str], reason: str
) -> None:
    rows = [make_vm(0, 10, group="g", group_policy=rule), make_vm(0, 10, group="g", group_policy=rule)]
    played = run(rows, count=2, decision=1, alternates=0, retries=0)
    assert [stay.split()[1] for stay in played.stays] == hosts
    assert played.outcomes[1] == (f"rejected: conflict: {reason}" if reason else "completed")


def test_two_firsts_of_an_affinity_group_on_different_hosts_are_a_conflict() -> None:
    """vm2 goes to h-1, since its scheduler knows h-0 to be full; vm3's does not know it, and of vm2 neither."""
    member = {"group": "g", "group_policy": "affinity"}
    rows = [whole(0), make_vm(0, 10), make_vm(5, 10, **member), make_vm(5, 10, **member)]
    played = run(rows, count=2, decision=1, refresh=100, alternates=0, retries=0)
    assert played.outcomes[1::2] == ["rejected: conflict: no room: VCPU", "rejected: conflict: server group affinity"]
    played = run(rows, count=2, decision=1, refresh=100, alternates=1, retries=0)
    assert [stay.split()[1] for stay in played.stays] == ["h-0", "h-1", "h-1", "h-1"]
    assert done(played).choice.tolist() == [0, 1, 0, 1]


def test_zero_time_means_that_nobody_can_come_between() -> None:
    played = run([whole(0)] * 3 + [whole(1)], count=4)
    assert [stay.split()[1] for stay in played.stays] == ["h-0", "h-1", "h-2"]
    assert played.outcomes[3] == "rejected: no room: VCPU"
    assert done(played).commits.tolist() == [1, 1, 1, 0]


# ---------------------------------------------------------------- views


def test_a_view_shows_others_from_the_refresh_on_and_what_it_placed_itself_at_once() -> None:
    """Timetables: scheduler 0 at 10, 20, …; scheduler 1 at 5, 15, …. Both read everything with their first request."""
    quarter = [make_vm(t, 1000, 4) for t in (0, 0, 2, 3, 6)]
    played = run(quarter, 6, count=2, refresh=10)
    # vm0 by 0 on h-0. vm1 by 1, which reads now and sees that. vm2 by 0, which knows of its own alone: refused on h-1.
    # vm3 by 1 is refused on h-2 likewise. vm4 by 0, which has learnt nothing from refusals: refused on h-1, h-3.
    assert [stay.split()[1] for stay in played.stays] == ["h-0", "h-1", "h-2", "h-3", "h-4"]
    assert done(played).commits.tolist() == [1, 1, 2, 2, 3]


def test_a_refresh_at_an_instant_shows_what_was_before_it() -> None:
    """vm0 leaves at 10, when the view is refreshed: not seen. vm2 leaves at 19: seen at 20."""
    rows = [whole(0, 10), whole(10, 1), whole(11, 8), whole(19.5, 1), whole(20, 1)]
    played = run(rows, 1, refresh=10)
    assert played.outcomes == [
        "completed",
        "rejected: stale view: no room: VCPU",
        "rejected: stale view: no room: VCPU",
        "rejected: stale view: no room: VCPU",
        "completed",
    ]


def test_a_refusal_that_everybody_would_give_is_not_called_stale() -> None:
    played = run([whole(0, 100), whole(1, 1)], 1, refresh=50)
    assert played.outcomes[1] == "rejected: no room: VCPU"


def test_hosts_that_enter_service_are_seen_at_the_next_refresh() -> None:
    fleet = make_fleet(make_hosts(1), make_hosts(1, at=12))
    rows = [whole(0, 100), whole(13, 5), whole(21, 5)]
    played = play(rows, fleet, engine_type=kind(refresh=10))
    assert played.outcomes[1:] == ["rejected: stale view: no room: VCPU", "completed"]
    assert played.stays[1] == "vm2 h-1 21..26 arrival"


def test_what_was_there_at_the_beginning_is_placed_in_no_time() -> None:
    played = run([whole(-5, 20), whole(-5, 20), whole(0, 10)], decision=1, delay=1)
    assert played.stays == ["vm0 h-0 0..15 arrival", "vm1 h-1 0..15 arrival", "vm2 h-2 2..12 arrival"]


def test_a_policy_that_remembers_learns_of_others_with_its_view() -> None:
    class Counting:
        """First-fit that counts the servers that it knows of."""

        def __init__(self) -> None:
            self.known: list[int] = []

        def choose(self, request: Any, hosts: Any) -> int:
            seen.append((hosts.consumer, len(self.known)))
            return int(np.argmax(hosts.feasible))

        def placed(self, request: Any, row: int, consumer: int, now: float) -> None:
            self.known.append(consumer)

        def released(self, consumer: int) -> None:
            self.known.remove(consumer)

    seen: list[tuple[int, int]] = []
    made = partial(SchedulersEngine, schedulers=Schedulers(count=2, refresh=10.0, alternates=0), make_policy=Counting)
    rows = [make_vm(t, 100) for t in (0, 0, 1, 2, 21)] + [make_vm(22, 200)]
    finish(make_engine(rows, make_fleet(make_hosts(3)), engine_type=made))  # type: ignore[arg-type]
    # vm1's scheduler reads vm0 with its first request; then each knows its own alone, until the refresh.
    assert seen == [(0, 0), (1, 1), (2, 1), (3, 2), (4, 4), (5, 4)]


# ---------------------------------------------------------------- queues


def test_a_scheduler_takes_one_request_at_a_time() -> None:
    played = run([make_vm(0, 10), make_vm(0, 10), make_vm(1, 10)], decision=2, delay=0.5)
    assert played.record.start_s.tolist() == [2.5, 5.5, 8.5]
    assert done(played).queued_s.tolist() == [0, 3, 5]


@pytest.mark.parametrize(
    ("assign", "expected"), [("round-robin", [0, 1, 2, 0, 1, 2]), ("least-busy", [0, 1, 2, 0, 1, 2])]
)
def test_requests_are_assigned_in_turn_or_to_the_shortest_queue(assign: str, expected: list[int]) -> None:
    played = run([make_vm(0, 1)] * 6, count=3, decision=1, assign=assign)
    assert done(played).scheduler.tolist() == expected


def test_the_shortest_queue_is_the_one_that_has_least_to_do() -> None:
    rows = [make_vm(t, 1) for t in (0, 0, 0.5, 2.5)]
    assert done(run(rows, count=2, decision=1, assign="least-busy")).scheduler.tolist() == [0, 1, 0, 0]
    assert done(run(rows, count=2, decision=1)).scheduler.tolist() == [0, 1, 0, 1]


def test_a_hash_sends_a_whole_server_group_to_one_scheduler() -> None:
    rows = [make_vm(0, 1, group=f"g{i % 3}", group_policy="soft-affinity") for i in range(30)] + [make_vm(0, 1)] * 30
    played = run(rows, 30, count=4, assign="hash")
    of = done(played).scheduler
    assert all(len(np.unique(of[[i for i in range(30) if i % 3 == g]])) == 1 for g in range(3))
    assert len(np.unique(of[30:])) == 4


def test_who_was_not_scheduled_at_the_end_is_rejected() -> None:
    played = run([make_vm(0, 100), make_vm(0, 100), make_vm(0, 100)], decision=6, how={"horizon": 10})
    assert played.outcomes == ["running"] + ["rejected: not yet scheduled at the end"] * 2
    assert np.isnan(done(played).queued_s[2])


# ---------------------------------------------------------------- waiting


def test_one_who_waits_is_tried_again_when_its_scheduler_sees_room() -> None:
    rows, wait = [whole(0, 12), whole(1, 5)], {"on_full": Wait(wait=60)}
    assert run(rows, 1, how=wait).stays[1] == "vm1 h-0 12..17 arrival"
    assert run(rows, 1, decision=1, how=wait).stays == ["vm0 h-0 1..13 arrival", "vm1 h-0 14..19 arrival"]
    assert run(rows, 1, refresh=5, how=wait).stays[1] == "vm1 h-0 15..20 arrival"


def test_room_that_appeared_while_a_request_was_decided_on_is_not_missed() -> None:
    """vm0 leaves at 6, when vm1 is in the middle of its decision on a full host; nothing happens after that."""
    played = run([whole(0, 5), whole(5.5, 5)], 1, decision=1, how={"on_full": Wait(wait=60)})
    assert played.stays == ["vm0 h-0 1..6 arrival", "vm1 h-0 7.5..12.5 arrival"]
    late = run([whole(0, 5), whole(5.5, 5)], 1, decision=1, refresh=4, how={"on_full": Wait(wait=60)})
    assert late.stays[1] == "vm1 h-0 9..14 arrival"  # refreshed at 8


def test_room_that_a_refresh_showed_during_a_decision_is_not_missed() -> None:
    """vm0 leaves at 7.5, which is seen at 8, in the middle of a decision on vm1 that began at 7."""
    played = run([whole(0, 4.5), whole(7, 5)], 1, decision=3, refresh=4, how={"on_full": Wait(wait=60)})
    assert played.stays == ["vm0 h-0 3..7.5 arrival", "vm1 h-0 13..18 arrival"]


def test_a_decision_that_reaches_the_store_after_its_request_has_waited_too_long_is_dropped() -> None:
    """The room is there at 12, decided on at 13, and the message comes at 14."""
    rows = [whole(0, 10), whole(0, 10), whole(100, 1)]  # the last keeps the run going
    in_time = run(rows, 1, decision=1, delay=1, how={"on_full": Wait(wait=14.5)})
    assert in_time.stays[1] == "vm1 h-0 14..24 arrival"
    too_late = run(rows, 1, decision=1, delay=1, how={"on_full": Wait(wait=13.5)})
    assert too_late.outcomes[1] == "rejected: no room: VCPU, waited in vain"
    assert [stay.split()[0] for stay in too_late.stays] == ["vm0", "vm2"]


def test_a_conflict_does_not_reject_one_who_may_wait() -> None:
    wait = {"on_full": Wait(wait=60)}
    played = run([whole(0), whole(0)], count=2, decision=1, alternates=0, retries=0, how=wait)
    assert played.stays == ["vm0 h-0 1..11 arrival", "vm1 h-1 2..12 arrival"]
    later = run([whole(0), whole(0)], count=2, decision=1, refresh=8, alternates=0, retries=0, how=wait)
    assert later.stays[1] == "vm1 h-1 5..15 arrival"  # refreshed at 4


def test_one_who_has_waited_too_long_is_rejected_though_a_scheduler_is_at_work_on_it() -> None:
    rows, wait = [whole(0, 10), whole(0, 10)], {"on_full": Wait(wait=11.5)}
    played = run(rows, 1, decision=1, how=wait)
    assert played.outcomes[1] == "rejected: no room: VCPU, waited in vain"
    queued = run([whole(0, 100)] + [whole(0, 100)] * 4, 1, decision=4, how=wait)
    assert queued.outcomes[3] == "rejected: no room: VCPU, waited in vain"


# ---------------------------------------------------------------- what theory says


@pytest.mark.parametrize("count", [2, 4])
def test_random_choices_at_one_instant_collide_as_birthdays_do(count: int) -> None:
    """k choices among n free hosts: k - n (1 - (1 - 1/n)^k) of them are expected to find their host taken.

    The delay keeps the alternates until all first choices have reached the store.
    """
    n, rounds = 8, 1500
    rows = [whole(10 * number, 1) for number in range(rounds) for _ in range(count)]
    rules = {"count": count, "decision": 1, "delay": 0.1, "alternates": n}
    record = make_engine(rows, make_fleet(make_hosts(n)), policy="random", engine_type=kind("random", **rules)).run()
    assert record.scheduling is not None
    collided = (record.scheduling.choice > 0).reshape(rounds, count).sum(axis=1)
    expected = count - n * (1 - (1 - 1 / n) ** count)
    error = collided.std(ddof=1) / math.sqrt(rounds)
    assert abs(collided.mean() - expected) < 3 * error
    assert error < 0.07 * expected


@pytest.mark.parametrize(
    ("decision", "expected"), [(1.0, 0.7 / 0.6), ({"law": "exponential", "mean": 1.0}, 0.7 / 0.3)], ids=["D", "M"]
)
def test_the_queue_of_a_scheduler_is_that_of_pollaczek_and_khinchine(decision: Any, expected: float) -> None:
    """M/G/1 at load 0.7: mean wait 0.7 E[S^2] / (2 E[S] (1 - 0.7)), in the 99 % interval of 40 batch means."""
    n = 20_000
    arrivals = np.cumsum(np.random.Generator(np.random.PCG64(5)).exponential(1 / 0.7, n))
    rows = [make_vm(float(t), 1, 0.5) for t in arrivals]
    engine = make_engine(rows, make_fleet(make_hosts(1, 1000, memory=1e9)), engine_type=kind(decision=decision))
    record = engine.run()
    assert record.scheduling is not None
    batches = record.scheduling.queued_s.reshape(40, -1).mean(axis=1)
    half = stats.t.ppf(0.995, 39) * batches.std(ddof=1) / math.sqrt(40)
    assert abs(batches.mean() - expected) < half
    assert half < 0.25 * expected
    assert abs(record.scheduling.busy_s.mean() - 1) < 3 / math.sqrt(n)


def test_the_queue_follows_lindleys_recursion_on_the_same_arrivals_and_decision_times() -> None:
    dice = np.random.Generator(np.random.PCG64(8))
    arrivals = np.cumsum(dice.exponential(1 / 0.8, 2000))
    rows = [make_vm(float(t), 1, 0.5) for t in arrivals]
    law = {"law": "lognormal", "median": 0.8, "sigma": 0.6}
    made = make_engine(rows, make_fleet(make_hosts(1, 1000, memory=1e9)), engine_type=kind(decision=law, delay=0.01))
    record = made.run()
    assert record.scheduling is not None
    wait, expected = 0.0, [0.0]
    for busy, gap in zip(record.scheduling.busy_s[:-1], np.diff(arrivals), strict=True):
        wait = max(0.0, wait + busy - gap)
        expected.append(wait)
    assert max(expected) > 5
    assert np.allclose(record.scheduling.queued_s, expected, atol=1e-9)


def busy_day(policy: str = "best-fit", **rules: Any) -> Record:
    """Two thousand requests in a thousand seconds on twenty hosts; the same ones whatever the rules."""
    dice = np.random.Generator(np.random.PCG64(3))
    arrival = np.sort(dice.uniform(0, 1000, 2000))
    rows = [
        make_vm(float(t), float(life), float(size))
        for t, life, size in zip(arrival, dice.exponential(20, 2000), dice.choice([1, 2], 2000), strict=True)
    ]
    engine = make_engine(rows, make_fleet(make_hosts(20)), policy=policy, engine_type=kind(policy, **rules))
    record = engine.run()
    audit(engine, record)
    return record


def conflict_rate(record: Record) -> float:
    assert record.scheduling is not None
    commits = int(record.scheduling.commits.sum())
    return (commits - int((~np.isnan(record.start_s)).sum())) / commits


@pytest.mark.slow
def test_conflicts_grow_with_the_number_of_schedulers_and_with_the_age_of_their_views() -> None:
    by_count = [conflict_rate(busy_day(count=count, decision=0.2)) for count in (1, 2, 4, 8)]
    assert by_count[0] == 0
    assert by_count == sorted(dict.fromkeys(by_count))
    by_age = [conflict_rate(busy_day(count=4, decision=0.2, refresh=age)) for age in (0, 1, 4, 16)]
    assert by_age == sorted(dict.fromkeys(by_age))


# ---------------------------------------------------------------- the form


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"count": 0}, "greater than 0"),
        ({"refresh": "-1 s"}, "before the start of the run"),
        ({"decision": {"law": "infinite"}}, "takes for ever"),
        ({"decision": "50 parsecs"}, "not a unit of time"),
        ({"assign": "random"}, "'round-robin', 'hash' or 'least-busy'"),
        ({"alternatives": 3}, "Extra inputs"),
    ],
)
def test_rules_that_make_no_sense_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Schedulers.model_validate(given)


def test_times_are_read_with_their_units() -> None:
    rules = Schedulers.model_validate({"refresh": "1 min", "decision": "50 ms", "delay": "10 ms"})
    assert (rules.refresh, rules.decision, rules.delay) == (60.0, 0.05, 0.01)
