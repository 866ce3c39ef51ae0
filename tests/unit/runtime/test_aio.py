import asyncio
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sundog.errors import InputError
from sundog.runtime import aio, clock, warp
from sundog.runtime.seeds import Streams

T = TypeVar("T")


def run(main: Callable[[], Any]) -> Any:
    return warp.run(lambda _world: main())


def chance() -> Any:
    return Streams(1).stream("retry")


# ---------------------------------------------------------------------------------------------------------- timeout


def test_timeout_says_which_deadline_was_missed() -> None:
    async def main() -> float:
        deadline = aio.timeout(2.5)
        with pytest.raises(TimeoutError, match=r"^not done within 2\.5 s$"):
            async with deadline:
                await aio.sleep(9)
        assert deadline.expired()
        assert deadline.when() == 2.5
        return clock.now()

    assert run(main) == 2.5


def test_timeout_leaves_other_errors_and_cancellations_alone() -> None:
    async def main() -> str:
        with pytest.raises(TimeoutError, match=r"^mine$"):
            async with aio.timeout(5):
                raise TimeoutError("mine")
        task = asyncio.create_task(waiting())
        await aio.sleep(1)
        task.cancel("outside")
        with pytest.raises(asyncio.CancelledError, match="outside"):
            await task
        return "ok"

    async def waiting() -> None:
        async with aio.timeout(5):
            await aio.sleep(9)

    assert run(main) == "ok"


def test_timeout_can_be_moved_and_taken_away() -> None:
    async def main() -> float:
        async with aio.timeout(1) as deadline:
            deadline.reschedule(None)
            await aio.sleep(5)
            assert deadline.when() is None
            deadline.reschedule(clock.now() + 3)
            with pytest.raises(asyncio.CancelledError):
                await aio.sleep(4)
            raise TimeoutError("ended by hand")

    with pytest.raises(TimeoutError):
        run(main)


def test_timeout_of_none_waits_forever() -> None:
    async def main() -> float:
        async with aio.timeout(None):
            await aio.sleep(1e6)
        return clock.now()

    assert run(main) == 1e6


# ------------------------------------------------------------------------------------------------------------ groups


def test_group_cancels_in_the_order_of_creation() -> None:
    order: list[int] = []

    async def child(number: int) -> None:
        try:
            await aio.sleep(100)
        except asyncio.CancelledError:
            order.append(number)
            raise

    async def main() -> None:
        async with aio.TaskGroup() as group:
            for number in range(200):
                group.create_task(child(number))
            await aio.sleep(1)
            raise ValueError("enough")

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert repr(caught.value.exceptions) == "(ValueError('enough'),)"
    assert order == list(range(200))


def test_group_gathers_all_errors_in_the_order_of_their_coming() -> None:
    async def fails(seconds: float) -> None:
        try:
            await aio.sleep(seconds)
        finally:
            raise ValueError(seconds)

    async def main() -> None:
        async with aio.TaskGroup() as group:
            for seconds in (3, 1, 2):
                group.create_task(fails(seconds), name=f"child {seconds}")

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert [error.args[0] for error in caught.value.exceptions] == [1, 3, 2]


def test_group_refuses_tasks_when_it_cannot_own_them() -> None:
    async def nothing() -> None: ...

    async def late(group: aio.TaskGroup) -> None:
        try:
            await aio.sleep(9)
        except asyncio.CancelledError:
            with pytest.raises(RuntimeError, match="is shutting down"):
                group.create_task(nothing())
            raise

    async def main() -> str:
        group = aio.TaskGroup()
        with pytest.raises(RuntimeError, match="was not entered"):
            group.create_task(nothing())
        async with group:
            pass
        with pytest.raises(RuntimeError, match="has ended"):
            group.create_task(nothing())
        with pytest.raises(RuntimeError, match="entered before"):
            async with group:
                pass
        with pytest.raises(ExceptionGroup):
            await shut_down()
        return "ok"

    async def shut_down() -> None:
        async with aio.TaskGroup() as another:
            another.create_task(late(another))
            await aio.sleep(1)
            raise ValueError

    assert run(main) == "ok"


