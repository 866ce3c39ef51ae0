"""Lifetime-aware placement on hand-made cases, and its predictors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from sundog.core.scheduler import HostView, Outlook, Scheduler, check_policy, load_policy, make_shape
from sundog.core.scheduler.policies.lifetime import EDGES, Expected, Oracle
from sundog.errors import InputError
from sundog.sim.engine import Engine
from sundog.sim.outlook import prepare_policy
from sundog.sim.requests import build_workload
from sundog.sim.spec import FaultsSpec
from tests.builders import make_pool, make_request
from tests.unit.sim.worlds import finish, make_engine, make_fleet, make_frame, make_hosts, make_vm

HOUR = 3600.0


def hosts_used(rows: list[dict[str, Any]], policy: str, **parameters: Any) -> list[int]:
    fleet = make_fleet(make_hosts(3, 8))
    workload = build_workload(make_frame(rows), fleet)
    chosen = load_policy(policy, parameters)
    prepare_policy(chosen, fleet, workload)
    stays = finish(Engine(fleet, workload, chosen, policy_name=policy)).record.stays
    return stays.host.tolist()


SHORT_AND_LONG = [
    make_vm(0, 1 * HOUR, 5, 1000),  # h0, which is then to end in an hour
    make_vm(1, 10 * HOUR, 4, 2000),  # fits beside it on no host: h1, to end in ten
    make_vm(2, 10 * HOUR, 1, 3000),  # h0 is the tighter fit, and would live nine hours longer for it
]


def test_where_best_fit_keeps_a_host_busy_that_would_have_become_empty() -> None:
    assert hosts_used(SHORT_AND_LONG, "best-fit") == [0, 1, 0]
    assert hosts_used(SHORT_AND_LONG, "nilas", predictor="oracle") == [0, 1, 1]
    assert hosts_used(SHORT_AND_LONG, "nilas", predictor="oracle", repredict=False) == [0, 1, 1]


def test_a_server_that_ends_before_the_host_goes_by_room_alone() -> None:
    rows = [make_vm(0, 20 * HOUR, 5), make_vm(1, 10 * HOUR, 4), make_vm(2, 5 * HOUR, 1)]
    assert hosts_used(rows, "nilas", predictor="oracle") == [0, 1, 0], "it puts off neither, and h0 is tighter"


def test_small_extensions_count_alike_and_large_ones_do_not() -> None:
    rows = [make_vm(0, 1.0 * HOUR, 5), make_vm(1, 1.2 * HOUR, 4), make_vm(2, 1.4 * HOUR, 1)]
    assert hosts_used(rows, "nilas", predictor="oracle") == [0, 1, 0], "both within the first half hour"
    assert hosts_used(rows, "nilas", predictor="oracle", edges=[0, 0.3 * HOUR]) == [0, 1, 1]


def test_an_empty_host_is_begun_last() -> None:
    rows = [make_vm(0, 10.0, 1), make_vm(1, 100 * HOUR, 1), make_vm(2, 100 * HOUR, 1)]
    assert hosts_used(rows, "nilas", predictor="oracle") == [0, 0, 0]


def test_one_wrong_prediction_is_renewed_when_its_time_is_up() -> None:
    """The first VM was expected to end after an hour, and is still there after three."""
    flavor = {"vcpus": 5.0, "memory_mb": 1000.0}
    rows = [
        make_vm(0, 30 * HOUR, **flavor),
        make_vm(1, 6 * HOUR, 4, 2000),
        make_vm(4 * HOUR, 4 * HOUR, 1, 3000),
    ]

    class Wrong:
        """Expects the 5-VCPU flavor to live an hour; once it has, as long again as it has lived."""

        def remaining(self, consumer: int, shape: Any, age_s: float) -> float:
            if dict(shape.resources)["VCPU"] == 5:
                return 1 * HOUR - age_s if age_s < HOUR else 3 * age_s
            return float({1: 6 * HOUR, 2: 4 * HOUR}[consumer] - age_s)

    def played(repredict: bool) -> list[int]:
        fleet = make_fleet(make_hosts(2, 8))
        workload = build_workload(make_frame(rows), fleet)
        policy = load_policy("nilas", {"predictor": "oracle", "repredict": repredict})
        policy.predictor = Wrong()
        return finish(Engine(fleet, workload, policy)).record.stays.host.tolist()

    assert played(repredict=True) == [0, 1, 0], "h0 will be there anyway"
    assert played(repredict=False) == [0, 1, 1], "h0 is believed to be over"


def test_it_follows_evacuations_migrations_and_departures() -> None:
    dice = np.random.Generator(np.random.PCG64(5))
    rows = [make_vm(float(i), float(dice.integers(1, 400)), float(dice.choice([1, 2])), 1000) for i in range(120)]
    faults = FaultsSpec.model_validate({"hosts": {"mtbf": "2 min", "mttr": "20 s"}})
    engine = make_engine(rows, make_fleet(make_hosts(6, 8)), policy="nilas", faults=faults, horizon=600, seed=3)
    finish(engine)
    policy, pool = engine.scheduler.policy, engine.pool
    alive = {vm: int(pool.root[pool.allocations(vm)[0].row]) for vm in range(120) if pool.allocations(vm)}
    assert policy._at == alive
    assert {vm: row for row, there in policy._there.items() for vm in there} == alive


def test_explaining_and_asking_again_changes_nothing() -> None:
    assert check_policy("nilas").decisions > 100
    assert check_policy(load_policy("nilas", {"predictor": "oracle", "noise": 0.5})).decisions > 100


def test_the_score_is_what_it_is_made_of() -> None:
    policy = load_policy("nilas")
    scheduler = Scheduler(make_pool(2), policy)
    request = make_request(2, 512)
    view = HostView(scheduler.hosts, *scheduler.feasible(request))
    parts = policy.breakdown(request, view)
    assert parts["extension"].tolist() == [-2000.0, -2000.0], "an unknown flavor: an hour, which is the second step"
    assert policy.score(request, view).tolist() == (parts["extension"] + parts["room"]).tolist()
    assert EDGES[2] == HOUR


# ---------------------------------------------------------------- predictors


def outlook(lifetimes: list[float], shapes: list[int]) -> Outlook:
    kinds = (make_shape({"VCPU": 1}), make_shape({"VCPU": 2}))
    zeros = np.zeros(len(shapes))
    return Outlook(make_pool(1), kinds, np.asarray(shapes, dtype=np.int32), zeros, np.asarray(lifetimes))


def test_the_expectation_is_conditional_on_the_age_and_on_the_flavor() -> None:
    predictor, known = Expected(), outlook([10, 20, 60, 1000, math.inf], [0, 0, 0, 1, 1])
    predictor.prepare(known)
    small, large = known.shapes
    assert predictor.remaining(-1, small, 0) == pytest.approx(30)
    assert predictor.remaining(-1, small, 10) == pytest.approx((20 + 60) / 2 - 10)
    assert predictor.remaining(-1, small, 59) == pytest.approx(1)
    assert predictor.remaining(-1, small, 60) == HOUR, "older than all others: at least an hour"
    assert predictor.remaining(-1, small, 9000) == 9000, "or as long again"
    assert predictor.remaining(-1, large, 0) == pytest.approx(1000), "what outlives the study is as the longest"
    assert predictor.remaining(-1, make_shape({"VCPU": 7}), 0) == HOUR


def test_an_oracle_errs_by_the_same_factor_for_one_vm_and_by_others_for_others() -> None:
    known = outlook([100.0] * 4000, [0] * 4000)
    exact, wrong = Oracle(), Oracle(noise=0.5, seed=3)
    for each in (exact, wrong):
        each.prepare(known)
    assert exact.remaining(7, known.shapes[0], 40) == 60
    assert exact.remaining(7, known.shapes[0], 400) == 0
    assert exact.remaining(-1, known.shapes[0], 0) == math.inf
    logs = np.log([wrong.remaining(vm, known.shapes[0], 0) / 100 for vm in range(4000)])
    assert abs(logs.mean()) < 0.03
    assert abs(logs.std() - 0.5) < 0.03
    assert wrong.remaining(7, known.shapes[0], 50) == pytest.approx(wrong.remaining(7, known.shapes[0], 0) / 2)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"predictor": "crystal-ball"}, "predictor is 'crystal-ball'; it is one of oracle, expected"),
        ({"predictor": "no_such_module:Thing"}, "predictor 'no_such_module:Thing' cannot be imported"),
        ({"predictor": "math:inf"}, "does not take|not callable|has no remaining"),
        ({"predictor": "oracle", "sigma": 1}, "does not take these parameters"),
        ({"predictor": "oracle", "noise": -1}, "noise is -1"),
        ({"repredict": "yes"}, "repredict is 'yes'"),
        ({"edges": [10, 5]}, "edges are"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_policy("nilas", parameters)
