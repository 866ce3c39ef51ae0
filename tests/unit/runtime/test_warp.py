import asyncio
import contextlib
import gc
import itertools
import math
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from sundog.errors import InputError
from sundog.runtime import aio, clock, warp


class NoValidHost(Exception):
    def __init__(self, *, rejected: list[str]) -> None:
        super().__init__(f"{len(rejected)} hosts rejected")
        self.rejected = rejected


def ticking(world: warp.World, every: float = 1.0) -> warp.ProcessGenerator:
    while True:
        yield world.timeout(every)


def the_loop() -> warp.WarpLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, warp.WarpLoop)
    return loop


# ------------------------------------------------------------------------------------------------------------- world


@given(st.lists(st.tuples(st.floats(0, 1e9), st.sampled_from([warp.URGENT, warp.NORMAL, warp.LATE])), max_size=30))
def test_events_happen_by_time_then_priority_then_insertion(plan: list[tuple[float, int]]) -> None:
    world, seen = warp.World(), []
    for number, (when, priority) in enumerate(plan):
        event = world.at(when, number, priority=priority)
        event.callbacks.append(lambda event: seen.append((world.now, event.value)))
    world.run()
    order = sorted((when, priority, number) for number, (when, priority) in enumerate(plan))
    assert seen == [(when, number) for when, _, number in order]


def test_at_hits_an_instant_that_a_delay_would_miss() -> None:
    start, when = 0.2, 0.9
    assert start + (when - start) != when
    world = warp.World(start)
    world.at(when)
    world.run()
    assert world.now == when


def test_at_infinity_never_happens_and_the_past_is_refused() -> None:
    world = warp.World(5.0)
    assert not world.at(math.inf).triggered
    assert world.peek() == math.inf
    for when in (4.0, math.nan):
        with pytest.raises(ValueError, match=r"cannot schedule .* the clock shows 5"):
            world.at(when)
    with pytest.raises(ValueError, match="cannot start at inf"):
        warp.World(math.inf)
    with pytest.raises(InputError, match="seed"):
        warp.World(seed=-1)


def test_cancelled_event_does_not_happen_and_moves_no_clock() -> None:
    world = warp.World()
    first, last, kept = world.at(1), world.at(9), world.at(3)
    for event in (first, last):
        event.callbacks.append(lambda _: pytest.fail("happened"))
        world.cancel(event)
        world.cancel(event)
    assert (world.peek(), world.scheduled) == (3, 1)
    world.run()
    assert (world.now, world.scheduled, kept.processed) == (3, 0, True)
    world.cancel(kept)
    with pytest.raises(ValueError, match="is not scheduled"):
        world.cancel(world.event())


def test_clock_moves_up_to_the_next_event_and_not_past_it() -> None:
    world = warp.World()
    world.at(5)
    world.advance_to(5)
    for when in (4.9, 5.1, math.nan):
        with pytest.raises(ValueError, match="cannot move the clock"):
            world.advance_to(when)


def test_world_runs_alone_as_a_simpy_environment() -> None:
    world, seen = warp.World(), []

    def host() -> warp.ProcessGenerator:
        while True:
            yield world.timeout(2)
            seen.append(world.now)

    process = world.process(host())
    world.run(until=7)
    assert (seen, world.now, process.is_alive) == ([2, 4, 6], 7, True)
    assert world.run(until=world.at(8, "eight")) == "eight"
    with pytest.raises(simpy.core.EmptySchedule):
        warp.World().step()


def test_failure_in_a_world_alone_is_the_object_that_was_raised() -> None:
    error = NoValidHost(rejected=["h1"])
    world = warp.World()

    def inner() -> warp.ProcessGenerator:
        yield world.timeout(1)
        raise error

    def outer() -> warp.ProcessGenerator:
        yield world.process(inner())

    world.process(outer())
    with pytest.raises(NoValidHost) as caught:
        world.run()
    assert caught.value is error


def test_process_catches_a_failure_with_its_attributes_and_goes_on() -> None:
    world = warp.World()

    def inner() -> warp.ProcessGenerator:
        yield world.timeout(1)
        raise NoValidHost(rejected=["h1", "h2"])

    def outer() -> warp.ProcessGenerator:
        try:
            yield world.process(inner())
        except NoValidHost as error:
            yield world.timeout(1)
            return error.rejected

    assert world.run(until=world.process(outer())) == ["h1", "h2"]


