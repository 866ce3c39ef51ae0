"""Each filter: which hosts pass, and what is said of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sundog.core.pool import Inventory, Pool
from sundog.core.scheduler import DEFAULT_FILTERS, TOO_LARGE, Decision, Devices, NoValidHost, ServerGroup, host_reasons
from sundog.errors import PoolError
from tests.builders import make_pool, make_request, make_scheduler

GPU = Devices((("PGPU", 1.0),), 2)


def varied() -> Pool:
    """Four hosts that differ in everything a filter looks at."""
    pool = make_pool(0, classes=["VCPU", "MEMORY_MB", "DISK_GB", "PGPU"])
    pool.add_provider("h0", {"VCPU": 8, "MEMORY_MB": 64}, zone="z1", traits=["CUSTOM_A"], aggregates=["x"])
    pool.add_provider(
        "h1", {"VCPU": 4, "MEMORY_MB": 64}, zone="z2", traits=["CUSTOM_A", "CUSTOM_B"], aggregates=["x", "y"]
    )
    pool.add_provider("h2", {"VCPU": Inventory(8, min_unit=2, max_unit=6, step_size=2)}, zone="z2", traits=["CUSTOM_C"])
    pool.add_provider("h3", {"VCPU": 8, "MEMORY_MB": 64, "DISK_GB": 10})
    pool.add_providers(["d0", "d1"], {"PGPU": 1}, parent=0)
    pool.add_providers(["d2"], {"PGPU": 1}, parent=3)
    return pool


@pytest.mark.parametrize(
    ("request_of", "passing", "reasons"),
    [
        ({"vcpus": 6}, [0, 2, 3], {"h1": "CapacityFilter: capacity is 4 VCPU; asked 6"}),
        ({"vcpus": 1, "force": ("h2",)}, [], {"h2": "CapacityFilter: VCPU is given with min_unit 2; asked 1"}),
        ({"vcpus": 3, "force": ("h2",)}, [], {"h2": "CapacityFilter: VCPU is given with step_size 2; asked 3"}),
        ({"vcpus": 8, "force": ("h2",)}, [], {"h2": "CapacityFilter: VCPU is given with max_unit 6; asked 8"}),
        (
            {"vcpus": 2, "devices": GPU},
            [0],
            dict.fromkeys(("h1", "h2", "h3"), "CapacityFilter: too few devices; asked 2 x (1 PGPU)"),
        ),
        (
            {"vcpus": 2, "required_traits": ["CUSTOM_A", "CUSTOM_B"]},
            [1],
            {
                "h0": "TraitsFilter: the host lacks trait CUSTOM_B",
                "h2": "TraitsFilter: the host lacks trait CUSTOM_A",
                "h3": "TraitsFilter: the host lacks trait CUSTOM_A",
            },
        ),
        (
            {"vcpus": 2, "forbidden_traits": ["CUSTOM_B", "CUSTOM_NEVER"]},
            [0, 2, 3],
            {"h1": "TraitsFilter: the host has forbidden trait CUSTOM_B"},
        ),
        (
            {"vcpus": 2, "any_traits": [["CUSTOM_B", "CUSTOM_C"], ["CUSTOM_A", "CUSTOM_C"]]},
            [1, 2],
            {
                "h0": "TraitsFilter: the host has none of the traits CUSTOM_B, CUSTOM_C",
                "h3": "TraitsFilter: the host has none of the traits CUSTOM_A, CUSTOM_C",
            },
        ),
        (
            {"resources": {}, "variants": {"CUSTOM_B": {"VCPU": 4}, "CUSTOM_A": {"VCPU": 8}}},
            [0, 1],
            dict.fromkeys(("h2", "h3"), "TraitsFilter: the host has none of the traits CUSTOM_B, CUSTOM_A"),
        ),
        (
            {"vcpus": 2, "aggregates": [["x"], ["y", "w"]]},
            [1],
            {
                "h0": "AggregatesFilter: asked one of w, y and one of x; the host is in x",
                "h2": "AggregatesFilter: asked one of w, y and one of x; the host is in none",
                "h3": "AggregatesFilter: asked one of w, y and one of x; the host is in none",
            },
        ),
        (
            {"vcpus": 2, "zone": "z2"},
            [1, 2],
            {
                "h0": "AvailabilityZoneFilter: the host is in zone z1; asked z2",
                "h3": "AvailabilityZoneFilter: the host is in zone None; asked z2",
            },
        ),
        (
            {"vcpus": 2, "zone": "nowhere"},
            [],
            {"h0": "AvailabilityZoneFilter: the host is in zone z1; asked nowhere"},
        ),
        (
            {"vcpus": 2, "force": ("h1", "h3", "h77")},
            [1, 3],
            dict.fromkeys(("h0", "h2"), "ForcedHostsFilter: the request forces h1, h3, h77"),
        ),
        (
            {"vcpus": 2, "ignore": ("h1", "h77", "d0")},
            [0, 2, 3],
            {"h1": "IgnoredHostsFilter: the request ignores this host"},
        ),
        ({"vcpus": 0}, [0, 1, 2, 3], {}),
    ],
)
def test_a_filter_passes_the_right_hosts_and_says_why_not_the_others(
    request_of: dict[str, Any], passing: list[int], reasons: dict[str, str]
) -> None:
    scheduler, request = make_scheduler(varied()), make_request(**request_of)
    _, feasible = scheduler.feasible(request)
    assert feasible.nonzero()[0].tolist() == passing
    told = host_reasons(scheduler, request)
    assert {host: told[host] for host in reasons} == reasons
    assert len(told) == 4 - len(passing)


def test_hosts_that_are_down_or_disabled_are_out_until_they_are_back() -> None:
    pool = make_pool(3)
    scheduler, request = make_scheduler(pool), make_request()
    pool.set_status(0, up=False)
    pool.set_status(1, enabled=False)
    decision = scheduler.decide(request)
    assert isinstance(decision, Decision)
    assert decision.host == "h2"
    told = host_reasons(scheduler, request)
    assert told == {"h0": "ComputeFilter: the host is down", "h1": "ComputeFilter: the host is disabled"}
    pool.set_status(0, up=True)
    decision = scheduler.decide(request)
    assert isinstance(decision, Decision)
    assert decision.host == "h0"


def test_resources_reasons_name_every_class_that_is_short() -> None:
    pool = varied()
    scheduler = make_scheduler(pool)
    scheduler.place(make_request(7, 60, devices=GPU), 1)
    told = host_reasons(scheduler, make_request(2, 10, devices=GPU))
    assert told["h0"] == (
        "ResourcesFilter: 1 VCPU free, asked 2; 4 MEMORY_MB free, asked 10; 0 devices have room, asked 2 x (1 PGPU)"
    )
    assert host_reasons(scheduler, make_request(2, 1))["h0"] == "ResourcesFilter: 1 VCPU free, asked 2"


def test_a_hard_affinity_group_stays_where_its_first_member_went() -> None:
    pool = make_pool(3)
    scheduler, group = make_scheduler(pool, "round-robin"), ServerGroup("g", "affinity")
    hosts = [scheduler.place(make_request(3, group=group), consumer) for consumer in range(3)]
    assert [getattr(each, "host", None) for each in hosts] == ["h0", "h0", None]
    assert isinstance(hosts[2], NoValidHost)
    assert hosts[2].reason == "no room: VCPU"
    told = host_reasons(scheduler, make_request(1, group=group))
    assert told == dict.fromkeys(("h1", "h2"), "ServerGroupAffinityFilter: server group g (affinity) is on h0")
    scheduler.release(0, group)
    scheduler.release(1, group)
    moved = scheduler.place(make_request(1, group=group), 9)
    assert isinstance(moved, Decision)
    assert moved.host == "h1", "an empty group is free again, and round robin goes on"


@pytest.mark.parametrize(("limit", "expected"), [(1, ["h0", "h1", None]), (2, ["h0", "h0", "h1", "h1", None])])
def test_a_hard_anti_affinity_group_keeps_to_max_server_per_host(limit: int, expected: list[str | None]) -> None:
    scheduler, group = make_scheduler(make_pool(2)), ServerGroup("g", "anti-affinity", limit)
    placed = [scheduler.place(make_request(1, group=group), consumer) for consumer in range(len(expected))]
    assert [getattr(each, "host", None) for each in placed] == expected
    assert isinstance(placed[-1], NoValidHost)
    assert placed[-1].reason == "server group anti-affinity"
    assert host_reasons(scheduler, make_request(1, group=group))["h0"] == (
        f"ServerGroupAntiAffinityFilter: server group g (anti-affinity) has {limit} here; {limit} may share a host"
    )


@pytest.mark.parametrize("policy", ["first-fit", "best-fit", "nova"])
def test_soft_groups_gather_or_spread_while_they_can_and_never_refuse(policy: str) -> None:
    parameters = {"soft_affinity_weight_multiplier": 10.0, "soft_anti_affinity_weight_multiplier": 10.0}
    for rule, expected in (("soft-affinity", 1), ("soft-anti-affinity", 3)):
        scheduler = make_scheduler(make_pool(3), policy, parameters=parameters if policy == "nova" else None)
        group = ServerGroup("g", rule)  # type: ignore[arg-type]
        placed = [scheduler.place(make_request(2, group=group), consumer) for consumer in range(3)]
        assert len({each.row for each in placed if isinstance(each, Decision)}) == expected
        more = [scheduler.place(make_request(2, group=group), consumer) for consumer in range(3, 12)]
        assert all(isinstance(each, Decision) for each in more)
        assert isinstance(scheduler.place(make_request(2, group=group), 12), NoValidHost)


@pytest.mark.parametrize(
    ("request_of", "reason"),
    [
        ({"vcpus": 99}, TOO_LARGE),
        ({"required_traits": ["CUSTOM_NEVER"]}, "traits"),
        ({"aggregates": [["nowhere"]]}, "aggregates"),
        ({"zone": "nowhere"}, "zone"),
        ({"force": ("h77",)}, "forced host"),
        ({"ignore": ("h0", "h1", "h2")}, "ignored hosts"),
        ({"vcpus": 8}, "no room: VCPU"),
        ({"vcpus": 8, "memory": 1024}, "no room: VCPU, MEMORY_MB"),
        ({"any_traits": [[]]}, "traits"),
    ],
)
def test_the_reason_is_a_short_phrase_of_the_filter_that_refused_the_last(
    request_of: dict[str, Any], reason: str
) -> None:
    scheduler = make_scheduler(make_pool(3))
    for consumer in range(3):
        scheduler.place(make_request(2, 10, force=(f"h{consumer}",)), consumer)
    answer = scheduler.decide(make_request(**request_of))
    assert isinstance(answer, NoValidHost)
    assert answer.reason == reason
    assert [count.filter for count in answer.funnel] == [each.name for each in DEFAULT_FILTERS]


def test_one_of_no_traits_is_had_by_no_host() -> None:
    told = host_reasons(make_scheduler(make_pool(1)), make_request(any_traits=[[]]))
    assert told == {"h0": "TraitsFilter: the traits differ"}


def test_out_of_service_and_no_hosts_at_all_are_reasons_too() -> None:
    pool = make_pool(1)
    pool.set_status(0, up=False)
    answers = [make_scheduler(pool).decide(make_request()), make_scheduler(make_pool(0)).decide(make_request())]
    assert [each.reason for each in answers if isinstance(each, NoValidHost)] == ["no host in service", "no hosts"]


def test_room_of_every_class_but_never_together_is_fragmentation() -> None:
    scheduler = make_scheduler(make_pool(2))
    scheduler.place(make_request(7, 1, force=("h0",)), 1)
    scheduler.place(make_request(1, 1020, force=("h1",)), 2)
    answer = scheduler.decide(make_request(4, 500))
    assert isinstance(answer, NoValidHost)
    assert answer.reason == "no room: fragmentation"


def test_a_shortage_of_devices_is_named() -> None:
    pool = varied()
    scheduler = make_scheduler(pool)
    scheduler.place(make_request(1, devices=GPU), 1)
    answer = scheduler.decide(make_request(1, devices=GPU))
    assert isinstance(answer, NoValidHost)
    assert answer.reason == "no room: PGPU"


def test_a_shortage_counts_only_hosts_that_the_other_filters_leave() -> None:
    pool = make_pool(2)
    pool.set_zone(0, "z1")
    scheduler = make_scheduler(pool)
    scheduler.place(make_request(8, zone="z1"), 1)
    answer = scheduler.decide(make_request(1, 1, zone="z1", ignore=("h9",)))
    assert isinstance(answer, NoValidHost)
    assert answer.reason == "no room: VCPU", "h1 has room, but not in the zone"


def test_hosts_without_a_class_are_passed_over_quietly() -> None:
    """A host given no disk has step_size 1 for it, not 0: a remainder by zero would warn, and warnings are errors."""
    pool = make_pool(2, {"VCPU": 4})
    pool.add_provider("h2", {"VCPU": 4, "DISK_GB": 10})
    decision = make_scheduler(pool).decide(make_request(resources={"VCPU": 1, "DISK_GB": 4}))
    assert isinstance(decision, Decision)
    assert decision.host == "h2"


def test_an_unknown_class_or_a_fraction_is_an_error_of_the_caller() -> None:
    scheduler = make_scheduler(make_pool(1))
    with pytest.raises(PoolError, match="no resource class 'VGPU'"):
        scheduler.decide(make_request(resources={"VGPU": 1}))
    with pytest.raises(PoolError, match="declare the class with a larger scale"):
        scheduler.decide(make_request(0.5))


def test_a_class_added_later_can_be_asked_for_at_once() -> None:
    pool = make_pool(2)
    scheduler = make_scheduler(pool)
    pool.classes.add("CUSTOM_FPGA")
    request = make_request(resources={"CUSTOM_FPGA": 1})
    answer = scheduler.decide(request)
    assert isinstance(answer, NoValidHost)
    assert answer.reason == TOO_LARGE
    pool.set_inventory(1, {"CUSTOM_FPGA": 2})
    decision = scheduler.place(request, 1)
    assert isinstance(decision, Decision)
    assert decision.host == "h1"


class Odd:
    """A filter of one's own: hosts with an odd number."""

    name = "Odd"
    static = False

    def passes(self, request: Any, demand: Any, hosts: Any) -> Any:
        return np.asarray([bool(int(hosts.name(host)[1:]) % 2) for host in range(hosts.n)])

    def reason(self, request: Any, demand: Any, hosts: Any, host: int) -> str:
        return "even"


