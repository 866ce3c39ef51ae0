"""The built-in policies by example; ``tests/properties`` compares each with a naive one on random fleets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sundog.core.pool import Inventory, Pool
from sundog.core.scheduler import Decision, HostView, Scheduler, explain, host_reasons, load_policy, why_not
from tests.builders import make_pool, make_request, make_scheduler


def loaded(*used: float) -> Pool:
    """A host of 8 VCPUs for each amount already used."""
    pool = make_pool(len(used), {"VCPU": 8, "MEMORY_MB": 64})
    for host, amount in enumerate(used):
        pool.claim(40 + host, [(host, pool.classes.amounts({"VCPU": amount}))])
    return pool


def choices(scheduler: Scheduler, count: int, vcpus: float = 1) -> list[str]:
    placed = [scheduler.place(make_request(vcpus), consumer) for consumer in range(count)]
    return [each.host if isinstance(each, Decision) else "-" for each in placed]


@pytest.mark.parametrize(
    ("policy", "used", "expected"),
    [
        ("first-fit", (7, 0, 0), ["h0", "h1", "h1", "h1"]),
        ("next-fit", (6, 6, 0), ["h0", "h0", "h1", "h1"]),
        ("round-robin", (0, 0, 8, 0), ["h0", "h1", "h3", "h0"]),
        ("best-fit", (2, 6, 4), ["h1", "h1", "h2", "h2"]),
        ("worst-fit", (2, 6, 4), ["h0", "h0", "h0", "h2"]),
        ("dot-product", (2, 6, 4), ["h0", "h0", "h0", "h2"]),
        ("nova", (2, 6, 4), ["h0", "h0", "h0", "h2"]),
    ],
)
def test_a_policy_chooses_as_it_says(policy: str, used: tuple[float, ...], expected: list[str]) -> None:
    scheduler = make_scheduler(loaded(*used), policy)
    assert choices(scheduler, 2) == expected[:2]
    placed = [scheduler.place(make_request(1), consumer) for consumer in (2, 3)]
    assert [each.host for each in placed if isinstance(each, Decision)] == expected[2:]


def test_next_fit_never_looks_back_before_it_went_around() -> None:
    scheduler = make_scheduler(loaded(0, 7, 0), "next-fit")
    assert choices(scheduler, 3, vcpus=4) == ["h0", "h0", "h2"]
    scheduler.release(0)
    assert [scheduler.place(make_request(4), 10 + i).host for i in range(2)] == ["h2", "h0"]  # type: ignore[union-attr]


def test_equal_hosts_are_taken_in_the_order_of_the_fleet() -> None:
    for policy in ("best-fit", "worst-fit", "dot-product", "nova"):
        decision = make_scheduler(make_pool(5), policy).decide(make_request())
        assert isinstance(decision, Decision)
        assert decision.host == "h0"


def test_an_empty_request_goes_to_the_first_host_that_any_policy_would_take() -> None:
    for policy in ("first-fit", "next-fit", "round-robin", "best-fit", "worst-fit", "dot-product"):
        decision = make_scheduler(make_pool(3), policy).place(make_request(0), 1)
        assert isinstance(decision, Decision)
        assert decision.host == "h0"


def test_weights_change_what_counts_as_room() -> None:
    pool = make_pool(2, {"VCPU": 8, "MEMORY_MB": 64})
    pool.claim(40, [(0, pool.classes.amounts({"VCPU": 4}))])
    pool.claim(41, [(1, pool.classes.amounts({"MEMORY_MB": 40}))])
    request = make_request(1, 1)
    for weights, expected in ((None, "h1"), ({"VCPU": 3.0}, "h0"), ({"MEMORY_MB": 0.0}, "h0")):
        for policy, host in (("best-fit", expected), ("worst-fit", "h0" if expected == "h1" else "h1")):
            decision = make_scheduler(pool, policy, parameters={"weights": weights}).decide(request)
            assert isinstance(decision, Decision)
            assert decision.host == host


# ---------------------------------------------------------------- random


def test_random_is_repeatable_by_seed_and_differs_between_seeds() -> None:
    def run(seed: int) -> list[str]:
        return choices(make_scheduler(make_pool(10), "random", seed=seed), 30)

    assert run(3) == run(3)
    assert run(3) != run(4)
    assert len(set(run(3))) > 5


def test_random_is_not_moved_by_explaining_or_by_deciding_without_committing() -> None:
    plain, curious = (make_scheduler(make_pool(10), "random", seed=5) for _ in range(2))
    for consumer in range(20):
        request = make_request()
        for _ in range(3):
            explain(curious, request)
            curious.decide(request)
            host_reasons(curious, request)
            why_not(curious, request, "h3")
        assert curious.place(request, consumer) == plain.place(request, consumer)


def test_random_reaches_every_feasible_host_and_no_other() -> None:
    pool = make_pool(5)
    pool.set_status(2, up=False)
    scheduler = make_scheduler(pool, "random")
    seen = []
    for sequence in range(300):
        scheduler.hosts.sequence = sequence
        decision = scheduler.decide(make_request())
        assert isinstance(decision, Decision)
        seen.append(decision.row)
    counts = np.bincount(seen, minlength=5)
    assert counts[2] == 0
    assert min(counts[[0, 1, 3, 4]]) > 40  # 75 each on average; the seed is fixed


# ---------------------------------------------------------------- nova


def nova_view(pool: Pool, request: Any = None, **options: Any) -> tuple[Any, Any, HostView]:
    policy, request = load_policy("nova", options), request or make_request(1, 1)
    scheduler = Scheduler(pool, policy)
    return policy, request, HostView(scheduler.hosts, *scheduler.feasible(request))


def test_novas_resource_weights_go_from_zero_to_the_best_feasible_host() -> None:
    pool = make_pool(4, {"VCPU": 8, "MEMORY_MB": 100})
    for host, used in enumerate((0, 20, 80)):
        pool.claim(host, [(host, pool.classes.amounts({"MEMORY_MB": used}))])
    pool.set_inventory(3, {"MEMORY_MB": 100_000})
    pool.set_status(3, up=False)
    policy, request, view = nova_view(pool)
    parts = policy.breakdown(request, view)
    assert parts["RAMWeigher"][:3].tolist() == [1.0, 0.8, 0.2], "not from the least of them: Nova scales from 0"
    assert parts["CPUWeigher"].tolist() == [1, 1, 1, 1], "all equal, and above 0, is all 1"
    assert policy.score(request, view)[:3].tolist() == [2.0, 1.8, 1.2]


def test_novas_other_weights_span_zero_to_one_over_the_feasible_hosts() -> None:
    pool = make_pool(4)
    for host, servers in enumerate((1, 3, 5)):
        for number in range(servers):
            pool.claim(host * 10 + number, [(host, ())])
    pool.set_status(3, up=False)
    policy, request, view = nova_view(pool, num_instances_weight_multiplier=2.0)
    assert policy.breakdown(request, view)["NumInstancesWeigher"][:3].tolist() == [0.0, 1.0, 2.0]


def test_memory_that_is_overcommitted_weighs_nothing() -> None:
    pool = make_pool(3, {"VCPU": 8, "MEMORY_MB": Inventory(100, 0, 2.0)})
    for host, used in enumerate((150, 90, 180)):
        pool.claim(host, [(host, pool.classes.amounts({"MEMORY_MB": used}))])
    policy, request, view = nova_view(pool)
    assert policy.breakdown(request, view)["RAMWeigher"].tolist() == [0.0, 1.0, 0.0]


def test_a_single_feasible_host_is_not_weighed() -> None:
    policy, request, view = nova_view(make_pool(1))
    assert policy.score(request, view).tolist() == [0.0]
    assert policy.breakdown(request, view)["RAMWeigher"].tolist() == [0.0]


def test_novas_multipliers_weigh_and_a_negative_one_turns_around() -> None:
    pool = loaded(2, 6, 4)
    for multiplier, expected in ((1.0, "h0"), (-1.0, "h1")):
        decision = make_scheduler(pool, "nova", parameters={"cpu_weight_multiplier": multiplier}).decide(make_request())
        assert isinstance(decision, Decision)
        assert decision.host == expected
    policy, request, view = nova_view(pool, cpu_weight_multiplier=0.0, ram_weight_multiplier=2.5)
    assert "CPUWeigher" not in policy.breakdown(request, view)
    assert policy.score(request, view).tolist() == [2.5, 2.5, 2.5]


def test_nova_weighs_physical_memory_and_disk_but_vcpus_with_their_ratio() -> None:
    pool = make_pool(0)
    pool.add_provider("h0", {"VCPU": Inventory(8, 0, 4.0), "MEMORY_MB": Inventory(100, 10, 1.5), "DISK_GB": 10})
    pool.add_provider("h1", {"VCPU": 16, "MEMORY_MB": 100, "DISK_GB": 20})
    policy, request, view = nova_view(pool)
    parts = policy.breakdown(request, view)
    assert parts["RAMWeigher"].tolist() == [0.9, 1], "90 left of 100 less 10 reserved, not 135"
    assert parts["CPUWeigher"].tolist() == [1, 0.5], "32 with the ratio against 16"
    assert parts["DiskWeigher"].tolist() == [0.5, 1]


def test_nova_works_in_a_pool_without_the_classes_it_weighs() -> None:
    pool = make_pool(2, {"CUSTOM_FPGA": 4}, classes=["CUSTOM_FPGA"])
    decision = make_scheduler(pool, "nova").decide(make_request(resources={"CUSTOM_FPGA": 1}))
    assert isinstance(decision, Decision)
    assert decision.host == "h0"


def test_num_instances_is_off_until_it_is_given_a_multiplier() -> None:
    pool = make_pool(3)
    pool.claim(1, [(2, ())])
    for multiplier, expected in ((None, "h0"), (1.0, "h2"), (-1.0, "h0")):
        parameters = {} if multiplier is None else {"num_instances_weight_multiplier": multiplier}
        decision = make_scheduler(pool, "nova", parameters=parameters).decide(make_request())
        assert isinstance(decision, Decision)
        assert decision.host == expected


def test_host_subset_size_spreads_over_the_best_hosts_and_no_further() -> None:
    pool = loaded(0, 1, 2, 3, 4)
    scheduler = make_scheduler(pool, "nova", parameters={"host_subset_size": 3})
    seen = []
    for sequence in range(60):
        scheduler.hosts.sequence = sequence
        decision = scheduler.decide(make_request())
        assert isinstance(decision, Decision)
        seen.append(decision.host)
    assert sorted(set(seen)) == ["h0", "h1", "h2"]
    few = make_scheduler(loaded(8, 1), "nova", parameters={"host_subset_size": 99}).decide(make_request())
    assert isinstance(few, Decision)
    assert few.host == "h1", "a subset larger than what is feasible is what is feasible"
