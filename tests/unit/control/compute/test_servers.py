"""Servers come and go: made on a host with all that they need, deleted with nothing left."""

from __future__ import annotations

import pytest

from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.core.lifecycle.servers import Power, VmState
from sundog.errors import Conflict, Invalid, NotFound, QuotaExceeded
from sundog.runtime import aio
from tests.computing import ADMIN, LARGE, OWNER, PROJECT, SMALL, Small, run


def test_a_server_is_built_with_its_place_its_port_and_its_copy() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create(networks=None)
        assert (server.vm_state, server.task_state, server.power_state) == ("building", "spawning", 0)
        assert cloud.held(server.id) == {server.host: {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}}
        await cloud.idle()
        built = cloud.show(server)
        assert (built.vm_state, built.task_state, built.power_state) == ("active", None, Power.RUNNING)
        assert built.launched_at is not None
        (copy,) = cloud.copies()[built.host or ""]
        assert copy.key.uuid == server.id
        (port,) = cloud.compute.servers.ports(built)
        assert (port.device_id, port.host_id, port.status) == (server.id, built.host, "ACTIVE")
        (address,) = cloud.compute.servers.addresses([built])[server.id]
        assert address.network == "private"
        (action,) = cloud.compute.actions.list_all(server.id)
        assert (action.action, action.phase, action.request_id) == ("create", "done", "req-owner")
        assert [each.result for each in cloud.compute.actions.events(action)] == ["Success"]

    run(main)


def test_a_deleted_server_leaves_nothing_but_its_memory() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        await cloud.idle()
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()
        assert (cloud.copies(), cloud.held(server.id)) == ({}, {})
        with pytest.raises(NotFound):
            cloud.show(server)
        gone = cloud.show(server, deleted=True)
        assert gone.vm_state == VmState.DELETED
        assert gone.deleted_at is not None
        assert cloud.compute.servers.ports(gone) == []
        assert [each.action for each in cloud.compute.actions.list_all(server.id)] == ["delete", "create"]

    run(main)


def test_deleting_breaks_off_what_is_under_way() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        await aio.sleep(1.0)
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()
        assert (cloud.copies(), cloud.held(server.id)) == ({}, {})
        messages = {each.action: each.message for each in cloud.compute.actions.list_all(server.id)}
        assert messages == {"delete": None, "create": "delete was asked meanwhile"}

    run(main)


def test_a_server_without_a_host_is_in_error_and_says_why() -> None:
    async def main(cloud: Small) -> None:
        servers = cloud.create_several(4, flavor=LARGE)
        assert {server.vm_state for server in servers} == {"error"}
        assert servers[0].fault is not None
        assert servers[0].fault.message == "No valid host was found. "
        assert all(cloud.held(server.id) == {} for server in servers)
        assert cloud.placement.pool.used.sum() == 0
        cloud.compute.servers.delete(OWNER, servers[0].id)
        await cloud.idle()

    from tests.drivers import make_hosts

    run(main, hosts=make_hosts(0))


def test_another_host_is_tried_when_one_fails() -> None:
    async def main(cloud: Small) -> None:
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "spawn", count=1))
        server = cloud.create()
        first = server.host
        await cloud.idle()
        built = cloud.show(server)
        assert built.vm_state == "active"
        assert built.host != first
        assert built.generation == 2
        assert cloud.held(server.id) == {built.host: {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}}
        assert [port.host_id for port in cloud.compute.servers.ports(built)] == [built.host]
        assert [len(copies) for copies in cloud.copies().values()] == [1]

    run(main)


def test_after_three_hosts_it_is_given_up() -> None:
    async def main(cloud: Small) -> None:
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "spawn", count=3))
        server = cloud.create()
        await cloud.idle()
        failed = cloud.show(server)
        assert (failed.vm_state, failed.task_state, failed.host) == ("error", None, None)
        assert failed.fault is not None
        assert (cloud.copies(), cloud.held(server.id)) == ({}, {})
        assert cloud.compute.servers.ports(failed) == []

    run(main)


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.LOSE])
def test_a_lost_reply_makes_no_second_copy(kind: FaultKind) -> None:
    async def main(cloud: Small) -> None:
        cloud.driver.faults.order(OperationFault(kind, "spawn", count=1))
        server = cloud.create()
        await cloud.idle()
        assert cloud.show(server).vm_state == "active"
        assert [len(copies) for copies in cloud.copies().values()] == [1]

    run(main)