def test_process_that_yields_no_event_is_told_where() -> None:
    world = warp.World()

    def host() -> Any:
        yield 5

    world.process(host())
    with pytest.raises(TypeError, match="process host yielded 5, which is not an event"):
        world.run()


def test_process_may_wait_for_what_has_happened() -> None:
    world = warp.World()
    past = world.at(0, "past")

    def host() -> warp.ProcessGenerator:
        yield world.timeout(3)
        value = yield past
        return world.now, value

    assert world.run(until=world.process(host())) == (3, "past")


# --------------------------------------------------------------------------------------- world and loop, one heap


def test_sagas_and_processes_share_one_order() -> None:
    seen: list[str] = []

    def host(world: warp.World, name: str) -> warp.ProcessGenerator:
        for _ in range(3):
            yield world.timeout(1)
            seen.append(f"{name} {world.now:g}")

    async def saga(name: str) -> None:
        for _ in range(3):
            await aio.sleep(1)
            seen.append(f"{name} {clock.now():g}")

    async def main(world: warp.World) -> None:
        world.process(host(world, "h1"))
        await aio.gather(saga("s1"), warp.of(world.process(host(world, "h2"))), saga("s2"))

    warp.run(main)
    # What is ready runs first, so the sagas set their timers before the processes start.
    assert seen == [f"{name} {second}" for second in (1, 2, 3) for name in ("s1", "s2", "h1", "h2")]


def test_saga_reacts_before_the_next_event_of_the_same_instant() -> None:
    seen: list[str] = []

    async def saga(world: warp.World, when: float) -> None:
        await warp.of(world.at(when))
        await aio.sleep(0)
        seen.append("saga")

    async def main(world: warp.World) -> None:
        task = asyncio.create_task(saga(world, 5))
        await aio.sleep(1)
        world.at(5).callbacks.append(lambda _: seen.append("later event"))
        await task
        await aio.sleep(1)

    for rate in (warp.JUMP, 1000):
        seen.clear()
        warp.run(main, rate=rate)
        assert seen == ["saga", "later event"]


def test_of_gives_the_value_of_any_event_even_of_a_past_one() -> None:
    async def main(world: warp.World) -> list[Any]:
        store = simpy.Store(world)
        world.at(2).callbacks.append(lambda _: store.put("disk"))
        past = world.at(1, "past")
        values = [await warp.of(store.get()), await warp.of(past)]
        both = await warp.of(world.at(7, "a") & world.at(5, "b"))
        return [*values, sorted(both.values()), clock.now()]

    assert warp.run(main) == ["disk", "past", ["a", "b"], 7.0]


def test_failing_event_reaches_the_waiting_saga_as_it_is() -> None:
    error = NoValidHost(rejected=["h1"])

    async def main(world: warp.World) -> list[bool]:
        event = world.event()
        world.at(3).callbacks.append(lambda _: event.fail(error))
        same = []
        for _ in range(2):  # while it is to come, and when it is past
            try:
                await warp.of(event)
            except NoValidHost as caught:
                same.append(caught is error and caught.rejected == ["h1"])
        return same

    assert warp.run(main) == [True, True]


def test_cancelled_wait_leaves_the_event_alone() -> None:
    async def main(world: warp.World) -> Any:
        event = world.at(9, "still there")
        with pytest.raises(TimeoutError):
            async with aio.timeout(1):
                await warp.of(event)
        assert event.callbacks == []
        return await warp.of(event)

    assert warp.run(main) == "still there"


def test_failure_that_nobody_waits_for_any_more_ends_the_run() -> None:
    error = NoValidHost(rejected=["h1"])

    async def main(world: warp.World) -> None:
        event = world.event()
        world.at(3).callbacks.append(lambda _: event.fail(error))
        with contextlib.suppress(TimeoutError):
            async with aio.timeout(1):
                await warp.of(event)
        await aio.sleep(9)

    with pytest.raises(NoValidHost) as caught:
        warp.run(main)
    assert caught.value is error


