"""Evacuations: a server of a dead host is made anew elsewhere. What the dead host holds is removed when it is back."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sundog.control.compute.migrations import set_status
from sundog.control.compute.records import Migration
from sundog.control.compute.sagas.common import spec_of
from sundog.control.compute.sagas.moving import (
    arrive,
    give_back,
    go_home,
    has_arrived,
    insist,
    let_source_go,
    move_of,
    new_key,
    surely_gone,
    target_of,
)
from sundog.control.compute.work import Saga, Work, work_server
from sundog.core.lifecycle.servers import Power, TaskState, VmState
from sundog.errors import BackendFailed


async def do(work: Work) -> None:
    """Make sure that nothing of it runs, and make it anew."""
    move, parts = move_of(work), work.parts
    target, start = target_of(move), work.args["vm_state"] != VmState.STOPPED
    if not has_arrived(work.server(), move):
        await _fence(work, move)
        with parts.books.writing() as tx:
            arrive(tx, work, move, "pre-migrating", task_state=TaskState.REBUILD_SPAWNING)
            work.event(tx, "compute_rebuild_instance", target)
    await work.wire()
    reuse = parts.driver.capabilities.shared_disks
    spawn = partial(parts.driver.spawn, target, spec_of(work, work.server()), start=start, reuse_disk=reuse)
    await insist(work, spawn, target, new_key(move))
    with parts.books.writing() as tx:
        set_status(tx, parts.books, move, "done")
        let_source_go(tx, work, move)
        state = VmState.ACTIVE if start else VmState.STOPPED
        power = Power.RUNNING if start else Power.SHUTDOWN
        work.finish(
            tx, work_server(tx, work), vm_state=state, power_state=power, fault=None, launched_at=parts.books.now()
        )


async def _fence(work: Work, move: Migration) -> None:
    """Raises: BackendFailed or OutcomeUnknown if the server may still run on its host."""
    hosts, failure = work.parts.hosts, await work.fence(move.source)
    if not hosts.is_off(move.source):
        raise failure or BackendFailed(f"host {move.source} may still run the server", host=move.source)


async def undo(work: Work) -> None:
    """The server is where it was; in ERROR if its copy there was given up."""
    move, message = move_of(work), work.action.message or ""
    if not has_arrived(work.server(), move):
        values: dict[str, Any] = {}
    else:
        await surely_gone(work, target_of(move), new_key(move))
        values = {"vm_state": VmState.ERROR, "power_state": Power.NOSTATE, "fault": work.fault(message)}
    with work.parts.books.writing() as tx:
        set_status(tx, work.parts.books, move, "failed")
        go_home(tx, work, move)
        give_back(tx, work, move)
        work.finish(tx, work_server(tx, work), failure=message, **values)


SAGA: Final = Saga(do, undo)
