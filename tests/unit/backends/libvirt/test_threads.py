"""Blocking calls in threads: awaited, never waited for beyond their deadline, never beside what follows them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sundog.backends.libvirt.threads import NoAnswer, NotStarted, Workers


def run(scenario: object) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))  # type: ignore[arg-type]


async def settled(workers: Workers, **expected: int) -> None:
    while workers.statistics() != expected:
        await asyncio.sleep(0.001)


def test_a_call_returns_and_raises_what_it_does_in_a_thread_of_its_own() -> None:
    async def scenario() -> None:
        workers = Workers("w")
        assert await workers.call(threading.current_thread, 10) is not threading.current_thread()
        with pytest.raises(ZeroDivisionError):
            await workers.call(lambda: 1 // 0, 10)
        await settled(workers, threads=1, idle=1)
        workers.close()
        await settled(workers, threads=0, idle=0)

    run(scenario())


def test_a_call_without_an_answer_is_left_behind_and_its_place_is_taken() -> None:
    async def scenario() -> None:
        workers, released = Workers("w", size=1), threading.Event()
        with pytest.raises(NoAnswer):
            await workers.call(released.wait, 0.01)
        assert await workers.call(lambda: 1, 10) == 1
        released.set()
        await settled(workers, threads=1, idle=1)

    run(scenario())


def test_threads_without_an_answer_are_bounded() -> None:
    async def scenario() -> None:
        workers, released = Workers("w", size=1, most=2), threading.Event()
        for _ in range(2):
            with pytest.raises(NoAnswer):
                await workers.call(released.wait, 0.01)
        with pytest.raises(NotStarted, match="2 earlier calls"):
            await workers.call(lambda: 1, 10)
        released.set()

    run(scenario())


def test_a_call_waits_for_its_turn_no_longer_than_its_deadline() -> None:
    async def scenario() -> None:
        workers, released = Workers("w", size=1), threading.Event()
        first = asyncio.create_task(workers.call(released.wait, 10))
        await asyncio.sleep(0)
        with pytest.raises(NotStarted):
            await workers.call(lambda: 1, 0.01)
        released.set()
        assert await first

    run(scenario())


def test_who_is_cancelled_waits_for_the_end_of_the_call() -> None:
    async def scenario() -> None:
        workers, released = Workers("w"), threading.Event()
        task = asyncio.create_task(workers.call(released.wait, 10))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        workers.close()

    run(scenario())


def test_a_closed_pool_makes_no_calls() -> None:
    async def scenario() -> None:
        workers = Workers("w")
        workers.close()
        with pytest.raises(NotStarted):
            await workers.call(lambda: 1, 10)

    run(scenario())