def test_a_filter_of_ones_own_takes_part_and_names_the_refusal() -> None:
    scheduler = make_scheduler(make_pool(3), filters=(Odd(), *DEFAULT_FILTERS))
    decision = scheduler.decide(make_request())
    assert isinstance(decision, Decision)
    assert decision.host == "h1"
    assert host_reasons(scheduler, make_request())["h0"] == "Odd: even"
    answer = make_scheduler(make_pool(1), filters=(Odd(), *DEFAULT_FILTERS)).decide(make_request())
    assert isinstance(answer, NoValidHost)
    assert answer.reason == "Odd"


def test_own_filters_that_let_through_what_the_pool_refuses_are_named_as_the_cause() -> None:
    scheduler = make_scheduler(make_pool(1), filters=())
    with pytest.raises(PoolError, match="h0 has 8 of 8 VCPU free; asked 9, but no filter refused it: filters must"):
        scheduler.place(make_request(9), 1)
    with pytest.raises(PoolError, match="h0 has too few devices, but no filter refused it"):
        scheduler.decide(make_request(1, devices=Devices((("DISK_GB", 1),))))


@pytest.mark.parametrize(("rule", "expected"), [("soft-anti-affinity", "h2"), ("soft-affinity", "h1")])
def test_a_soft_group_looks_at_feasible_hosts_only(rule: Any, expected: str) -> None:
    """h0 would suit the group best, having none or most of its members, but is down."""
    pool, group = make_pool(3), ServerGroup("g", rule)
    scheduler = make_scheduler(pool)
    for row, members in enumerate([0, 2, 1] if rule == "soft-anti-affinity" else [3, 2, 1]):
        for _ in range(members):
            scheduler.groups.join("g", row)
    pool.set_status(0, up=False)
    decision = scheduler.decide(make_request(group=group))
    assert isinstance(decision, Decision)
    assert decision.host == expected
