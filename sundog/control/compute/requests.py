"""Asking something of a server: what is checked, written down and begun is alike for everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from sundog.control.compute import imaging
from sundog.control.compute.actions import begin_event, new_action, supersede
from sundog.control.compute.books import get_server
from sundog.control.compute.records import Action, Caller, Host, Server
from sundog.control.compute.work import Parts, Worker
from sundog.control.store import Tx
from sundog.core.lifecycle.servers import TRANSITIONS, TaskState, Transition, VmState, obstacle
from sundog.errors import Conflict, SundogError

Underway: TypeAlias = "asyncio.Task[SundogError | None]"
"""What was begun; its result is what it failed with."""

Prepare: TypeAlias = Callable[[Tx, Server], Mapping[str, Any]]
"""``(transaction, server) -> args``: what a request does beyond the usual, and what its saga must know."""

_ANYWHERE: Final = ("delete", "force_delete", "unshelve")
"""What may be asked of a server that is on no host, as one that could not be built."""

_NEEDS_HOST: Final = ("start", "stop")
"""Where Nova asks for the host first, and for the state then."""


def check_lock(caller: Caller, server: Server) -> None:
    """Raises: Conflict for a locked server, unless an administrator asks."""
    if server.is_locked and not caller.is_admin:
        raise Conflict(f"Instance {server.id} is locked", server=server.id)


def check_state(server: Server, name: str) -> Transition:
    """The line of the table for what is asked.

    Raises: Conflict if the server's state forbids it.
    """
    transition = TRANSITIONS[name]
    found = obstacle(name, server.vm_state, server.task_state)
    if found is not None:
        raise Conflict(
            f"Cannot '{transition.word or name}' instance {server.id} while it is in {found}", server=server.id
        )
    return transition


def not_ready(server: Server) -> Conflict:
    """What is said of a server that is on no host."""
    return Conflict(f"Instance {server.id} is not ready", server=server.id)


def never_ran(server: Server, transition: Transition) -> Conflict:
    """What is said of a server that never was on a host, where the state itself would allow what is asked."""
    return Conflict(
        f"Instance {server.id} is in an invalid state for '{transition.word or transition.name}'", server=server.id
    )


def host_down(caller: Caller, server: Server, host: Host | None) -> Conflict:
    """Why a server cannot be asked now: its host does not answer. Only an administrator is told which one that is."""
    which = f"Host {host.name}" if host is not None and caller.is_admin else "The host"
    return Conflict(
        f"{which} of instance {server.id} does not answer. Ask again when it is back, or have the instance evacuated.",
        server=server.id,
    )


class Requests:
    """What everything that can be asked of servers begins with."""

    def __init__(self, parts: Parts, worker: Worker) -> None:
        self._parts, self._worker = parts, worker

    def _begin(
        self,
        caller: Caller,
        server_id: str,
        name: str,
        *,
        event: str,
        saga: str | None = None,
        prepare: Prepare | None = None,
        lock: bool = True,
    ) -> Underway:
        """Check, write down and begin a transition of the table. ``saga`` has its name unless it is told.

        Raises: NotFound; Conflict for a locked server, one whose state forbids it, or one that has no host; and what
        ``prepare`` raises.
        """
        begun: list[Underway] = []
        with self._parts.books.writing() as tx:
            server = get_server(tx, caller.viewer, server_id)
            if lock:
                check_lock(caller, server)
            if server.host is None and name in _NEEDS_HOST:
                raise not_ready(server)
            transition = check_state(server, name)
            if server.host is None and name not in _ANYWHERE:
                raise never_ran(server, transition)
            args = dict(prepare(tx, server)) if prepare is not None else {}
            action = accept(tx, self._parts, caller, server, transition, {"saga": saga or name, **args}, event)
            tx.on_commit(lambda: begun.append(self._worker.begin(action)))
        return begun[0]


def accept(
    tx: Tx,
    parts: Parts,
    caller: Caller,
    server: Server,
    transition: Transition,
    args: Mapping[str, Any],
    event: str,
) -> Action:
    """Write down what was asked; whatever was under way on the server gives way to it."""
    books = parts.books
    if server.task_state is not None or transition.after is VmState.DELETED:
        for ended in supersede(tx, books, server.id, f"{transition.action} was asked meanwhile"):
            imaging.drop_image(tx, parts, ended)
    progress = 0 if transition.task in (TaskState.MIGRATING, TaskState.RESIZE_PREP) else server.progress
    books.change(tx, server, task_state=transition.task, progress=progress)
    action = new_action(tx, books, caller, server, transition.action, args=args)
    begin_event(tx, books, action, event, server.host)
    return action
