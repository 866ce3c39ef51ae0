"""Whatever is asked of a server in whatever state, on a host in whatever state, is never an error of the cloud's."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sundog.api.compute import SERVICE
from sundog.api.kit.service import Operation
from sundog.backends.playground import OPERATIONS
from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute import Settings
from sundog.control.compute.records import ServerQuery
from sundog.control.compute.sagas.common import key_of
from sundog.control.viewer import EVERYTHING
from sundog.runtime import aio
from tests.computing import PROJECT, USER
from tests.unit.api.compute.servers_api import Api, with_api
from tests.unit.api.rbac.requests import NOWHERE, request_for

_NEWEST = {
    (each.method, each.path, each.action): each for each in SERVICE.operations if "{server_id}" in each.path
}  # fmt: skip
READS = [each for each in _NEWEST.values() if each.method == "GET"]
WRITES = [each for each in _NEWEST.values() if each.method != "GET"]
pytestmark = pytest.mark.slow
IMPATIENT = Settings(quick=30.0, tries=2)
State = Callable[[Api, str], Awaitable[None]]


def asking(action: str, value: Any = None, *, then: float | None = None) -> State:
    """A server of which this was asked; it is done, or ``then`` seconds have passed."""

    async def make(api: Api, server: str) -> None:
        answer = await api.admin.act(server, action, value, v="2.95")
        assert answer.status_code < 300, answer.text
        await (api.small.idle() if then is None else aio.sleep(then))

    return make


def after(*several: State) -> State:
    """One after the other."""

    async def make(api: Api, server: str) -> None:
        for each in several:
            await each(api, server)

    return make


def struck(fault: HostFault, *, then: float = 300.0) -> State:
    """A server to whose host something happened."""

    async def make(api: Api, server: str) -> None:
        api.small.driver.faults.strike(fault, Scope(host=api.small.show(server).host))
        await aio.sleep(then)

    return make


async def as_it_is(_api: Api, _server: str) -> None:
    pass


async def deleted(api: Api, server: str) -> None:
    assert (await api.admin.delete(f"/servers/{server}")).status_code == 204
    await api.small.idle()


async def being_deleted(api: Api, server: str) -> None:
    assert (await api.admin.delete(f"/servers/{server}")).status_code == 204
    await aio.sleep(0.1)


async def evacuated(api: Api, server: str) -> None:
    source = api.small.show(server).host
    await after(struck(HostFault.KILL), asking("evacuate", {}))(api, server)
    assert api.small.show(server).host != source


async def evacuated_in_vain(api: Api, server: str) -> None:
    """No host takes it."""
    await struck(HostFault.KILL)(api, server)
    api.small.driver.faults.order(OperationFault(FaultKind.FAIL, "spawn", count=1000))
    await asking("evacuate", {})(api, server)
    assert api.small.show(server).vm_state == "error"


async def being_rebuilt(api: Api, server: str) -> None:
    await asking("rebuild", {"imageRef": api.small.image_id}, then=1.0)(api, server)


async def without_its_copy(api: Api, server: str) -> None:
    """The host holds nothing of it any more."""
    told = api.small.show(server)
    assert told.host is not None
    await api.small.driver.destroy(told.host, key_of(told), deadline=60.0)


async def on_a_host_forced_down(api: Api, server: str) -> None:
    host = api.small.compute.hosts.by_uuid(api.small.show(server).host)
    assert host is not None
    api.small.compute.hosts.update(host.service_id, forced_down=True)


STATES: dict[str, State] = {
    "active": as_it_is,
    "stopped": asking("os-stop"),
    "paused": asking("pause"),
    "suspended": asking("suspend"),
    "shelved": asking("shelve"),
    "rescued": asking("rescue", {}),
    "resized": asking("resize", {"flavorRef": "2"}),
    "migrated": asking("migrate"),
    "error": asking("os-resetState", {"state": "error"}),
    "locked": asking("lock"),
    "deleted": deleted,
    "being deleted": being_deleted,
    "being stopped": asking("os-stop", then=0.1),
    "being rebooted": asking("reboot", {"type": "HARD"}, then=0.1),
    "being resized": asking("resize", {"flavorRef": "2"}, then=1.0),
    "being migrated live": asking("os-migrateLive", {"host": None, "block_migration": "auto"}, then=1.0),
    "being imaged": asking("createImage", {"name": "i"}, then=1.0),
    "being shelved": asking("shelve", then=1.0),
    "being rebuilt": being_rebuilt,
    "on a dead host": struck(HostFault.KILL),
    "on a host that just died": struck(HostFault.KILL, then=0.0),
    "on a fenced host": struck(HostFault.FENCE),
    "on a host that is cut off": struck(HostFault.PARTITION),
    "on a host that was just cut off": struck(HostFault.PARTITION, then=0.0),
    "on a host that came back": after(struck(HostFault.KILL), struck(HostFault.REVIVE)),
    "on a host that is coming back": after(struck(HostFault.KILL), struck(HostFault.REVIVE, then=0.1)),
    "on a host forced down": on_a_host_forced_down,
    "evacuated": evacuated,
    "evacuated in vain": evacuated_in_vain,
    "without its copy": without_its_copy,
    "stopped on a dead host": after(asking("os-stop"), struck(HostFault.KILL)),
    "paused on a dead host": after(asking("pause"), struck(HostFault.KILL)),
    "shelved on a dead host": after(struck(HostFault.KILL, then=0.0), asking("shelve", then=600.0)),
    "rescued on a dead host": after(asking("rescue", {}), struck(HostFault.KILL)),
    "resized to a dead host": after(asking("resize", {"flavorRef": "2"}), struck(HostFault.KILL)),
    "error on a fenced host": after(asking("os-resetState", {"state": "error"}), struck(HostFault.FENCE)),
}


async def world_of(api: Api, server: str) -> Any:
    """What requests for a server are about, as ``request_for`` asks for it."""
    small, network = api.small, api.small.network
    (port,) = small.compute.servers.ports(small.show(server))
    told = await api.admin.get(f"/servers/{server}/os-instance-actions")
    ids = {
        "server": server, "image": small.image_id, "network": small.network_id, "port": port.id, "A": PROJECT,
        "request": told.json()["instanceActions"][0]["request_id"], "user member": USER,
    }  # fmt: skip
    if not network.groups.list_all(EVERYTHING, {"name": ["g"], "project_id": [PROJECT]}):
        network.groups.create([{"project_id": PROJECT, "name": "g"}])
    return SimpleNamespace(ids=ids, tokens={})


def path_for(api: Api, operation: Operation, path: str, world: Any) -> str:
    """With what is no id of the world's: the number of the server's newest migration, for one."""
    if "/migrations/" in operation.path:
        found = api.small.compute.migrations.list_all(limit=1)
        number = found[0].number if found and found[0].server_id == world.ids["server"] else 1
        return path.replace(NOWHERE, str(number))
    if operation.path.endswith("/ips/{label}"):
        return path.replace(NOWHERE, "private")
    return path.replace(NOWHERE, world.ids["request"])


async def asked(api: Api, operation: Operation, world: Any) -> str | None:
    """How a request went wrong; None if it did not."""
    request = request_for(world, SERVICE, operation)
    path = path_for(api, operation, request.path, world)
    answer = await api.admin(request.method, path.removeprefix("/compute/v2.1"), **request.options)
    if answer.status_code in (200, 201, 202, 204, 400, 403, 404, 409, 410):
        return None
    return f"{operation.method} {path} {operation.action or ''}: {answer.status_code} {answer.text}"


async def restored(api: Api, server: str) -> None:
    """All hosts work and the server is gone."""
    api.small.driver.faults.clear()
    for fault in (HostFault.HEAL, HostFault.REVIVE):
        api.small.driver.faults.strike(fault, Scope())
    await aio.sleep(600.0)
    for host in api.small.compute.hosts.list_all():
        api.small.compute.hosts.update(host.service_id, forced_down=False)
    if api.small.compute.servers.list_all(EVERYTHING, ServerQuery()):
        await api.admin.act(server, "forceDelete")
        await api.small.idle()


@pytest.mark.parametrize("state", STATES)
def test_a_server_in_any_state_can_be_asked_anything(state: str, caplog: pytest.LogCaptureFixture) -> None:
    wrong: list[str | None] = []

    async def main(api: Api) -> None:
        for each in WRITES:
            server = await api.boot(networks=[{"uuid": api.small.network_id}])
            world = await world_of(api, server)
            await STATES[state](api, server)
            wrong.append(await asked(api, each, world))
            if each is WRITES[0]:
                wrong.extend([await asked(api, read, world) for read in READS])
            await api.small.idle()
            await restored(api, server)

    with caplog.at_level(logging.ERROR):
        with_api(main)
    assert [each for each in wrong if each] == []
    assert caplog.messages == []


@pytest.mark.parametrize("kind", [FaultKind.FAIL, FaultKind.HANG, FaultKind.LOSE])
@pytest.mark.parametrize("state", ["active", "stopped", "shelved", "resized"])
def test_when_all_that_hosts_do_fails_only_an_attachment_says_so(
    state: str, kind: FaultKind, caplog: pytest.LogCaptureFixture
) -> None:
    wrong: list[str | None] = []

    async def main(api: Api) -> None:
        faults = api.small.driver.faults
        for each in WRITES:
            server = await api.boot(networks=[{"uuid": api.small.network_id}])
            world = await world_of(api, server)
            await STATES[state](api, server)
            for operation in OPERATIONS:
                faults.order(OperationFault(kind, operation, count=1000))
            wrong.append(await asked(api, each, world))
            if each is WRITES[0]:
                wrong.extend([await asked(api, read, world) for read in READS])
            await aio.sleep(600.0)
            await restored(api, server)

    with caplog.at_level(logging.ERROR):
        with_api(main, settings=IMPATIENT)
    told = [each for each in wrong if each]
    # Its caller waits for it, and Nova too says 500 then.
    attached = state in ("active", "stopped")
    assert ["/os-interface : 500" in each for each in told] == [True] * attached
    assert len(caplog.messages) == len(told)