def test_saga_interrupts_a_process_of_the_world() -> None:
    def host(world: warp.World) -> warp.ProcessGenerator:
        try:
            yield world.timeout(100)
        except simpy.Interrupt as interrupt:
            return f"{interrupt.cause} at {world.now:g}"

    async def main(world: warp.World) -> Any:
        process = world.process(host(world))
        await aio.sleep(5)
        process.interrupt("power cut")
        return await warp.of(process)

    assert warp.run(main) == "power cut at 5"


def test_of_needs_its_own_world() -> None:
    async def foreign(world: warp.World) -> None:
        await warp.of(warp.World().at(1))

    async def nowhere() -> None:
        await warp.of(warp.World().at(1))

    async def here(world: warp.World) -> bool:
        return warp.current_world() is world

    with pytest.raises(RuntimeError, match="belongs to another world"):
        warp.run(foreign)
    with pytest.raises(RuntimeError, match="not a WarpLoop"):
        asyncio.run(nowhere())
    assert warp.run(here)


# ----------------------------------------------------------------------------------------------------- failing runs


def test_nothing_scheduled_is_a_deadlock_that_names_who_waits_where() -> None:
    async def child() -> None:
        await aio.Event().wait()

    async def main(world: warp.World) -> None:
        await aio.sleep(3)
        world.cancel(world.at(50))
        async with aio.TaskGroup() as group:
            group.create_task(child(), name="child")

    with pytest.raises(warp.Deadlock, match=r"^t=3: .*main in .*\(test_warp\.py:\d+\); child in") as caught:
        warp.run(main)
    assert caught.value.now == 3.0
    assert len(caught.value.waiting) == 2


def test_crash_of_a_process_ends_the_run_with_that_exception() -> None:
    error = NoValidHost(rejected=["h1"])
    seen: list[str] = []

    def host(world: warp.World) -> warp.ProcessGenerator:
        yield world.timeout(3)
        raise error

    async def main(world: warp.World) -> None:
        world.process(host(world))
        try:
            await aio.sleep(10)
        finally:
            seen.append(f"main ended at {clock.now():g}")

    for rate in (warp.JUMP, 1000):
        with pytest.raises(NoValidHost) as caught:
            warp.run(main, rate=rate)
        assert caught.value is error
    assert seen == ["main ended at 3"] * 2


@pytest.mark.parametrize("how", ["call_soon", "call_later"])
def test_crash_of_a_callback_ends_the_run_with_that_exception(how: str) -> None:
    error = NoValidHost(rejected=["h1"])

    def crash() -> None:
        raise error

    async def main(world: warp.World) -> None:
        world.process(ticking(world))
        await aio.sleep(1)
        the_loop().call_soon(crash) if how == "call_soon" else the_loop().call_later(1, crash)
        await aio.sleep(10)

    for rate in (warp.JUMP, 1000):
        with pytest.raises(NoValidHost) as caught:
            warp.run(main, rate=rate)
        assert caught.value is error


