"""Shelving: a server becomes an image and gives up its place, and comes back from there."""

from __future__ import annotations

from itertools import product

import pytest

from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute import Settings
from sundog.control.image.listing import Wanted
from sundog.core.lifecycle.servers import Power, VmState
from sundog.errors import Conflict, Invalid
from sundog.runtime import aio
from tests.computing import ADMIN, OWNER, Small, audit, restart, run
from tests.moving import QUICK, agreed, built, deleted


def images(cloud: Small) -> list[tuple[str | None, str]]:
    """The project's own images."""
    every = cloud.images.list(OWNER.principal, Wanted())
    return [(each.name, each.status) for each in every if each.owner == OWNER.project_id]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_shelved_server_is_an_image_and_holds_nothing_and_comes_back_running(stopped: bool) -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud, stopped=stopped)
        cloud.compute.moves.shelve(OWNER, before.id)
        assert cloud.show(before).task_state == "shelving"
        await cloud.idle()
        away = cloud.show(before)
        assert (away.vm_state, away.power_state, away.host) == ("shelved_offloaded", Power.SHUTDOWN, None)
        assert images(cloud) == [("vm-shelved", "active")]
        assert (cloud.copies(), cloud.placement.books.consumers) == ({}, {})
        audit(cloud)
        cloud.compute.moves.unshelve(OWNER, before.id)
        assert cloud.show(before).task_state == "unshelving"
        await cloud.idle()
        after = cloud.show(before)
        assert (after.vm_state, after.power_state, after.image) == ("active", Power.RUNNING, before.image)
        assert after.generation == before.generation + 1
        assert images(cloud) == []
        audit(cloud)
        assert [each.action for each in cloud.compute.actions.list_all(before.id)][:2] == ["unshelve", "shelve"]

    run(main)


def test_one_that_was_said_to_be_well_again_is_shelved_to_one_image() -> None:
    async def main(cloud: Small) -> None:
        server = await built(cloud)
        cloud.compute.moves.shelve(OWNER, server.id)
        await cloud.idle()
        cloud.compute.servers.reset_state(ADMIN, server.id, VmState.ERROR)
        cloud.compute.power.reboot(OWNER, server.id, "HARD")
        await cloud.idle()
        assert cloud.show(server).vm_state == "active"
        cloud.compute.moves.shelve(OWNER, server.id)
        await cloud.idle()
        assert images(cloud) == [("vm-shelved", "active")]
        await deleted(cloud, server)
        assert images(cloud) == []

    run(main, settings=Settings(shelved_offload_time=-1))


def test_a_place_may_be_kept_for_good_or_until_somebody_gives_it_up() -> None:
    async def main(cloud: Small) -> None:
        server = await built(cloud)
        cloud.compute.moves.shelve(OWNER, server.id)
        await cloud.idle()
        assert (cloud.show(server).vm_state, cloud.show(server).host) == ("shelved", server.host)
        audit(cloud)
        with pytest.raises(Conflict, match='must be in a "SHELVED_OFFLOADED" state'):
            cloud.compute.moves.unshelve(OWNER, server.id, host="h1")
        cloud.compute.moves.unshelve(OWNER, server.id)
        await cloud.idle()
        assert (cloud.show(server).vm_state, cloud.show(server).generation) == ("active", server.generation)
        assert images(cloud) == []
        cloud.compute.moves.shelve(OWNER, server.id)
        await aio.sleep(100_000.0)
        cloud.compute.moves.shelve_offload(ADMIN, server.id)
        await cloud.idle()
        assert (cloud.show(server).vm_state, cloud.show(server).host) == ("shelved_offloaded", None)
        await agreed(cloud)
        await deleted(cloud, server)
        assert images(cloud) == []

    run(main, settings=Settings(shelved_offload_time=-1))


def test_a_place_is_given_up_when_it_is_time() -> None:
    async def main(cloud: Small) -> None:
        server = await built(cloud)
        cloud.compute.moves.shelve(OWNER, server.id)
        await aio.sleep(500.0)
        assert cloud.show(server).vm_state == "shelved"
        await aio.sleep(700.0)
        assert cloud.show(server).vm_state == "shelved_offloaded"
        audit(cloud)

    run(main, settings=Settings(shelved_offload_time=1000.0))


