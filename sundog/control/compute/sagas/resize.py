"""Resizes and cold migrations: a stopped copy is made of the old one, which is kept until a confirmation or a revert.

The old copy cannot be started while it is kept, and the new one is not started before the old one is. So a move that
fails before the new copy was to start goes home without asking the target; after that nothing is started at home before
it is certain that nothing runs at the target.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any, Final

from sundog.control.compute.migrations import set_status
from sundog.control.compute.records import Migration
from sundog.control.compute.sagas.common import POWER, spec_of
from sundog.control.compute.sagas.moving import (
    arrive,
    copy_on,
    give_back,
    go_home,
    has_arrived,
    insist,
    let_source_go,
    move_of,
    new_key,
    old_key,
    power_there,
    settled_state,
    surely_gone,
    target_of,
)
from sundog.control.compute.work import Saga, Work, for_owners, work_server
from sundog.core.lifecycle.servers import Power, TaskState, VmState
from sundog.errors import BackendFailed, HostDown, OutcomeUnknown, PlainFailure
from sundog.runtime import aio

OLD_VM_STATE: Final = "old_vm_state"
"""What a server was before its resize, in ``kept``."""


def _ran(work: Work) -> bool:
    return bool(work.args["vm_state"] == VmState.ACTIVE)


# ---------------------------------------------------------------- going


async def do(work: Work) -> None:
    """Bring the server to the target, where it waits to be confirmed."""
    move = move_of(work)
    await work.wire()
    if not has_arrived(work.server(), move):
        await _leave(work, move)
    finish = partial(work.parts.driver.resize_finish, target_of(move), new_key(move), start=_ran(work))
    await insist(work, finish, target_of(move), new_key(move))
    with work.parts.books.writing() as tx:
        server = work_server(tx, work)
        power = Power.RUNNING if _ran(work) else Power.SHUTDOWN
        set_status(tx, work.parts.books, move, "finished")
        work.finish(
            tx, server, vm_state=VmState.RESIZED, power_state=power, progress=100,
            kept={**server.kept, OLD_VM_STATE: work.args["vm_state"]}, launched_at=work.parts.books.now(),
        )  # fmt: skip


async def _leave(work: Work, move: Migration) -> None:
    """Make the new copy. It is stopped, so that it does not matter what becomes of it if this fails."""
    parts, target = work.parts, target_of(move)
    if 0 < move.new_flavor.root_gb < move.old_flavor.root_gb:
        raise PlainFailure("Resize error: Unable to resize disk down.")
    with parts.books.writing() as tx:
        set_status(tx, parts.books, move, "migrating")
        parts.books.change(tx, work_server(tx, work), task_state=TaskState.RESIZE_MIGRATING)
        work.event(tx, "compute_resize_instance", move.source)
    spec = spec_of(work, work.server(), flavor=move.new_flavor, generation=move.target_generation)
    begin = partial(parts.driver.resize_begin, move.source, old_key(move), target, spec)
    try:
        await work.ask(begin, move.source, old_key(move), deadline=parts.settings.long)
    except (BackendFailed, OutcomeUnknown):
        if not await _is_there(work, move):
            raise
    with parts.books.writing() as tx:
        arrive(tx, work, move, "post-migrating", task_state=TaskState.RESIZE_FINISH)
        work.event(tx, "compute_finish_resize", target)


async def _is_there(work: Work, move: Migration) -> bool:
    """Whether the copy was made after all, though the source fell silent."""
    try:
        return await copy_on(work, target_of(move), new_key(move)) is not None
    except BackendFailed:
        return False


async def undo(work: Work) -> None:
    """The server is at home again, as it was."""
    move = move_of(work)
    if has_arrived(work.server(), move):
        await surely_gone(work, target_of(move), new_key(move))
    else:
        await work.destroy(target_of(move), new_key(move))  # it never ran
    values = await _restore(work, move)
    with work.parts.books.writing() as tx:
        set_status(tx, work.parts.books, move, "error")
        go_home(tx, work, move)
        give_back(tx, work, move)
        work.finish(tx, work_server(tx, work), failure=work.action.message or "", **values)


async def _restore(work: Work, move: Migration) -> dict[str, Any]:
    """Make the kept copy an ordinary one, running if it ran; what the server is then.

    Where the source does not answer that is done when it is back.
    """
    host, key = move.source, old_key(move)
    revert = partial(work.parts.driver.resize_revert, host, key, start=_ran(work))
    failure, details, pause = "", "", 1.0
    for _ in range(work.parts.settings.tries):
        try:
            await work.ask(revert, host, key, deadline=work.parts.settings.long)
        except HostDown:
            return {"vm_state": work.args["vm_state"]}
        except (BackendFailed, OutcomeUnknown) as error:
            failure, details = for_owners(error), error.message
            await aio.sleep(pause)
            pause *= 2.0
        else:
            break
    try:
        copy = await copy_on(work, host, key)
    except BackendFailed:
        return {"vm_state": work.args["vm_state"]}
    power = Power.NOSTATE if copy is None else POWER[copy.power_state]
    if copy is not None and not copy.kept and (power is Power.RUNNING or not _ran(work)):
        return settled_state(power, work.args["vm_state"])
    return {"vm_state": VmState.ERROR, "power_state": power, "fault": work.fault(failure, details)}


# ---------------------------------------------------------------- staying


async def confirm(work: Work) -> None:
    """Give up what was kept. What is on a host that does not answer is removed when it comes back."""
    move, driver = move_of(work), work.parts.driver
    try:
        await work.ask(partial(driver.resize_confirm, move.source, old_key(move)), move.source, old_key(move))
    except (BackendFailed, OutcomeUnknown):
        with suppress(HostDown):
            if await copy_on(work, move.source, old_key(move)) is not None:
                raise
    power = await power_there(work, target_of(move), new_key(move))
    with work.parts.books.writing() as tx:
        server = work_server(tx, work)
        set_status(tx, work.parts.books, move, "confirmed")
        let_source_go(tx, work, move)
        old = server.kept.get(OLD_VM_STATE, VmState.ACTIVE)
        work.finish(tx, server, kept=_without(server.kept), **settled_state(power, old))


async def wait_again(work: Work) -> None:
    """The server waits to be confirmed, as before."""
    move = move_of(work)
    with work.parts.books.writing() as tx:
        set_status(tx, work.parts.books, move, "finished")
        work.finish(tx, work_server(tx, work), failure=work.action.message or "")


# ---------------------------------------------------------------- going back


async def revert(work: Work) -> None:
    """Bring the server home. From the moment at which the books have it there it does not go back any more."""
    move = move_of(work)
    if has_arrived(work.server(), move):
        if await copy_on(work, move.source, old_key(move)) is None:
            raise BackendFailed(f"host {move.source} does not hold what it kept of the server", host=move.source)
        with work.parts.books.writing() as tx:
            go_home(tx, work, move)
            work.event(tx, "compute_finish_revert_resize", move.source)
    await _come_home(work, move)


async def _come_home(work: Work, move: Migration) -> None:
    await surely_gone(work, target_of(move), new_key(move))
    values = await _restore(work, move)
    with work.parts.books.writing() as tx:
        server = work_server(tx, work)
        set_status(tx, work.parts.books, move, "reverted")
        give_back(tx, work, move)
        failure = values["fault"]["message"] if "fault" in values else None
        kept, now = _without(server.kept), work.parts.books.now()
        work.finish(tx, server, failure=failure, **{"kept": kept, "launched_at": now, **values})


async def undo_revert(work: Work) -> None:
    """It waits to be confirmed as before, or comes home all the same if it is on its way."""
    move = move_of(work)
    if has_arrived(work.server(), move):
        await wait_again(work)
    else:
        await _come_home(work, move)


def _without(kept: Any) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if name != OLD_VM_STATE}


RESIZE: Final = Saga(do, undo)
CONFIRM: Final = Saga(confirm, wait_again)
REVERT: Final = Saga(revert, undo_revert)