def test_quota_is_taken_with_the_servers() -> None:
    async def main(cloud: Small) -> None:
        cloud.create_several(10)
        with pytest.raises(QuotaExceeded, match="Quota exceeded for instances: Requested 1, but already used 10 of 10"):
            cloud.create()
        await cloud.idle()

    run(main)


def test_only_states_that_allow_it() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        with pytest.raises(Conflict, match=r"Cannot 'stop' instance .* while it is in vm_state building"):
            cloud.compute.power.stop(OWNER, server.id)
        await cloud.idle()
        cloud.compute.power.stop(OWNER, server.id)
        with pytest.raises(Conflict, match="task_state powering-off"):
            cloud.compute.power.pause(OWNER, server.id)
        await cloud.idle()
        stopped = cloud.show(server)
        assert (stopped.vm_state, stopped.power_state) == ("stopped", Power.SHUTDOWN)
        cloud.compute.power.start(OWNER, server.id)
        await cloud.idle()
        assert cloud.show(server).vm_state == "active"

    run(main)


def test_a_locked_server_is_the_administrators() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        await cloud.idle()
        cloud.compute.servers.lock(OWNER, server.id)
        with pytest.raises(Conflict, match="is locked"):
            cloud.compute.power.stop(OWNER, server.id)
        cloud.compute.power.stop(ADMIN, server.id)
        await cloud.idle()
        assert cloud.show(server).vm_state == "stopped"

    run(main)


def test_servers_of_others_are_not_there() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        stranger = type(OWNER)("9" * 32, "8" * 32)
        with pytest.raises(NotFound):
            cloud.compute.servers.delete(stranger, server.id)
        await cloud.idle()

    run(main)


def test_a_host_that_dies_and_comes_back_says_what_became_of_its_servers() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        await cloud.idle()
        host = cloud.show(server).host or ""
        cloud.driver.faults.strike(HostFault.KILL, Scope(host=host))
        await aio.sleep(60.0)
        assert not cloud.compute.hosts.is_up(host)
        assert cloud.show(server).vm_state == "active"
        cloud.driver.faults.strike(HostFault.REVIVE, Scope(host=host))
        await aio.sleep(300.0)
        assert cloud.compute.hosts.is_up(host)
        assert cloud.show(server).vm_state == "stopped"

    run(main)


def test_a_copy_that_outlived_its_server_is_removed_when_its_host_is_back() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create()
        await cloud.idle()
        host = cloud.show(server).host or ""
        cloud.driver.faults.strike(HostFault.PARTITION, Scope(host=host))
        await aio.sleep(60.0)
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()
        assert cloud.copies() != {}
        cloud.driver.faults.strike(HostFault.HEAL, Scope(host=host))
        await aio.sleep(60.0)
        assert cloud.copies() == {}

    run(main)


def test_a_network_that_is_not_there_makes_no_server() -> None:
    from sundog.control.compute.records import AskedNetwork

    async def main(cloud: Small) -> None:
        with pytest.raises(Invalid, match=r"Network .* could not be found"):
            cloud.create(networks=[AskedNetwork(network_id="nowhere")])
        assert cloud.placement.books.of_project(PROJECT) == []

    run(main)


def test_an_image_that_is_too_large_is_refused() -> None:
    async def main(cloud: Small) -> None:
        with pytest.raises(Invalid, match="could not be found"):
            cloud.create(image_id="none", flavor=SMALL)

    run(main)


@pytest.mark.parametrize("ask", ["stop", "rescue", "reboot"])
def test_a_server_without_a_host_can_only_be_deleted(ask: str) -> None:
    async def main(cloud: Small) -> None:
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "spawn", count=3))
        server = cloud.create()
        await cloud.idle()
        assert cloud.show(server).host is None
        more = ("HARD",) if ask == "reboot" else ()
        told = "is not ready" if ask == "stop" else f"is in an invalid state for '{ask}'"
        with pytest.raises(Conflict, match=f"Instance {server.id} {told}"):
            getattr(cloud.compute.power, ask)(OWNER, server.id, *more)
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()

    run(main)