def test_a_server_comes_back_where_it_was_asked_to_or_not_at_all() -> None:
    async def main(cloud: Small) -> None:
        server = await built(cloud)
        cloud.compute.moves.shelve(OWNER, server.id)
        await cloud.idle()
        unshelve = cloud.compute.moves.unshelve
        with pytest.raises(Invalid, match="The requested availability zone is not available"):
            unshelve(OWNER, server.id, availability_zone="nowhere")
        with pytest.raises(Invalid, match="Compute host nowhere could not be found"):
            unshelve(ADMIN, server.id, host="nowhere")
        cloud.compute.hosts.update(cloud.compute.hosts.show("h2").service_id, disabled=True)
        unshelve(ADMIN, server.id, host="h2")
        await cloud.idle()
        assert (cloud.show(server).vm_state, cloud.show(server).task_state) == ("shelved_offloaded", None)
        assert (cloud.compute.actions.list_all(server.id)[0].message or "").startswith("No valid host was found.")
        unshelve(ADMIN, server.id, host="h1", availability_zone="nova")
        await cloud.idle()
        assert (cloud.show(server).host, cloud.show(server).availability_zone) == ("h1", "nova")
        audit(cloud)

    run(main)


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("operation", ["power_off", "snapshot", "destroy", "spawn", "list_servers"])
def test_an_operation_that_goes_wrong_leaves_a_server_shelved_or_not(operation: str) -> None:
    async def main(cloud: Small) -> None:
        for kind, count, back in product(FaultKind, (1, 4), (False, True)):
            server = await built(cloud)
            seconds = 3000.0 if kind is FaultKind.DELAY else 2.0
            fault = OperationFault(kind, operation, count=count, seconds=seconds)
            if not back:
                cloud.driver.faults.order(fault)
            cloud.compute.moves.shelve(OWNER, server.id)
            await cloud.idle()
            audit(cloud)
            if cloud.show(server).vm_state == "shelved_offloaded":
                cloud.driver.faults.order(fault)
                cloud.compute.moves.unshelve(OWNER, server.id)
                await cloud.idle()
            cloud.driver.faults.clear()
            await agreed(cloud)
            after = cloud.show(server)
            shelved = after.vm_state in ("shelved", "shelved_offloaded")
            assert shelved or (after.vm_state, after.power_state) == ("active", Power.RUNNING)
            assert images(cloud) == [("vm-shelved", "active")] * shelved
            await deleted(cloud, server)
            assert images(cloud) == []

    run(main, settings=QUICK)


@pytest.mark.parametrize("fault", [HostFault.KILL, HostFault.PARTITION])
@pytest.mark.parametrize("back", [False, True])
def test_a_host_that_dies_in_the_middle_comes_back_to_books_that_are_right(fault: HostFault, back: bool) -> None:
    cure = HostFault.REVIVE if fault is HostFault.KILL else HostFault.HEAL

    async def main(cloud: Small) -> None:
        for step in range(8):
            server = await built(cloud)
            host = server.host
            cloud.compute.moves.shelve(OWNER, server.id)
            if back:
                await cloud.idle()
                cloud.compute.moves.unshelve(OWNER, server.id)
                await aio.sleep(0.1)
                host = cloud.show(server).host
            await aio.sleep(1.3 * step + 0.1)
            cloud.driver.faults.strike(fault, Scope(host=host))
            await aio.sleep(100.0)
            assert cloud.most_running() <= 1
            cloud.driver.faults.strike(cure, Scope(host=host))
            await aio.sleep(300.0)
            await agreed(cloud)
            assert cloud.show(server).vm_state in ("active", "stopped", "shelved_offloaded")
            await deleted(cloud, server)
            assert images(cloud) == []

    run(main, settings=QUICK)


@pytest.mark.parametrize("back", [False, True])
def test_the_control_plane_may_die_at_any_moment_of_a_shelving(back: bool) -> None:
    async def main(cloud: Small) -> None:
        for step in range(10):
            server = await built(cloud)
            cloud.compute.moves.shelve(OWNER, server.id)
            if back:
                await cloud.idle()
                cloud.compute.moves.unshelve(OWNER, server.id)
            await aio.sleep(1.1 * step)
            cloud = await restart(cloud)
            await agreed(cloud)
            assert cloud.show(server).vm_state == ("active" if back else "shelved_offloaded")
            await deleted(cloud, server)
            assert images(cloud) == []
        await cloud.compute.stop()

    run(main)


@pytest.mark.parametrize("back", [False, True])
def test_a_server_that_is_deleted_at_any_moment_of_a_shelving_leaves_nothing(back: bool) -> None:
    async def main(cloud: Small) -> None:
        for step in range(20):
            server = await built(cloud)
            cloud.compute.moves.shelve(OWNER, server.id)
            if back:
                await cloud.idle()
                cloud.compute.moves.unshelve(OWNER, server.id)
            await aio.sleep(0.6 * step)
            await deleted(cloud, server)
            assert images(cloud) == []

    run(main)
