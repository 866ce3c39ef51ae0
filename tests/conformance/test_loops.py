"""Sagas behave alike on every loop, and a run repeats itself in every process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sundog.runtime import aio, warp
from tests.conformance.loop_scenarios import SCENARIOS, Stage, SteppedLoop, Trace, noisy

Scenario = Callable[[Stage], Awaitable[None]]
REPOSITORY = Path(__file__).parents[2]


async def play(scenario: Scenario, unit: float = 1.0) -> Trace:
    stage = Stage(unit)
    await scenario(stage)
    return stage.trace


def on_warp(scenario: Scenario, rate: float) -> Trace:
    return warp.run(lambda _: play(scenario), rate=rate)


def on_stock(scenario: Scenario) -> Trace:
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(play(scenario))


LOOPS: dict[str, Callable[[Scenario], Trace]] = {
    "jumping": lambda scenario: on_warp(scenario, warp.JUMP),
    "at 2000x": lambda scenario: on_warp(scenario, 2000.0),
    "ordinary": on_stock,
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_scenario_leaves_its_trace(scenario: Scenario, loop: str) -> None:
    assert LOOPS[loop](scenario) == SCENARIOS[scenario]


def test_all_scenarios_happen_in_the_same_order_in_real_time() -> None:
    async def all_at_once() -> list[Trace]:
        return list(await asyncio.gather(*(play(scenario, unit=0.05) for scenario in SCENARIOS)))

    # Only the order: how late a real timer fires is the machine's affair.
    real = {
        scenario: [what for _, what in trace]
        for scenario, trace in zip(SCENARIOS, asyncio.run(all_at_once()), strict=True)
    }
    assert real == {scenario: [what for _, what in trace] for scenario, trace in SCENARIOS.items()}


Program = list[tuple[int, int, bool]]
PROGRAMS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9), st.booleans()), min_size=1, max_size=6)


def scenario_of(program: Program, cancel_at: int | None) -> Scenario:
    """A group of children that sleep, then end or fail, and take their time to clean up when cancelled.

    No two things fall on one instant: with a real clock there are no ties, so that nothing may depend on them.
    """

    async def child(stage: Stage, number: int, seconds: int, cleanup: int, fails: bool) -> None:
        try:
            await stage.sleep(seconds + number / 100)
            if fails:
                raise ValueError(number)
            stage.say(f"{number} done")
        except aio.CancelledError:
            await stage.sleep(cleanup + number / 1000)
            stage.say(f"{number} cleaned up")
            raise

    async def group_of_children(stage: Stage) -> None:
        async with aio.TaskGroup() as group:
            for number, (seconds, cleanup, fails) in enumerate(program, start=1):
                group.create_task(child(stage, number, seconds, cleanup, fails))

    async def scenario(stage: Stage) -> None:
        task = stage.start(group_of_children(stage))
        if cancel_at is not None:
            await stage.sleep(cancel_at + 0.5)
            stage.say(f"cancel: {task.cancel()}")
        (done,) = (await asyncio.wait([task]))[0]
        error = None if done.cancelled() else done.exception()
        stage.say(f"cancelled: {done.cancelled()}, {getattr(error, 'exceptions', error)!r}")

    return scenario


@settings(max_examples=60, deadline=None)
@given(PROGRAMS, st.none() | st.integers(0, 40))
def test_any_group_of_tasks_leaves_one_trace_on_every_loop(program: Program, cancel_at: int | None) -> None:
    scenario = scenario_of(program, cancel_at)
    jumping = on_warp(scenario, warp.JUMP)
    assert on_stock(scenario) == jumping
    assert on_warp(scenario, 1e5) == jumping


def test_digest_of_a_noisy_world_does_not_hang_on_the_hash_seed() -> None:
    def digest(hash_seed: int) -> str:
        return subprocess.run(
            [sys.executable, "-m", "tests.conformance.loop_scenarios"],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    assert {digest(hash_seed) for hash_seed in (0, 1, 2)} == {warp.run(noisy, seed=7)}


def test_digest_of_a_noisy_world_hangs_on_the_seed_alone() -> None:
    assert warp.run(noisy, seed=7) == warp.run(noisy, seed=7)
    assert warp.run(noisy, seed=7) != warp.run(noisy, seed=8)


def test_noisy_world_is_the_same_at_a_finite_rate() -> None:
    assert warp.run(noisy, seed=7, rate=1000.0) == warp.run(noisy, seed=7)