def test_group_lets_a_child_start_another_while_it_waits() -> None:
    seen: list[float] = []

    async def child(group: aio.TaskGroup, depth: int) -> None:
        await aio.sleep(1)
        seen.append(clock.now())
        if depth:
            group.create_task(child(group, depth - 1))

    async def main() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(child(group, 3))

    run(main)
    assert seen == [1.0, 2.0, 3.0, 4.0]


def test_failure_of_a_child_leaves_no_cancellation_behind() -> None:
    async def bad() -> None:
        await aio.sleep(1)
        raise ValueError

    async def group_of_one() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(bad())
            await aio.sleep(50)

    async def main() -> tuple[int, float]:
        with pytest.raises(ExceptionGroup):
            await group_of_one()
        await aio.sleep(5)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling(), clock.now()

    assert run(main) == (0, 6.0)


def test_cancellation_beside_a_failure_arrives_at_the_next_await() -> None:
    async def bad() -> None:
        try:
            await aio.sleep(9)
        except asyncio.CancelledError:
            await aio.sleep(2)
            raise ValueError from None

    async def parent(seen: list[str]) -> None:
        try:
            async with aio.TaskGroup() as group:
                group.create_task(bad())
        except ExceptionGroup:
            seen.append(f"group at {clock.now()}")
        try:
            await aio.sleep(50)
        except asyncio.CancelledError:
            seen.append(f"cancelled at {clock.now()}")
            raise

    async def main() -> list[str]:
        seen: list[str] = []
        task = asyncio.create_task(parent(seen))
        await aio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        return [*seen, f"cancelled: {task.cancelled()}"]

    assert run(main) == ["group at 3.0", "cancelled at 3.0", "cancelled: True"]


def test_the_background_ends_with_its_block_which_fails_as_itself() -> None:
    ended: list[float] = []

    async def watch(stop: aio.Event) -> None:
        await stop.wait()
        ended.append(clock.now())

    async def main(error: Exception) -> None:
        stop = aio.Event()
        async with aio.background() as tasks:
            tasks.create_task(watch(stop))
            await aio.sleep(3)
            try:
                raise error
            finally:
                stop.set()

    with pytest.raises(InputError, match="not so"):
        run(partial(main, InputError("not so")))
    with pytest.raises(ExceptionGroup) as caught:
        run(partial(main, ValueError("a fault of ours")))
    assert repr(caught.value.exceptions) == "(ValueError('a fault of ours'),)"
    assert ended == [3]


def test_what_fails_in_the_background_ends_the_block() -> None:
    async def fail() -> None:
        await aio.sleep(1)
        raise InputError("lost")

    async def main() -> None:
        async with aio.background() as tasks:
            tasks.create_task(fail())
            await aio.sleep(100)

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert [type(error) for error in caught.value.exceptions] == [InputError]


def test_group_used_for_cleaning_up_does_not_deliver_the_old_cancellation_again() -> None:
    async def bad() -> None:
        await aio.sleep(1)
        raise ValueError

    async def parent() -> str:
        try:
            await aio.sleep(50)
        except asyncio.CancelledError:
            with pytest.raises(ExceptionGroup):
                async with aio.TaskGroup() as group:
                    group.create_task(bad())
            await aio.sleep(4)
            return f"cleaned up at {clock.now()}"
        return "not cancelled"

    async def main() -> str:
        task = asyncio.create_task(parent())
        await aio.sleep(1)
        task.cancel()
        return await task

    assert run(main) == "cleaned up at 6.0"


def test_keyboard_interrupt_of_the_block_passes_bare() -> None:
    children: list[asyncio.Task[Any]] = []

    async def block() -> None:
        async with aio.TaskGroup() as group:
            children.append(group.create_task(aio.sleep(50)))
            await aio.sleep(1)
            raise KeyboardInterrupt

    async def main() -> bool:
        with pytest.raises(KeyboardInterrupt):
            await block()
        return children[0].cancelled()

    assert run(main)


