"""Live migrations: the copy runs at home until it runs at the target, and never at both."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from sundog.backends.contract import ServerCopy
from sundog.control.compute.migrations import set_status
from sundog.control.compute.records import Migration
from sundog.control.compute.sagas.moving import (
    arrive,
    copy_on,
    give_back,
    let_source_go,
    move_of,
    new_key,
    old_key,
    power_there,
    settled_state,
    target_of,
)
from sundog.control.compute.work import Saga, Work, work_server
from sundog.control.store.tables import compute as tables
from sundog.errors import BackendFailed, NotSupported, OutcomeUnknown, PlainFailure
from sundog.runtime import aio


async def do(work: Work) -> None:
    """Move the server."""
    move, parts = move_of(work), work.parts
    if _is_aborted(work):
        raise PlainFailure("The live migration was aborted.")
    with parts.books.writing() as tx:
        set_status(tx, parts.books, move, "running")
        work.event(tx, "compute_live_migration", move.source)
    await work.wire()
    target, generation = target_of(move), move.target_generation
    migrate = partial(parts.driver.live_migrate, move.source, old_key(move), target, generation=generation)
    try:
        await work.ask(migrate, move.source, old_key(move), deadline=parts.settings.long)
    except (BackendFailed, OutcomeUnknown):
        if not await _has_moved(work, move):
            raise
    await _arrived(work, move)


def _is_aborted(work: Work) -> bool:
    """Whether it was aborted, maybe meanwhile."""
    with work.parts.books.reading() as tx:
        row = tx.get(tables.actions, number=work.action.number)
    return row is not None and bool(row["args"].get("aborted"))


async def _has_moved(work: Work, move: Migration) -> bool:
    """Where the server is, however long it takes to find out."""
    hosts, target = work.parts.hosts, target_of(move)
    while True:
        with suppress(BackendFailed):
            return await copy_on(work, target, new_key(move)) is not None
        with suppress(BackendFailed):
            return await copy_on(work, move.source, old_key(move)) is None  # then it went there
        if hosts.is_off(target):
            await work.fence(target)
            if hosts.is_off(target):
                return False  # nothing runs there, whatever it holds
        await aio.sleep(5.0)


async def _arrived(work: Work, move: Migration) -> None:
    power = await power_there(work, target_of(move), new_key(move))
    with work.parts.books.writing() as tx:
        server = work_server(tx, work)
        arrive(tx, work, move, "completed")
        let_source_go(tx, work, move)
        work.finish(tx, server, progress=100, **settled_state(power, server.vm_state))


async def _break_off(work: Work, move: Migration) -> None:
    """Break off what may be under way; before it copies there is nothing yet that could be."""
    driver, deadline = work.parts.driver, work.parts.settings.quick
    with suppress(BackendFailed, OutcomeUnknown, NotSupported):  # what came of it is seen later
        while any(copy.busy and copy.key == old_key(move) for copy in await _listed(work, move.source)):
            with suppress(BackendFailed, OutcomeUnknown):
                await driver.live_migration_abort(move.source, old_key(move), deadline=deadline)
            await aio.sleep(1.0)


async def _listed(work: Work, host: str) -> Sequence[ServerCopy]:
    return await work.parts.driver.list_servers(host, deadline=work.parts.settings.quick)


async def undo(work: Work) -> None:
    """The server runs on at home, or has arrived after all."""
    move = move_of(work)
    aborted = _is_aborted(work)
    if aborted:
        await _break_off(work, move)
    if await _has_moved(work, move):
        await _arrived(work, move)
        return
    await work.destroy(target_of(move), new_key(move))  # it never ran
    power = await power_there(work, move.source, old_key(move))
    with work.parts.books.writing() as tx:
        server = work_server(tx, work)
        set_status(tx, work.parts.books, move, "cancelled" if aborted else "failed")
        give_back(tx, work, move)
        message = work.action.message or ""
        work.finish(tx, server, failure=message, progress=0, **settled_state(power, server.vm_state))


SAGA: Final = Saga(do, undo)
