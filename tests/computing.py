"""Small clouds with compute for tests: the whole control plane over simulated hosts, in virtual time."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from sundog.backends.networks import NetworkDriver
from sundog.backends.simulated import HostSpec, SimulatedDriver
from sundog.backends.simulated.console import empty_qcow2
from sundog.control.compute import Caller, Compute, Settings
from sundog.control.compute.actions import unfinished
from sundog.control.compute.migrations import OPEN
from sundog.control.compute.records import Flavor, NewServer, Server, ServerFlavor, ServerQuery
from sundog.control.compute.sagas.common import POWER
from sundog.control.compute.settings import DEFAULT
from sundog.control.image import ImageFiles, Images
from sundog.control.image.records import NewImage
from sundog.control.network import Network
from sundog.control.placement import Placement
from sundog.control.store import Store, open_store
from sundog.core.lifecycle.servers import VmState
from sundog.core.pool import Pool, ResourceClasses
from sundog.core.scheduler.policies import Policy
from sundog.core.scheduler.policies.nova import Nova
from sundog.runtime import aio, warp
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams
from tests.drivers import PLAIN, make_hosts

T = TypeVar("T")

PROJECT = "11111111111111111111111111111111"
USER = "22222222222222222222222222222222"
OWNER = Caller(USER, PROJECT, "req-owner")
ADMIN = Caller("3" * 32, "4" * 32, "req-admin", is_admin=True)

SMALL = Flavor("1", "small", vcpus=1, memory_mb=512, root_gb=1)
LARGE = Flavor("2", "large", vcpus=2, memory_mb=1024, root_gb=2)


@dataclass
class Small:
    """A small cloud: its parts, an image, and a network of the owner's."""

    store: Store
    driver: SimulatedDriver
    placement: Placement
    network: Network
    images: Images
    compute: Compute
    image_id: str
    network_id: str
    ids: Ids
    folder: Path
    settings: Settings

    @property
    def image(self) -> Images:
        """As a whole cloud calls it."""
        return self.images

    def create(self, caller: Caller = OWNER, *, flavor: Flavor = SMALL, **facts: Any) -> Server:
        """One server, begun."""
        return self.create_several(1, caller, flavor=flavor, **facts)[0]

    def create_several(
        self, count: int, caller: Caller = OWNER, *, flavor: Flavor = SMALL, name: str = "vm", **facts: Any
    ) -> list[Server]:
        new = NewServer(name=name, flavor=flavor, image_id=facts.pop("image_id", self.image_id), **facts)
        return self.compute.servers.create(caller, new, min_count=count, max_count=count)

    def show(self, server: Server | str, **options: Any) -> Server:
        server_id = server if isinstance(server, str) else server.id
        return self.compute.servers.show(ADMIN.viewer, server_id, **options)

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        await self.compute.worker.idle()

    def held(self, consumer: str) -> dict[str, dict[str, int]]:
        """What a consumer holds, by the names of hosts."""
        pool = self.placement.pool
        return {
            pool.name(self.placement.books.providers[uuid].row): dict(amounts)
            for uuid, amounts in self.placement.held(consumer).items()
        }

    def most_running(self) -> int:
        """How many copies of one server really run at the same time, at most."""
        running = [copy.uuid for held in self.copies().values() for copy in held if copy.power_state == "running"]
        return max((running.count(each) for each in running), default=0)

    def copies(self) -> dict[str, list[Any]]:
        """What really is on each host that holds anything."""
        return {host: list(copies) for host, copies in self.driver.truth().items() if copies}


