"""The loop whose clock is the simulation: SimPy processes and asyncio tasks on one heap, in one order.

``World`` is a SimPy environment that also holds the timers of an event loop. ``WarpLoop`` is asyncio's selector loop
with its clock and its timers in a world, and a rate: infinite (the clock jumps to the next due thing), N (N simulated
seconds a real one, sockets included), or 0 (pause). ``run`` starts a world, runs one coroutine in it, and ends it.

Time is discrete at every rate. The clock stands on the instant of the event at hand until everything which that event
made ready has run; a finite rate only says how long to wait before the next one. So a run that talks to nobody
outside leaves the same trace at every rate. Read ``docs/explanation/time.md`` for the rest.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import heapq
import math
import selectors
import signal
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, Literal, SupportsIndex, TypeAlias, TypeVar, TypeVarTuple, overload

import simpy
from simpy.core import BoundClass, EmptySchedule, StopSimulation
from simpy.events import NORMAL, URGENT, ProcessGenerator

from sundog.errors import SundogError
from sundog.runtime.clock import EPOCH, VirtualClock, monotonic
from sundog.runtime.seeds import Streams
from sundog.units import DAY, Seconds, format_duration

__all__ = [
    "JUMP",
    "LATE",
    "NORMAL",
    "PAUSE",
    "REAL",
    "URGENT",
    "Deadlock",
    "HorizonReached",
    "LoopStatistics",
    "Process",
    "ProcessGenerator",
    "ThreadsUnavailable",
    "WarpLoop",
    "World",
    "current_world",
    "of",
    "run",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

JUMP: Final = math.inf
REAL: Final = 1.0
PAUSE: Final = 0.0

# After every ordinary event of the same instant; for samplers, which want to see the instant's outcome.
LATE: Final = 1_000_000

# Where a run ends that was given no horizon: endless ticks and a forgotten wait are a livelock, not a deadlock.
DEFAULT_HORIZON: Final = 100 * 365 * DAY

# How long, in simulated seconds, the tasks that are left may take to put things in order when a run ends.
ENDING: Final = 3600.0

# Events of the world between two looks at signals and sockets, in one pass of the loop.
_BUDGET: Final = 10_000
# Passes of a jumping loop between two looks at the signal pipe. Sockets of its own it looks at in each pass.
_PASSES_PER_POLL: Final = 256
# At a finite rate, callbacks that are ready hold up what falls due, as they do while the clock jumps; but not for
# longer than this many passes and real seconds. Without an end, a loop that always has something ready (a saturated
# server, a task that spins on ``sleep(0)``) would stop the clock. Passes too: a machine that stalls changes no order.
_GRACE_PASSES: Final = 1000
_GRACE_SECONDS: Final = 0.05
# Longest real wait in one call of select, in seconds; the operating system refuses much longer ones.
_LONGEST_SELECT: Final = 3600.0
# Dead entries that the heap may hold before it is swept, if they are also more than half of it.
_DEAD_BEFORE_SWEEP: Final = 1000

# Trouble of one connection is not the end of a world at a finite rate; it is logged, as on any other loop.
_IO_KEYS: Final = frozenset({"transport", "protocol", "socket", "server"})


class Deadlock(SundogError):
    """Nothing is scheduled, yet the main task is not done: a real loop would hang. ``waiting`` says who waits where."""


class HorizonReached(SundogError):
    """The main task was not done when the clock reached the ``horizon``."""


class ThreadsUnavailable(SundogError):
    """Something asked for a thread while the clock jumps, and would have waited for it forever."""


# ------------------------------------------------------------------------------------------------------------ the world


def _nothing(*_args: object) -> None:
    """Stand in for what does not happen any more."""


def _fire(timer: Any) -> None:
    """Run a loop's timer: the callback of its entry on the heap."""
    timer._run()


# What ``callbacks`` of an entry is: compared by identity.
_ARMED: Final = (_fire,)
_CANCELLED: Final = (_nothing,)