CHILDREN = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 9), st.booleans(), st.booleans()), max_size=5)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio's own TaskGroup miscounts cancellations before 3.13")
@settings(max_examples=150, deadline=None)
@given(CHILDREN, st.integers(0, 20), st.booleans(), st.lists(st.integers(0, 25), max_size=3, unique=True))
def test_group_ends_as_asyncio_s_does(
    children: list[tuple[int, int, bool, bool]], body: int, body_fails: bool, cancels: list[int]
) -> None:
    """Same outcome, same events at the same times, same count of cancellations. Only order in an instant is ours."""

    async def child(seen: list[Any], number: int, seconds: int, cleanup: int, fails: bool, dirty: bool) -> None:
        try:
            await asyncio.sleep(seconds + number / 100)
            if fails:
                raise ValueError(number)
            seen.append((clock.now(), number, "done"))
        except asyncio.CancelledError:
            await asyncio.sleep(cleanup + number / 1000)
            seen.append((clock.now(), number, "cleaned up"))
            if dirty:
                raise KeyError(number) from None
            raise

    async def parent(group: Any, seen: list[Any]) -> None:
        async with group:
            for number, one in enumerate(children, start=1):
                group.create_task(child(seen, number, *one))
            await asyncio.sleep(body + 0.003)
            if body_fails:
                raise ValueError("body")

    async def checked(group: Any, seen: list[Any]) -> None:
        try:
            await parent(group, seen)
        except BaseException as error:  # noqa: BLE001 - compared
            seen.append(
                (clock.now(), 100, f"{type(error).__name__} {sorted(map(repr, getattr(error, 'exceptions', ())))}")
            )
        task = asyncio.current_task()
        assert task is not None
        seen.append((clock.now(), 101, f"{task.cancelling()} cancellations"))
        await asyncio.sleep(1)
        seen.append((clock.now(), 102, "went on"))

    async def main(make: Callable[[], Any]) -> list[Any]:
        seen: list[Any] = []
        task = asyncio.create_task(checked(make(), seen))
        loop = asyncio.get_running_loop()
        for when in cancels:
            loop.call_at(when + 0.0005, task.cancel)
        await asyncio.wait([task])
        return [*sorted(seen), task.cancelled()]

    assert run(lambda: main(aio.TaskGroup)) == run(lambda: main(asyncio.TaskGroup))


# ------------------------------------------------------------------------------------------------------- gather, map


def test_gather_gives_results_in_the_order_of_its_arguments() -> None:
    async def after(seconds: float) -> float:
        await aio.sleep(seconds)
        return seconds

    async def main() -> tuple[Any, float]:
        return await aio.gather(after(3), after(1), after(2)), clock.now()

    assert run(main) == ((3, 1, 2), 3.0)
    assert run(aio.gather) == ()


def test_map_keeps_the_limit_and_the_order() -> None:
    busy, most = 0, 0

    async def work(number: int) -> int:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await aio.sleep(10 - number % 7)
        busy -= 1
        return number * number

    async def main() -> list[int]:
        return await aio.map(work, range(50), limit=4)

    assert run(main) == [number * number for number in range(50)]
    assert (busy, most) == (0, 4)


def test_map_takes_items_as_places_become_free_and_stops_at_a_failure() -> None:
    taken: list[int] = []

    def items() -> Any:
        for number in range(1000):
            taken.append(number)
            yield number

    async def work(number: int) -> None:
        await aio.sleep(1)
        if number == 5:
            raise ValueError(number)

    async def main() -> None:
        await aio.map(work, items(), limit=2)

    with pytest.raises(ExceptionGroup, match="tasks of a group failed"):
        run(main)
    assert len(taken) < 10
    with pytest.raises(ValueError, match="limit of 0"):
        run(lambda: aio.map(work, [], limit=0))


# ------------------------------------------------------------------------------------------------------- shield, undo


def test_shield_gives_the_result_or_the_error() -> None:
    async def work(fail: bool) -> str:
        await aio.sleep(1)
        if fail:
            raise ValueError("no")
        return "done"

    async def main() -> str:
        with pytest.raises(ValueError, match="no"):
            await aio.shield(work(True))
        return await aio.shield(work(False))

    assert run(main) == "done"


