"""The compiled engine leaves behind what the general one does, whatever comes, fails, waits and is worked on."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st

from sundog.core.scheduler import load_policy, policy_names
from sundog.core.scheduler.compiled import Compilable, compilable
from sundog.sim.engine import Engine
from sundog.sim.records import Record
from sundog.sim.replay import CompiledEngine
from tests.properties.test_engine_properties import MOMENTS, RELAXED, runs
from tests.unit.sim.worlds import audit, make_engine

COMPILED = [name for name in policy_names() if isinstance(compilable(load_policy(name)), Compilable)]


def told(record: Record) -> dict[str, Any]:
    """All that a run leaves behind, in a form that shows what differs."""
    stays, events = record.stays, record.host_events
    columns = {"vm": stays.vm, "host": stays.host, "start": stays.start_s, "end": stays.end_s, "cause": stays.cause}
    for name in ("start_s", "end_s", "outcome", "evacuations", "migrations", "downtime_s"):
        columns[name] = getattr(record, name)
    return {name: np.nan_to_num(column, nan=-1.0).tolist() for name, column in columns.items()} | {
        "reason": [record.reasons[code] for code in record.reason.tolist()],
        "reasons": record.reasons,
        "host events": list(zip(events.time_s, events.host, events.event, events.detail, strict=True)),
        "reached": (record.reached_s, record.placements, record.events, record.partial),
    }


def both(run: dict[str, Any], policy: str, stop: float | None = None) -> tuple[Engine, Engine]:
    """One run by each engine."""
    engines, records = [], []
    for kind in (Engine, CompiledEngine):
        engine = make_engine(policy=policy, engine_type=kind, **run)
        if stop is not None:
            engine.world.at(stop).callbacks.append(lambda _event, engine=engine: engine.stop())
        records.append(engine.run())
        engines.append(engine)
    assert told(records[1]) == told(records[0])
    audit(engines[1], records[1])
    return engines[0], engines[1]


@RELAXED
@given(run=runs(), policy=st.sampled_from(COMPILED))
def test_compiled_and_general_runs_are_the_same(run: dict[str, Any], policy: str) -> None:
    general, compiled = both(run, policy)
    event(f"evacuations: {bool(general.evacuations.any())}")
    pools = general.pool, compiled.pool
    for name in ("free", "used", "claims", "up", "enabled"):
        assert np.array_equal(getattr(pools[0], name), getattr(pools[1], name))


@RELAXED
@given(run=runs(), policy=st.sampled_from(COMPILED), when=MOMENTS)
def test_they_are_the_same_when_stopped_on_the_way(run: dict[str, Any], policy: str, when: int) -> None:
    both(run, policy, stop=when)
