"""Building a new server on the host that was chosen; if that fails, on another one."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sundog.backends.contract import ServerKey
from sundog.control.compute import ports
from sundog.control.compute.creating import ONLY_THERE, claim, unclaim, wish_for
from sundog.control.compute.sagas.common import key_of, spec_of
from sundog.control.compute.work import Saga, Work, work_server
from sundog.core.lifecycle.servers import Power, VmState
from sundog.core.scheduler import NoValidHost

_EVENT: Final = "compute__do_build_and_run_instance"


async def do(work: Work) -> None:
    """Make the copy, and say that the server is there."""
    server, parts = work.server(), work.parts
    assert server.host is not None
    await work.wire()
    spawn = partial(parts.driver.spawn, server.host, spec_of(work, server))
    await work.ask(spawn, server.host, key_of(server), deadline=parts.settings.long)
    with parts.books.writing() as tx:
        work.finish(
            tx, work_server(tx, work), vm_state=VmState.ACTIVE, power_state=Power.RUNNING,
            launched_at=parts.books.now(), fault=None,
        )  # fmt: skip


async def undo(work: Work) -> None:
    """Try another host, or leave the server in ERROR and without a place.

    Where nobody knows whether the copy is there, it stays: its host and its claim are kept until that is known.
    """
    server, parts = work.server(), work.parts
    host, key = server.host, key_of(server)
    gone = await work.destroy(host, key, before_another=True)
    tried = [*work.args["tried"], host]
    message = work.action.message or ""
    may_try = len(tried) < parts.settings.build_attempts and not work.args.get(ONLY_THERE)
    if gone and may_try and _elsewhere(work, key, tried):
        return
    with parts.books.writing() as tx:
        server = work_server(tx, work)
        values: dict[str, Any] = {
            "vm_state": VmState.ERROR,
            "fault": work.fault(message, details=f"on hosts {', '.join(tried)}"),
        }
        if gone:
            values["host"] = None
            ports.drop_ports(tx, parts.network, server)
            unclaim(tx, parts, server)
        work.finish(tx, server, failure=message, **values)


def _elsewhere(work: Work, key: ServerKey, tried: list[str]) -> bool:
    """Begin anew on a host that was not tried; False if there is none. The next copy has the next generation."""
    parts = work.parts
    names = tuple(host.name for host in map(parts.hosts.by_uuid, tried) if host is not None)
    with parts.books.writing() as tx:
        server = work_server(tx, work)
        places = parts.scheduling.decide([wish_for(tx, server, ignore_hosts=names)])
        if isinstance(places, NoValidHost):
            return False
        place = places[0]
        parts.books.change(tx, server, host=place.host, generation=key.generation + 1)
        ports.bind_ports(tx, parts.network, server.id, place.name)
        claim(tx, parts, [(server, place)])
        work.again(tx, {**work.args, "tried": tried})
        work.event(tx, _EVENT, place.host)
    return True


SAGA: Final = Saga(do, undo)
