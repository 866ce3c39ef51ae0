"""A request to a host, its work there and its reply: each operation is a process of the world.

An operation is sent to its host, waits there for its turn, happens, and replies. Each of those may go wrong: by an
order (``faults``), because the host dies or is cut off, because the deadline passes. What is under way on a host that
merely cannot be heard goes on there, as it does in reality.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import simpy

from sundog.backends.asking import check_deadline
from sundog.backends.contract import ServerKey
from sundog.backends.playground import FaultKind
from sundog.backends.simulated.faults import Faults, Verdict
from sundog.backends.simulated.machine import POWER_CUT, Call, Job, Machine, Steps, first_error
from sundog.errors import BackendFailed, OutcomeUnknown, SundogError
from sundog.runtime.warp import World, of
from sundog.units import Seconds


class Exchange:
    """Sends operations to hosts. ``keep`` is told of (host, server) where one may have changed what is held."""

    def __init__(self, world: World, faults: Faults, keep: Callable[..., None]) -> None:
        self._world = world
        self._faults = faults
        self._keep = keep

    async def ask(
        self,
        operation: str,
        machine: Machine,
        deadline: Seconds,
        work: Callable[[Job], Steps],
        *places: tuple[Machine, ServerKey],
        turn: bool = True,
        breaks: bool = False,
    ) -> Any:
        """Let ``work`` happen on ``machine`` and return its value. ``places`` are the copies that it is about.

        With ``turn`` it waits until nothing else happens to those servers there; with ``breaks`` it first breaks off
        what does happen to those copies.
        """
        check_deadline(deadline)
        verdict = self._faults.verdict(operation, machine)
        call = Call(operation, self._world.event())
        if not machine.answers:
            call.lost = True
        elif verdict.kind is not FaultKind.HANG:
            job = call.job = Job(operation, places)
            for place, _ in places:
                place.jobs[job] = None
            steps = self._perform(machine, call, job, work, verdict, turn=turn, breaks=breaks)
            job.process = self._world.process(steps)
        return await self.outcome(machine, call, deadline, machine.calls)

    async def outcome(self, machine: Machine, call: Call, deadline: Seconds, calls: dict[Call, None]) -> Any:
        """Wait for the reply, but no longer than the deadline."""
        calls[call] = None
        timer = self._world.at(self._world.now + deadline)
        timer.callbacks.append(lambda _event: self._late(machine, call, deadline))
        try:
            return await of(call.reply)
        finally:
            self._world.cancel(timer)
            del calls[call]

    def _late(self, machine: Machine, call: Call, deadline: Seconds) -> None:
        """The deadline has passed. What has not begun is withdrawn; what has begun goes on, and nobody knows."""
        where = f"{call.operation} on host {machine.name}"
        if call.job is not None and not call.job.begun:
            error = BackendFailed(
                f"{where} waited {deadline:g} s for its turn and was withdrawn; something else is under way there",
                host=machine.uuid, operation=call.operation,
            )  # fmt: skip
            call.settle(error)
            call.job.stop(error)
            return
        call.settle(
            OutcomeUnknown(
                f"{where} did not reply within {deadline:g} s, so that it may or may not have happened; reconcile",
                host=machine.uuid,
                operation=call.operation,
            )
        )

    def _perform(
        self,
        machine: Machine,
        call: Call,
        job: Job,
        work: Callable[[Job], Steps],
        verdict: Verdict,
        *,
        turn: bool,
        breaks: bool,
    ) -> Steps:
        """One operation, as it happens. Whatever it ends with becomes the reply, if that can still be heard."""
        value: Any
        try:
            if breaks and verdict.kind is not FaultKind.FAIL:
                self._break_off(job)
            with ExitStack() as held:
                if turn:
                    for place, uuid in self._turns(job):
                        yield held.enter_context(place.turn(uuid).request())
                job.begun = True
                if verdict.delay:
                    yield self._world.at(self._world.now + verdict.delay)
                if verdict.kind is FaultKind.FAIL:
                    raise BackendFailed(
                        f"{job.operation} on host {machine.name} failed, as was ordered",
                        host=machine.uuid, operation=job.operation,
                    )  # fmt: skip
                value = yield from work(job)
        except (simpy.Interrupt, SundogError) as error:
            call.lost = isinstance(error, simpy.Interrupt) and error.cause == POWER_CUT
            value = None if call.lost else first_error(error)
        finally:
            for place, _ in job.places:
                place.leave(job)
        if turn:  # not in ``finally``: what the end of the process breaks off is not written
            self._keep(*((place, key.uuid) for place, key in job.places))
        if call.lost:
            return
        if verdict.kind is FaultKind.LOSE:
            value = OutcomeUnknown(
                f"the reply of host {machine.name} to {job.operation} was lost, so that it may or may not have "
                "happened; reconcile",
                host=machine.uuid,
                operation=job.operation,
            )
        machine.reply(call, value)

    def _turns(self, job: Job) -> Sequence[tuple[Machine, str]]:
        """What a job must hold, each once and always in the same order: two jobs never wait for each other."""
        wanted = dict.fromkeys((place, key.uuid) for place, key in job.places)
        return sorted(wanted, key=lambda each: (each[0].number, each[1]))

    def _break_off(self, job: Job) -> None:
        for place, key in job.places:
            for other in place.jobs_on(key):
                if other is not job and other.operation != job.operation:
                    other.stop(
                        BackendFailed(
                            f"{other.operation} of server {key} on host {place.name} was broken off by {job.operation}",
                            host=place.uuid, server=key,
                        )
                    )  # fmt: skip
