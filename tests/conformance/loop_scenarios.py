"""What sagas rely on, as thirteen small plays with the trace that each must leave, on every kind of loop.

Run as a program, it prints the digest of a noisy world, so that processes with other hash seeds can be compared.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import simpy

from sundog.runtime import aio, clock, warp
from sundog.runtime.ids import Ids
from sundog.runtime.journal import Journal

Trace = list[tuple[float, str]]


class Stage:
    """Keeps the trace of a play. ``unit`` is how many seconds of the loop's clock one second of the play takes."""

    def __init__(self, unit: float = 1.0) -> None:
        self.unit = unit
        self.begin = clock.now()
        self.trace: Trace = []

    def say(self, what: str) -> None:
        self.trace.append((round((clock.now() - self.begin) / self.unit, 6), what))

    async def sleep(self, seconds: float) -> None:
        await aio.sleep(seconds * self.unit)

    def timeout(self, seconds: float) -> aio.Timeout:
        return aio.timeout(seconds * self.unit)

    def start(self, work: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work)


class NoValidHost(Exception):
    """An error that can be made only with its keyword, and that carries what it knows."""

    def __init__(self, *, rejected: tuple[str, ...]) -> None:
        super().__init__(f"{len(rejected)} hosts rejected")
        self.rejected = rejected


class Cloud:
    """A backend of one host that only takes time: claim 2, ports 4, image 8, boot 10, and 4 to undo any of them."""

    def __init__(self, stage: Stage, *, boot: float = 10.0, broken: bool = False, full: bool = False) -> None:
        self.stage, self.boot_seconds, self.broken, self.full = stage, boot, broken, full
        self.lock = aio.Lock()

    async def step(self, seconds: float, what: str) -> str:
        await self.stage.sleep(seconds)
        self.stage.say(what)
        return what

    async def claim(self, server: str) -> None:
        if self.full:
            await self.stage.sleep(2)
            raise NoValidHost(rejected=("h1", "h2"))
        await self.step(2, f"claim {server}")

    async def boot(self, server: str) -> None:
        await self.stage.sleep(self.boot_seconds)
        if self.broken:
            raise OSError("cannot set up guest memory")
        self.stage.say(f"boot {server}")


async def build(cloud: Cloud, server: str, *, deadline: float = 100.0) -> None:
    """The saga: knows no clock and no backend."""
    async with cloud.stage.timeout(deadline), aio.undo_on_failure() as undo:
        await cloud.claim(server)
        undo.push_async_callback(cloud.step, 4, f"unclaim {server}")
        await aio.gather(cloud.step(4, f"plug {server}"), cloud.step(8, f"image for {server}"))
        undo.push_async_callback(cloud.step, 4, f"unplug {server}")
        async with cloud.lock:
            await cloud.boot(server)
        cloud.stage.say(f"{server} is active")


async def success(stage: Stage) -> None:
    await build(Cloud(stage), "a")


async def two_builds_queue_on_one_lock(stage: Stage) -> None:
    cloud = Cloud(stage)

    async def second() -> None:
        await stage.sleep(3)
        await build(cloud, "b")

    await aio.gather(build(cloud, "a"), second())


async def boot_fails_and_is_undone_newest_first(stage: Stage) -> None:
    try:
        await build(Cloud(stage, broken=True), "a")
    except OSError as error:
        stage.say(f"error: {error}")


async def deadline_passes(stage: Stage) -> None:
    try:
        await build(Cloud(stage, boot=1000), "a", deadline=20)
    except TimeoutError:
        stage.say("too late")


async def deleted_while_building(stage: Stage) -> None:
    task = stage.start(build(Cloud(stage), "a"))
    await stage.sleep(15)
    task.cancel("deleted by the user")
    try:
        await task
    except aio.CancelledError:
        stage.say("cancelled")