def test_handler_of_the_user_comes_before_the_end_of_the_run() -> None:
    seen: list[str] = []

    async def main(world: warp.World) -> str:
        the_loop().set_exception_handler(lambda _loop, context: seen.append(repr(context["exception"])))
        the_loop().call_soon(lambda: 1 // 0)
        await aio.sleep(1)
        return "went on"

    assert warp.run(main) == "went on"
    assert seen == ["ZeroDivisionError('integer division or modulo by zero')"]


def test_task_that_failed_unseen_ends_the_run_when_it_is_forgotten() -> None:
    async def bad() -> None:
        raise NoValidHost(rejected=[])

    async def main(world: warp.World) -> None:
        asyncio.create_task(bad())  # noqa: RUF006 - that is the mistake
        await aio.sleep(1)
        gc.collect()
        await aio.sleep(1)

    with pytest.raises(NoValidHost):
        warp.run(main)


def test_error_of_main_comes_out_as_it_is() -> None:
    error = NoValidHost(rejected=["h1"])

    async def main(world: warp.World) -> None:
        await aio.sleep(1)
        raise error

    with pytest.raises(NoValidHost) as caught:
        warp.run(main)
    assert caught.value is error


def test_threads_are_refused_while_the_clock_jumps() -> None:
    def blocking() -> None: ...

    async def main(world: warp.World) -> None:
        await asyncio.to_thread(blocking)

    with pytest.raises(warp.ThreadsUnavailable, match=r"blocking was given to a thread"):
        warp.run(main)


def test_threads_work_at_a_finite_rate() -> None:
    async def main(world: warp.World) -> str:
        return await asyncio.to_thread(lambda: "from a thread")

    assert warp.run(main, rate=1000) == "from a thread"


# --------------------------------------------------------------------------------------------------------- the end


def test_tasks_that_are_left_are_cancelled_oldest_first_each_to_its_end() -> None:
    seen: list[str] = []

    async def child(name: str) -> None:
        try:
            await aio.sleep(1000)
        finally:
            seen.append(f"{name} cancelled")
            await aio.sleep(5)
            seen.append(f"{name} ended at {clock.now():g}")

    async def owner() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(child("owned 1"))
            group.create_task(child("owned 2"))

    async def main(world: warp.World) -> str:
        loop = the_loop()
        loop.create_task(owner())
        loop.create_task(child("stray"))
        await aio.sleep(1)
        return "result"

    assert warp.run(main) == "result"
    assert seen == [
        "owned 1 cancelled",
        "owned 2 cancelled",
        "owned 1 ended at 6",
        "owned 2 ended at 6",
        "stray cancelled",
        "stray ended at 11",
    ]


def test_what_goes_wrong_at_the_end_fails_the_run_or_is_noted() -> None:
    async def dirty() -> None:
        try:
            await aio.sleep(1000)
        finally:
            raise OSError("cannot clean up")

    async def main(world: warp.World, fail: bool) -> None:
        the_loop().create_task(dirty())
        await aio.sleep(1)
        if fail:
            raise LookupError("main")

    with pytest.raises(OSError, match="cannot clean up"):
        warp.run(lambda world: main(world, False))
    with pytest.raises(LookupError, match="main") as caught:
        warp.run(lambda world: main(world, True))
    assert caught.value.__notes__ == ["while the run was ending: OSError('cannot clean up')"]


def test_task_that_does_not_end_keeps_no_other_from_its_rollback() -> None:
    seen: list[str] = []

    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await the_loop().create_future()

    async def good() -> None:
        try:
            await aio.sleep(1000)
        finally:
            await aio.sleep(5)
            seen.append("rolled back")

    async def main(world: warp.World) -> None:
        loop = the_loop()
        kept.append(loop.create_task(stubborn()))
        loop.create_task(good())
        await aio.sleep(1)

    kept: list[asyncio.Task[None]] = []
    with pytest.raises(warp.Deadlock, match="stubborn"):
        warp.run(main)
    assert seen == ["rolled back"]
    kept[0]._log_destroy_pending = False  # type: ignore[attr-defined]
    kept[0].get_coro().close()  # type: ignore[union-attr]


def test_crash_of_the_world_does_not_break_off_a_rollback() -> None:
    seen: list[str] = []

    def host(world: warp.World, seconds: float) -> warp.ProcessGenerator:
        yield world.timeout(seconds)
        raise OSError(seconds)

    async def main(world: warp.World) -> None:
        for seconds in (1, 2, 3):
            world.process(host(world, seconds))
        async with aio.undo_on_failure() as undo:
            undo.push_async_callback(aio.sleep, 10)
            undo.callback(seen.append, "undone")
            await aio.sleep(100)

    with pytest.raises(OSError, match="1") as caught:
        warp.run(main)
    assert seen == ["undone"]
    assert caught.value.__notes__ == [f"while the run was ending: OSError({seconds})" for seconds in (2, 3)]


def test_asynchronous_generators_are_closed_newest_first() -> None:
    seen: list[str] = []

    async def numbers(name: str) -> Any:
        try:
            for number in itertools.count():
                yield number
        finally:
            await aio.sleep(1)
            seen.append(f"{name} {clock.now():g}")

    async def main(world: warp.World) -> None:
        for name in ("a", "b"):
            generator = numbers(name)
            kept.append(generator)
            await anext(generator)

    kept: list[Any] = []
    warp.run(main)
    assert seen == ["b 1", "a 2"]


def test_run_refuses_to_be_nested() -> None:
    async def inner(world: warp.World) -> None: ...

    async def main(world: warp.World) -> None:
        warp.run(inner)

    with pytest.raises(RuntimeError, match="inside a running event loop"):
        warp.run(main)


def test_names_of_tasks_count_from_one_in_every_run() -> None:
    async def main(world: warp.World) -> list[str]:
        return [asyncio.create_task(aio.sleep(0)).get_name() for _ in range(2)]

    assert warp.run(main) == warp.run(main) == ["task-2", "task-3"]


def test_ctrl_c_cancels_main_between_two_events() -> None:
    seen: list[str] = []

    def host(world: warp.World) -> warp.ProcessGenerator:
        while True:
            yield world.timeout(1)
            if world.now == 50:
                os.kill(os.getpid(), signal.SIGINT)
            seen.append("whole step")

    async def main(world: warp.World, keep: bool) -> str:
        try:
            await warp.of(world.process(host(world)))
        except asyncio.CancelledError:
            if not keep:
                raise
        return "partial"

    with pytest.raises(KeyboardInterrupt):
        warp.run(lambda world: main(world, False), horizon=1000)
    assert warp.run(lambda world: main(world, True), horizon=1000) == "partial"
    assert len(seen) >= 100
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# -------------------------------------------------------------------------------------------------------- horizon


def test_nothing_happens_after_the_horizon() -> None:
    async def main(world: warp.World) -> None:
        world.process(ticking(world))
        await aio.Event().wait()

    for rate in (warp.JUMP, 1e4):
        world = warp.World()
        with pytest.raises(warp.HorizonReached, match=r"the horizon, 100\.5 s, was reached") as caught:
            warp.run(main, world=world, horizon=100.5, rate=rate)
        assert (world.now, caught.value.horizon) == (100.5, 100.5)


def test_what_happens_at_the_horizon_still_happens() -> None:
    async def main(world: warp.World) -> float:
        await aio.sleep(100)
        await aio.sleep(0)
        return clock.now()

    assert warp.run(main, horizon=100) == 100.0
    with pytest.raises(warp.HorizonReached):
        warp.run(main, horizon=math.nextafter(100, 0))


def test_horizon_may_be_the_ordinary_end() -> None:
    async def main(world: warp.World, keep: bool) -> str:
        world.process(ticking(world))
        try:
            await aio.Event().wait()
        except asyncio.CancelledError:
            if not keep:
                raise
        return f"partial at {clock.now():g}"

    assert warp.run(lambda world: main(world, True), horizon=9.5, at_horizon="stop") == "partial at 9.5"
    assert warp.run(lambda world: main(world, False), horizon=9.5, at_horizon="stop") is None


def test_jumping_run_always_has_a_horizon() -> None:
    async def main(world: warp.World) -> float:
        return world.horizon

    assert warp.run(main) == warp.DEFAULT_HORIZON
    assert warp.run(main, world=warp.World(horizon=7)) == 7
    assert warp.run(main, rate=60) == math.inf


def test_deadlock_before_the_horizon_is_a_deadlock() -> None:
    async def main(world: warp.World) -> None:
        await aio.Event().wait()

    with pytest.raises(warp.Deadlock):
        warp.run(main, horizon=100)


# ------------------------------------------------------------------------------------------- timers and their heap


def test_cancelled_long_timers_are_swept_from_the_heap() -> None:
    async def operation() -> None:
        async with aio.timeout(3600):
            await aio.sleep(1)

    async def main(world: warp.World) -> tuple[int, int]:
        longest = 0
        for _ in range(100):
            await aio.gather(*(operation() for _ in range(100)))
            longest = max(longest, len(world._heap))
        return longest, world.scheduled

    longest, scheduled = warp.run(main)
    assert longest < 3000  # of 10,000 deadlines
    assert scheduled == 0


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans()), min_size=1, max_size=60), st.integers(0, 3))
def test_sweeping_changes_neither_order_nor_count(plan: list[tuple[int, bool]], copies: int) -> None:
    async def main(world: warp.World) -> tuple[list[Any], int]:
        seen: list[Any] = []
        for _ in range(copies):  # enough of them, and they are swept
            for handle in [the_loop().call_at(500, pytest.fail) for _ in range(600)]:
                handle.cancel()
        handles = [the_loop().call_at(when, seen.append, number) for number, (when, _) in enumerate(plan)]
        for handle, (_, dead) in zip(handles, plan, strict=True):
            if dead:
                handle.cancel()
        live = world.scheduled
        await aio.sleep(100)
        return seen, live

    seen, live = warp.run(main)
    kept = [(when, number) for number, (when, dead) in enumerate(plan) if not dead]
    assert seen == [number for _, number in sorted(kept)]
    assert live == len(kept)


