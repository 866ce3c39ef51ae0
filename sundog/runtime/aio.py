"""What sagas import: asyncio's primitives, made repeatable, and the few that it lacks.

A saga written with these behaves alike on a ``WarpLoop`` at any rate and on an ordinary loop. ``sleep``, ``Lock``,
``Event``, ``Condition``, ``Queue`` and ``Semaphore`` are asyncio's own: they wake who waits in the order of arrival.
``TaskGroup``, ``gather`` and ``map`` keep their tasks in order, which asyncio's do not. ``shield``,
``undo_on_failure`` and ``retry`` are what a saga needs to leave nothing behind::

    async with aio.timeout(deadline), aio.undo_on_failure() as undo:
        host = await cloud.claim(spec)
        undo.push_async_callback(cloud.release, spec)
        ports, _ = await aio.gather(cloud.plug(spec), cloud.fetch_image(host, spec.image))
        undo.push_async_callback(cloud.unplug, spec)
        async with cloud.host_lock(host):
            await cloud.boot(spec, host, ports)

Cancellation is an edge, and a ``BaseException``: catch ``CancelledError`` only to clean up, then let it pass.
"""

from __future__ import annotations

import asyncio
import functools
import math
from asyncio import CancelledError, Condition, Event, Lock, Queue, Semaphore, current_task, sleep
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

import numpy as np

from sundog.errors import SundogError
from sundog.runtime.warp import JUMP, WarpLoop
from sundog.units import Seconds

__all__ = [
    "Backoff",
    "CancelledError",
    "Condition",
    "Event",
    "Lock",
    "Queue",
    "Semaphore",
    "TaskGroup",
    "Timeout",
    "Undo",
    "apart",
    "background",
    "current_task",
    "gather",
    "map",
    "retry",
    "shield",
    "sleep",
    "timeout",
    "undo_on_failure",
]

T = TypeVar("T")
Item = TypeVar("Item")
P = ParamSpec("P")


# ----------------------------------------------------------------------------------------------------- work that lasts


async def apart(func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``func`` returns or raises, without holding up others on the loop: for work that takes tens of milliseconds.

    Where time is real, or goes at a rate, that is done in a thread and others have their turn meanwhile, so ``func``
    must touch nothing that the loop's tasks do. Where the clock jumps there are no threads: it is done at once.
    """
    loop = asyncio.get_running_loop()
    if isinstance(loop, WarpLoop) and loop.rate == JUMP:
        return func(*args, **kwargs)
    return await loop.run_in_executor(None, functools.partial(func, *args, **kwargs))


# ---------------------------------------------------------------------------------------------------------- deadlines


class Timeout:
    """A deadline for a block of code, as ``asyncio.Timeout``, with an error that says which deadline was missed."""

    def __init__(self, delay: Seconds | None) -> None:
        self._delay = delay
        self._inner = asyncio.timeout(delay)

    def when(self) -> Seconds | None:
        """The instant of the deadline on the loop's clock; None if there is none."""
        return self._inner.when()

    def reschedule(self, when: Seconds | None) -> None:
        """Move the deadline to the instant ``when`` of the loop's clock; None takes it away."""
        self._inner.reschedule(when)
        self._delay = None if when is None else when - asyncio.get_running_loop().time()

    def expired(self) -> bool:
        """Whether the deadline was missed."""
        return self._inner.expired()

    async def __aenter__(self) -> Timeout:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._inner.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise TimeoutError(f"not done within {self._delay:g} s") from error


def timeout(delay: Seconds | None) -> Timeout:
    """Cancel the block that takes longer than ``delay`` seconds; None waits forever.

    Raises: TimeoutError, at the end of the block. A cancellation from outside passes as what it is.
    """
    return Timeout(delay)


# -------------------------------------------------------------------------------------------------------------- groups


class TaskGroup:
    """Tasks that do not outlive their block. The first to fail cancels the others, in the order of their creation.

    As ``asyncio.TaskGroup``, with two differences. It keeps its tasks in order: asyncio keeps them in a set, so that
    the order of their cancellation differs from run to run. And it looks only at cancellations that came after it was
    entered: used for cleaning up, in a task that was cancelled before, it does not deliver that cancellation again.

    Raises at the end of the block: an ExceptionGroup of what the tasks and the block failed with.
    """

    def __init__(self) -> None:
        self._parent: asyncio.Task[Any] | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}  # dict, not set: order must not hang on id()
        self._errors: list[BaseException] = []
        self._before = 0  # cancellations of the parent that are older than this group
        self._aborting = False
        self._interrupted = False  # we cancelled the parent, to get it out of the block
        self._leaving = False
        self._idle: asyncio.Future[None] | None = None

    async def __aenter__(self) -> TaskGroup:
        if self._parent is not None:
            raise RuntimeError("this TaskGroup was entered before; make a new one")
        self._parent = asyncio.current_task()
        if self._parent is None:
            raise RuntimeError("a TaskGroup can be entered only in a task")
        self._before = self._parent.cancelling()
        return self

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        """Start ``coro`` as a task of the group.

        Raises: RuntimeError if the group was not entered, has ended, or is shutting down after a failure.
        """
        problem = (
            "was not entered"
            if self._parent is None
            else "has ended"
            if self._leaving and not self._tasks
            else "is shutting down"
            if self._aborting
            else None
        )
        if problem is not None:
            coro.close()  # or Python complains that it was never awaited
            raise RuntimeError(f"the TaskGroup {problem}, so that no task can be added")
        task = asyncio.get_running_loop().create_task(coro, name=name, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._on_done)
        return task

    def _abort(self) -> None:
        self._aborting = True
        for task in list(self._tasks):
            task.cancel()

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if not self._tasks and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        self._errors.append(error)
        if self._aborting:
            return
        self._abort()
        if not self._leaving and self._parent is not None:
            self._interrupted = True
            self._parent.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        parent = self._parent
        if parent is None:
            raise RuntimeError("the TaskGroup was not entered")
        self._leaving = True
        if error is not None and not self._aborting:
            self._abort()
        cancelled = await self._drain(error if isinstance(error, CancelledError) else None)
        if self._interrupted:
            parent.uncancel()
        errors, self._errors = self._errors, []
        if error is not None and not isinstance(error, CancelledError):
            errors.append(error)
        for fatal in errors:
            if isinstance(fatal, SystemExit | KeyboardInterrupt):
                raise fatal
        if errors:
            if parent.cancelling() > self._before:
                # Somebody wants the parent to end as well. The errors come first; the cancellation at its next await.
                parent.uncancel()
                parent.cancel()
            raise BaseExceptionGroup("tasks of a group failed", errors) from None
        if cancelled is not None and cancelled is not error:
            raise cancelled

    async def _drain(self, cancelled: CancelledError | None) -> CancelledError | None:
        """Wait until no task is left; returns the first cancellation that the parent received, if any."""
        while self._tasks:
            self._idle = asyncio.get_running_loop().create_future()
            try:
                await self._idle
            except CancelledError as another:
                cancelled = cancelled or another
                if not self._aborting:
                    self._abort()
        self._idle = None
        return cancelled