async def cancelled_again_during_rollback(stage: Stage) -> None:
    task = stage.start(build(Cloud(stage), "a"))
    await stage.sleep(15)
    task.cancel()
    await stage.sleep(2)
    task.cancel()
    await stage.sleep(4)
    task.cancel()
    try:
        await task
    except aio.CancelledError:
        stage.say("cancelled")


async def attributes_of_an_error_survive(stage: Stage) -> None:
    try:
        await build(Cloud(stage, full=True), "a")
    except NoValidHost as error:
        stage.say(f"{error}: {', '.join(error.rejected)}")


async def one_of_a_group_fails(stage: Stage) -> None:
    async def sibling(name: str, seconds: float) -> None:
        try:
            await stage.sleep(seconds)
        except aio.CancelledError:
            stage.say(f"{name} cancelled")
            raise

    async def bad() -> None:
        await stage.sleep(4)
        raise ValueError("boom")

    try:
        await aio.gather(sibling("z", 30), sibling("early", 2), bad(), sibling("a", 10), sibling("m", 20))
    except ExceptionGroup as group:
        stage.say(f"group of {group.exceptions!r}")


async def nested_timeouts(stage: Stage) -> None:
    try:
        async with stage.timeout(6):
            try:
                async with stage.timeout(20):
                    await stage.sleep(99)
            except TimeoutError:
                stage.say("inner, wrongly")
    except TimeoutError:
        stage.say("outer")
    async with stage.timeout(20):
        try:
            async with stage.timeout(6):
                await stage.sleep(99)
        except TimeoutError:
            stage.say("inner")
        await stage.sleep(2)
        stage.say("outer goes on")


async def except_exception_does_not_swallow_a_cancellation(stage: Stage) -> None:
    async def stubborn() -> None:
        for _ in range(3):
            try:
                await stage.sleep(10)
            except Exception as error:  # noqa: BLE001 - the habit that must not break a cancellation
                stage.say(f"swallowed {error!r}")

    task = stage.start(stubborn())
    await stage.sleep(5)
    task.cancel()
    try:
        await task
    except aio.CancelledError:
        stage.say("cancelled")


async def cancelled_lock_waiter_passes_the_lock_on(stage: Stage) -> None:
    lock = aio.Lock()

    async def hold(name: str) -> None:
        async with lock:
            stage.say(f"{name} in")
            await stage.sleep(10)
        stage.say(f"{name} out")

    tasks = []
    for name in ("a", "b", "c"):
        tasks.append(stage.start(hold(name)))
        await stage.sleep(2)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    stage.say(f"b cancelled: {tasks[1].cancelled()}")


async def context_variables_are_isolated(stage: Stage) -> None:
    request = contextvars.ContextVar("request", default="none")

    async def handle(name: str, seconds: float) -> None:
        request.set(name)
        await stage.sleep(seconds)
        stage.say(f"{name} sees {request.get()}")

    await aio.gather(handle("r1", 4), handle("r2", 2))
    await aio.map(lambda name: handle(name, 2), ["r3", "r4"], limit=1)
    stage.say(f"outside sees {request.get()}")


async def cancelled_before_it_starts(stage: Stage) -> None:
    async def never() -> None:
        stage.say("ran, wrongly")

    task = stage.start(never())
    task.cancel()
    try:
        await task
    except aio.CancelledError:
        stage.say("cancelled")


_BUILT: Trace = [(2.0, "claim a"), (6.0, "plug a"), (10.0, "image for a")]

