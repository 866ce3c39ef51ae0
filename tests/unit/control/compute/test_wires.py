"""Before anything is sent by a server that is new, moved or started, the network is as the books have it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sundog.backends.networks import NoWires, Report, Wiring
from sundog.backends.simulated import SimulatedDriver
from sundog.backends.simulated.faults import HostFault, Scope
from sundog.control.compute.records import AskedNetwork, Server
from sundog.control.network.wiring import read_wiring
from sundog.control.viewer import EVERYTHING
from sundog.core.lifecycle.servers import VmState
from sundog.errors import BackendFailed
from sundog.runtime import aio, warp
from tests.computing import ADMIN, LARGE, OWNER, PROJECT, Small, add_network, make_small
from tests.drivers import PLAIN, make_hosts

SENDS = ("spawn", "plug", "live_migrate", "resize_begin", "rebuild", "power_on", "rescue", "unrescue", "resume")


class Wires(NoWires):
    """A network driver that remembers what it was told last, and can be out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Wiring | None = None
        self.times = 0
        self.broken = False

    async def apply(self, wiring: Wiring, *, deadline: float) -> Report:
        if self.broken:
            raise BackendFailed("no machine has a network")
        await aio.sleep(0.5)
        self.told, self.times = wiring, self.times + 1
        return await super().apply(wiring, deadline=deadline)


class Careful(SimulatedDriver):
    """Notes of each operation after which a guest sends whether the network was as it is to be then."""

    def begin(self, is_so: Callable[[], bool]) -> None:
        self.is_so, self.noted = is_so, list[tuple[str, bool]]()

    def __getattribute__(self, name: str) -> Any:
        if name in SENDS:
            self.noted.append((name, self.is_so()))
        return super().__getattribute__(name)


def play(act: Callable[[Small, Wires], Awaitable[None]]) -> None:
    async def body(world: warp.World) -> None:
        wires = Wires()
        driver = Careful(world, make_hosts(3), timings=PLAIN)
        small = await make_small(world, driver=driver, networks=wires)

        def is_so() -> bool:
            with small.network.books.reading() as tx:
                return wires.told == read_wiring(tx)

        driver.begin(is_so)
        try:
            await act(small, wires)
        finally:
            await small.compute.stop()

    warp.run(body)


def noted(cloud: Small) -> list[tuple[str, bool]]:
    assert isinstance(cloud.driver, Careful)
    found = list(cloud.driver.noted)
    cloud.driver.noted.clear()
    return found


def change_rules(cloud: Small) -> None:
    """Let something more in to all servers; a new rule each time."""
    group = cloud.network.groups.list_all(EVERYTHING, {"project_id": [PROJECT]})[0]
    count = len(cloud.network.rules.list_all(EVERYTHING))
    spec = {"security_group_id": group.id, "direction": "ingress", "protocol": "tcp", "ethertype": "IPv4"}
    ports = {"port_range_min": 1000 + count, "port_range_max": 1000 + count}
    cloud.network.rules.create(EVERYTHING, [{**spec, **ports}])


async def after(cloud: Small, operation: str, act: Callable[[], object]) -> None:
    """Rules are changed, something is done, and its operation found them in force."""
    change_rules(cloud)
    act()
    await cloud.idle()
    told = noted(cloud)
    assert operation in [name for name, _ in told]
    assert all(so for _, so in told), told


def test_rules_are_in_force_before_every_operation_after_which_a_guest_sends() -> None:
    async def act(cloud: Small, _wires: Wires) -> None:
        server = cloud.create()
        await cloud.idle()
        assert noted(cloud) == [("spawn", True)]
        power, moves = cloud.compute.power, cloud.compute.moves
        await after(cloud, "live_migrate", lambda: moves.live_migrate(ADMIN, server.id))
        change_rules(cloud)
        network = add_network(cloud.network, cidr="10.9.0.0/24")
        await cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork(network_id=network))
        assert noted(cloud) == [("plug", True)]
        power.stop(OWNER, server.id)
        await cloud.idle()
        await after(cloud, "power_on", lambda: power.start(OWNER, server.id))
        await after(cloud, "rescue", lambda: power.rescue(OWNER, server.id))
        await after(cloud, "unrescue", lambda: power.unrescue(OWNER, server.id))
        power.suspend(OWNER, server.id)
        await cloud.idle()
        await after(cloud, "resume", lambda: power.resume(OWNER, server.id))
        await after(cloud, "resize_begin", lambda: moves.resize(OWNER, server.id, LARGE))
        moves.confirm_resize(OWNER, server.id)
        await cloud.idle()
        image = cloud.image_id
        await after(
            cloud, "rebuild", lambda: cloud.compute.rebuilding.rebuild(OWNER, server.id, image_id=image, changes={})
        )
        moves.shelve(OWNER, server.id)
        await cloud.idle()
        assert cloud.show(server).vm_state == VmState.SHELVED_OFFLOADED
        await after(cloud, "spawn", lambda: moves.unshelve(OWNER, server.id))
        cloud.driver.faults.strike(HostFault.KILL, Scope(host=cloud.show(server).host))
        await aio.sleep(20.0)
        await after(cloud, "spawn", lambda: moves.evacuate(ADMIN, server.id))
        assert cloud.show(server).vm_state == VmState.ACTIVE

    play(act)


def test_no_guest_is_made_while_the_network_cannot_be_told() -> None:
    async def act(cloud: Small, wires: Wires) -> None:
        wires.broken = True
        server: Server = cloud.create()
        await cloud.idle()
        assert cloud.show(server).vm_state == VmState.ERROR
        assert noted(cloud) == []
        wires.broken = False
        other = cloud.create()
        await cloud.idle()
        assert cloud.show(other).vm_state == VmState.ACTIVE

    play(act)


def test_a_host_that_comes_back_is_told_everything_again() -> None:
    async def act(cloud: Small, wires: Wires) -> None:
        server = cloud.create()
        await cloud.idle()
        host = cloud.show(server).host
        assert wires.times == 1
        for fault, seconds in ((HostFault.PARTITION, 20.0), (HostFault.HEAL, 60.0)):
            cloud.driver.faults.strike(fault, Scope(host=host))
            await aio.sleep(seconds)
        assert cloud.compute.hosts.is_up(host)
        await cloud.network.wires.settle()  # as its follower does, or whoever comes first
        assert wires.times == 2

    play(act)
