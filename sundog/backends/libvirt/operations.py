"""Operations on copies: one at a time on a server of a host, with a deadline for who asks, broken off by ``destroy``.

An operation is a task of its own. Who asked waits for it until the deadline, and no longer; it goes on without them,
and its copy is busy as long. What has not begun by then is withdrawn, and never happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sundog.backends.asking import check_deadline
from sundog.backends.contract import ServerKey
from sundog.backends.libvirt.link import Link
from sundog.errors import BackendFailed, OutcomeUnknown, SundogError
from sundog.runtime import aio
from sundog.units import Seconds

T = TypeVar("T")

MAKING: Final = ("spawn", "rebuild", "resize_begin", "live_migrate")
"""Operations whose copy is shown as unfinished before its host has anything of it."""


@dataclass(eq=False)
class Job:
    """An operation under way, and the copies that it is about."""

    operation: str
    places: tuple[tuple[Link, ServerKey], ...]
    begun: bool = False
    broken_off: SundogError | None = None
    task: asyncio.Task[Any] | None = None
    error: SundogError | None = None
    value: Any = None

    def stop(self, error: SundogError) -> None:
        """Break it off, once: who asked gets ``error``, and what it did is undone."""
        if self.broken_off is None and self.task is not None and not self.task.done():
            self.broken_off = error
            self.task.cancel()


@dataclass
class _Turn:
    lock: aio.Lock = field(default_factory=aio.Lock)
    users: int = 0


class Operations:
    """All that is under way. ``group`` is where the tasks live: they end with it."""

    def __init__(self, group: aio.TaskGroup) -> None:
        self._group = group
        self._jobs: dict[Job, None] = {}
        self._turns: dict[tuple[int, str], _Turn] = {}

    def statistics(self) -> dict[str, int]:
        """How much is under way: all of it is 0 when nothing is."""
        return {"jobs": len(self._jobs), "turns": len(self._turns)}

    def busy(self, link: Link) -> dict[ServerKey, bool]:
        """The copies on a host that something happens to, and whether it is being made there."""
        found: dict[ServerKey, bool] = {}
        for job in self._jobs:
            for place, key in job.places:
                if place is link:
                    making = job.operation in MAKING and job.begun and key == job.places[-1][1]
                    found[key] = found.get(key, False) or making
        return found

    async def ask(
        self,
        operation: str,
        deadline: Seconds,
        work: Callable[[], Awaitable[T]],
        *places: tuple[Link, ServerKey],
        turn: bool = True,
        first: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Let ``work`` happen, and return its value. ``places`` are the copies that it is about.

        With ``turn`` it waits until nothing else happens to those servers there. With ``first`` it breaks off what does
        happen to these copies, and does that before it waits.
        """
        check_deadline(deadline)
        job = Job(operation, places)
        self._jobs[job] = None
        if first is not None:
            job.begun = True
            self._break_off(job)
        job.task = self._group.create_task(self._perform(job, work, first, turn=turn), name=f"libvirt {operation}")
        job.task.add_done_callback(lambda task: self._ended(job, task))
        await asyncio.wait([job.task], timeout=deadline)
        if not job.task.done():
            if job.begun:
                raise OutcomeUnknown(
                    f"{_where(job)} did not end within {deadline:g} s, so that it may or may not have happened; "
                    "reconcile",
                    operation=operation,
                )
            withdrawn = BackendFailed(
                f"{_where(job)} waited {deadline:g} s for its turn and was withdrawn; something else is under way",
                operation=operation,
            )
            job.stop(withdrawn)
            raise withdrawn
        if job.error is not None:
            raise job.error
        value: T = job.value
        return value

    async def _perform(
        self, job: Job, work: Callable[[], Awaitable[Any]], first: Callable[[], Awaitable[None]] | None, *, turn: bool
    ) -> None:
        held: list[_Turn] = []
        try:
            if first is not None:
                await first()
            for key in self._order(job) if turn else ():
                turn_of = await self._take(key)
                held.append(turn_of)  # at once: what is held is given back
            job.begun = True
            job.value = await work()
        except aio.CancelledError:
            job.error = job.broken_off
            if job.error is None:  # the driver is being closed
                job.error = OutcomeUnknown(f"{_where(job)} was cut short by the end of the driver; reconcile")
                raise
        except SundogError as error:
            job.error = error
        except Exception as error:  # noqa: BLE001 - a task's root: a fault of ours must not end the others
            job.error = OutcomeUnknown(f"{_where(job)} met an error that nobody foresaw: {error!r}; reconcile")
            job.error.__cause__ = error
        finally:
            for each in held:
                each.lock.release()
            self._tidy()

    def _ended(self, job: Job, task: asyncio.Task[Any]) -> None:
        self._jobs.pop(job, None)
        if task.cancelled() and job.error is None:  # before its first step
            job.error = job.broken_off or OutcomeUnknown(f"{_where(job)} was cut short; reconcile")

    async def _take(self, key: tuple[int, str]) -> _Turn:
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1
        try:
            await turn.lock.acquire()
        finally:
            turn.users -= 1
        return turn

    def _tidy(self) -> None:
        for key in [key for key, turn in self._turns.items() if not turn.users and not turn.lock.locked()]:
            del self._turns[key]

    def _order(self, job: Job) -> list[tuple[int, str]]:
        """What a job must hold, each once and always in the same order: two jobs never wait for each other."""
        return sorted({(link.number, key.uuid) for link, key in job.places})

    def _break_off(self, job: Job) -> None:
        mine = dict.fromkeys(job.places)
        for other in list(self._jobs):
            if other is not job and other.operation != job.operation and any(place in mine for place in other.places):
                link, key = next(place for place in other.places if place in mine)
                other.stop(
                    BackendFailed(
                        f"{other.operation} of server {key} on host {link.name} was broken off by {job.operation}",
                        host=link.uuid, server=key,
                    )
                )  # fmt: skip


def _where(job: Job) -> str:
    if not job.places:
        return job.operation
    link, key = job.places[0]
    return f"{job.operation} of server {key} on host {link.name}"