@asynccontextmanager
async def background() -> AsyncIterator[TaskGroup]:
    """Tasks that run beside a block, which has them end before it does. A SundogError of the block is raised as itself.

    A TaskGroup would raise it as one of several. Raises: an ExceptionGroup of what the tasks failed with.
    """
    failed = None
    async with TaskGroup() as tasks:
        try:
            yield tasks
        except SundogError as error:
            failed = error
    if failed is not None:
        raise failed


T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")


@overload
async def gather(work1: Awaitable[T1], work2: Awaitable[T2], /) -> tuple[T1, T2]: ...
@overload
async def gather(work1: Awaitable[T1], work2: Awaitable[T2], work3: Awaitable[T3], /) -> tuple[T1, T2, T3]: ...
@overload
async def gather(
    work1: Awaitable[T1], work2: Awaitable[T2], work3: Awaitable[T3], work4: Awaitable[T4], /
) -> tuple[T1, T2, T3, T4]: ...
@overload
async def gather(*work: Awaitable[T]) -> tuple[T, ...]: ...
async def gather(*work: Awaitable[Any]) -> tuple[Any, ...]:
    """Do all of ``work`` at the same time; the results in the order given.

    Raises: an ExceptionGroup if any of it fails, after the rest was cancelled and has ended.
    """
    async with TaskGroup() as group:
        tasks = [group.create_task(_result_of(one)) for one in work]
    return tuple(task.result() for task in tasks)


async def map(  # noqa: A001 - ``aio.map`` is what it is
    fn: Callable[[Item], Awaitable[T]], items: Iterable[Item], *, limit: int
) -> list[T]:
    """``await fn(item)`` for each of ``items``, at most ``limit`` at a time; the results in the order of ``items``.

    Each call is a task with a context of its own. ``items`` are taken one by one, as places become free.
    Raises: an ExceptionGroup if a call fails, after the rest was cancelled and has ended.
    """
    if limit < 1:
        raise ValueError(f"a limit of {limit} would let nothing happen; use at least 1")
    places = Semaphore(limit)
    tasks = []
    async with TaskGroup() as group:
        for item in items:
            await places.acquire()
            task = group.create_task(_result_of(fn(item)))
            task.add_done_callback(lambda _: places.release())
            tasks.append(task)
    return [task.result() for task in tasks]


async def _result_of(work: Awaitable[T]) -> T:
    return await work


# ----------------------------------------------------------------------------------------------------------------- undo


async def shield(work: Awaitable[T]) -> T:
    """Do ``work`` to its end, however often the caller is cancelled meanwhile; then let the cancellation through.

    Unlike ``asyncio.shield``, which leaves the work running alone. An error of the work is then the cause of the
    ``CancelledError``, so that it is not lost. Raises: whatever ``work`` raises.
    """
    task = asyncio.ensure_future(work)
    cancelled: CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except CancelledError as another:
            cancelled = cancelled or another
    if cancelled is not None:
        raise cancelled from (None if task.cancelled() else task.exception())
    return task.result()


