"""Carrying actions out: each is a saga, which goes on where it was when the control plane is started again.

A saga is two functions. ``do`` brings the action about, ``undo`` takes back what it did once it is clear that it will
not succeed, and says so. Both may begin anew at any time, after a crash for one, and so look first what is done
already: what a saga must know is in the action's ``args``, what hosts hold can be asked, and the driver's operations
may be repeated. Cancelling a saga leaves its action as it is.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from sundog.backends.contract import ComputeDriver, HostState, ServerKey
from sundog.control.compute import actions
from sundog.control.compute.actions import DOING, DONE, UNDOING, Superseded
from sundog.control.compute.books import Books, get_server
from sundog.control.compute.hosts import Hosts
from sundog.control.compute.records import Action, Server
from sundog.control.compute.scheduling import Scheduling
from sundog.control.compute.settings import Settings
from sundog.control.image import Images
from sundog.control.network import Network
from sundog.control.placement import Placement
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import compute as tables
from sundog.control.viewer import EVERYTHING
from sundog.core.lifecycle.servers import VmState
from sundog.errors import (
    BackendFailed,
    HostDown,
    InvariantError,
    NotSupported,
    OutcomeUnknown,
    PlainFailure,
    StoreUnavailable,
    SundogError,
)
from sundog.runtime import aio, clock
from sundog.units import Seconds

_LOG: Final = logging.getLogger("sundog.compute")
_PAUSE: Final[Seconds] = 1.0
_LONGEST_PAUSE: Final[Seconds] = 60.0
# For how long it is known when the last action on a server ended: much longer than a host may take to list its servers.
_REMEMBERED: Final[Seconds] = 3600.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What sagas work with. ``secrets`` are what an action must know and nothing may write down, by ``args["secret"]``.

    They are gone with the process.
    """

    books: Books
    driver: ComputeDriver
    placement: Placement
    network: Network
    images: Images
    hosts: Hosts
    scheduling: Scheduling
    settings: Settings
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


class Ask(Protocol):
    """An operation of the driver with all but its deadline."""

    def __call__(self, *, deadline: Seconds) -> Awaitable[Any]:
        """Do it."""
        ...


