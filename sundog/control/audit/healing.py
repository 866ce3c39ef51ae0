"""What can be put right without asking anybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sundog.control.audit.books import has_place, look
from sundog.control.audit.findings import Finding, Kind
from sundog.control.audit.parts import Audited
from sundog.control.compute import migrations, ports
from sundog.control.compute.creating import CONSUMER_TYPE, wish_for
from sundog.control.compute.records import Server
from sundog.control.network.ports import get_port
from sundog.control.placement.records import Wanted
from sundog.control.principal import Principal
from sundog.control.viewer import EVERYTHING
from sundog.core.lifecycle.servers import VmState
from sundog.core.scheduler import NoValidHost
from sundog.errors import BackendFailed, NotFound, OutcomeUnknown

_OURSELVES: Final = Principal("", roles=("admin",))


async def heal(cloud: Audited, findings: Sequence[Finding]) -> int:
    """Put right what was found, as far as that is safe; how many things were touched.

    Nothing that a guest or its owner may still need is removed: only places of nobody, ports of nobody, files of
    nobody, and copies that the books know to be stale.
    """
    count = 0
    for finding in findings:
        match finding.kind:
            case Kind.ORPHAN_ALLOCATION:
                cloud.placement.delete_allocations(finding.ids[0])
            case Kind.WRONG_ALLOCATION:
                if not _replace(cloud, finding.ids[0]):
                    continue
            case Kind.ORPHAN_PORT:
                with cloud.compute.books.writing() as tx:
                    ports.drop_port(tx, cloud.network, get_port(tx, EVERYTHING, finding.ids[0]), given=False)
            case Kind.WRONG_PORT:
                _bind(cloud, finding.ids[0])
            case Kind.STUCK_SERVER:
                _fail(cloud, finding.ids[0])
            case Kind.STUCK_MIGRATION:
                with cloud.compute.books.writing() as tx:
                    move = migrations.by_uuid(tx, finding.ids[0])
                    migrations.set_status(tx, cloud.compute.books, move, "error")
            case Kind.DRIFT:
                try:
                    await cloud.compute.reconciler.look_at(finding.ids[0])
                except (BackendFailed, OutcomeUnknown):
                    continue
            case Kind.STUCK_IMAGE | Kind.STRAY_FILE:
                cloud.image.recover()
            case Kind.UNMADE_IMAGE:
                with cloud.compute.books.writing() as tx:
                    cloud.image.delete(_OURSELVES, finding.ids[0], tx=tx)
            case Kind.WRONG_FLOATING:
                cloud.network.floating_ips.update(EVERYTHING, finding.ids[0], {"port_id": None})
            case _:
                continue
        count += 1
    return count


def _server(cloud: Audited, server_id: str) -> Server | None:
    try:
        return cloud.compute.servers.show(EVERYTHING, server_id)
    except NotFound:
        return None


def _replace(cloud: Audited, consumer: str) -> bool:
    """Let a server hold its place on its host; False if there is no room, or it is a migration's."""
    server = _server(cloud, consumer)
    if server is None:
        return False
    nothing = Wanted(server.id, {}, server.project_id, server.user_id, CONSUMER_TYPE)
    if cloud.placement.held(server.id):
        cloud.placement.set_allocations([nothing])
    host = cloud.compute.hosts.by_uuid(server.host)
    if host is None or not has_place(server):
        return True
    with cloud.compute.books.writing() as tx:
        places = cloud.compute.scheduling.decide([wish_for(tx, server, force_hosts=(host.name,))])
        if isinstance(places, NoValidHost):
            return False
        cloud.placement.set_allocations(
            [Wanted(server.id, places[0].allocations, server.project_id, server.user_id, CONSUMER_TYPE)], tx=tx
        )
    return True


def _bind(cloud: Audited, port_id: str) -> None:
    with cloud.compute.books.writing() as tx:
        server = look(tx).servers.get(get_port(tx, EVERYTHING, port_id).device_id)
        if server is not None:
            host = cloud.compute.hosts.by_uuid(server.host)
            ports.bind_ports(tx, cloud.network, server.id, "" if host is None else host.name)


def _fail(cloud: Audited, server_id: str) -> None:
    books = cloud.compute.books
    fault = books.fault("What was under way was lost.", "audit")
    server = _server(cloud, server_id)
    if server is not None:
        with books.writing() as tx:
            books.change(tx, server, task_state=None, vm_state=VmState.ERROR, fault=fault)