class Undo:
    """A stack of compensations; see ``undo_on_failure``. The names are those of ``contextlib.AsyncExitStack``."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], Awaitable[object]]]] = []

    def push_async_callback(self, fn: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs) -> None:
        """If the block fails, ``await fn(*args, **kwargs)``, before what was pushed earlier."""
        self._steps.append((_name(fn), lambda: fn(*args, **kwargs)))

    def callback(self, fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """If the block fails, call ``fn(*args, **kwargs)``, before what was pushed earlier."""

        async def call() -> None:
            fn(*args, **kwargs)

        self._steps.append((_name(fn), call))

    def pop_all(self) -> None:
        """Forget everything: there is nothing to undo any more."""
        self._steps.clear()

    async def _unwind(self) -> list[tuple[str, BaseException]]:
        """Take every step, the newest first, even after one that failed; returns which failed, with what."""
        failures: list[tuple[str, BaseException]] = []
        while self._steps:
            name, step = self._steps.pop()
            # A task, so that the failure of a step is a value, whatever its kind, and its context is its own.
            task = asyncio.get_running_loop().create_task(_take(step))
            await asyncio.wait([task])
            error = CancelledError() if task.cancelled() else task.exception()
            if error is not None:
                failures.append((name, error))
        return failures


async def _take(step: Callable[[], Awaitable[object]]) -> None:
    await step()


def _name(fn: Callable[..., object]) -> str:
    return str(getattr(fn, "__qualname__", repr(fn)))


@asynccontextmanager
async def undo_on_failure(
    on_undo_error: Callable[[str, BaseException], None] | None = None,
) -> AsyncIterator[Undo]:
    """The saga: push compensations as you go; they run, the newest first, unless the block succeeds.

    They run to their end even if the saga is cancelled (again) meanwhile, and even after one of them failed. The block
    then ends with its own error, to which each failed compensation is added as a note; ``on_undo_error(name, error)``
    is told as well, so that what is left behind can be recorded and reconciled.
    """
    undo = Undo()

    async def unwind(error: BaseException) -> None:
        for name, failure in await undo._unwind():
            error.add_note(f"undoing it, {name} failed as well: {failure!r}")
            if on_undo_error is not None:
                on_undo_error(name, failure)

    try:
        yield undo
    except GeneratorExit:
        raise  # the loop is gone, and with it the means to undo anything
    except BaseException as error:
        await shield(unwind(error))
        raise
    undo.pop_all()


# ---------------------------------------------------------------------------------------------------------------- retry


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between attempts: ``first`` seconds, ``factor`` times as long each time, up to ``longest``.

    ``jitter`` is the share of it that is left to chance, 0 to 1: who failed together should not come back together.
    """

    first: Seconds = 1.0
    factor: float = 2.0
    longest: Seconds = 60.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not (self.first >= 0.0 and self.factor >= 1.0 and self.longest >= 0.0 and 0.0 <= self.jitter <= 1.0):
            raise ValueError(f"{self} makes no sense: first >= 0, factor >= 1, longest >= 0, jitter from 0 to 1")

    def delay(self, failures: int, rng: np.random.Generator) -> Seconds:
        """Seconds to wait after the ``failures``-th failure in a row, counted from 1."""
        # By logarithm and with a bound, since the power itself overflows after a thousand failures.
        growth = math.exp(min((failures - 1) * math.log(self.factor), 700.0))
        full = min(self.longest, self.first * growth)
        return full * (1.0 - self.jitter * float(rng.random()))


async def retry(
    fn: Callable[[], Awaitable[T]],
    *,
    on: type[Exception] | tuple[type[Exception], ...],
    rng: np.random.Generator,
    attempts: int | None = 5,
    deadline: Seconds | None = None,
    backoff: Backoff = Backoff(),
) -> T:
    """``await fn()`` until it does not raise one of ``on``, at most ``attempts`` times and for ``deadline`` seconds.

    Anything else that it raises passes at once, cancellation too. ``rng`` is a named stream, for the jitter. No pause
    is begun that would end after the deadline.

    Raises: the error of the last attempt, with a note that says how many there were; TimeoutError if the deadline
    passes in the middle of an attempt.
    """
    if attempts is None and deadline is None:
        raise ValueError("a retry with neither attempts nor a deadline would never give up; give one of them")
    if attempts is not None and attempts < 1:
        raise ValueError(f"{attempts} attempts would do nothing; use at least 1")
    clock = asyncio.get_running_loop().time
    begin, failures = clock(), 0
    async with timeout(deadline):
        while True:
            try:
                return await fn()
            except on as error:
                failures += 1
                pause = backoff.delay(failures, rng)
                elapsed = clock() - begin
                late = deadline is not None and elapsed + pause >= deadline
                if failures == attempts or late:
                    error.add_note(f"gave up after {failures} attempts in {elapsed:g} s")
                    raise
            await sleep(pause)