async def _bytes(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def upload(images: Images, caller: Caller = ADMIN, *, name: str = "cirros", **facts: Any) -> str:
    """A public image that can be booted."""
    new = NewImage(
        name=name, owner=caller.project_id, visibility="public", disk_format="qcow2", container_format="bare", **facts
    )
    image = images.create(new)
    await images.data.upload(caller.principal, image.id, _bytes(empty_qcow2(1 << 30)))
    return image.id


def add_network(network: Network, project_id: str = PROJECT, *, cidr: str = "10.0.0.0/16") -> str:
    """A network of a project, with a subnet."""
    made = network.networks.create([{"project_id": project_id, "name": "private"}])[0]
    network.subnets.create(
        ADMIN.viewer, [{"network_id": made.id, "project_id": project_id, "ip_version": 4, "cidr": cidr}]
    )
    return made.id


async def make_small(
    world: warp.World,
    *,
    hosts: int | Sequence[HostSpec] = 3,
    store: Store | None = None,
    folder: Path | None = None,
    settings: Settings = DEFAULT,
    driver: Any = None,
    start: bool = True,
    policy: Policy | None = None,
    networks: NetworkDriver | None = None,
    **options: Any,
) -> Small:
    """A small cloud, at work."""
    store = store or open_store(":memory:")
    store.migrate()
    ids = Ids(world.streams.stream("ids"))
    folder = folder or Path(tempfile.mkdtemp(prefix="sundog-test-"))
    driver = driver or SimulatedDriver(
        world, make_hosts(hosts) if isinstance(hosts, int) else hosts, timings=PLAIN, **options
    )
    placement = Placement(store, Pool(ResourceClasses()), new_uuid=ids.uuid)
    network, images = Network(store, ids, driver=networks), Images(store, ids, ImageFiles(folder))
    compute = Compute(
        store,
        ids,
        driver,
        placement=placement,
        network=network,
        images=images,
        policy=policy or Nova(),
        settings=settings,
    )
    image_id = await upload(images)
    network_id = add_network(network)
    if start:
        await compute.start()
    return Small(store, driver, placement, network, images, compute, image_id, network_id, ids, folder, settings)


async def restart(small: Small, *, store: Store | None = None, folder: Path | None = None) -> Small:
    """The control plane is broken off where it is, and another one starts over the same hosts.

    It goes on with the same store and folder, unless others are given: copies, for one.
    """
    await small.compute.stop()
    store, folder, ids = store or small.store, folder or small.folder, small.ids
    placement = Placement(store, Pool(ResourceClasses()), new_uuid=ids.uuid)
    network, images = Network(store, ids), Images(store, ids, ImageFiles(folder))
    images.recover()
    compute = Compute(
        store,
        ids,
        small.driver,
        placement=placement,
        network=network,
        images=images,
        policy=Nova(),
        settings=small.settings,
    )
    await compute.start()
    return replace(
        small, store=store, folder=folder, placement=placement, network=network, images=images, compute=compute
    )


async def compare(small: Small) -> None:
    """Compare every host that answers with the books until they agree."""
    for host in small.compute.hosts.list_all():
        while host.is_up and await small.compute.reconciler.look_at(host.uuid):
            await aio.sleep(1.0)


def audit(small: Small) -> None:
    """What holds when nothing is under way: books, claims, ports and hosts agree, and nothing is left over.

    Of ``realmode.md``: I1 (no overcommit), I2 (claims), I3 (one running copy), I10 (books and hosts).
    """
    servers = {each.id: each for each in small.compute.servers.list_all(ADMIN.viewer, ServerQuery())}
    waiting = {each.server_id: each for each in small.compute.migrations.list_all() if each.status in OPEN}
    assert {each.vm_state for each in servers.values() if each.id in waiting} <= {VmState.RESIZED}
    assert [each.id for each in servers.values() if each.vm_state == VmState.RESIZED] == sorted(
        waiting, key=list(servers).index
    )
    assert all(server.task_state is None for server in servers.values())
    with small.store.read() as tx:
        assert unfinished(tx) == []
    claims, copies = {}, set()
    for server in servers.values():
        if server.host is not None:
            claims[server.id] = {server.host: _amounts(server.flavor)}
            copies.add((server.host, server.id, server.generation, False))
        assert {port.host_id for port in small.compute.servers.ports(server)} <= {server.host or ""}
    for move in waiting.values():
        claims[move.uuid] = {move.source: _amounts(move.old_flavor)}
        copies.add((move.source, move.server_id, move.source_generation, True))
    assert {consumer: small.held(consumer) for consumer in small.placement.books.consumers} == claims
    there = [(host, copy) for host, held in small.copies().items() for copy in held]
    assert {(host, copy.uuid, copy.generation, copy.kept) for host, copy in there} == copies
    for server in servers.values():
        assert [POWER[copy.power_state] for _, copy in there if copy.uuid == server.id and not copy.kept] == (
            [] if server.host is None else [server.power_state]
        )


def _amounts(flavor: ServerFlavor) -> dict[str, int]:
    return {"VCPU": flavor.vcpus, "MEMORY_MB": flavor.memory_mb, "DISK_GB": flavor.root_gb}


def run(main: Callable[[Small], Awaitable[T]], *, seed: int = 1, **options: Any) -> T:
    """``main`` in a small cloud of its own, in virtual time."""

    async def body(world: warp.World) -> T:
        small = await make_small(world, **options)
        try:
            return await main(small)
        finally:
            await small.compute.stop()

    return warp.run(body, seed=seed)


def streams(seed: int = 1) -> Streams:
    """The streams of a seed."""
    return Streams(seed)
