"""A control plane over real hosts that kills itself at a chosen instant, in a process of its own.

``python -m tests.system.real_killing STATE DISK OPERATION INSTANT`` starts as ``sundog serve`` does over the same state
folder, waits until nothing is under way, prints what is wrong, what the server is and what runs on hosts, brings it to
where OPERATION begins, asks for that, says so, and dies at INSTANT: ``before:N`` or ``after:N`` the N-th commit,
``call:N`` before the N-th request to a host, ``in:SECONDS``, or ``never``. Without an operation it ends before that.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sundog import app
from sundog.app.hosts import read_hosts
from sundog.app.real import Uploaded
from sundog.backends.contract import HostState, ServerKey
from sundog.backends.libvirt.driver import LibvirtDriver
from sundog.backends.libvirt.images import Images
from sundog.backends.libvirt.native import library
from sundog.backends.libvirt.network import networks_over
from sundog.control.audit import audit
from sundog.control.cloud import Cloud
from sundog.control.compute.records import Flavor, NewServer, Server, ServerQuery
from sundog.control.image.files import ImageFiles
from sundog.control.image.listing import Wanted
from sundog.control.image.records import NewImage
from sundog.control.viewer import EVERYTHING
from sundog.core.lifecycle.servers import Power
from sundog.errors import NoSuchServer
from sundog.runtime import aio
from tests.computing import ADMIN, OWNER, add_network
from tests.real_hosts import SETTINGS
from tests.system.killing import Killer, KillingStore

SMALL = Flavor("1", "small", vcpus=1, memory_mb=128, root_gb=1)
LARGE = Flavor("2", "large", vcpus=1, memory_mb=160, root_gb=1)
NAME = "tried"
BYSTANDERS = ("one", "two")
OPERATIONS = ("create", "delete", "resize", "migrate", "live-migrate")

# What a driver begins each of its steps on a host with.
_STEPS = {
    "defineXML", "listAllDomains", "lookupByName", "lookupByUUIDString", "networkDefineXML", "networkLookupByName",
    "newStream", "storagePoolLookupByName",
}  # fmt: skip


class Instant(Killer):
    """When this process dies: see above. ``count`` is of commits, ``calls`` of requests to hosts, once it is armed."""

    def __init__(self, text: str) -> None:
        kind, _, number = text.partition(":")
        self.armed, self.calls = False, 0
        self._call = int(number) if kind == "call" else 0
        self._seconds = float(number) if kind == "in" else None
        super().__init__(int(number) if kind in ("before", "after") else 0, before=kind == "before")

    def arm(self) -> None:
        """Begin to count."""
        self.armed, self.count = True, 0
        if self._seconds is not None:
            asyncio.get_running_loop().call_later(self._seconds, os.kill, os.getpid(), signal.SIGKILL)

    def about_to_commit(self) -> None:
        if self.armed:
            super().about_to_commit()

    def committed(self) -> None:
        if self.armed:
            super().committed()

    def about_to_call(self, name: str) -> None:
        """A host is about to be asked for something."""
        if self.armed and name in _STEPS:
            self.calls += 1
            if self.calls == self._call:
                os.kill(os.getpid(), signal.SIGKILL)


class KillingLibrary:
    """libvirt, with connections whose requests are counted."""

    def __init__(self, inner: Any, instant: Instant) -> None:
        self._inner, self._instant = inner, instant

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def open(self, uri: str) -> Any:
        return _Connection(self._inner.open(uri), self._instant)


class _Connection:
    def __init__(self, inner: Any, instant: Instant) -> None:
        self._inner, self._instant = inner, instant

    def __getattr__(self, name: str) -> Any:
        self._instant.about_to_call(name)
        return getattr(self._inner, name)


async def work(state: app._State, operation: str, instant: Instant, disk: Path) -> None:
    """All of the above."""
    store = KillingStore(state.store, instant)
    specs = [host.spec(state.beginning.cloud) for host in read_hosts(state.folder)]
    images = Images(Uploaded(ImageFiles(state.folder / "images")), state.folder / "flat-images")
    async with aio.TaskGroup() as group:
        settings = replace(SETTINGS, soft_s=1.0)  # guests that have not booted yet do not listen
        driver = LibvirtDriver(KillingLibrary(library(), instant), specs, images, group, None, settings)
        while not all(link.state is HostState.UP for link in driver.links):
            await aio.sleep(0.05)
        async with networks_over(lambda: driver.links) as networks:
            driver.plug_into(networks)
            cloud = app.make_cloud(store, state.folder, state.beginning.ids_seed, driver=driver, networks=networks)
            wires = group.create_task(cloud.network.wires.run())
            cloud.image.recover()
            await cloud.compute.start()
            if not list(cloud.image.list(OWNER.principal, Wanted())):
                await _prepare(cloud, disk)
            print(json.dumps(await _settled(cloud) | {"runs": await _runs(driver)}), flush=True)
            if operation:
                await _rewind(cloud, operation)
                instant.arm()
                before = _tried(cloud)
                _ask(cloud, operation, before)
                print(json.dumps({"generation": 0 if before is None else before.generation}), flush=True)
                await cloud.compute.worker.idle()
                print(json.dumps({"commits": instant.count, "calls": instant.calls}), flush=True)
            await cloud.compute.stop()
            wires.cancel()
        driver.close()
        driver.disconnect()


async def _prepare(cloud: Cloud, disk: Path) -> None:
    """An image, a network, and servers that nobody does anything to, one on each host."""
    new = NewImage(
        name="tiny", owner=ADMIN.project_id, visibility="public", disk_format="qcow2", container_format="bare"
    )
    image = cloud.image.create(new)

    async def data() -> AsyncIterator[bytes]:
        yield disk.read_bytes()

    await cloud.image.data.upload(ADMIN.principal, image.id, data())
    add_network(cloud.network, OWNER.project_id)
    for name, host in zip(BYSTANDERS, cloud.compute.hosts.list_all(), strict=True):
        _create(cloud, name, forced_host=host.name)
    await cloud.compute.worker.idle()
    for each in cloud.compute.servers.list_all(EVERYTHING, ServerQuery()):
        assert each.vm_state == "active", each.fault


def _create(cloud: Cloud, name: str, **facts: Any) -> None:
    image = next(each.id for each in cloud.image.list(OWNER.principal, Wanted()))
    cloud.compute.servers.create(OWNER, NewServer(name, SMALL, image, networks=None, **facts))


def _tried(cloud: Cloud) -> Server | None:
    servers = cloud.compute.servers.list_all(EVERYTHING, ServerQuery())
    return next((each for each in servers if each.name == NAME), None)


async def _settled(cloud: Cloud) -> dict[str, Any]:
    """When nothing is under way: what is wrong, and what the server is, null if there is none."""
    await cloud.compute.worker.idle()
    for host in cloud.compute.hosts.list_all():
        await cloud.compute.reconciler.look_at(host.uuid)
    await cloud.compute.worker.idle()
    server = _tried(cloud)
    told = (
        None
        if server is None
        else {name: getattr(server, name) for name in ("id", "generation", "vm_state", "task_state")}
    )
    if server is not None and told is not None:
        told |= {
            "flavor": server.flavor.id,
            "power": Power(server.power_state).name,
            "boots": await _boots(cloud, server),
        }
    return {"wrong": [str(each) for each in await audit(cloud, patience=0.0) if not each.note], "server": told}


async def _boots(cloud: Cloud, server: Server) -> int:
    """How often a server's copy wrote that it begins; -1 if there is none where it should be."""
    key = ServerKey(server.id, server.generation)
    assert server.host is not None
    try:
        return (await cloud.compute.driver.console_log(server.host, key, deadline=60)).count(b"sundog-guest: start")
    except NoSuchServer:
        return -1