class Process(simpy.Process):
    """A SimPy process that receives a failure as the object that was raised.

    SimPy hands out ``type(error)(*error.args)``, which loses attributes and breaks on keyword-only arguments.
    """

    def _resume(self, event: Any) -> None:
        env = self.env
        env._active_proc = self
        try:
            while True:
                if event._ok:
                    event = self._generator.send(event._value)
                else:
                    event._defused = True
                    event = self._generator.throw(event._value)
                if not isinstance(event, simpy.Event):
                    event = _misuse(env, f"process {self.name} yielded {event!r}, which is not an event of a world")
                elif event.callbacks is not None:
                    event.callbacks.append(self._resume)
                    self._target = event
                    return
        except StopIteration as stop:
            self._ok, self._value = True, stop.value
        except BaseException as error:  # noqa: BLE001 - the root of a process: whatever it fails with is its value
            self._ok, self._value = False, error
        finally:
            env._active_proc = None
        self._target = None  # type: ignore[assignment]  # as SimPy does for a dead process
        env.schedule(self)


def _misuse(env: simpy.Environment, message: str) -> simpy.Event:
    """An event that has failed already, for a process to be told what it did wrong at the line where it did it."""
    event = simpy.Event(env)
    event._ok, event._value, event.callbacks = False, TypeError(message), None  # type: ignore[assignment]
    return event


class World(simpy.Environment):
    """A SimPy environment that shares its heap with an event loop and knows the run's seed and horizon.

    One total order holds for world events and loop timers: time, then priority, then insertion. A world also works
    alone, without a loop (``world.run(until=...)``).

    ``streams`` are the named random streams of ``seed``. No event later than ``horizon`` happens under a loop.
    """

    if not TYPE_CHECKING:  # SimPy binds what stands here to the instance once, instead of on every call
        process = BoundClass(Process)
        timeout = BoundClass(simpy.Timeout)
        event = BoundClass(simpy.Event)

    def __init__(self, start: Seconds = 0.0, *, seed: SupportsIndex = 0, horizon: Seconds = math.inf) -> None:
        if not math.isfinite(start):
            raise ValueError(f"a world cannot start at {start!r}")
        super().__init__(float(start))
        self.streams: Final = Streams(seed)
        self.horizon = horizon
        # SimPy's heap, by a name of our own: loop timers are on it as well, which are no ``simpy.Event``.
        self._heap: list[tuple[Seconds, int, int, Any]] = self._queue  # type: ignore[assignment]
        self._dead = 0

    def push(self, when: Seconds, event: Any, *, priority: int = NORMAL) -> None:
        """Put ``event``, which has its outcome already, on the heap at exactly ``when``.

        Unlike ``schedule``, whose ``now + delay`` may miss a given instant by a rounding error.
        Raises: ValueError if ``when`` has passed or is not a number.
        """
        if not when >= self._now:
            raise ValueError(f"cannot schedule {event!r} at {when!r}: the clock shows {self._now!r}")
        heapq.heappush(self._heap, (when, priority, next(self._eid), event))

    def at(self, when: Seconds, value: Any = None, *, priority: int = NORMAL) -> simpy.Event:
        """A new event that happens at exactly ``when``, with ``value``; never, if that is infinite.

        Raises: ValueError if ``when`` has passed or is not a number.
        """
        event = simpy.Event(self)
        if when == math.inf:
            return event
        event._ok, event._value = True, value
        self.push(when, event, priority=priority)
        return event

    def cancel(self, event: Any) -> None:
        """Make sure that ``event``, which is scheduled, will not happen. Whoever waits for it waits forever.

        Its entry stays on the heap and is skipped when due, or swept out with others. Nothing changes if the event has
        happened or was cancelled before. Raises: ValueError if it was never scheduled.
        """
        if event.callbacks is None or event.callbacks is _CANCELLED:
            return
        if not event.triggered:
            raise ValueError(f"{event!r} is not scheduled, so there is nothing to cancel")
        event.callbacks = _CANCELLED
        self._dead += 1
        if self._dead > _DEAD_BEFORE_SWEEP and self._dead * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if entry[3].callbacks is not _CANCELLED]
            heapq.heapify(self._heap)  # every key is unique, so the order of what is left does not change
            self._dead = 0

    def peek(self) -> Seconds:
        """The time of the next event that will happen; infinite if there is none."""
        queue = self._heap
        while queue and queue[0][3].callbacks is _CANCELLED:
            heapq.heappop(queue)
            self._dead -= 1
        return queue[0][0] if queue else math.inf

    def step(self) -> None:
        """Move the clock to the next event and let it happen.

        Raises: simpy.core.EmptySchedule if there is none; whatever the event failed with, if nobody took it.
        """
        if self.peek() == math.inf:
            raise EmptySchedule
        self._now, _, _, event = heapq.heappop(self._heap)
        callbacks, event.callbacks = event.callbacks, None
        for done, callback in enumerate(callbacks, start=1):
            try:
                callback(event)
            except StopSimulation:
                event.callbacks = list(callbacks[done:])  # the rest of them when somebody runs the world again
                self.push(self._now, event, priority=-1)
                raise
        if not event._ok and not event.defused:
            raise event._value

    def play(self, limit: Seconds, ready: Sized, known: int = 0, *, budget: int = _BUDGET) -> None:
        """Let events happen up to and including ``limit``, until ``ready`` outgrows ``known`` or ``budget`` are done.

        This is ``step`` in a loop, written out, since a world of hosts spends its life here.
        Raises: whatever an event failed with, if nobody took it: the object itself, not a copy as in SimPy.
        """
        queue, pop = self._heap, heapq.heappop
        for _ in range(budget):
            if not queue or queue[0][0] > limit:
                return
            when, _priority, _number, event = pop(queue)
            callbacks = event.callbacks
            if callbacks is _CANCELLED:
                self._dead -= 1
                continue
            self._now = when
            event.callbacks = None
            for callback in callbacks:
                callback(event)
            if not event._ok and not event.defused:
                raise event._value
            if len(ready) > known:
                return

    def raise_failures(self) -> None:
        """For whoever leaves the world before its end: a process that has failed is only heard at its next event.

        Raises: whatever the first such event failed with, if nobody took it.
        """
        for *_, event in sorted(self._heap, key=lambda entry: entry[:3]):
            if not event._ok and not event.defused and event.callbacks is not _CANCELLED:
                raise event._value

    def advance_to(self, when: Seconds) -> None:
        """Move the clock to ``when``, at which nothing happens.

        Raises: ValueError if that is in the past, or would pass over an event.
        """
        if not self._now <= when <= self.peek():
            raise ValueError(
                f"cannot move the clock from {self._now!r} to {when!r}: the next event is at {self.peek()!r}"
            )
        self._now = when

    @property
    def scheduled(self) -> int:
        """How many events and timers are going to happen."""
        return len(self._heap) - self._dead