def test_timer_can_be_cancelled_after_it_fired_and_asked_when() -> None:
    async def main(world: warp.World) -> list[Any]:
        seen: list[Any] = []
        timer = the_loop().call_later(3, seen.append, "fired")
        assert timer.when() == 3.0
        await aio.sleep(5)
        timer.cancel()
        late = the_loop().call_at(1, seen.append, "late")
        await aio.sleep(0.5)
        return [*seen, late.cancelled(), timer.cancelled(), world.scheduled, clock.now()]

    assert warp.run(main) == ["fired", "late", False, True, 0, 5.5]


def test_timer_at_infinity_never_fires_and_nan_is_refused() -> None:
    async def main(world: warp.World) -> int:
        timer = the_loop().call_later(math.inf, pytest.fail)
        timer.cancel()
        with pytest.raises(ValueError, match="not a number"):
            the_loop().call_later(math.nan, pytest.fail)
        await aio.sleep(1)
        return world.scheduled

    assert warp.run(main) == 0


def test_closed_loop_takes_no_timers() -> None:
    loop = warp.WarpLoop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1, pytest.fail)


def test_loop_runs_in_debug_mode() -> None:
    loop = warp.WarpLoop()
    loop.set_debug(True)
    loop.run_until_complete(asyncio.wait_for(asyncio.sleep(5, "ok"), 9))
    assert loop.time() == 5.0
    loop.close()


