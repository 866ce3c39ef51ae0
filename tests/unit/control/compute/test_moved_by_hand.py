"""A copy that is not where the books have it: it is removed, unless it is all that there is of its server."""

from __future__ import annotations

from sundog.backends.contract import ServerKey, ServerSpec
from tests.computing import OWNER, Small, run


def test_a_server_that_was_moved_by_hand_is_not_lost() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        await cloud.idle()
        home = cloud.show(server).host
        assert home is not None
        away = next(each.uuid for each in cloud.compute.hosts.list_all() if each.uuid != home)
        spec = ServerSpec(server.id, 1, "vm", server.project_id, 1, 512)
        key = ServerKey(server.id, 1)

        async def held(host: str) -> list[ServerKey]:
            for each in (home, away):
                await cloud.compute.reconciler.look_at(each)
            return [copy.key for copy in await cloud.driver.list_servers(host, deadline=60)]

        await cloud.driver.destroy(home, key, deadline=60)
        await cloud.driver.spawn(away, spec, deadline=60)
        assert await held(away) == [key]
        assert cloud.show(server).vm_state == "error"

        await cloud.driver.spawn(home, spec, deadline=60)  # now it is there twice
        assert await held(away) == []
        assert await held(home) == [key]

        await cloud.driver.destroy(home, key, deadline=60)
        await cloud.driver.spawn(away, spec, deadline=60)
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()
        assert await held(away) == []  # its owner has no use for it

    run(main)


def test_a_stale_copy_is_removed_wherever_it_is() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        await cloud.idle()
        for host in cloud.compute.hosts.list_all():
            spec = ServerSpec(server.id, 7, "vm", server.project_id, 1, 512)
            if host.uuid != cloud.show(server).host:
                await cloud.driver.spawn(host.uuid, spec, deadline=60)
                await cloud.compute.reconciler.look_at(host.uuid)
                assert await cloud.driver.list_servers(host.uuid, deadline=60) == ()

    run(main)
