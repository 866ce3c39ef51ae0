"""PostgreSQL goes away in the middle of a commit, and nobody knows whether it happened: books and memory still agree.

Each commit of an operation in turn is cut off, before it arrives or after it happened, and the server is out of reach
for a while; then everything goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from sundog.control.compute.records import ServerQuery
from sundog.control.store import open_store
from sundog.control.store.tables import compute as tables
from sundog.core.lifecycle.servers import VmState
from sundog.errors import StoreUnavailable
from sundog.runtime import aio
from tests.computing import ADMIN, LARGE, OWNER, Small, audit, compare, run
from tests.postgresql import Wire, cut_wire, running_server

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

OUTAGE = 7.0
MOST = 60


async def create(small: Small, before: str) -> None:
    small.create()


async def resize(small: Small, before: str) -> None:
    small.compute.moves.resize(OWNER, before, LARGE)


async def delete(small: Small, before: str) -> None:
    small.compute.servers.delete(OWNER, before)


async def disable(small: Small, before: str) -> None:
    for host in small.compute.hosts.list_all():
        small.compute.hosts.update(host.service_id, disabled=True, disabled_reason="tired")


@pytest.mark.parametrize("operation", [create, resize, delete, disable])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_becomes_of_a_commit_is_what_is_kept_in_memory(
    operation: Callable[[Small, str], Awaitable[None]], when: str
) -> None:
    with running_server() as server, cut_wire(server) as wire:
        tried = next(number for number in range(MOST) if not cut_at(wire, operation, when, number))
        assert tried >= 1


def cut_at(wire: Wire, operation: Callable[[Small, str], Awaitable[None]], when: str, number: int) -> bool:
    """An operation whose commit of this number is cut off; whether it has so many."""

    async def main(small: Small) -> bool:
        before = small.create().id
        await small.idle()
        wire.cut(when, stays=True, skip=number)
        outcome: bool | None = None
        try:
            await operation(small, before)
        except StoreUnavailable as error:
            outcome = error.committed
        assert outcome is None
        await aio.sleep(OUTAGE)
        if wire.is_to_be_cut:
            await small.idle()
        was_cut = not wire.is_to_be_cut
        wire.cut("never")
        wire.mend()
        servers = small.compute.servers.list_all(ADMIN.viewer, ServerQuery())
        await small.idle()
        await compare(small)
        audit(small)
        assert len(servers) <= 2
        for each in small.compute.servers.list_all(ADMIN.viewer, ServerQuery(deleted=False)):
            assert each.vm_state in (VmState.ACTIVE, VmState.RESIZED)
        for host in small.compute.hosts.list_all():
            row = small.placement.books.providers[host.uuid].row
            assert small.placement.pool.enabled[row] == (not host.disabled)
            with small.store.read() as tx:
                written = tx.get(tables.hosts, uuid=host.uuid)
            assert written is not None
            assert written["disabled"] == host.disabled
        return was_cut

    with closing(open_store(wire.make_database())) as store:
        return run(main, store=store)