class Work:
    """One action that is being carried out, and what a saga needs for it."""

    def __init__(self, parts: Parts, action: Action) -> None:
        self.parts = parts
        self.action = action
        self.failure: SundogError | None = None

    @property
    def args(self) -> Mapping[str, Any]:
        """What the saga must know."""
        return self.action.args

    def server(self) -> Server:
        """The server as it is now."""
        with self.parts.books.reading() as tx:
            return work_server(tx, self)

    # ---------------------------------------------------------------- the drivers

    async def wire(self) -> None:
        """Before the server sends from anywhere: let the network be as the books have it, filters above all.

        Raises: BackendFailed, OutcomeUnknown.
        """
        await self.parts.network.wires.settle()

    async def ask(self, operation: Ask, host: str, key: ServerKey, *, deadline: Seconds | None = None) -> Any:
        """Have an operation done that may be repeated, and again as long as nobody knows whether it happened.

        Raises: BackendFailed if it did not happen; OutcomeUnknown if that cannot be found out; NotSupported.
        """
        settings = self.parts.settings
        deadline = settings.quick if deadline is None else deadline
        for attempt in range(1, settings.tries + 1):
            try:
                return await operation(deadline=deadline)
            except OutcomeUnknown:
                if attempt == settings.tries:
                    raise
                await self._settle(host, key)
        raise InvariantError("an operation was asked no times at all")

    async def _settle(self, host: str, key: ServerKey) -> None:
        """Wait until nothing is under way on a copy.

        Raises: HostDown, or another BackendFailed, if the host cannot be asked.
        """
        driver, pause = self.parts.driver, _PAUSE
        while True:
            try:
                copies = await driver.list_servers(host, deadline=self.parts.settings.quick)
            except OutcomeUnknown:
                copies = None
            if copies is not None and not any(copy.busy for copy in copies if copy.key == key):
                return
            await aio.sleep(pause)
            pause = min(2.0 * pause, _LONGEST_PAUSE)

    async def destroy(self, host: str | None, key: ServerKey, *, before_another: bool = False) -> bool:
        """Remove a copy, however often that must be tried; whether it is certain that it is gone.

        It is not where the host does not answer: what comes back with it is found and removed then. A host that is off
        runs nothing. ``before_another`` is for a server that is to run elsewhere: a host that is only said to be off
        is fenced.
        """
        if host is None:
            return True
        pause = _PAUSE
        for _ in range(self.parts.settings.tries):
            try:
                await self.ask(partial(self.parts.driver.destroy, host, key), host, key)
            except HostDown:
                if before_another and self.parts.hosts.is_off(host):
                    await self.fence(host)
                return self.parts.hosts.is_off(host)
            except (BackendFailed, OutcomeUnknown):
                await aio.sleep(pause)
                pause = min(2.0 * pause, _LONGEST_PAUSE)
            else:
                return True
        return False

    async def fence(self, host: str) -> SundogError | None:
        """Have a host switched off, whatever was said of it; what that failed with. One that is up is left alone.

        An administrator may be wrong about a host that is only cut off, and then a server would run twice. Where hosts
        cannot be fenced, or this one cannot, the word is all that there is.
        """
        parts, failure = self.parts, None
        for _ in range(parts.settings.tries):
            if not parts.driver.capabilities.fence or parts.hosts.is_fenced(host) or parts.hosts.is_up(host):
                break
            try:
                await parts.driver.fence(host, deadline=parts.settings.quick)
            except (BackendFailed, OutcomeUnknown) as error:
                failure = error
            else:
                parts.hosts.noticed(host, HostState.FENCED)
        return failure

    # ---------------------------------------------------------------- writing

    def event(self, tx: Tx, name: str, host: str | None) -> None:
        """The next step begins, and with it the step before has ended."""
        actions.end_events(tx, self.parts.books, self.action)
        actions.begin_event(tx, self.parts.books, self.action, name, host)

    def finish(self, tx: Tx, server: Server, *, failure: str | None = None, **values: Any) -> None:
        """The action is done, and nothing is under way on the server any more."""
        books = self.parts.books
        books.change(tx, server, **{"task_state": None, **values})
        self.close(tx, failure=failure)

    def close(self, tx: Tx, *, failure: str | None = None) -> None:
        """The action is done; the server stays as it is."""
        actions.end_events(tx, self.parts.books, self.action, failure=failure)
        message = {} if failure is None else {"message": failure}
        self.set(tx, phase=DONE, **message)

    def again(self, tx: Tx, args: Mapping[str, Any]) -> None:
        """The action begins anew with other ``args``."""
        self.set(tx, phase=DOING, args=dict(args), message=None)

    def set(self, tx: Tx, **values: Any) -> None:
        """Change the action. Raises: Superseded if something else took its place."""
        after = actions.set_action(tx, self.parts.books, self.action, **values)

        def know() -> None:
            self.action = after

        tx.on_commit(know)

    def fault(self, message: str, details: str = "") -> dict[str, Any]:
        """Why a server is in ERROR, as it is stored; what hosts said of it is among the details, for administrators."""
        said = self.failure.message if self.failure is not None else message
        return self.parts.books.fault(message, ": ".join(filter(None, (details, said if said != message else ""))))


@dataclass(frozen=True, slots=True)
class Saga:
    """How an action is carried out, and how it is taken back."""

    do: Callable[[Work], Awaitable[None]]
    undo: Callable[[Work], Awaitable[None]]