def test_shield_ends_its_work_before_it_lets_the_cancellation_through() -> None:
    seen: list[Any] = []

    async def work() -> None:
        await aio.sleep(10)
        seen.append(("work", clock.now()))
        raise OSError("lost")

    async def main() -> None:
        task = asyncio.create_task(aio.shield(work()))
        for _ in range(3):
            await aio.sleep(2)
            task.cancel(f"at {clock.now():g}")
        try:
            await task
        except asyncio.CancelledError as cancelled:
            seen.append((str(cancelled), clock.now()))
        error = await asyncio.gather(task, return_exceptions=True)
        seen.append(repr(error[0]))

    run(main)
    assert seen[:1] == [("work", 10.0)]
    assert seen[1][1] == 10.0


def test_error_of_shielded_work_is_the_cause_of_the_cancellation() -> None:
    async def work() -> None:
        await aio.sleep(10)
        raise OSError("lost")

    async def caller(seen: list[Any]) -> None:
        try:
            await aio.shield(work())
        except asyncio.CancelledError as cancelled:
            seen.append(repr(cancelled.__cause__))
            raise

    async def main() -> list[Any]:
        seen: list[Any] = []
        task = asyncio.create_task(caller(seen))
        await aio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        return seen

    assert run(main) == ["OSError('lost')"]


def test_undo_runs_newest_first_and_only_on_failure() -> None:
    seen: list[str] = []

    async def release(what: str, *, loudly: bool = False) -> None:
        await aio.sleep(1)
        seen.append(what.upper() if loudly else what)

    async def main(fail: bool) -> None:
        async with aio.undo_on_failure() as undo:
            undo.push_async_callback(release, "claim")
            undo.callback(seen.append, "note")
            undo.push_async_callback(release, "ports", loudly=True)
            if fail:
                raise LookupError("no image")

    run(lambda: main(False))
    assert seen == []
    with pytest.raises(LookupError, match="no image"):
        run(lambda: main(True))
    assert seen == ["PORTS", "note", "claim"]


def test_undo_can_be_forgotten() -> None:
    async def main() -> None:
        async with aio.undo_on_failure() as undo:
            undo.callback(pytest.fail, "was undone")
            undo.pop_all()
            raise LookupError("after the point of no return")

    with pytest.raises(LookupError):
        run(main)


def test_a_compensation_that_fails_stops_no_other_and_is_noted() -> None:
    seen: list[Any] = []

    async def release(what: str) -> None:
        await aio.sleep(1)
        if what == "ports":
            raise OSError("switch does not answer")
        seen.append(what)

    async def main() -> None:
        async with aio.undo_on_failure(lambda name, error: seen.append(repr(error))) as undo:
            for what in ("claim", "ports", "image"):
                undo.push_async_callback(release, what)
            raise LookupError("no")

    with pytest.raises(LookupError) as caught:
        run(main)
    assert seen == ["image", "claim", "OSError('switch does not answer')"]
    (note,) = caught.value.__notes__
    assert note.endswith("release failed as well: OSError('switch does not answer')")


def test_saga_that_nobody_runs_any_more_is_closed_in_silence() -> None:
    async def saga() -> None:
        async with aio.undo_on_failure() as undo:
            undo.callback(pytest.fail, "was undone")
            await asyncio.sleep(0)

    work = saga()
    work.send(None)
    work.close()
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


# ------------------------------------------------------------------------------------------------------------- retry


def attempts_at(failures: int, times: list[float], error: Exception | None = None) -> Callable[[], Awaitable[str]]:
    async def attempt() -> str:
        times.append(clock.now())
        await aio.sleep(1)
        if len(times) <= failures:
            raise error or ConnectionError(f"attempt {len(times)}")
        return "done"

    return attempt


def test_retry_backs_off_until_it_succeeds() -> None:
    times: list[float] = []
    steady = aio.Backoff(first=2, factor=3, longest=10, jitter=0)
    assert run(lambda: aio.retry(attempts_at(4, times), on=ConnectionError, rng=chance(), backoff=steady)) == "done"
    assert times == [0.0, 3.0, 10.0, 21.0, 32.0]  # an attempt takes 1 s; the pauses are 2, 6, 10 and 10


