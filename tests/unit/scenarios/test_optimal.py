"""The fewest hosts: against trying every assignment, and as a bound that no policy gets below."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from sundog.core.scheduler import Outlook, load_policy, policy_names
from sundog.errors import InputError, PolicyError
from sundog.scenarios.optimal import Optimal, fewest_hosts
from sundog.sim.outlook import study_outlook
from sundog.sim.records import Outcome
from sundog.sim.requests import build_workload
from sundog.sim.spec import FaultsSpec
from tests.unit.sim.worlds import make_engine, make_fleet, make_frame, make_hosts, make_vm, play

SIZES = st.tuples(st.sampled_from([1, 2, 3]), st.sampled_from([100, 250, 400]))
TYPES = ((4, 500), (6, 400), (3, 900))


@st.composite
def cases(draw: st.DrawFn, most: int = 5) -> tuple[list[dict[str, Any]], Any]:
    rows = []
    arrivals = sorted(draw(st.lists(st.integers(-2, 5), min_size=1, max_size=most)))
    for arrival in arrivals:
        vcpus, memory = draw(SIZES)
        lifetime = draw(st.one_of(st.none(), st.integers(1 + max(0, -arrival), 6)))
        rows.append(make_vm(arrival, lifetime, vcpus, memory))
    counts = draw(st.tuples(*[st.integers(0, 2)] * 3).filter(any))
    groups = [
        make_hosts(count, vcpus, name=f"t{number}", memory=memory)
        for number, (count, (vcpus, memory)) in enumerate(zip(counts, TYPES, strict=True))
        if count
    ]
    return rows, make_fleet(*groups)


def outlook_of(rows: list[dict[str, Any]], fleet: Any) -> Outlook:
    return study_outlook(fleet, build_workload(make_frame(rows), fleet))


def holds(rows: list[dict[str, Any]], sizes: list[tuple[float, float]], where: tuple[int, ...]) -> bool:
    """Whether nothing is over its size at any arrival: recounted second by second, in the plainest way."""
    for now in range(6):
        for host, (vcpus, memory) in enumerate(sizes):
            here = [
                row for row, at in zip(rows, where, strict=True)
                if at == host and max(row["arrival_s"], 0) <= now
                and (row["lifetime_s"] is None or now < row["arrival_s"] + row["lifetime_s"])
            ]  # fmt: skip
            if sum(row["vcpus"] for row in here) > vcpus or sum(row["memory_mb"] for row in here) > memory:
                return False
    return True


@given(case=cases())
@settings(max_examples=120, deadline=None)
def test_the_plan_is_what_trying_everything_finds(case: tuple[list[dict[str, Any]], Any]) -> None:
    rows, fleet = case
    sizes = [(fleet.type_of(host).vcpus, fleet.type_of(host).memory) for host in range(len(fleet))]
    ways = itertools.product(range(len(sizes)), repeat=len(rows))
    best = min((len(set(where)) for where in ways if holds(rows, sizes, where)), default=None)
    if best is None:
        with pytest.raises(InputError, match=r"policy optimal: (no plan places all|no host can take)"):
            fewest_hosts(outlook_of(rows, fleet))
        return
    plan = fewest_hosts(outlook_of(rows, fleet))
    assert plan.hosts_used == best == len(set(plan.host))
    assert holds(rows, sizes, plan.host)


@given(case=cases(most=9), policy=st.sampled_from(policy_names()))
@settings(max_examples=60, deadline=None)
def test_no_policy_uses_fewer_hosts_than_optimal_and_optimal_uses_as_many_as_it_says(
    case: tuple[list[dict[str, Any]], Any], policy: str
) -> None:
    rows, fleet = case
    try:
        plan = fewest_hosts(outlook_of(rows, fleet))
    except InputError:
        assume(False)
    best, other = play(rows, fleet, policy="optimal"), play(rows, fleet, policy=policy)
    assert Outcome.REJECTED not in best.record.outcome.tolist()
    assert len(set(best.record.stays.host.tolist())) == plan.hosts_used
    if Outcome.REJECTED not in other.record.outcome.tolist():
        assert len(set(other.record.stays.host.tolist())) >= plan.hosts_used


def test_a_case_where_best_fit_needs_a_host_more() -> None:
    rows = [make_vm(i, None, size) for i, size in enumerate((2, 3, 3, 2, 2, 2, 2))]
    fleet = make_fleet(make_hosts(4, 4), make_hosts(4, 8, name="big"))
    assert fewest_hosts(outlook_of(rows, fleet)).hosts_used == 2
    assert len(set(play(rows, fleet, policy="optimal").record.stays.host.tolist())) == 2
    assert len(set(play(rows, fleet, policy="best-fit").record.stays.host.tolist())) > 2


def test_room_given_back_is_there_for_who_comes_at_that_instant_but_not_for_who_came_with_it() -> None:
    one = make_fleet(make_hosts(1, 4), make_hosts(1, 4, name="other"))
    assert fewest_hosts(outlook_of([make_vm(0, 5, 4), make_vm(5, 5, 4)], one)).hosts_used == 1
    assert fewest_hosts(outlook_of([make_vm(0, 5, 4), make_vm(4, 5, 4)], one)).hosts_used == 2


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([make_vm(0, 1, 9)], "no host can take 1000 MEMORY_MB, 9 VCPU, so there is no plan"),
        ([make_vm(0, 1, 4)] * 3, "no plan places all 3 VMs on the 2 hosts; add hosts"),
        ([make_vm(0, 1, 1, gpus=1.0, gpu_share=0.5)], "does not plan devices"),
        ([make_vm(0, 1, 1, group="g", group_policy="anti-affinity")], "does not plan server groups"),
        ([make_vm(i, 1, 1) for i in range(5001)], "5,001 VMs are too many"),
    ],
)
def test_what_it_cannot_plan_is_refused(rows: list[dict[str, Any]], says: str) -> None:
    fleet = make_fleet(make_hosts(2, 4, gpus=1))
    with pytest.raises(InputError, match=says):
        fewest_hosts(outlook_of(rows, fleet))


def test_too_many_pairs_are_refused_with_what_to_do() -> None:
    rows = [make_vm(i, 1, 1) for i in range(30)]
    with pytest.raises(InputError, match=r"30 VMs on 30 hosts are 465 pairs, and it takes up to 400; take fewer VMs"):
        fewest_hosts(outlook_of(rows, make_fleet(make_hosts(30))), most_variables=400)


def test_what_is_not_as_planned_ends_the_run_with_the_reason() -> None:
    rows = [make_vm(i, 50, 1) for i in range(4)]
    faults = FaultsSpec.model_validate({"outages": [{"at": "2 s", "duration": "30 s", "hosts": ["h-0"]}]})
    engine = make_engine(rows, make_fleet(make_hosts(2)), policy="optimal", faults=faults)
    with pytest.raises(PolicyError, match=r"policy optimal raised RuntimeError: (things do not|the planned host)"):
        engine.run()
    unprepared = make_engine(rows, make_fleet(make_hosts(2)), policy="optimal")
    unprepared.scheduler.policy.plan = None
    with pytest.raises(PolicyError, match="it has no plan: it must be told the workload beforehand"):
        unprepared.run()


def test_an_empty_workload_needs_no_host() -> None:
    empty = Outlook(outlook_of([make_vm(0, 1)], make_fleet()).pool, (), *[np.zeros(0, dtype=np.int32)] * 3)
    assert fewest_hosts(empty).hosts_used == 0


@pytest.mark.parametrize("limit", [0, -1, math.nan, "1 min", True])
def test_a_time_limit_is_a_number_above_zero(limit: Any) -> None:
    with pytest.raises(InputError, match="it is a number of seconds above 0"):
        load_policy("optimal", {"time_limit": limit})
    assert isinstance(load_policy("optimal", {"time_limit": 3}), Optimal)


def test_a_scenario_names_it(tmp_path: Path) -> None:
    from sundog.scenarios.load import load_scenario
    from sundog.scenarios.run import prepare, run_study

    text = """
name: small
horizon: 1 h
fleet: [{type: {name: c8, vcpus: 8, memory: 32 GiB}, count: 4}]
workload: {trace: {path: t.csv, format: normalised}}
outputs: {report: false}
"""
    (tmp_path / "small.yaml").write_text(text)
    lines = ["vm_id,arrival_s,lifetime_s,vcpus,memory_mb", *(f"{i},{i},100,{2 + i % 3},1024" for i in range(7))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    loaded = load_scenario(tmp_path / "small.yaml", ["policy=optimal"])
    out = run_study(prepare(loaded), tmp_path / "out")
    assert (out / "vms.parquet").exists()
