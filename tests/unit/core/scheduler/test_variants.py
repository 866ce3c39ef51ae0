"""Demand that depends on the kind of machine, as in the Azure packing trace."""

from __future__ import annotations

from sundog.core.pool import Pool
from sundog.core.scheduler import Decision, NoValidHost, explain
from tests.builders import make_pool, make_request, make_scheduler

OLD, NEW = "CUSTOM_MACHINE_OLD", "CUSTOM_MACHINE_NEW"


def machines() -> Pool:
    pool = make_pool(3, {"VCPU": 8, "MEMORY_MB": 64})
    pool.set_traits(0, [OLD])
    pool.set_traits(1, [NEW])
    return pool


REQUEST = make_request(resources={}, variants={OLD: {"VCPU": 6, "MEMORY_MB": 10}, NEW: {"VCPU": 3}})


def test_each_host_is_asked_its_own_amount() -> None:
    scheduler = make_scheduler(machines())
    demand, feasible = scheduler.feasible(REQUEST)
    assert feasible.tolist() == [True, True, False]
    assert demand.units.tolist() == [[6, 3, 0], [10, 0, 0]]
    hosts = [scheduler.place(REQUEST, consumer) for consumer in range(4)]
    assert [getattr(each, "host", None) for each in hosts] == ["h0", "h1", "h1", None]
    assert isinstance(hosts[3], NoValidHost)
    assert hosts[3].reason == "no room: VCPU"
    assert scheduler.pool.used[0].tolist() == [6, 6, 0]
    assert scheduler.pool.used[1].tolist() == [10, 0, 0]


def test_the_first_variant_that_a_host_has_wins() -> None:
    pool = machines()
    pool.set_traits(2, [NEW, OLD])
    decision = make_scheduler(pool).decide(make_request(resources={}, force=("h2",), variants=dict(VARIANTS_NEW_FIRST)))
    assert isinstance(decision, Decision)
    assert decision.claims == ((2, ((0, 3),)),)


VARIANTS_NEW_FIRST = {NEW: {"VCPU": 3}, OLD: {"VCPU": 6}}


def test_a_class_not_asked_on_a_machine_does_not_matter_there() -> None:
    pool = machines()
    scheduler = make_scheduler(pool)
    pool.claim(50, [(1, ((1, 64),))])
    pool.set_inventory(1, {"MEMORY_MB": 1})  # far over capacity, but the new machine is asked no memory
    decision = scheduler.place(make_request(resources={}, force=("h1",), variants=REQUEST_VARIANTS), 1)
    assert isinstance(decision, Decision)
    # With one variant only, hosts of other kinds are asked nothing either: only their trait is wrong.
    only = make_request(resources={}, variants={OLD: {"MEMORY_MB": 1}})
    funnel = {count.filter: count.refused for count in explain(scheduler, only).funnel}
    assert funnel == dict.fromkeys(funnel, 0) | {"TraitsFilter": 2}
    relaxed = {each.filter: each.hosts for each in explain(scheduler, only).relaxations}
    assert relaxed == {"TraitsFilter": 3}


REQUEST_VARIANTS = {OLD: {"VCPU": 6, "MEMORY_MB": 10}, NEW: {"VCPU": 3}}


def test_a_host_that_changes_its_kind_is_asked_anew() -> None:
    pool = machines()
    scheduler = make_scheduler(pool)
    assert scheduler.feasible(REQUEST)[0].units[0].tolist() == [6, 3, 0]
    pool.set_traits(2, [NEW])
    pool.set_traits(0, [])
    assert scheduler.feasible(REQUEST)[0].units[0].tolist() == [0, 3, 3]


def test_best_fit_compares_what_would_be_left_on_each_machine() -> None:
    decision = make_scheduler(machines(), "best-fit").decide(REQUEST)
    assert isinstance(decision, Decision)
    assert decision.host == "h0"
    decision = make_scheduler(machines(), "worst-fit").decide(REQUEST)
    assert isinstance(decision, Decision)
    assert decision.host == "h1"
