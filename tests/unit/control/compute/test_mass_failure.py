"""A control plane that loses most of its hosts at once is most likely the one that is cut off: it moves nothing.

Nothing is ever moved by itself. That is stated here, for whoever would add it: an evacuation is somebody's request,
and begins with a fence or with an administrator's word, one host at a time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sundog.backends.contract import Capabilities
from sundog.backends.simulated import SimulatedDriver
from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute.records import Server, ServerQuery
from sundog.errors import Conflict
from sundog.runtime import aio, warp
from tests.computing import ADMIN, Small, make_small, run
from tests.drivers import PLAIN, make_hosts
from tests.moving import agreed

HOSTS, LOST = 10, 8


class Unfenced(SimulatedDriver):
    """Hosts that nothing can switch off."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, fence=False)


async def spread(cloud: Small) -> list[Server]:
    """A server on each host."""
    servers = cloud.create_several(HOSTS)
    await cloud.idle()
    made = [cloud.show(server) for server in servers]
    assert len({server.host for server in made}) == HOSTS
    return made


def strike(cloud: Small, fault: HostFault, hosts: list[str]) -> None:
    for host in hosts:
        cloud.driver.faults.strike(fault, Scope(host=host))


def hosts_of(cloud: Small) -> list[str]:
    return [host.uuid for host in cloud.compute.hosts.list_all()]


def where(cloud: Small) -> dict[str, tuple[Any, ...]]:
    """Of each server where it is, in the books, in the pool and by its ports."""
    return {
        each.id: (each.host, each.generation, each.vm_state, cloud.held(each.id))
        for each in cloud.compute.servers.list_all(ADMIN.viewer, ServerQuery())
    }


@pytest.mark.parametrize("fault", [HostFault.KILL, HostFault.PARTITION])
@pytest.mark.parametrize("lost", [1, LOST, HOSTS])
def test_whatever_hosts_are_lost_at_once_nothing_is_moved_by_itself(fault: HostFault, lost: int) -> None:
    async def main(cloud: Small) -> None:
        await spread(cloud)
        before, hosts = where(cloud), hosts_of(cloud)[:lost]
        strike(cloud, fault, hosts)
        await aio.sleep(6 * 3600.0)
        assert [cloud.compute.hosts.is_up(host) for host in hosts_of(cloud)] == [False] * lost + [True] * (HOSTS - lost)
        assert where(cloud) == before
        assert cloud.compute.migrations.list_all() == []
        assert not any(cloud.compute.hosts.is_fenced(host) for host in hosts)
        assert cloud.most_running() <= 1
        if fault is HostFault.PARTITION:
            strike(cloud, HostFault.HEAL, hosts)
            await aio.sleep(300.0)
            assert where(cloud) == before
            await agreed(cloud)

    run(main, hosts=HOSTS)


def test_each_evacuation_after_that_needs_a_fence_of_its_host() -> None:
    async def main(cloud: Small) -> None:
        servers, hosts = await spread(cloud), hosts_of(cloud)[:LOST]
        strike(cloud, HostFault.PARTITION, hosts)
        await aio.sleep(60.0)
        lost = [server for server in servers if server.host in hosts]
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "fence", count=None))
        before = where(cloud)
        for server in lost[:4]:
            cloud.compute.moves.evacuate(ADMIN, server.id)
            await cloud.idle()
            assert where(cloud)[server.id] == before[server.id]
        assert where(cloud) == before
        cloud.driver.faults.clear()
        for server in lost[:4]:
            cloud.compute.moves.evacuate(ADMIN, server.id)
            await cloud.idle()
            assert cloud.show(server).host not in hosts
        fenced = {server.host for server in lost[:4]}
        assert {host for host in hosts if cloud.compute.hosts.is_fenced(host)} == fenced  # and no other
        assert cloud.most_running() == 1

    run(main, hosts=HOSTS)


def test_where_nothing_can_be_fenced_each_needs_the_word_of_an_administrator_about_its_host() -> None:
    async def body(world: warp.World) -> None:
        driver = Unfenced(world, make_hosts(HOSTS), timings=PLAIN)
        cloud = await make_small(world, driver=driver)
        servers, hosts = await spread(cloud), hosts_of(cloud)[:LOST]
        strike(cloud, HostFault.KILL, hosts)
        await aio.sleep(60.0)
        lost = [server for server in servers if server.host in hosts]
        before = where(cloud)
        for server in lost:
            with pytest.raises(Conflict, match="may still run: force it down"):
                cloud.compute.moves.evacuate(ADMIN, server.id)
        await cloud.idle()
        assert where(cloud) == before
        first = lost[0].host
        cloud.compute.hosts.update(cloud.compute.hosts.show(first or "").service_id, forced_down=True)
        for server in lost:
            if server.host == first:
                cloud.compute.moves.evacuate(ADMIN, server.id)
            else:  # the word was about one host
                with pytest.raises(Conflict, match="may still run: force it down"):
                    cloud.compute.moves.evacuate(ADMIN, server.id)
        await cloud.idle()
        moved = {server.id for server in lost if cloud.show(server).host not in hosts}
        assert moved == {server.id for server in lost if server.host == first}
        assert cloud.most_running() == 1
        await cloud.compute.stop()

    warp.run(body)
