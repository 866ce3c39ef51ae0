"""The funnel, the reasons, the best hosts, and "why not host X"."""

from __future__ import annotations

import re

import pytest

from sundog.core.pool import Pool
from sundog.core.scheduler import Decision, NoValidHost, ServerGroup, explain, host_reasons, why_not
from sundog.errors import InputError
from tests.builders import make_pool, make_request, make_scheduler


def varied() -> Pool:
    """h0 is small, h1 is down, h2 lacks the zone, h3 is half full, h4 is empty, h5 is down and lacks the zone."""
    pool = make_pool(6, {"VCPU": 8, "MEMORY_MB": 64}, zone="z")
    pool.set_inventory(0, {"VCPU": 2})
    pool.set_status(1, up=False)
    pool.set_zone(2, None)
    pool.claim(40, [(3, pool.classes.amounts({"VCPU": 4, "MEMORY_MB": 32}))])
    pool.set_status(5, enabled=False)
    pool.set_zone(5, None)
    return pool


REQUEST = make_request(4, 16, zone="z")


def test_the_funnel_counts_every_host_out_once() -> None:
    told = explain(make_scheduler(varied(), "worst-fit"), REQUEST)
    refused = {count.filter: (count.hosts, count.refused) for count in told.funnel if count.refused}
    assert refused == {
        "CapacityFilter": (6, 1),
        "AvailabilityZoneFilter": (5, 2),
        "ComputeFilter": (3, 1),
    }
    assert told.funnel[-1].hosts - told.funnel[-1].refused == 2
    assert isinstance(told.decision, Decision)
    assert told.decision.host == "h4"


def test_host_reasons_are_the_first_reason_of_each_host_that_is_out() -> None:
    assert host_reasons(make_scheduler(varied()), REQUEST) == {
        "h0": "CapacityFilter: capacity is 2 VCPU; asked 4",
        "h1": "ComputeFilter: the host is down",
        "h2": "AvailabilityZoneFilter: the host is in zone None; asked z",
        "h5": "AvailabilityZoneFilter: the host is in zone None; asked z",
    }


def test_the_best_hosts_come_in_order_with_score_and_breakdown() -> None:
    told = explain(make_scheduler(varied(), "nova"), REQUEST)
    assert [(each.host, each.rank, each.score) for each in told.best] == [("h4", 1, 2.0), ("h3", 2, 1.0)]
    assert told.best[0].breakdown["RAMWeigher"] == 1.0
    assert sum(told.best[0].breakdown.values()) == told.best[0].score
    assert [each.host for each in explain(make_scheduler(varied(), "nova"), REQUEST, best=1).best] == ["h4"]


def test_a_policy_without_scores_shows_the_feasible_hosts_in_the_order_of_the_fleet() -> None:
    told = explain(make_scheduler(varied(), "random"), REQUEST)
    assert [(each.host, each.rank, each.score, each.breakdown) for each in told.best] == [
        ("h3", 1, None, {}),
        ("h4", 2, None, {}),
    ]


def test_relaxations_say_what_leaving_out_one_filter_would_gain() -> None:
    told = explain(make_scheduler(varied()), REQUEST)
    assert {each.filter: each.hosts for each in told.relaxations} == {
        "CapacityFilter": 2,  # h0 has no room either, whatever its capacity
        "AvailabilityZoneFilter": 3,
        "ComputeFilter": 3,
        "ResourcesFilter": 2,
    }


def test_nothing_feasible_is_explained_too() -> None:
    told = explain(make_scheduler(varied()), make_request(9, zone="z"))
    assert isinstance(told.decision, NoValidHost)
    assert told.best == ()
    assert told.funnel == told.decision.funnel


def test_why_not_a_host_that_one_filter_refuses_names_the_one_to_relax() -> None:
    told = why_not(make_scheduler(varied()), REQUEST, "h1")
    assert (told.host, told.chosen, told.scored) == ("h1", False, None)
    assert told.failed == (("ComputeFilter", "the host is down"),)
    assert told.relax == "ComputeFilter"


def test_why_not_a_host_that_several_refuse_names_all_and_none_to_relax() -> None:
    told = why_not(make_scheduler(varied()), REQUEST, "h5")
    assert [name for name, _ in told.failed] == ["AvailabilityZoneFilter", "ComputeFilter"]
    assert told.relax is None


def test_why_not_a_host_that_was_outscored_gives_its_rank() -> None:
    told = why_not(make_scheduler(varied(), "best-fit"), REQUEST, "h4")
    assert (told.chosen, told.failed, told.relax) == (False, (), None)
    assert told.scored is not None
    assert (told.scored.rank, told.scored.host) == (2, "h4")


def test_why_not_the_chosen_host_says_that_it_is_chosen() -> None:
    told = why_not(make_scheduler(varied(), "best-fit"), REQUEST, "h3")
    assert told.chosen
    assert told.scored is not None
    assert told.scored.rank == 1


@pytest.mark.parametrize("rule", ["soft-affinity", "soft-anti-affinity"])
def test_a_host_that_only_a_soft_group_passes_over_is_said_to_be(rule: str) -> None:
    scheduler = make_scheduler(make_pool(2))
    group = ServerGroup("g", rule)  # type: ignore[arg-type]
    scheduler.place(make_request(group=group), 1)
    out = "h1" if rule == "soft-affinity" else "h0"
    reason = f"other hosts suit {rule} of g better"
    told = why_not(scheduler, make_request(group=group), out)
    assert told.failed == (("soft server group", reason),)
    assert told.relax == "soft server group"
    assert host_reasons(scheduler, make_request(group=group)) == {out: f"soft server group: {reason}"}


def test_why_not_a_host_that_is_not_there_is_an_input_error() -> None:
    pool = varied()
    scheduler = make_scheduler(pool)
    pool.add_provider("gpu", {"VCPU": 1}, parent=0)
    for name, hint in (("h44", "; did you mean 'h4'?"), ("gpu", "")):
        with pytest.raises(InputError, match=re.escape(f"there is no host '{name}' at this moment{hint}") + "$"):
            why_not(scheduler, REQUEST, name)
    pool.add_provider("late", {"VCPU": 8})
    assert why_not(scheduler, REQUEST, "late").relax is None
