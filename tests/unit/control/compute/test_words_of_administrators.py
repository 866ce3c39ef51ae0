"""Administrators who are wrong: a host that they say is down is cut off, and what it holds runs on."""

from __future__ import annotations

from sundog.backends.simulated.faults import HostFault, Scope
from sundog.control.compute.records import Server
from sundog.runtime import aio
from tests.computing import ADMIN, Small, run
from tests.moving import QUICK, agreed, built, deleted


async def said_to_be_down(cloud: Small, host: str) -> None:
    """Its links are cut, and an administrator is quick."""
    cloud.driver.faults.strike(HostFault.PARTITION, Scope(host=host))
    cloud.compute.hosts.update(cloud.compute.hosts.show(host).service_id, forced_down=True)


async def well_again(cloud: Small, host: str) -> None:
    cloud.compute.hosts.update(cloud.compute.hosts.show(host).service_id, forced_down=False)
    for cure in (HostFault.HEAL, HostFault.REVIVE):
        cloud.driver.faults.strike(cure, Scope(host=host))
    await aio.sleep(300.0)


async def calm(cloud: Small, server: Server) -> None:
    """Nothing is under way on it any more; meanwhile it never ran twice."""
    while cloud.compute.worker.is_busy(server.id):
        await aio.sleep(0.5)
        assert cloud.most_running() <= 1
    await aio.sleep(20.0)
    assert cloud.most_running() <= 1


def test_a_new_server_is_tried_elsewhere_only_when_its_first_host_is_fenced() -> None:
    async def main(cloud: Small) -> None:
        elsewhere = 0
        for step in range(12):
            server = cloud.create()
            first = cloud.show(server).host or ""
            await aio.sleep(1.5 * step)
            await said_to_be_down(cloud, first)
            await calm(cloud, server)
            elsewhere += cloud.show(server).host != first
            await well_again(cloud, first)
            await agreed(cloud)
            await deleted(cloud, server)
        assert elsewhere

    run(main, settings=QUICK)


def test_a_server_is_started_at_home_again_only_when_the_target_is_fenced() -> None:
    async def main(cloud: Small) -> None:
        back = 0
        for step in range(16):
            before = await built(cloud)
            cloud.compute.moves.migrate(ADMIN, before.id)
            target = cloud.compute.migrations.list_all()[0].target or ""
            await aio.sleep(1.5 * step)
            await said_to_be_down(cloud, target)
            await calm(cloud, before)
            after = cloud.show(before)
            back += after.host == before.host and after.vm_state == "active"
            await well_again(cloud, target)
            await agreed(cloud)
            await deleted(cloud, before)
        assert back

    run(main, settings=QUICK)