def test_retry_gives_up_with_the_last_error_and_says_so() -> None:
    times: list[float] = []
    with pytest.raises(ConnectionError, match="attempt 3") as caught:
        run(lambda: aio.retry(attempts_at(99, times), on=ConnectionError, rng=chance(), attempts=3))
    assert len(times) == 3
    assert caught.value.__notes__[0].startswith("gave up after 3 attempts in ")


def test_retry_lets_other_errors_pass_at_once() -> None:
    times: list[float] = []
    with pytest.raises(ValueError, match="bad request"):
        run(lambda: aio.retry(attempts_at(9, times, ValueError("bad request")), on=OSError, rng=chance()))
    assert times == [0.0]


def test_retry_begins_no_pause_that_would_end_after_the_deadline() -> None:
    async def main() -> float:
        steady = aio.Backoff(first=4, factor=1, jitter=0)
        with pytest.raises(ConnectionError):
            await aio.retry(
                attempts_at(99, []), on=ConnectionError, rng=chance(), attempts=None, deadline=12, backoff=steady
            )
        return clock.now()

    assert run(main) == 11.0  # attempts at 0, 5 and 10


def test_retry_cuts_an_attempt_that_outlasts_the_deadline() -> None:
    async def hangs() -> None:
        await aio.sleep(1000)

    with pytest.raises(TimeoutError, match="not done within 7 s"):
        run(lambda: aio.retry(hangs, on=(ConnectionError, TimeoutError), rng=chance(), deadline=7))


def test_retry_needs_an_end() -> None:
    with pytest.raises(ValueError, match="would never give up"):
        run(lambda: aio.retry(attempts_at(0, []), on=OSError, rng=chance(), attempts=None))
    with pytest.raises(ValueError, match="0 attempts would do nothing"):
        run(lambda: aio.retry(attempts_at(0, []), on=OSError, rng=chance(), attempts=0))


BACKOFFS = st.builds(aio.Backoff, st.floats(0, 1e6), st.floats(1, 1e6), st.floats(0, 1e9), st.floats(0, 1))


@given(BACKOFFS, st.integers(1, 10_000))
def test_delay_stays_within_its_bounds(backoff: aio.Backoff, failures: int) -> None:
    full = aio.Backoff(backoff.first, backoff.factor, backoff.longest, jitter=0).delay(failures, chance())
    assert 0.0 <= full <= backoff.longest
    assert full * (1 - backoff.jitter) <= backoff.delay(failures, chance()) * (1 + 1e-12) <= full * (1 + 1e-9)


def test_jitter_is_drawn_from_the_stream_alone() -> None:
    backoff, one, other = aio.Backoff(), chance(), chance()
    assert [backoff.delay(n, one) for n in (1, 2, 3)] == [backoff.delay(n, other) for n in (1, 2, 3)]
    with pytest.raises(ValueError, match="makes no sense"):
        aio.Backoff(jitter=1.5)


# ---------------------------------------------------------------------------------------------------------- apart


def test_work_apart_is_done_at_once_where_the_clock_jumps_and_in_a_thread_where_it_does_not() -> None:
    async def main() -> threading.Thread:
        before = clock.now()
        thread = await aio.apart(threading.current_thread)
        if thread is threading.main_thread():
            assert clock.now() == before
        return thread

    assert run(main) is threading.main_thread()
    assert warp.run(lambda _world: main(), rate=60.0) is not threading.main_thread()
    assert asyncio.run(main()) is not threading.main_thread()


def test_work_apart_takes_arguments_and_fails_as_itself() -> None:
    async def main() -> int:
        with pytest.raises(ValueError, match="invalid literal"):
            await aio.apart(int, "x")
        return await aio.apart(int, "ff", base=16)

    assert run(main) == 255
    assert asyncio.run(main()) == 255


def test_while_work_is_done_apart_others_have_their_turn() -> None:
    turn = threading.Event()

    async def main() -> bool:
        work = asyncio.ensure_future(aio.apart(turn.wait, 30.0))
        await asyncio.sleep(0)
        turn.set()
        return await work

    assert asyncio.run(main())
    turn.clear()
    assert warp.run(lambda _world: main(), rate=60.0)