SCENARIOS: dict[Callable[[Stage], Awaitable[None]], Trace] = {
    success: [*_BUILT, (20.0, "boot a"), (20.0, "a is active")],
    two_builds_queue_on_one_lock: [
        (2.0, "claim a"),
        (5.0, "claim b"),
        (6.0, "plug a"),
        (9.0, "plug b"),
        (10.0, "image for a"),
        (13.0, "image for b"),
        (20.0, "boot a"),
        (20.0, "a is active"),
        (30.0, "boot b"),
        (30.0, "b is active"),
    ],
    boot_fails_and_is_undone_newest_first: [
        *_BUILT,
        (24.0, "unplug a"),
        (28.0, "unclaim a"),
        (28.0, "error: cannot set up guest memory"),
    ],
    deadline_passes: [*_BUILT, (24.0, "unplug a"), (28.0, "unclaim a"), (28.0, "too late")],
    deleted_while_building: [*_BUILT, (19.0, "unplug a"), (23.0, "unclaim a"), (23.0, "cancelled")],
    cancelled_again_during_rollback: [*_BUILT, (19.0, "unplug a"), (23.0, "unclaim a"), (23.0, "cancelled")],
    attributes_of_an_error_survive: [(2.0, "2 hosts rejected: h1, h2")],
    one_of_a_group_fails: [
        (4.0, "z cancelled"),
        (4.0, "a cancelled"),
        (4.0, "m cancelled"),
        (4.0, "group of (ValueError('boom'),)"),
    ],
    nested_timeouts: [(6.0, "outer"), (12.0, "inner"), (14.0, "outer goes on")],
    except_exception_does_not_swallow_a_cancellation: [(5.0, "cancelled")],
    cancelled_lock_waiter_passes_the_lock_on: [
        (0.0, "a in"),
        (10.0, "a out"),
        (10.0, "c in"),
        (20.0, "c out"),
        (20.0, "b cancelled: True"),
    ],
    context_variables_are_isolated: [
        (2.0, "r2 sees r2"),
        (4.0, "r1 sees r1"),
        (6.0, "r3 sees r3"),
        (8.0, "r4 sees r4"),
        (8.0, "outside sees none"),
    ],
    cancelled_before_it_starts: [(0.0, "cancelled")],
}


class SteppedLoop(asyncio.SelectorEventLoop):
    """The ordinary loop, its own timers and all, except that it does not wait: its clock moves on by what it would."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_SteppedSelector(self))

    def time(self) -> float:
        return self.now


class _SteppedSelector(selectors.DefaultSelector):
    def __init__(self, loop: SteppedLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing is scheduled")
        self.loop.now += timeout
        return []


# ------------------------------------------------------------------------------------------------- determinism


@dataclass(frozen=True, slots=True)
class Ticked:
    host: int


@dataclass(frozen=True, slots=True)
class Ended:
    saga: str
    server: str
    outcome: str


async def noisy(world: warp.World) -> str:
    """Hosts that tick at random, and 300 sagas that fight for disks under deadlines; returns the journal's digest."""
    journal = Journal()
    chance, ids = world.streams.stream("chance"), Ids(world.streams.stream("ids"))
    disks = [simpy.Resource(world, 2) for _ in range(20)]

    def host(number: int) -> Any:
        while True:
            yield world.timeout(chance.exponential(1.0))
            journal.append(Ticked(number))

    async def saga(name: str) -> None:
        await aio.sleep(chance.random() * 50)
        server = str(ids.uuid())
        try:
            with disks[int(chance.integers(20))].request() as disk:
                async with aio.timeout(chance.random() * 3):
                    await warp.of(disk)
                    await aio.sleep(chance.random() * 2)
            journal.append(Ended(name, server, "done"))
        except TimeoutError as error:
            journal.append(Ended(name, server, str(error)))
        except aio.CancelledError:
            journal.append(Ended(name, server, "cancelled"))
            raise

    async def doomed() -> None:
        await aio.sleep(40)
        raise ValueError("boom")

    for number in range(20):
        world.process(host(number))
    for number in range(10):  # nobody's: the end of the run cancels them
        asyncio.get_running_loop().create_task(saga(f"stray {number}"))
    try:
        async with aio.TaskGroup() as group:
            for number in range(300):
                group.create_task(saga(f"{number}"))
            group.create_task(doomed())
    except ExceptionGroup as errors:
        journal.append(Ended("all", "", repr(errors.exceptions)))
    return f"{journal.digest()} {len(journal)}"


if __name__ == "__main__":
    print(warp.run(noisy, seed=7))
