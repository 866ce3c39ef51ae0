"""Whatever comes, fails and is worked on, in whatever order: the books of a run balance, recounted by brute force."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from sundog.core.scheduler import policy_names
from sundog.sim.fleet import Fleet
from sundog.sim.records import Cause, Outcome
from sundog.sim.spec import FaultsSpec, Maintenance, Migration, Wait
from tests.unit.sim.worlds import Played, fingerprint, finish, make_engine, make_fleet, make_hosts, make_vm

# Whole numbers, so that much happens at one instant.
MOMENTS = st.integers(0, 60)
LENGTHS = st.integers(1, 40)
GROUPS = {"a": "affinity", "b": "anti-affinity", "c": "soft-affinity", "d": "soft-anti-affinity"}


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    groups = [
        make_hosts(draw(st.sampled_from([1, 2, 3, 4])), 4, zone="z", racks=1, gpus=draw(st.integers(0, 2)), memory=8000)
    ]
    if draw(st.booleans()):
        late = draw(st.sampled_from([0, 0, 7, 25]))
        groups.append(make_hosts(draw(st.integers(1, 2)), 2.5, name="small", memory=4000, at=late))
    return make_fleet(*groups, vcpus=draw(st.sampled_from([1.0, 1.5])))


@st.composite
def vms(draw: st.DrawFn) -> list[dict]:
    rows = []
    for _ in range(draw(st.integers(0, 18))):
        arrival = draw(st.integers(-10, 50))
        lifetime = draw(st.none() | st.integers(0, 50))
        row = make_vm(
            arrival, lifetime, draw(st.sampled_from([0.5, 1, 2, 4])), draw(st.sampled_from([500, 1000, 3000]))
        )
        row["group"] = draw(st.sampled_from([None, None, *GROUPS]))
        row["group_policy"] = GROUPS.get(row["group"])
        row["gpus"], row["gpu_share"] = draw(st.sampled_from([(0, 1), (0, 1), (1, 1), (1, 0.5), (2, 1)]))
        row["zone"] = draw(st.sampled_from([None, None, None, "z"]))
        rows.append(row)
    return sorted(rows, key=lambda row: row["arrival_s"])


def law(lengths: st.SearchStrategy[int]) -> st.SearchStrategy[dict]:
    return lengths.flatmap(
        lambda n: st.sampled_from(
            [
                {"law": "deterministic", "value": n},
                {"law": "exponential", "mean": n},
                {"law": "weibull", "shape": 0.7, "mean": n},
            ]
        )
    )


@st.composite
def failures(draw: st.DrawFn) -> FaultsSpec:
    body: dict[str, Any] = {"outages": []}
    for what in ("hosts", "racks"):
        if draw(st.booleans()):
            body[what] = {"failure": draw(law(st.integers(5, 40))), "repair": draw(law(st.integers(1, 15)))}
    for _ in range(draw(st.integers(0, 2))):
        scope: dict[str, Any] = draw(st.sampled_from([{"zone": "z"}, {"rack": "z-r0"}, {"hosts": ["h-0"]}]))
        body["outages"].append({"at": draw(MOMENTS), "duration": draw(LENGTHS), **scope})
    body["evacuation"] = {
        "mode": draw(st.sampled_from(["evacuate", "evacuate", "restart", "lose"])),
        "detect": draw(st.integers(0, 5)),
        "retry": draw(st.integers(1, 6)),
        "give_up": draw(st.integers(1, 20)),
    }
    return FaultsSpec.model_validate(body)


PLANS = st.builds(
    Maintenance,
    at=MOMENTS,
    duration=st.integers(1, 12),
    at_once=st.integers(1, 3),
    every=st.none() | st.integers(10, 40),
    zone=st.none() | st.just("z"),
    drain_timeout=st.integers(1, 25),
    retry=st.integers(1, 6),
    on_timeout=st.sampled_from(["stop", "skip"]),
)


@st.composite
def runs(draw: st.DrawFn) -> dict[str, Any]:
    """Everything that ``make_engine`` takes but the policy."""
    migration = Migration(
        bandwidth_mib_s=draw(st.sampled_from([100, 250, 500])),
        rounds=1,
        pause=draw(st.sampled_from([0, 0.5])),
        parallel=draw(st.integers(1, 3)),
    )
    return {
        "rows": draw(vms()),
        "fleet": draw(fleets()),
        "faults": draw(failures()),
        "maintenance": draw(st.lists(PLANS, max_size=2)),
        "migration": migration,
        "on_full": draw(st.just("reject") | st.builds(Wait, wait=st.integers(1, 30))),
        "horizon": draw(st.sampled_from([float("inf"), 30.0, 75.0])),
        "seed": draw(st.integers(0, 3)),
    }


POLICIES = st.sampled_from(policy_names())
RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def played(run: dict[str, Any], policy: str) -> Played:
    engine = make_engine(policy=policy, **run)
    return finish(engine)  # which audits


@RELAXED
@given(run=runs(), policy=POLICIES)
def test_the_books_of_any_run_balance_and_the_same_seed_gives_the_same_run(run: dict[str, Any], policy: str) -> None:
    one = played(run, policy)
    outcomes, causes = one.record.outcome.tolist(), one.record.stays.cause.tolist()
    assert len(outcomes) == len(one.engine.workload)
    for outcome in (Outcome.LOST, Outcome.REJECTED):
        event(f"some {outcome.name.lower()}: {outcome in outcomes}")
    for cause in (Cause.EVACUATION, Cause.MIGRATION, Cause.RESTART):
        event(f"some {cause.name.lower()}: {cause in causes}")
    if run["on_full"] == "reject":
        started = one.record.outcome != Outcome.REJECTED
        assert (one.record.start_s[started] == one.engine.workload.arrival_s[started].clip(min=0)).all()
    else:
        waited = (one.record.start_s - one.engine.workload.arrival_s.clip(min=0)).tolist()
        assert not any(wait > run["on_full"].wait for wait in waited)
    assert fingerprint(played(run, policy).record) == fingerprint(one.record)


@settings(RELAXED, max_examples=60)
@given(run=runs(), policies=st.lists(POLICIES, min_size=2, max_size=2, unique=True))
def test_faults_fall_at_the_same_times_whatever_the_policy(run: dict[str, Any], policies: list[str]) -> None:
    run |= {"maintenance": [], "horizon": 75.0}
    events = [played(run, policy).record.host_events for policy in policies]
    assert events[0] == events[1]


@settings(RELAXED, max_examples=60)
@given(run=runs(), when=MOMENTS, policy=POLICIES)
def test_a_run_that_is_stopped_anywhere_leaves_books_that_balance(run: dict[str, Any], when: int, policy: str) -> None:
    engine = make_engine(policy=policy, **run)
    engine.world.at(when).callbacks.append(lambda _event: engine.stop())
    record = finish(engine).record
    assert not record.partial or record.reached_s == when
