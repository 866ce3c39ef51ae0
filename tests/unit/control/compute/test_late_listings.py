"""What a host said of a server before something was done to it says nothing of the server as it is now."""

from __future__ import annotations

from collections.abc import Sequence

from sundog.backends.contract import ServerCopy
from sundog.backends.simulated import SimulatedDriver
from sundog.core.lifecycle.servers import VmState
from sundog.runtime import aio, warp
from tests.computing import OWNER, make_small
from tests.drivers import PLAIN, make_hosts


class Late(SimulatedDriver):
    """A host that is busy otherwise: it looks, and tells a minute later what it saw."""

    late = 0.0

    async def list_servers(self, host: str, *, deadline: float) -> Sequence[ServerCopy]:
        seen = await super().list_servers(host, deadline=deadline)
        await aio.sleep(self.late)
        return seen


def test_a_server_that_was_started_while_its_host_was_listed_is_not_taken_for_stopped() -> None:
    async def main(world: warp.World) -> None:
        driver = Late(world, make_hosts(1), timings=PLAIN)
        cloud = await make_small(world, driver=driver)
        server = cloud.create()
        await cloud.idle()
        cloud.compute.power.stop(OWNER, server.id)
        await cloud.idle()
        host = cloud.show(server).host or ""
        driver.late = 60.0
        async with aio.TaskGroup() as group:
            look = group.create_task(cloud.compute.reconciler.look_at(host))
            await aio.sleep(5)
            cloud.compute.power.start(OWNER, server.id)
            await cloud.idle()
            assert not look.done()
            assert await look == []
        assert cloud.show(server).vm_state == VmState.ACTIVE
        assert await cloud.compute.reconciler.look_at(host) == []
        await cloud.compute.stop()

    warp.run(main)
