"""Audits find what is wrong, say nothing about what is right, and put right what they may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy

from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.audit import Finding, Kind, audit, check_copies, heal
from sundog.control.compute.creating import CONSUMER_TYPE
from sundog.control.image.records import NewImage
from sundog.control.network import bootstrap as bootstrap_network
from sundog.control.placement.records import Wanted
from sundog.control.store.tables import compute as tables
from sundog.control.store.tables import image as image_tables
from sundog.control.store.tables import network as network_tables
from sundog.control.viewer import EVERYTHING
from sundog.core.lifecycle.servers import VmState
from sundog.runtime import aio
from tests.computing import OWNER, PROJECT, USER, Small, run


def wrong(findings: list[Finding]) -> list[Kind]:
    return [each.kind for each in findings if not each.note]


def test_a_cloud_at_work_is_as_it_should_be() -> None:
    async def main(cloud: Small) -> None:
        servers = cloud.create_several(3)
        assert wrong(await audit(cloud)) == []
        assert [each.kind for each in await audit(cloud)].count(Kind.UNDER_WAY) == 3
        await cloud.idle()
        cloud.compute.power.stop(OWNER, servers[0].id)
        cloud.compute.servers.delete(OWNER, servers[1].id)
        await cloud.idle()
        assert await audit(cloud) == []

    run(main)


def test_a_server_that_is_being_unshelved_is_as_it_should_be() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        await cloud.idle()
        cloud.compute.moves.shelve(OWNER, server.id)
        await cloud.idle()
        cloud.driver.faults.order(OperationFault(FaultKind.DELAY, "spawn", seconds=60.0))
        cloud.compute.moves.unshelve(OWNER, server.id)
        await aio.sleep(30.0)
        assert cloud.show(server).vm_state == "shelved_offloaded"
        assert wrong(await audit(cloud)) == []
        await cloud.idle()

    run(main)


def test_a_server_that_could_not_be_built_is_as_it_should_be() -> None:
    async def main(cloud: Small) -> None:
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "spawn", count=3))
        cloud.create()
        await cloud.idle()
        assert await audit(cloud) == []

    run(main)


def test_a_host_that_does_not_answer_is_a_note() -> None:
    async def main(cloud: Small) -> None:
        cloud.driver.faults.strike(HostFault.KILL, Scope(host="h1"))
        await aio.sleep(60.0)
        (found,) = await audit(cloud)
        assert (found.kind, found.ids, found.note) == (Kind.SILENT_HOST, ("h1",), True)

    run(main)


async def break_nothing(cloud: Small, server_id: str) -> None:
    return


async def make_orphan_allocation(cloud: Small, server_id: str) -> None:
    cloud.placement.set_allocations([Wanted("a" * 32, {"h0": {"VCPU": 1}}, PROJECT, USER, CONSUMER_TYPE)])


async def lose_the_allocation(cloud: Small, server_id: str) -> None:
    cloud.placement.delete_allocations(server_id)


async def move_the_allocation(cloud: Small, server_id: str) -> None:
    other = next(each.uuid for each in cloud.compute.hosts.list_all() if each.uuid != cloud.show(server_id).host)
    held = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}
    cloud.placement.set_allocations([Wanted(server_id, {other: held}, PROJECT, USER, CONSUMER_TYPE)])


async def halve_the_allocation(cloud: Small, server_id: str) -> None:
    host = cloud.show(server_id).host or ""
    cloud.placement.set_allocations([Wanted(server_id, {host: {"VCPU": 1}}, PROJECT, USER, CONSUMER_TYPE)])


async def forget_the_server(cloud: Small, server_id: str) -> None:
    """As if it had been deleted by hand: its place, its port and its copy stay."""
    with cloud.store.begin() as tx:
        now = cloud.compute.books.now()
        tx.update(tables.servers, tables.servers.c.id == server_id, deleted_at=now, vm_state=VmState.DELETED)


async def rebind_the_port(cloud: Small, server_id: str) -> None:
    with cloud.store.begin() as tx:
        ports = network_tables.ports
        assert tx.update(ports, ports.c.device_id == server_id, host_id="elsewhere")


async def forget_what_is_done(cloud: Small, server_id: str) -> None:
    with cloud.store.begin() as tx:
        tx.update(tables.servers, tables.servers.c.id == server_id, task_state="pausing")


async def lose_the_copy(cloud: Small, server_id: str) -> None:
    server = cloud.show(server_id)
    (copy,) = cloud.copies()[server.host or ""]
    await cloud.compute.stop()
    await cloud.driver.destroy(server.host or "", copy.key, deadline=60.0)


async def leave_a_file(cloud: Small, server_id: str) -> None:
    folder = cloud.images._files._images
    (folder / "nobodys").write_bytes(b"data")


async def leave_an_image_unmade(cloud: Small, server_id: str) -> None:
    """As if the action that makes an image of a server had been lost."""
    with cloud.store.begin() as tx:
        new = NewImage(owner=PROJECT, name="snap", properties={"instance_uuid": server_id})
        cloud.images.create(new, tx=tx)


async def point_a_floating_ip_nowhere_real(cloud: Small, server_id: str) -> None:
    public = bootstrap_network(cloud.network, PROJECT)
    spec = {"project_id": PROJECT, "floating_network_id": public.id}
    (floating,) = cloud.network.floating_ips.create(EVERYTHING, [spec])
    (port,) = cloud.compute.servers.ports(cloud.show(server_id))
    with cloud.store.begin() as tx:
        table = network_tables.floating_ips
        tx.update(table, table.c.id == floating.id, port_id=port.id, fixed_ip_address="10.0.99.99", status="ACTIVE")


BREAKS: dict[Callable[[Small, str], Awaitable[None]], list[Kind]] = {
    break_nothing: [],
    make_orphan_allocation: [Kind.ORPHAN_ALLOCATION],
    lose_the_allocation: [Kind.WRONG_ALLOCATION],
    move_the_allocation: [Kind.WRONG_ALLOCATION],
    halve_the_allocation: [Kind.WRONG_ALLOCATION],
    forget_the_server: [Kind.ORPHAN_ALLOCATION, Kind.ORPHAN_PORT, Kind.DRIFT],
    rebind_the_port: [Kind.WRONG_PORT],
    forget_what_is_done: [Kind.STUCK_SERVER],
    lose_the_copy: [Kind.DRIFT],
    leave_a_file: [Kind.STRAY_FILE],
    leave_an_image_unmade: [Kind.UNMADE_IMAGE],
    point_a_floating_ip_nowhere_real: [Kind.WRONG_FLOATING],
}


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda each: each.__name__)
def test_what_is_wrong_is_found_and_healed(break_it: Callable[[Small, str], Awaitable[None]]) -> None:
    async def main(cloud: Small) -> None:
        server, other = cloud.create_several(2)
        await cloud.idle()
        await break_it(cloud, server.id)
        found = [each for each in await audit(cloud) if not each.note]
        assert [each.kind for each in found] == BREAKS[break_it]
        assert await heal(cloud, found) == len(found)
        assert wrong(await audit(cloud)) == []
        assert cloud.show(other).vm_state == "active"
        assert cloud.held(other.id) != {}

    run(main)


def test_what_was_taken_too_often_is_found_and_left_to_the_administrator() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        await cloud.idle()
        provider = cloud.placement.provider(server.host or "")
        inventories = {**cloud.placement.inventories(provider.uuid)}
        from dataclasses import replace

        inventories["MEMORY_MB"] = replace(inventories["MEMORY_MB"], reserved=16384 - 256)
        cloud.placement.set_inventories(provider.uuid, inventories, generation=provider.generation)
        (found,) = await audit(cloud)
        assert (found.invariant, found.kind, found.ids) == ("I1", Kind.OVER_CAPACITY, (provider.uuid,))
        assert await heal(cloud, [found]) == 0

    run(main)


def test_an_address_that_is_given_and_called_free_is_found() -> None:
    async def main(cloud: Small) -> None:
        cloud.create()
        await cloud.idle()
        free = network_tables.free_addresses
        with cloud.store.begin() as tx:
            spans = tx.find(free)[0]["spans"]
            tx.update(free, sqlalchemy.true(), spans=[[spans[0][0] - 1, spans[0][1]], *spans[1:]])
        (found,) = await audit(cloud)
        assert (found.invariant, found.kind) == ("I7", Kind.WRONG_POOL)
        assert await heal(cloud, [found]) == 0

    run(main)


def test_a_limit_that_was_lowered_is_a_note() -> None:
    async def main(cloud: Small) -> None:
        cloud.create_several(3)
        await cloud.idle()
        with cloud.store.begin() as tx:
            tx.insert(tables.quotas, project_id=PROJECT, user_id="", resource="instances", most=2)
        (found,) = await audit(cloud)
        assert (found.invariant, found.kind, found.note) == ("I5", Kind.OVER_QUOTA, True)

    run(main)


def test_an_upload_that_never_ends_is_found() -> None:
    async def main(cloud: Small) -> None:
        with cloud.store.begin() as tx:
            images = image_tables.images
            tx.update(images, images.c.id == cloud.image_id, status="saving", updated_at=cloud.compute.books.now())
        assert wrong(await audit(cloud)) == []
        await aio.sleep(7 * 3600.0)
        assert wrong(await audit(cloud)) == [Kind.STUCK_IMAGE]

    run(main)


def test_an_action_that_takes_for_ever_is_found() -> None:
    async def main(cloud: Small) -> None:
        cloud.driver.faults.order(OperationFault(FaultKind.DELAY, "spawn", seconds=3000.0))
        cloud.create()
        await aio.sleep(2000.0)
        assert wrong(await audit(cloud)) == []
        assert wrong(await audit(cloud, patience=1000.0)) == [Kind.UNDER_WAY]
        await cloud.idle()

    run(main)


def test_two_running_copies_are_told_with_their_hosts() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        await cloud.idle()
        ((host, (copy,)),) = cloud.copies().items()
        assert check_copies({host: [copy]}) == []
        (found,) = check_copies({host: [copy], "other": [copy]})
        assert (found.invariant, found.ids) == ("I3", (server.id, host, "other"))

    run(main)
