"""Streams of events: each its own, in order, from when it was made, and honest about what it lost."""

from __future__ import annotations

import asyncio

from sundog.backends.contract import EventKind, LifecycleEvent, ServerKey
from sundog.backends.events import EventPublisher, EventQueue
from sundog.runtime import warp


def event(number: int) -> LifecycleEvent:
    return LifecycleEvent(EventKind.STARTED, float(number), "h0", ServerKey("s", number))


async def read(stream: EventQueue) -> list[float | str]:
    return [each.time if each.server else str(each.kind) async for each in stream]


def test_each_stream_has_every_event_since_it_was_made() -> None:
    async def main(world: warp.World) -> list[list[float | str]]:
        publisher = EventPublisher()
        publisher.publish(event(1))
        first = publisher.stream()
        publisher.publish(event(2))
        second = publisher.stream()
        publisher.publish(event(3))
        first.close()
        publisher.publish(event(4))
        second.close()
        second.close()
        return [await read(first), await read(second)]

    assert warp.run(main) == [[2, 3], [3, 4]]


def test_who_waits_for_an_event_gets_it_and_in_the_end_the_end() -> None:
    async def main(world: warp.World) -> list[float | str]:
        stream = EventPublisher().stream()
        task = asyncio.get_running_loop().create_task(read(stream))
        await asyncio.sleep(1)
        stream.put(event(1))
        await asyncio.sleep(1)
        stream.put(event(2))
        await asyncio.sleep(1)
        stream.close()
        return await task

    assert warp.run(main) == [1, 2]


def test_a_stream_that_nobody_reads_says_once_that_events_are_missing() -> None:
    async def main(world: warp.World) -> list[float | str]:
        publisher = EventPublisher()
        stream = publisher.stream(limit=3)
        for number in range(10):
            publisher.publish(event(number))
        first = [(await anext(stream)).time for _ in range(2)]
        publisher.publish(event(10))  # there is room again, but not for what was lost
        stream.close()
        return [*first, *await read(stream)]

    assert warp.run(main) == [0, 1, 2, "lost", 10]