# --------------------------------------------------------------------------------------------------- rate and pause


def paused_until_readable(loop: warp.WarpLoop, then: Callable[[], None]) -> tuple[socket.socket, socket.socket]:
    """Sockets of which one is readable at once: the outside world, in a pause in which nothing of the world happens."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def readable() -> None:
        loop.remove_reader(ours)
        then()

    loop.add_reader(ours, readable)
    theirs.send(b"x")
    return ours, theirs


def test_pause_stops_the_clock_until_somebody_outside_ends_it() -> None:
    seen: list[Any] = []

    def resume(loop: warp.WarpLoop) -> None:
        seen.append(("resumed at", loop.time(), loop.rate))
        loop.set_rate(warp.JUMP)

    async def main(world: warp.World) -> float:
        loop = the_loop()
        await aio.sleep(10)
        loop.set_rate(warp.PAUSE)
        await aio.sleep(0)  # what is due now still happens
        pair = paused_until_readable(loop, lambda: resume(loop))
        await aio.sleep(5)
        for end in pair:
            end.close()
        return clock.now()

    assert warp.run(main) == 15.0
    assert seen == [("resumed at", 10.0, 0.0)]


def test_rate_changes_while_running_and_the_clock_does_not_jump() -> None:
    async def main(world: warp.World) -> list[float]:
        loop, seen = the_loop(), []
        for rate in (1000.0, 5000.0, warp.JUMP, 2000.0, warp.JUMP):
            before = clock.now()
            loop.set_rate(rate)
            assert (loop.rate, clock.now()) == (rate, before)
            await aio.sleep(10)
            seen.append(clock.now())
        return seen

    assert warp.run(main, rate=2000.0) == [10.0, 20.0, 30.0, 40.0, 50.0]


@pytest.mark.parametrize("rate", [-1.0, math.nan])
def test_senseless_rate_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="makes no sense"):
        warp.WarpLoop(rate=rate)


def test_world_that_is_too_slow_slips_and_says_so() -> None:
    async def main(world: warp.World) -> warp.LoopStatistics:
        loop = the_loop()
        loop.max_lag = 0.0
        world.process(ticking(world, 1e-3))
        await aio.sleep(5)
        return loop.statistics()

    statistics = warp.run(main, rate=1e9)
    assert statistics.slipped > 0.0
    assert (statistics.now, statistics.rate, statistics.tasks) == (5.0, 1e9, 1)
    assert warp.run(main).slipped == 0.0


def test_task_that_spins_does_not_stop_the_clock_at_a_finite_rate() -> None:
    async def main(world: warp.World) -> float:
        done = world.at(200)
        while not done.processed:
            await aio.sleep(0)
        return clock.now()

    assert warp.run(main, rate=1000.0) >= 200.0


# ----------------------------------------------------------------------------------------------------------- sockets


@pytest.mark.parametrize("rate", [1.0, 1000.0])
def test_sockets_are_served_at_a_finite_rate_while_the_world_ticks(rate: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def main(world: warp.World) -> list[bytes]:
        world.process(ticking(world, rate / 1000))
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            answers = []
            for line in (b"one\n", b"two\n"):
                writer.write(line)
                answers.append(await reader.readline())
            writer.close()
            await writer.wait_closed()
        return answers

    assert warp.run(main, rate=rate) == [b"ONE\n", b"TWO\n"]


def test_trouble_of_one_connection_does_not_end_a_live_world(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: warp.World) -> str:
        the_loop().call_exception_handler({"message": "connection lost", "transport": None})
        await aio.sleep(1)
        return "went on"

    assert warp.run(main, rate=1000.0) == "went on"
    assert "connection lost" in caplog.text
    with pytest.raises(RuntimeError, match="connection lost"):
        warp.run(main)


def test_signal_handler_of_the_loop_is_called_while_the_clock_jumps() -> None:
    async def main(world: warp.World) -> str:
        called = aio.Event()
        the_loop().add_signal_handler(signal.SIGUSR1, called.set)
        world.process(ticking(world))
        os.kill(os.getpid(), signal.SIGUSR1)
        await called.wait()
        return "called"

    assert warp.run(main) == "called"


# --------------------------------------------------------------------------------------------------------- internals


def test_internals_of_asyncio_and_simpy_are_as_relied_upon() -> None:
    """What ``warp`` uses beyond the documented interfaces. If this fails on a new release, read ``warp`` again."""
    loop = asyncio.SelectorEventLoop()
    asked: list[float | None] = []
    select = loop._selector.select  # type: ignore[attr-defined]
    loop._selector.select = lambda timeout=None: asked.append(timeout) or select(0)  # type: ignore[attr-defined,func-returns-value]
    assert len(loop._ready) == 0  # type: ignore[attr-defined]
    loop.call_soon(lambda: loop.call_soon(loop.stop))
    assert len(loop._ready) == 1  # type: ignore[attr-defined]
    loop.run_forever()
    # One select a pass; 0 while something is ready or the loop is stopping, None if nothing is and no timer of its own.
    assert asked[:2] == [0, 0]
    loop.call_soon(loop.stop)
    loop._ready.clear()  # type: ignore[attr-defined]
    loop._selector.select = lambda timeout=None: asked.append(timeout) or loop.stop() or []  # type: ignore[attr-defined,func-returns-value]
    loop.run_forever()
    assert asked[-1] is None
    assert len(loop._selector.get_map()) == 1  # type: ignore[attr-defined]
    for name in ("_check_closed", "_check_thread", "_check_callback", "_asyncgen_firstiter_hook"):
        assert callable(getattr(loop, name))
    handle = asyncio.TimerHandle(1.0, lambda: None, (), loop)
    handle._run()
    handle.cancel()  # tells the loop, to which a timer that is not on its own heap means nothing
    assert handle._loop is loop  # type: ignore[attr-defined]
    assert loop._timer_cancelled_count == 0  # type: ignore[attr-defined]
    del loop._selector.select  # type: ignore[attr-defined]
    loop.close()

    environment = simpy.Environment(4.0)
    event = environment.timeout(2, "value")
    assert environment._queue == [(6.0, warp.NORMAL, 0, event)]
    assert (next(environment._eid), environment._now, environment._active_proc) == (1, 4.0, None)
    assert (event._ok, event._value, event.callbacks, event.defused) == (True, "value", [], False)
    process = environment.process(iter_once(environment))
    assert process._target.callbacks == [process._resume]
    assert hasattr(process, "_generator")
    environment.run()
    assert (event.callbacks, process.callbacks, process._value) == (None, None, "end")


def iter_once(environment: simpy.Environment) -> warp.ProcessGenerator:
    yield environment.timeout(1)
    return "end"
