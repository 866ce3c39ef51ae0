"""Lifecycle events from a driver to whoever listens: streams with a bound, which say when they have lost something."""

from __future__ import annotations

from collections import deque

from sundog.backends.contract import EventKind, LifecycleEvent
from sundog.runtime import aio

LIMIT = 10_000


class EventQueue:
    """One stream of events: an ``EventStream``. It holds ``limit`` events; those beyond are lost, and it says so."""

    def __init__(self, publisher: EventPublisher, limit: int) -> None:
        self._publisher = publisher
        self._limit = limit
        self._waiting: deque[LifecycleEvent] = deque()
        self._filled = aio.Event()
        self._closed = False

    def put(self, event: LifecycleEvent) -> None:
        """Add an event. The first one too many becomes ``LOST``; what follows is dropped until there is room."""
        if len(self._waiting) < self._limit:
            self._waiting.append(event)
        elif len(self._waiting) == self._limit:
            self._waiting.append(LifecycleEvent(EventKind.LOST, event.time, ""))
        self._filled.set()

    def __aiter__(self) -> EventQueue:
        return self

    async def __anext__(self) -> LifecycleEvent:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        return self._waiting.popleft()

    def close(self) -> None:
        """Take no more events. What is there can still be read."""
        self._closed = True
        self._publisher.forget(self)
        self._filled.set()


class EventPublisher:
    """Gives each event to every open stream, in the order in which they were opened."""

    def __init__(self) -> None:
        self._streams: dict[EventQueue, None] = {}

    def stream(self, *, limit: int = LIMIT) -> EventQueue:
        """A new stream: the events from now on."""
        stream = EventQueue(self, limit)
        self._streams[stream] = None
        return stream

    def publish(self, event: LifecycleEvent) -> None:
        """Tell everybody who listens."""
        for stream in list(self._streams):
            stream.put(event)

    def forget(self, stream: EventQueue) -> None:
        """Tell ``stream`` nothing any more."""
        self._streams.pop(stream, None)
