"""Calls that block, in threads of a host's own, awaited with a deadline. Real mode only: virtual time has no threads.

A call that libvirt never answers cannot be broken off. It keeps its thread, and another thread takes its place, up to
a bound: so a hung guest or daemon costs its own host some threads and nobody else anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from sundog.units import Seconds

T = TypeVar("T")


class NotStarted(Exception):
    """The call was not made: no thread was free in time, or too many wait for calls without an answer."""


class NoAnswer(Exception):
    """The call was made and has not returned by its deadline. It may yet."""


class Workers:
    """At most ``size`` calls at a time, those without an answer by their deadline not counted, up to ``most`` threads.

    To be used on one asyncio loop. Threads are daemons: a call without an end does not keep the process from ending.
    """

    def __init__(self, name: str, *, size: int = 4, most: int = 20) -> None:
        self.name = name
        self.size, self._most = size, most
        self._free = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._threads = 0
        self._closed = False

    async def call(self, fn: Callable[[], T], deadline: Seconds) -> T:
        """What ``fn`` returns, or raises, in a thread. A caller who is cancelled still waits for that.

        Raises: NotStarted; NoAnswer.
        """
        async with self.turn(deadline):
            return await self.make(fn, deadline)

    @contextlib.asynccontextmanager
    async def turn(self, deadline: Seconds) -> AsyncIterator[None]:
        """A turn, for one call to be made in the block. Raises: NotStarted if it has not come by the deadline."""
        try:
            async with asyncio.timeout(deadline):
                await self._free.acquire()
        except TimeoutError:
            raise NotStarted(f"{self.size} other calls are under way") from None
        try:
            yield
        finally:
            self._free.release()

    async def make(self, fn: Callable[[], T], deadline: Seconds) -> T:
        """A call by somebody whose turn it is; as ``call``."""
        worker = self._take()
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        worker.begin(fn, outcome, self._give_back)
        return await _outcome(outcome, deadline)

    def statistics(self) -> dict[str, int]:
        """How many threads there are, and how many of them have nothing to do."""
        return {"threads": self._threads, "idle": len(self._idle)}

    def close(self) -> None:
        """Let every thread end, those at work when they are done."""
        self._closed = True
        while self._idle:
            self._idle.pop().end()

    def _take(self) -> _Worker:
        if self._closed:
            raise NotStarted("its connection was closed")
        if self._idle:
            return self._idle.pop()
        if self._threads >= self._most:
            raise NotStarted(f"{self._threads} earlier calls have no answer yet")
        self._threads += 1
        return _Worker(self.name, self._left)

    def _give_back(self, worker: _Worker) -> None:
        if self._closed or len(self._idle) >= self.size:
            worker.end()
        else:
            self._idle.append(worker)

    def _left(self) -> None:
        self._threads -= 1


async def _outcome(outcome: asyncio.Future[T], deadline: Seconds) -> T:
    """What a call ends with. Cancelled, it still waits for the end: what follows must not run beside the call."""
    loop = asyncio.get_running_loop()
    due, cancelled = loop.time() + deadline, None
    while not outcome.done() and (left := due - loop.time()) > 0:
        try:
            await asyncio.wait([outcome], timeout=left)
        except asyncio.CancelledError as error:
            cancelled = error
    if not outcome.done():
        outcome.add_done_callback(_swallow)
    if cancelled is not None:
        if outcome.done():
            _swallow(outcome)
        raise cancelled
    if not outcome.done():
        raise NoAnswer(f"no answer within {deadline:g} s")
    return outcome.result()


def _swallow(outcome: asyncio.Future[Any]) -> None:
    """Nobody asks for this outcome any more; without a look at it asyncio would complain."""
    if not outcome.cancelled():
        outcome.exception()


class _Worker:
    """One thread, which makes one call after another."""

    def __init__(self, name: str, left: Callable[[], None]) -> None:
        self._inbox: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any], Callable[[_Worker], None]] | None] = (
            SimpleQueue()
        )
        self._left = left
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def begin(self, fn: Callable[[], Any], outcome: asyncio.Future[Any], give_back: Callable[[_Worker], None]) -> None:
        """Make a call, and be given back when it has returned."""
        self._inbox.put((fn, outcome, give_back))

    def end(self) -> None:
        """End the thread."""
        self._left()
        self._inbox.put(None)

    def _run(self) -> None:
        while (work := self._inbox.get()) is not None:
            fn, outcome, give_back = work
            try:
                value, error = fn(), None
            except BaseException as raised:  # noqa: BLE001 - a thread's root: it is raised again where it is awaited
                value, error = None, _without_frames(raised)
            if not _tell(outcome.get_loop(), self, outcome, value, error, give_back):
                return
            del work, fn, outcome, value, error  # an idle thread must not keep a connection alive


def _without_frames(error: BaseException) -> BaseException:
    """The error without what its frames hold: a domain that lies in one of them would keep its connection open."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
    return error


def _tell(
    loop: asyncio.AbstractEventLoop,
    worker: _Worker,
    outcome: asyncio.Future[Any],
    value: Any,
    error: BaseException | None,
    give_back: Callable[[_Worker], None],
) -> bool:
    """Hand a result to the loop. False if that has ended meanwhile, and the thread with it."""

    def settle() -> None:
        give_back(worker)
        if not outcome.done():
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(value)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        return False
    return True
