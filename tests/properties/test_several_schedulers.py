"""Several schedulers: one that knows everything is the ordinary run; however many, however late, the books balance."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sundog.core.scheduler import load_policy, policy_names
from sundog.sim.engine import Engine
from sundog.sim.outlook import prepare_policy
from sundog.sim.records import Cause, Outcome
from sundog.sim.schedulers import CONFLICT, STALE, SchedulersEngine
from sundog.sim.spec import Schedulers
from tests.properties.test_compiled_engine import told
from tests.properties.test_engine_properties import MOMENTS, RELAXED, runs
from tests.unit.sim.worlds import audit, fingerprint, make_engine

FEWER = settings(RELAXED, max_examples=40)

REMEMBERING = ("next-fit", "round-robin", "random", "power-of-k")
"""Policies whose next choice depends on which decision it is, or on the last one, the operator's among them."""

TIMES = st.sampled_from([0.0, 0.0, 0.5, 1.0, 7.0])


@st.composite
def rules(draw: st.DrawFn) -> Schedulers:
    return Schedulers.model_validate(
        {
            "count": draw(st.integers(1, 4)),
            "refresh": draw(st.sampled_from([0.0, 0.5, 3.0, 20.0])),
            "decision": draw(TIMES | st.just({"law": "exponential", "mean": 1.0})),
            "delay": draw(TIMES),
            "alternates": draw(st.integers(0, 3)),
            "retries": draw(st.integers(0, 3)),
            "assign": draw(st.sampled_from(["round-robin", "hash", "least-busy"])),
        }
    )


def several(policy: str, rules: Schedulers, run: dict[str, Any], *, compiled: bool = False) -> SchedulersEngine:
    """An engine that plays ``run`` with schedulers of that policy."""
    made: list[Any] = []

    def make_policy() -> Any:
        made.append(load_policy(policy))
        return made[-1]

    kind = partial(SchedulersEngine, schedulers=rules, make_policy=make_policy, compiled=compiled)
    engine = make_engine(policy=policy, engine_type=kind, **run)  # type: ignore[arg-type]
    assert isinstance(engine, SchedulersEngine)
    for each in made:
        prepare_policy(each, engine.fleet, engine.workload)
    return engine


def check_schedulers(engine: SchedulersEngine) -> None:
    """What is true of views and counts at the end of any run."""
    record = engine.run()
    audit(engine, record)
    done = record.scheduling
    assert done is not None
    placed = ~np.isnan(record.start_s)
    rules = engine.rules
    assert (done.commits[placed] >= 1).all()
    assert ((done.choice >= 0) == placed).all()
    assert (done.choice <= rules.alternates).all()
    assert ((done.scheduler >= 0) & (done.scheduler < rules.count)).all()
    queued = done.queued_s[~np.isnan(done.queued_s)]
    assert (queued >= 0).all()
    assert (done.busy_s >= 0).all()
    for number in range(rules.count):
        assert done.busy_s[done.scheduler == number].sum() <= record.reached_s + 1e-6, "in two places at once"
    for worker in engine._workers:
        view = worker.view
        view.refresh(engine._groups_entered)
        for name in ("used", "free", "claims", "up", "enabled", "in_service"):
            assert np.array_equal(getattr(view.pool, name), getattr(engine.pool, name)), name
        for group in engine.workload.groups:
            assert view.scheduler.groups.members(group.id) == engine.scheduler.groups.members(group.id)
    reasons = [record.reasons[code] for code in record.reason.tolist()]
    event(f"conflicts: {any(each.startswith(CONFLICT) for each in reasons)}")
    event(f"stale: {any(each.startswith(STALE) for each in reasons)}")


@FEWER
@given(run=runs(), policy=st.sampled_from(policy_names()), compiled=st.booleans())
def test_one_scheduler_that_takes_no_time_is_the_ordinary_run(run: dict[str, Any], policy: str, compiled: bool) -> None:
    ordinary = make_engine(policy=policy, engine_type=Engine, **run)
    expected = ordinary.run()
    one = several(policy, Schedulers(), run, compiled=compiled)
    record = one.run()
    audit(one, record)
    moved = np.isin(expected.stays.cause, (Cause.EVACUATION, Cause.MIGRATION)).any()
    event(f"moved: {moved}")
    if not (moved and policy in REMEMBERING):
        assert told(record) == told(expected)
        done = record.scheduling
        assert done is not None
        assert done.commits.tolist() == (~np.isnan(record.start_s)).astype(int).tolist()


@FEWER
@given(run=runs(), policy=st.sampled_from(policy_names()), rules=rules(), compiled=st.booleans())
def test_the_books_of_any_run_balance(run: dict[str, Any], policy: str, rules: Schedulers, compiled: bool) -> None:
    check_schedulers(several(policy, rules, run, compiled=compiled))


@FEWER
@given(run=runs(), policy=st.sampled_from(["best-fit", "random", "nilas"]), rules=rules(), when=MOMENTS)
def test_a_run_that_is_stopped_leaves_nobody_open(
    run: dict[str, Any], policy: str, rules: Schedulers, when: int
) -> None:
    engine = several(policy, rules, run)
    engine.world.at(when).callbacks.append(lambda _event: engine.stop())
    record = engine.run()
    audit(engine, record)
    assert Outcome.NONE not in record.outcome


@FEWER
@given(run=runs(), policy=st.sampled_from(["best-fit", "random", "nilas"]), rules=rules())
def test_the_same_seed_gives_the_same_run_and_compiled_decisions_too(
    run: dict[str, Any], policy: str, rules: Schedulers
) -> None:
    prints = [fingerprint(several(policy, rules, run, compiled=how).run()) for how in (False, False, True)]
    assert len(dict.fromkeys(prints)) == 1