async def _runs(driver: LibvirtDriver) -> dict[str, dict[str, int]]:
    """What runs on each host by libvirt's word: names, and numbers that are others at each start."""

    def look(connection: Any) -> dict[str, int]:
        return {each.name(): each.ID() for each in connection.listAllDomains(0) if each.isActive()}

    return {link.name: await link.call("test", look) for link in driver.links}


async def _rewind(cloud: Cloud, operation: str) -> None:
    """Let the server be what the operation begins with."""
    server = _tried(cloud)
    if server is not None and server.vm_state == "resized":
        cloud.compute.moves.revert_resize(OWNER, server.id)
    elif server is not None and operation == "create":
        cloud.compute.servers.delete(OWNER, server.id)
    elif server is None and operation != "create":
        _create(cloud, NAME)
    await cloud.compute.worker.idle()
    if operation == "live-migrate" and server is None and (server := _tried(cloud)) is not None:
        while not await _boots(cloud, server):
            await aio.sleep(0.5)


def _ask(cloud: Cloud, operation: str, server: Server | None) -> None:
    moves = cloud.compute.moves
    if server is None:
        _create(cloud, NAME)
    elif operation == "delete":
        cloud.compute.servers.delete(OWNER, server.id)
    elif operation == "resize":
        moves.resize(OWNER, server.id, LARGE)
    elif operation == "migrate":
        moves.migrate(ADMIN, server.id)
    else:
        moves.live_migrate(ADMIN, server.id)


def main(folder: str, disk: str, operation: str = "", instant: str = "never") -> None:
    """A process's whole life."""
    with app._opened(app.Settings(state=folder, backend="libvirt")) as state:
        asyncio.run(work(state, operation, Instant(instant), Path(disk)))


if __name__ == "__main__":
    main(*sys.argv[1:])
