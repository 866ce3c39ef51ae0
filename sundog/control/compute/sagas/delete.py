"""Deleting a server: every copy that there may be, what it holds, and its ports."""

from __future__ import annotations

from typing import Final

from sundog.backends.contract import ServerKey
from sundog.control.compute import ports
from sundog.control.compute.books import migration_of
from sundog.control.compute.creating import unclaim
from sundog.control.compute.imaging import drop_shelved_image
from sundog.control.compute.migrations import OPEN, set_status
from sundog.control.compute.records import Migration, Server
from sundog.control.compute.sagas.common import COPIES
from sundog.control.compute.sagas.moving import give_back, has_arrived, let_source_go
from sundog.control.compute.work import Saga, Work, work_server
from sundog.control.store import Reader
from sundog.control.store.tables import compute as tables
from sundog.core.lifecycle.servers import Power, VmState
from sundog.errors import BackendFailed


async def do(work: Work) -> None:
    """Remove the copies, and then the server. What is on a host that does not answer is removed when it comes back.

    Raises: BackendFailed if a host answers and yet does not remove its copy.
    """
    server, parts = work.server(), work.parts
    with parts.books.reading() as tx:
        moves = _open_moves(tx, server)
    for host, key in copies_of(server, moves):
        if not await work.destroy(host, key) and parts.hosts.is_up(host):
            raise BackendFailed(f"host {host} does not remove the server", host=host)
    with parts.books.writing() as tx:
        server = work_server(tx, work)
        ports.drop_ports(tx, parts.network, server)
        drop_shelved_image(tx, parts, server)
        for move in _open_moves(tx, server):
            set_status(tx, parts.books, move, "error")
        unclaim(tx, parts, server, *(move.uuid for move in moves))
        now = parts.books.now()
        work.finish(
            tx, server, vm_state=VmState.DELETED, power_state=Power.NOSTATE, deleted_at=now, terminated_at=now,
        )  # fmt: skip


async def undo(work: Work) -> None:
    """The server is in ERROR, and can be deleted again; a move that was broken off for this is over.

    What is left of that on the other host is nobody's, and is removed as such.
    """
    message = work.action.message or ""
    with work.parts.books.writing() as tx:
        server = work_server(tx, work)
        for move in _open_moves(tx, server):
            set_status(tx, work.parts.books, move, "error")
            if has_arrived(server, move):
                let_source_go(tx, work, move)
            else:
                give_back(tx, work, move)
        work.finish(tx, server, failure=message, vm_state=VmState.ERROR, fault=work.fault(message))


def copies_of(server: Server, moves: list[Migration]) -> list[tuple[str, ServerKey]]:
    """Every copy of a server that there may be, and on which host, each once."""
    found: dict[tuple[str, ServerKey], None] = {}
    if server.host is not None:
        for generation in (server.generation, *server.kept.get(COPIES, ())):
            found[server.host, ServerKey(server.id, generation)] = None
    for move in moves:
        found[move.source, ServerKey(server.id, move.source_generation)] = None
        if move.target is not None:
            found[move.target, ServerKey(server.id, move.target_generation)] = None
    return list(found)


def _open_moves(reader: Reader, server: Server) -> list[Migration]:
    c = tables.migrations.c
    return [migration_of(row) for row in reader.find(tables.migrations, c.server_id == server.id, c.status.in_(OPEN))]


SAGA: Final = Saga(do, undo)
