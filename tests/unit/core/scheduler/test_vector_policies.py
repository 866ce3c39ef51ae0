"""The vector policies and power-of-k-choices, by hand-made cases whose answer is worked out on paper."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from sundog.core.pool import Pool
from sundog.core.scheduler import Decision, HostView, Outlook, Scheduler, load_policy, make_shape
from sundog.errors import InputError
from tests.builders import make_pool, make_request, make_scheduler


def used(*amounts: tuple[float, float], size: Mapping[str, float] | None = None) -> Pool:
    """A host of 10 VCPU and 100 MEMORY_MB for each (VCPU, MEMORY_MB) in use."""
    pool = make_pool(len(amounts), size or {"VCPU": 10, "MEMORY_MB": 100})
    for host, (vcpus, memory) in enumerate(amounts):
        pool.claim(40 + host, [(host, pool.classes.amounts({"VCPU": vcpus, "MEMORY_MB": memory}))])
    return pool


def scores(pool: Pool, policy: str, vcpus: float, memory: float, **parameters: object) -> list[float]:
    made = load_policy(policy, parameters)
    request = make_request(vcpus, memory)
    scheduler = Scheduler(pool, made)
    values: list[float] = made.score(request, HostView(scheduler.hosts, *scheduler.feasible(request))).tolist()
    return values


def test_cosine_prefers_the_host_that_is_free_in_the_proportion_asked() -> None:
    pool = used((0, 0), (8, 20), (2, 80))  # free: 1:1 long, 0.2:0.8, 0.8:0.2
    found = scores(pool, "cosine", 1, 40)  # asks 0.1 : 0.4, as the second host has free
    assert found[1] == pytest.approx(1.0)
    assert found[0] == pytest.approx((0.1 + 0.4) / (math.sqrt(2) * math.hypot(0.1, 0.4)))
    assert scores(pool, "dot-product", 1, 40)[0] > scores(pool, "dot-product", 1, 40)[1], (
        "but the dot product is longer"
    )


def test_cosine_of_nothing_is_zero() -> None:
    assert scores(used((10, 100), (0, 0)), "cosine", 0, 0) == [0.0, 0.0]
    assert scores(used((10, 100), (0, 0)), "cosine", 1, 0) == [0.0, 1.0]


def test_l2_norm_prefers_what_is_left_evenly_where_best_fit_sees_no_difference() -> None:
    pool = used((4, 0), (2, 20))  # left after (1, 10): 0.5 and 0.9 against 0.7 and 0.7
    assert scores(pool, "best-fit", 1, 10) == pytest.approx([-1.4, -1.4])
    assert scores(pool, "l2-norm", 1, 10) == pytest.approx([-(0.25 + 0.81), -(0.49 + 0.49)])
    assert scores(pool, "l2-norm", 1, 10, weights={"MEMORY_MB": 0}) == pytest.approx([-0.25, -0.49])


def test_perp_distance_prefers_the_host_that_the_server_evens_out() -> None:
    pool = used((0, 0), (6, 20), (2, 60))
    found = scores(pool, "perp-distance", 4, 10)
    assert found == pytest.approx([-0.3 / math.sqrt(2), -0.3 / math.sqrt(2), 0.3 / math.sqrt(2)])


def test_perp_distance_measures_each_host_by_its_own_capacity() -> None:
    pool = used((0, 0))
    pool.add_provider("h1", {"VCPU": 40, "MEMORY_MB": 100})
    assert scores(pool, "perp-distance", 4, 10) == pytest.approx([-0.3 / math.sqrt(2), 0.0])


def test_weights_of_the_dot_product_let_the_scarce_class_decide() -> None:
    pool = used((8, 0), (0, 90))  # free: 0.2 and 1.0 against 1.0 and 0.1
    assert scores(pool, "weighted-dot-product", 1, 10) == pytest.approx([0.12, 0.11])
    assert scores(pool, "weighted-dot-product", 1, 10, weights={"VCPU": 3}) == pytest.approx([0.16, 0.31])
    bent = scores(pool, "weighted-dot-product", 1, 10, weights={"VCPU": 1, "MEMORY_MB": 0}, exponent=2)
    assert bent == pytest.approx([0.02 * math.exp(2) + 0.1, 0.1 * math.exp(2) + 0.01])


def test_a_workload_known_beforehand_gives_the_weights() -> None:
    pool = make_pool(2, {"VCPU": 10, "MEMORY_MB": 100})
    shapes = (make_shape({"VCPU": 4, "MEMORY_MB": 10}), make_shape({"VCPU": 1}))
    nothing = np.zeros(3)
    outlook = Outlook(pool, shapes, np.asarray([0, 1, 1], dtype=np.int32), nothing, nothing)
    assert outlook.counts().tolist() == [1, 2]
    assert outlook.scarcity() == pytest.approx({"VCPU": 6 / 20, "MEMORY_MB": 10 / 200})
    policy = load_policy("weighted-dot-product")
    policy.prepare(outlook)
    assert policy.parameters(("MEMORY_MB", "VCPU")) == pytest.approx([0.05, 0.3])
    fixed = load_policy("weighted-dot-product", {"weights": {"VCPU": 2}})
    fixed.prepare(outlook)
    assert fixed.parameters(("MEMORY_MB", "VCPU")) == [1.0, 2.0], "weights that are given stay"


# ---------------------------------------------------------------- power of k


def test_the_best_of_the_sample_is_chosen_and_only_feasible_hosts_are_drawn() -> None:
    pool = used((9, 0), (5, 0), (0, 0), (3, 0))
    pool.set_status(2, up=False)
    for by, order in (("worst-fit", [3, 1, 0]), ("best-fit", [0, 1, 3])):
        scheduler = make_scheduler(pool, "power-of-k", parameters={"k": 2, "by": by}, seed=11)
        for sequence in range(50):
            scheduler.hosts.sequence = sequence
            drawn = {(0, 1, 3)[int(scheduler.hosts.uniform(draw) * 3)] for draw in (0, 1)}
            decision = scheduler.decide(make_request(1))
            assert isinstance(decision, Decision)
            assert decision.row == next(host for host in order if host in drawn)


def test_one_choice_is_random_placement() -> None:
    one, chance = (
        make_scheduler(make_pool(7), name, parameters=p) for name, p in (("power-of-k", {"k": 1}), ("random", {}))
    )
    for consumer in range(30):
        assert one.place(make_request(), consumer) == chance.place(make_request(), consumer)


def test_draws_of_a_decision_differ_and_the_first_is_what_it_was() -> None:
    hosts = make_scheduler(make_pool(1), seed=1234).hosts
    assert hosts.uniform() == hosts.uniform(0) == 0.730666524540624
    draws = [hosts.uniform(draw) for draw in range(2000)]
    assert len(set(draws)) == 2000
    assert abs(np.mean(draws) - 0.5) < 0.02
    hosts.sequence = 1
    assert hosts.uniform(1) not in draws


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("power-of-k", {"k": 0}, "k is 0; it must be a whole number of 1 or more"),
        ("power-of-k", {"k": True}, "k is True"),
        ("power-of-k", {"by": "random"}, "by is 'random'; it must be one of worst-fit"),
        ("weighted-dot-product", {"exponent": math.inf}, "exponent is inf; give a finite number"),
        ("l2-norm", {"weights": {"VCPU": -1}}, "weight -1 of VCPU is not a finite number"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_policy(name, parameters)