# ------------------------------------------------------------------------------------------------------------- the loop

_Found: TypeAlias = list[tuple[selectors.SelectorKey, int]]
_Poll: TypeAlias = Callable[[float | None], _Found]


class _Timer(asyncio.TimerHandle):
    """A timer of the loop that is its own entry on the world's heap: what ``play`` needs of an event, and no more."""

    __slots__ = ("callbacks",)

    _ok = True
    triggered = True

    def __init__(
        self,
        when: Seconds,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: WarpLoop,
        context: contextvars.Context | None,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self.callbacks: tuple[Callable[..., object], ...] | None = _ARMED

    def cancel(self) -> None:
        """Cancel the call; nothing changes if it was made."""
        if self.callbacks is _ARMED and not self.cancelled():
            loop: WarpLoop = self._loop  # type: ignore[attr-defined]
            loop.world.cancel(self)
        super().cancel()


class _Selector(selectors.DefaultSelector):
    """The selector of a warp loop: the loop decides how long to wait for sockets, if at all."""

    def __init__(self) -> None:
        super().__init__()
        self.decide: Callable[[_Poll, float | None], _Found] | None = None

    def select(self, timeout: float | None = None) -> _Found:
        """What the loop finds to do."""
        return super().select(timeout) if self.decide is None else self.decide(super().select, timeout)


@dataclass(frozen=True, slots=True)
class LoopStatistics:
    """How a loop is doing.

    ``lag`` is how many real seconds the world is behind its rate just now; ``slipped`` how many it gave up for good,
    because the machine was too slow for the rate, or stood still. A live run that slipped measures nothing.
    """

    now: Seconds
    rate: float
    lag: Seconds
    slipped: Seconds
    scheduled: int
    tasks: int


class WarpLoop(asyncio.SelectorEventLoop, VirtualClock):
    """An asyncio event loop whose ``time()`` is the clock of ``world``.

    ``rate`` is simulated seconds a real second: ``JUMP`` (infinite), any number above 0, or ``PAUSE``. ``epoch`` is
    what the calendar shows at second 0. A world that is more than ``max_lag`` real seconds behind its rate gives up
    the rest of them.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        rate: float = JUMP,
        epoch: datetime = EPOCH,
        max_lag: Seconds = 1.0,
    ) -> None:
        self.world: Final = World() if world is None else world
        self.epoch = epoch
        self.max_lag = max_lag
        self._rate = JUMP
        self._slipped = 0.0
        self._passes = self._busy_passes = 0
        self._failure: BaseException | None = None
        # Strong and in order of creation. asyncio's own record is a set of weak references: its order hangs on id(),
        # and a task that only a cycle refers to vanishes when the garbage collector likes.
        self._live: dict[asyncio.Task[Any], None] = {}
        self._created = 0
        self._generators: weakref.WeakKeyDictionary[AsyncGenerator[Any, Any], None] = weakref.WeakKeyDictionary()
        self._gate: Final = _Selector()
        super().__init__(self._gate)
        self._own_files = len(self._gate.get_map())  # the loop's pipe to itself
        self._gate.decide = self._select
        try:
            self.set_rate(rate)
        except ValueError:
            self.close()
            raise

    # -- time

    def time(self) -> Seconds:
        """Simulated seconds: the clock of the world. It stands still while callbacks run."""
        return self.world._now

    @property
    def rate(self) -> float:
        """Simulated seconds a real second; infinite while the clock jumps, 0 in a pause."""
        return self._rate

    def set_rate(self, rate: float) -> None:
        """Go on at another ``rate`` from the present instant; the clock does not jump.

        From another thread or a signal handler: ``loop.call_soon_threadsafe(loop.set_rate, rate)``.
        Raises: ValueError if ``rate`` is negative or not a number.
        """
        if not rate >= 0.0:
            raise ValueError(
                f"a rate of {rate!r} makes no sense; use a number above 0, math.inf to jump, 0 for a pause"
            )
        self._rate = float(rate)
        self._anchor()

    def statistics(self) -> LoopStatistics:
        """How the loop is doing."""
        target, rate = self._target(), self._rate
        lag = max(0.0, target - self.world.peek()) / rate if 0.0 < rate < math.inf else 0.0
        return LoopStatistics(self.time(), rate, lag, self._slipped, self.world.scheduled, len(self._live))

    def _anchor(self) -> None:
        """From here on, the rate counts from this instant of both clocks."""
        self._real_zero, self._zero = monotonic(), self.world._now

    def _target(self) -> Seconds:
        """What the clock should show just now, at a finite rate."""
        return self._zero + (monotonic() - self._real_zero) * self._rate if self._rate < math.inf else self.world._now

    # -- timers and tasks

    def call_at(
        self,
        when: Seconds,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call ``callback`` when the clock shows ``when``; at once if that has passed; never if it is infinite."""
        self._check_closed()  # type: ignore[attr-defined]
        if self.get_debug():
            self._check_thread()  # type: ignore[attr-defined]
            self._check_callback(callback, "call_at")  # type: ignore[attr-defined]
        if math.isnan(when):
            raise ValueError(f"cannot call {callback!r} at a time that is not a number")
        timer = _Timer(when, callback, args, self, context)
        if when == math.inf:
            timer.callbacks = None
        else:
            self.world.push(max(when, self.world._now), timer)
        return timer

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        """A task that runs ``coro``. Its name, unless given, counts from 1 in each loop, so that it may be recorded."""
        self._created += 1
        task: asyncio.Task[T] = super().create_task(coro, name=str(name or f"task-{self._created}"), context=context)
        self._live[task] = None
        task.add_done_callback(self._live.pop)
        return task

    def tasks(self) -> list[asyncio.Task[Any]]:
        """The tasks that are not done, the oldest first."""
        return [task for task in self._live if not task.done()]

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run ``func`` in a thread. Raises: ThreadsUnavailable while the clock jumps."""
        if self._rate == math.inf:
            raise ThreadsUnavailable(
                f"{_callable_name(func)} was given to a thread, and threads do not exist in virtual "
                "time: the clock would jump past its work; call it directly if it is short, make the endpoint or "
                "dependency `async def`, or run the world at a finite rate",
                function=func,
            )
        return super().run_in_executor(executor, func, *args)

    # -- failures

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """End the run with the exception of ``context``: in a simulation a line in a log is not enough.

        Not where a handler was set, and not for the trouble of one connection at a finite rate.
        """
        connection = self._rate < math.inf and not _IO_KEYS.isdisjoint(context)
        if connection or not self.is_running() or self.get_exception_handler() is not None:
            super().call_exception_handler(context)
            return
        failure = context.get("exception")
        self._failure = self._failure or failure or RuntimeError(str(context.get("message")))
        self.stop()

    def stop(self) -> None:
        """Stop the loop after this pass."""
        super().stop()
        self.call_soon(_nothing)  # or a world with nothing but events of its own would go on

    def run_forever(self) -> None:
        """Run until stopped. Time does not pass while the loop does not run.

        Raises: Deadlock, HorizonReached; whatever a world's process or a loop's callback failed with.
        """
        self._anchor()
        super().run_forever()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _deadlock(self) -> Deadlock:
        waiting = tuple(_where(task) for task in self.tasks())
        shown = "; ".join(waiting[:5]) + (f"; and {len(waiting) - 5} more" if len(waiting) > 5 else "")
        return Deadlock(
            f"t={self.time():g}: nothing is scheduled, and what waits is: {shown}. Something never happens, "
            "or a thread was to do it, which virtual time cannot see",
            now=self.time(),
            waiting=waiting,
        )

    def _horizon_reached(self) -> HorizonReached:
        horizon = self.world.horizon
        if horizon >= self.time():
            self.world.advance_to(horizon)
        return HorizonReached(
            f"the horizon, {format_duration(horizon)}, was reached and the main task is not done; "
            "give the run a later horizon, or let its main task end in time",
            horizon=horizon,
        )

    # -- one pass: what asyncio does instead of sleeping. ``timeout`` is 0 if something is ready, else None, since the
    #    loop has no timers of its own.

    def _select(self, poll: _Poll, timeout: float | None) -> _Found:
        return self._jump(poll, timeout == 0) if self._rate == math.inf else self._pace(poll, timeout == 0)

    def _jump(self, poll: _Poll, busy: bool) -> _Found:
        """Let the next thing happen at once. Time stands still while something is ready."""
        world = self.world
        listening = len(self._gate.get_map()) > self._own_files
        self._passes += 1
        found = poll(0) if listening or self._passes % _PASSES_PER_POLL == 0 else []
        if busy or found:
            return found
        due = world.peek()
        if due == math.inf:
            if listening:
                return poll(None)
            raise self._deadlock()
        if due > world.horizon:
            raise self._horizon_reached()
        world.play(world.horizon, self._ready)  # type: ignore[attr-defined]
        if not self._ready:  # type: ignore[attr-defined]
            self._passes = -1  # a long stretch of the world alone: look at the signal pipe in the next pass
        return found

    def _pace(self, poll: _Poll, busy: bool) -> _Found:
        """Wait for a socket or for the instant of the next thing, then let what is due happen, in order."""
        world, rate = self.world, self._rate
        found = poll(0 if busy else self._real_wait())
        target = self._target()
        self._busy_passes = self._busy_passes + 1 if busy else 0
        if busy and (self._busy_passes < _GRACE_PASSES or target - world._now <= _GRACE_SECONDS * rate):
            return found
        lag = target - world.peek()
        if lag > self.max_lag * rate:  # never in a pause, in which nothing falls due
            self._slipped += lag / rate - self.max_lag
            self._zero -= lag - self.max_lag * rate
            target = self._target()
        limit = min(target, world.horizon)
        ready = self._ready  # type: ignore[attr-defined]
        known = len(ready)
        world.play(limit, ready, known)
        if len(ready) == known and world.peek() > limit:
            if target > world.horizon and not busy and not found:
                raise self._horizon_reached()
            world.advance_to(max(limit, world._now))
        return found

    def _real_wait(self) -> float | None:
        """Real seconds until something is due; None if nothing ever is."""
        ahead = min(self.world.peek(), self.world.horizon) - self._target()
        if ahead <= 0.0:
            return 0.0
        if self._rate == 0.0 or ahead == math.inf:
            return None
        return min(ahead / self._rate, _LONGEST_SELECT)

    # -- the end

    def _asyncgen_firstiter_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        super()._asyncgen_firstiter_hook(agen)  # type: ignore[misc]
        self._generators[agen] = None

    async def shutdown_asyncgens(self) -> None:
        """Close the asynchronous generators that are left, the newest first."""
        for generator in reversed(list(self._generators)):
            error: BaseException | None = (await asyncio.gather(generator.aclose(), return_exceptions=True))[0]
            if error is not None:
                self.call_exception_handler({"message": f"closing {generator!r} failed", "exception": error})
        await super().shutdown_asyncgens()

    async def _cancel_tasks(self, ending: _Ending) -> None:
        """Cancel what is left, the oldest first, and each to its end before the next.

        The oldest own the others: a group that is cancelled ends its own tasks, so that each is cancelled once.
        """
        me = asyncio.current_task()
        while left := [task for task in self.tasks() if task is not me and task not in ending.hopeless]:
            task = ending.waiting_for = left[0]
            if task not in ending.asked:
                ending.asked[task] = None
                task.cancel("the run is ending")
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                ending.errors.append(error)

    def end(self) -> list[BaseException]:
        """Cancel what is left, close asynchronous generators and threads, and return what went wrong meanwhile.

        The tasks have an hour of simulated time for their rollbacks. One that does not end is left behind.
        """
        horizon, ending = self.world.horizon, _Ending()
        if self._rate == PAUSE:
            self.set_rate(REAL)
        while not self._ended(ending, self._cancel_tasks(ending)):
            pass
        self._ended(ending, self.shutdown_asyncgens())
        self.set_rate(REAL)  # threads exist again, so that they can be joined
        self._ended(ending, self.shutdown_default_executor())
        self.world.horizon = horizon
        return ending.errors

    def _ended(self, ending: _Ending, work: Coroutine[Any, Any, None]) -> bool:
        """Do one part of the end. False if a task, or the world, broke it off."""
        self.world.horizon = self.time() + ENDING
        task = self.create_task(work)
        try:
            self.run_until_complete(task)
        except Exception as error:  # noqa: BLE001 - the root of the run: whatever the world fails with
            task.cancel()
            ending.errors.append(error)
            if isinstance(error, Deadlock | HorizonReached) and ending.waiting_for is not None:
                ending.hopeless[ending.waiting_for] = None
            return False
        return True

    def close(self) -> None:
        """Close the loop."""
        super().close()
        self._gate.decide = None


@dataclass(slots=True)
class _Ending:
    """How far the end of a run has come."""

    errors: list[BaseException] = field(default_factory=list)
    asked: dict[asyncio.Task[Any], None] = field(default_factory=dict)
    hopeless: dict[asyncio.Task[Any], None] = field(default_factory=dict)
    waiting_for: asyncio.Task[Any] | None = None


def _callable_name(func: Any) -> str:
    """What the user calls ``func``: ``asyncio.to_thread`` wraps it in the ``run`` of a context, in a partial."""
    while isinstance(func, functools.partial):
        func = func.args[0] if func.args else func.func
    return getattr(func, "__qualname__", repr(func))


def _where(task: asyncio.Task[Any]) -> str:
    """``task`` and the line at which it waits."""
    stack = task.get_stack(limit=1)
    if not stack:
        return task.get_name()
    code = stack[0].f_code
    return f"{task.get_name()} in {code.co_qualname} ({PurePath(code.co_filename).name}:{stack[0].f_lineno})"


# ----------------------------------------------------------------------------------------------------- the entry points


def current_world() -> World:
    """The world in which the caller runs. Raises: RuntimeError outside of one."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, WarpLoop):
        raise RuntimeError("there is no world here: the running event loop is not a WarpLoop; start it with warp.run")
    return loop.world


async def of(event: simpy.Event) -> Any:
    """Wait for ``event`` of the world from asyncio code, and return its value.

    Raises: what the event failed with, the object itself. Cancelling the wait leaves the event alone.
    """
    world = current_world()
    if event.env is not world:
        raise RuntimeError(f"{event!r} belongs to another world and would never happen here")
    if event.processed:
        if event._ok:
            return event._value
        raise event._value
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def wake(happened: simpy.Event) -> None:
        if future.done():
            return  # cancelled this instant; a failure is then for others to take, or for the run to end with
        if happened._ok:
            future.set_result(happened._value)
        else:
            happened.defused = True
            future.set_exception(happened._value)

    event.callbacks.append(wake)
    try:
        return await future
    finally:
        if event.callbacks and wake in event.callbacks:
            event.callbacks.remove(wake)


@contextmanager
def _interrupts(loop: WarpLoop, main: asyncio.Task[Any]) -> Iterator[list[int]]:
    """Let the first Ctrl-C cancel ``main`` between two events, not in the middle of one; a second one breaks in.

    Yields the list of the signals that came. Leaves alone a handler that somebody else has set.
    """
    came: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        came.append(number)
        if len(came) > 1 or main.done():
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(main.cancel, "interrupted")

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield came
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@overload
def run(
    main: Callable[[World], Coroutine[Any, Any, T]],
    *,
    rate: float = ...,
    horizon: Seconds | None = ...,
    at_horizon: Literal["raise"] = ...,
    seed: SupportsIndex = ...,
    epoch: datetime = ...,
    world: World | None = ...,
) -> T: ...


@overload
def run(
    main: Callable[[World], Coroutine[Any, Any, T]],
    *,
    rate: float = ...,
    horizon: Seconds | None = ...,
    at_horizon: Literal["stop"],
    seed: SupportsIndex = ...,
    epoch: datetime = ...,
    world: World | None = ...,
) -> T | None: ...


def run(
    main: Callable[[World], Coroutine[Any, Any, T]],
    *,
    rate: float = JUMP,
    horizon: Seconds | None = None,
    at_horizon: Literal["raise", "stop"] = "raise",
    seed: SupportsIndex = 0,
    epoch: datetime = EPOCH,
    world: World | None = None,
) -> T | None:
    """Run ``main(world)`` in a new world, or in ``world``, and return its result.

    ``horizon`` is the last instant, in seconds of the world's clock, at which anything happens; left out, it is the
    world's own, or a century if the clock jumps. If ``main`` is not done by then, the run fails, or with
    ``at_horizon="stop"`` it cancels ``main`` and returns what that returns, None if it lets the cancellation through.

    At the end, whatever the reason, the tasks that are left are cancelled, the oldest first, and may take an hour of
    simulated time for their rollbacks. What goes wrong then fails the run, or is noted on the failure that it has.
    Ctrl-C cancels ``main`` between two events.

    Raises: what ``main``, a process of the world or a callback failed with; Deadlock; HorizonReached;
    KeyboardInterrupt.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("a world cannot be run from inside a running event loop; await its parts instead")
    world = World(seed=seed) if world is None else world
    if horizon is not None:
        world.horizon = horizon
    elif rate == JUMP and world.horizon == math.inf:
        world.horizon = world.now + DEFAULT_HORIZON
    loop = WarpLoop(world, rate=rate, epoch=epoch)
    try:
        return _run(loop, main, stop=at_horizon == "stop")
    finally:
        loop.close()


def _run(loop: WarpLoop, main: Callable[[World], Coroutine[Any, Any, T]], *, stop: bool) -> T | None:
    """Run ``main`` on ``loop`` and put an end to whatever it leaves behind."""
    failure: BaseException | None = None
    task = loop.create_task(main(loop.world), name="main")
    with _interrupts(loop, task) as interrupted:
        try:
            loop.run_until_complete(task)
        except BaseException as error:  # noqa: BLE001 - raised below, when everything has ended
            failure = None if stop and isinstance(error, HorizonReached) else error
        if interrupted and isinstance(failure, asyncio.CancelledError):
            failure = KeyboardInterrupt()
        errors = loop.end()
    if failure is None and errors:
        failure = errors.pop(0)
    if failure is None:
        return None if task.cancelled() else task.result()
    for another in errors:
        if another is not failure:
            failure.add_note(f"while the run was ending: {another!r}")
    raise failure