class Worker:
    """Carries actions out, one at a time for each server."""

    def __init__(self, parts: Parts, sagas: Mapping[str, Saga]) -> None:
        self._parts, self._sagas = parts, sagas
        self._tasks: dict[str, asyncio.Task[SundogError | None]] = {}
        self._numbers: dict[str, int] = {}
        self._ended: dict[str, Seconds] = {}
        self._beside: dict[asyncio.Task[None], None] = {}

    def begin(self, action: Action) -> asyncio.Task[SundogError | None]:
        """Carry out an action that is written down, once what is under way on its server has ended.

        That is broken off if something took its place. The task's result is what the action failed with.
        """
        before = self._tasks.get(action.server_id), self._numbers.get(action.server_id, 0)
        task = asyncio.get_running_loop().create_task(self._run(action, *before), name=f"action {action.number}")
        self._tasks[action.server_id], self._numbers[action.server_id] = task, action.number
        task.add_done_callback(lambda done: self._forget(action.server_id, done))
        return task

    def aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside what is under way; it is broken off by :meth:`stop`, and not begun again."""
        task = asyncio.get_running_loop().create_task(work)
        self._beside[task] = None
        task.add_done_callback(self._beside.pop)

    def is_busy(self, server_id: str) -> bool:
        """Whether something is under way on a server."""
        return server_id in self._tasks

    def busy_until(self, server_id: str) -> Seconds:
        """When the last thing that was done to a server ended, by the loop's clock: no end if it is under way."""
        return math.inf if self.is_busy(server_id) else self._ended.get(server_id, -math.inf)

    def resume(self) -> int:
        """Go on with every action that is not done; how many those are. For the start."""
        with self._parts.books.reading() as tx:
            left = actions.unfinished(tx)
        for action in left:
            self.begin(action)
        return len(left)

    async def stop(self) -> None:
        """Leave everything as it is: the next start goes on."""
        tasks: list[asyncio.Task[Any]] = [*self._beside, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            await asyncio.wait([task])

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait([next(iter(self._tasks.values()))])

    def _forget(self, server_id: str, task: asyncio.Task[SundogError | None]) -> None:
        if self._tasks.get(server_id) is task:
            del self._tasks[server_id], self._numbers[server_id]
            now = clock.now()
            self._ended.pop(server_id, None)
            self._ended[server_id] = now  # the last one, so that those that ended long ago come first
            while self._ended[first := next(iter(self._ended))] < now - _REMEMBERED:
                del self._ended[first]
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("an action was left unfinished", exc_info=task.exception())

    async def _run(
        self, action: Action, before: asyncio.Task[SundogError | None] | None, number: int
    ) -> SundogError | None:
        work, pause = Work(self._parts, action), _PAUSE
        while True:
            try:
                if before is not None:
                    await self._ended_before(before, number)
                    before = None
                if await self._advance(work):
                    return work.failure
                pause = _PAUSE
            except StoreUnavailable as error:
                _LOG.warning("action %d waits for the store: %s", action.number, error)
                await aio.sleep(pause)
                pause = min(2.0 * pause, _LONGEST_PAUSE)

    async def _ended_before(self, before: asyncio.Task[SundogError | None], number: int) -> None:
        """Wait for the end of the action before, which is broken off if something took its place, or if this one is."""
        with self._parts.books.reading() as tx:
            row = tx.get(tables.actions, number=number)
        if row is None or row["phase"] == DONE:
            before.cancel()
        try:
            await asyncio.wait([before])
        except asyncio.CancelledError:
            before.cancel()
            await asyncio.wait([before])
            raise

    async def _advance(self, work: Work) -> bool:
        """Do, or undo, what the action says; whether it is done then."""
        saga = self._sagas[work.args["saga"]]
        try:
            if work.action.phase == DOING:
                await self._do(work, saga)
            if work.action.phase == UNDOING:
                await self._undo(work, saga)
        except Superseded:
            return True
        return work.action.phase == DONE

    async def _do(self, work: Work, saga: Saga) -> None:
        try:
            await saga.do(work)
        except (StoreUnavailable, Superseded):
            raise
        except SundogError as error:
            work.failure = error
            self._note_failure(work, for_owners(error), error.message)
        except Exception as error:  # noqa: BLE001 - the root of a task: an action must not hang for a bug of ours
            _LOG.error("action %d failed", work.action.number, exc_info=error)
            work.failure = InvariantError(f"{type(error).__name__}: {error}")
            self._note_failure(work, "Unexpected error.", "Unexpected error.")

    async def _undo(self, work: Work, saga: Saga) -> None:
        try:
            await saga.undo(work)
        except (StoreUnavailable, Superseded):
            raise
        except Exception as error:  # noqa: BLE001 - the root of a task, as above
            _LOG.error("action %d could not be undone", work.action.number, exc_info=error)
            with self._parts.books.writing() as tx:
                fault = work.fault(work.action.message or "Unexpected error.")
                work.finish(tx, work_server(tx, work), failure=fault["message"], vm_state=VmState.ERROR, fault=fault)

    def _note_failure(self, work: Work, message: str, details: str) -> None:
        """Why an action failed: ``message`` for its server's owner, ``details`` for administrators."""
        with self._parts.books.writing() as tx:
            actions.end_events(tx, self._parts.books, work.action, failure=details)
            work.set(tx, phase=UNDOING, message=message)


def for_owners(error: SundogError) -> str:
    """What a server's owner is told of an error: not what hosts and their libraries say, which names hosts and files.

    As Nova since OSSA-2019-003. Administrators find the rest in the details of faults and of events.
    """
    match error:
        case PlainFailure():
            return error.message
        case HostDown():
            return "The host of the server does not answer."
        case OutcomeUnknown():
            return "Nobody knows whether the host of the server has done this."
        case BackendFailed():
            return "The host of the server could not do this."
        case NotSupported() if "host" in error.facts:
            return "The host of the server cannot do this."
    return error.message


def work_server(tx: Reader, work: Work) -> Server:
    """The server of an action, without its tags, inside a transaction."""
    return get_server(tx, EVERYTHING, work.action.server_id, deleted=True, tags=False)
