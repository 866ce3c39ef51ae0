"""Giving a server a port, and taking one away, while it stands where it is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from sundog.control.compute import ports
from sundog.control.compute.records import Server
from sundog.control.compute.sagas.common import key_of
from sundog.control.compute.work import Saga, Work, work_server
from sundog.control.network.records import Port
from sundog.control.store import Reader
from sundog.errors import BackendFailed, NotFound, NotSupported, OutcomeUnknown


def port_of(reader: Reader, server: Server, port_id: str) -> Port | None:
    """A port of a server's; None if it has none of this id, or not any more."""
    return next((each for each in ports.ports_of(reader, [server.id])[server.id] if each.id == port_id), None)


async def attach(work: Work) -> None:
    """Plug the port, which is the server's already.

    Raises: NotFound for one that was deleted meanwhile; what the driver raises.
    """
    server, parts, port_id = work.server(), work.parts, work.args["port_id"]
    assert server.host is not None
    with parts.books.reading() as tx:
        spec = ports.port_spec(tx, server.id, port_id)
    if spec is None:
        raise NotFound(f"Port id {port_id} could not be found.", port=port_id)
    await work.wire()
    await work.ask(partial(parts.driver.plug, server.host, key_of(server), spec), server.host, key_of(server))
    with parts.books.writing() as tx:
        work.close(tx)


async def give_up(work: Work) -> None:
    """The port is unplugged, if its host can do so, and not the server's any more."""
    await _unplug_if_possible(work)
    _drop(work, failure=work.action.message)


async def detach(work: Work) -> None:
    """Unplug the port, and let go of it. Raises: what the driver raises."""
    server = work.server()
    assert server.host is not None
    key, port_id = key_of(server), work.args["port_id"]
    await work.ask(partial(work.parts.driver.unplug, server.host, key, port_id), server.host, key)
    _drop(work)


async def keep(work: Work) -> None:
    """The port stays the server's."""
    with work.parts.books.writing() as tx:
        work.close(tx, failure=work.action.message)


async def _unplug_if_possible(work: Work) -> None:
    server = work.server()
    assert server.host is not None
    key, port_id = key_of(server), work.args["port_id"]
    try:
        await work.ask(partial(work.parts.driver.unplug, server.host, key, port_id), server.host, key)
    except (BackendFailed, OutcomeUnknown, NotSupported):
        return  # what is plugged there has no address any more, and goes with the copy


def _drop(work: Work, *, failure: str | None = None) -> None:
    parts, port_id = work.parts, work.args["port_id"]
    with parts.books.writing() as tx:
        server = work_server(tx, work)
        given = list(server.kept.get(ports.GIVEN, ()))
        port = port_of(tx, server, port_id)
        if port is not None:
            ports.drop_port(tx, parts.network, port, given=port_id in given)
        parts.books.change(tx, server, kept=without_given(server.kept, port_id))
        work.close(tx, failure=failure)


def without_given(kept: Mapping[str, Any], port_id: str) -> dict[str, Any]:
    """What a server keeps, without a port that was the client's."""
    left = [each for each in kept.get(ports.GIVEN, ()) if each != port_id]
    others = {name: value for name, value in kept.items() if name != ports.GIVEN}
    return others | ({ports.GIVEN: left} if left else {})


SAGAS: Final[Mapping[str, Saga]] = {
    "attach_interface": Saga(attach, give_up),
    "detach_interface": Saga(detach, keep),
}
