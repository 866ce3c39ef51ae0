"""Ports of servers that stand: given, taken away, and as before where that fails."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute import Settings
from sundog.control.compute.metadata import document
from sundog.control.compute.records import AskedNetwork, Server
from sundog.control.compute.sagas.common import key_of
from sundog.control.network.records import Port
from sundog.control.network.routers import GatewaySpec
from sundog.control.store.tables import compute as tables
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.errors import BackendFailed, Conflict, Invalid, NotFound, QuotaExceeded
from sundog.runtime import aio
from tests.computing import ADMIN, OWNER, PROJECT, Small, add_network, run
from tests.crashing import Crash, run_to_crash

PATH = "openstack/latest/meta_data.json"
IMPATIENT = Settings(quick=30.0, tries=2)


async def active(cloud: Small, **facts: Any) -> Server:
    server = cloud.create(**facts)
    await cloud.idle()
    return cloud.show(server)


def own_port(cloud: Small, network_id: str, **facts: Any) -> Port:
    """A port that a client made."""
    return cloud.network.ports.create(EVERYTHING, [{"network_id": network_id, "project_id": PROJECT, **facts}])[0]


def plugged(cloud: Small, server: Server) -> list[str]:
    """The ports that the server's copy has."""
    return sorted(port for copies in cloud.copies().values() for copy in copies for port in copy.ports)


def known(cloud: Small, server: Server) -> list[str]:
    return sorted(each.id for each in cloud.compute.servers.ports(server))


def test_a_port_is_made_plugged_and_told() -> None:
    async def main(cloud: Small) -> None:
        server, second = await active(cloud), add_network(cloud.network, cidr="10.9.0.0/24")
        port = await cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork(network_id=second))
        assert (port.device_id, port.host_id, port.status) == (server.id, server.host, "ACTIVE")
        assert port.device_owner == "compute:nova"
        assert known(cloud, server) == plugged(cloud, server)
        assert len(known(cloud, server)) == 2
        addresses = cloud.compute.servers.addresses([server])[server.id]
        assert [each.address.rpartition(".")[0] for each in addresses] == ["10.0.0", "10.9.0"]
        assert cloud.compute.actions.list_all(server.id)[0].action == "attach_interface"
        await cloud.compute.interfaces.detach(OWNER, server.id, port.id)
        await cloud.idle()
        assert known(cloud, server) == plugged(cloud, server)
        with pytest.raises(NotFound):
            cloud.network.ports.show(EVERYTHING, port.id)

    run(main)


def test_a_clients_own_port_is_free_again_afterwards() -> None:
    async def main(cloud: Small) -> None:
        server, mine = await active(cloud), own_port(cloud, cloud.network_id)
        port = await cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork(port_id=mine.id))
        assert port.id == mine.id
        assert cloud.show(server).kept == {"given_ports": [mine.id]}
        with pytest.raises(Conflict, match="still in use"):
            await cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork(port_id=mine.id))
        await cloud.compute.interfaces.detach(OWNER, server.id, mine.id)
        await cloud.idle()
        free = cloud.network.ports.show(EVERYTHING, mine.id)
        assert (free.device_id, free.device_owner, free.host_id, cloud.show(server).kept) == ("", "", "", {})
        await cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork(port_id=mine.id))
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()
        assert cloud.network.ports.show(EVERYTHING, mine.id).device_id == ""

    run(main)


def tagged(cloud: Small, server: Server) -> dict[str, str]:
    """The tags that the guest is told of, by MAC."""
    told = json.loads(document(cloud.compute.metadata.guest(server), PATH, seed=lambda size: "x" * size).content)
    return {each["mac"]: each["tags"][0] for each in told["devices"]}


def test_a_tag_is_the_servers_port_and_goes_with_it() -> None:
    async def main(cloud: Small) -> None:
        mine, other = own_port(cloud, cloud.network_id), own_port(cloud, cloud.network_id)
        server = await active(cloud, networks=[AskedNetwork(cloud.network_id, tag="a"), AskedNetwork(port_id=mine.id)])
        made = next(each for each in cloud.compute.servers.ports(server) if each.id != mine.id)
        attach, tags = cloud.compute.interfaces.attach, cloud.compute.servers.port_tags
        await attach(OWNER, server.id, AskedNetwork(port_id=other.id, tag="b"))
        chosen = await attach(OWNER, server.id, AskedNetwork(tag="c"))
        assert tags(server) == {made.id: "a", other.id: "b", chosen.id: "c"}
        assert tagged(cloud, server) == {made.mac_address: "a", other.mac_address: "b", chosen.mac_address: "c"}
        await cloud.compute.interfaces.detach(OWNER, server.id, other.id)
        await cloud.idle()
        cloud.network.ports.delete(EVERYTHING, chosen.id)
        assert tags(server) == {made.id: "a"}
        await attach(OWNER, server.id, AskedNetwork(port_id=other.id))
        assert tags(server) == {made.id: "a"}
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()
        with cloud.compute.books.reading() as tx:
            assert tx.find(tables.nic_tags) == []

    run(main)


def test_a_tag_of_a_port_that_was_taken_away_behind_our_back_is_forgotten() -> None:
    async def main(cloud: Small) -> None:
        mine, attach = own_port(cloud, cloud.network_id), cloud.compute.interfaces.attach
        first, second = await active(cloud), await active(cloud)
        for server, tag in ((first, "a"), (second, None), (first, None), (second, "b")):
            await attach(OWNER, server.id, AskedNetwork(port_id=mine.id, tag=tag))
            assert cloud.compute.servers.port_tags(server) == ({mine.id: tag} if tag else {})
            assert set(tagged(cloud, server).values()) == ({tag} if tag else set())
            cloud.network.ports.update(EVERYTHING, mine.id, {"device_id": "", "device_owner": ""})
            assert tagged(cloud, server) == {}

    run(main)


def test_what_cannot_be_attached() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        attach, (mine,) = cloud.compute.interfaces.attach, cloud.compute.servers.ports(server)
        taken = AskedNetwork(network_id=cloud.network_id, fixed_ip=mine.fixed_ips[0].ip_address)
        with pytest.raises(Conflict, match="already in use"):
            await attach(OWNER, server.id, taken)
        with pytest.raises(NotFound, match="Port id nowhere"):
            await attach(OWNER, server.id, AskedNetwork(port_id="nowhere"))
        with pytest.raises(NotFound, match="Network nowhere"):
            await attach(OWNER, server.id, AskedNetwork(network_id="nowhere"))
        with pytest.raises(NotFound, match="Port id nowhere"):
            await cloud.compute.interfaces.detach(OWNER, server.id, "nowhere")
        add_network(cloud.network, cidr="10.9.0.0/24")
        with pytest.raises(Invalid, match="Multiple possible networks"):
            await attach(OWNER, server.id, AskedNetwork())
        cloud.network.quotas.update(PROJECT, {"port": 1})
        with pytest.raises(QuotaExceeded, match="Maximum number of ports exceeded"):
            await attach(OWNER, server.id, AskedNetwork(network_id=cloud.network_id))
        cloud.compute.servers.lock(ADMIN, server.id)
        with pytest.raises(Conflict, match="is locked"):
            await attach(OWNER, server.id, AskedNetwork(network_id=cloud.network_id))
        assert known(cloud, server) == plugged(cloud, server) == [mine.id]

    run(main)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kind", [FaultKind.FAIL, FaultKind.HANG, FaultKind.LOSE])
def test_an_attachment_that_fails_leaves_no_port(kind: FaultKind, given: bool) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        before = known(cloud, server)
        mine = own_port(cloud, cloud.network_id) if given else None
        count = len(cloud.network.ports.list_all(EVERYTHING))
        cloud.driver.faults.order(OperationFault(kind, "plug", count=1 if kind is FaultKind.FAIL else 2))
        asked = AskedNetwork(port_id=mine.id) if mine else AskedNetwork(network_id=cloud.network_id)
        with pytest.raises(BackendFailed, match="Failed to attach network adapter"):
            await cloud.compute.interfaces.attach(OWNER, server.id, asked)
        assert known(cloud, server) == plugged(cloud, server) == before
        assert len(cloud.network.ports.list_all(EVERYTHING)) == count
        after = cloud.show(server)
        assert (after.vm_state, after.task_state, after.kept) == ("active", None, {})

    run(main, settings=IMPATIENT)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("noticed", [0.0, 3600.0])
@pytest.mark.parametrize("fault", [HostFault.KILL, HostFault.FENCE, HostFault.PARTITION])
def test_a_host_that_is_down_is_a_conflict_and_leaves_no_port(fault: HostFault, noticed: float, given: bool) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        before = known(cloud, server)
        mine = own_port(cloud, cloud.network_id) if given else None
        cloud.driver.faults.strike(fault, Scope(host=server.host))
        await aio.sleep(noticed)
        asked = AskedNetwork(port_id=mine.id) if mine else AskedNetwork(network_id=cloud.network_id)
        with pytest.raises(Conflict, match=r"^The host of instance .* does not answer.*evacuated") as told:
            await cloud.compute.interfaces.attach(OWNER, server.id, asked)
        name = cloud.compute.hosts.show(server.host or "").name
        assert name not in str(told.value)
        with pytest.raises(Conflict, match=f"^Host {name} of instance .* does not answer"):
            await cloud.compute.interfaces.attach(ADMIN, server.id, AskedNetwork(network_id=cloud.network_id))
        await cloud.idle()
        assert known(cloud, server) == before
        if mine:
            assert cloud.network.ports.show(EVERYTHING, mine.id).device_id == ""
        else:
            assert len(cloud.network.ports.list_all(EVERYTHING)) == len(before)

    run(main)


def test_a_host_that_does_not_hold_the_server_is_a_conflict() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        assert server.host is not None
        await cloud.driver.destroy(server.host, key_of(server), deadline=60.0)
        with pytest.raises(Conflict, match="is not ready"):
            await cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork())

    run(main)


def test_a_port_that_is_deleted_before_it_is_plugged_is_not_found() -> None:
    async def main(cloud: Small) -> None:
        server, mine = await active(cloud), own_port(cloud, cloud.network_id)
        first = asyncio.get_running_loop().create_task(
            cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork())
        )
        second = asyncio.get_running_loop().create_task(
            cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork(port_id=mine.id))
        )
        await aio.sleep(0.5)
        cloud.network.ports.delete(Viewer(PROJECT), mine.id)
        await asyncio.wait([first, second])
        assert (first.exception(), type(second.exception())) == (None, NotFound)

    run(main)


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.LOSE])
def test_a_lost_reply_only_makes_it_take_longer(kind: FaultKind) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        for operation in ("plug", "unplug"):
            cloud.driver.faults.order(OperationFault(kind, operation, count=1))
        port = await cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork())
        assert port.id in plugged(cloud, server)
        await cloud.compute.interfaces.detach(OWNER, server.id, port.id)
        await cloud.idle()
        assert len(plugged(cloud, server)) == 1

    run(main)


def test_a_port_that_cannot_be_unplugged_stays() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        (port,) = cloud.compute.servers.ports(server)
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "unplug", count=1))
        await cloud.compute.interfaces.detach(OWNER, server.id, port.id)
        await cloud.idle()
        assert known(cloud, server) == plugged(cloud, server) == [port.id]
        assert cloud.compute.actions.list_all(server.id)[0].message

    run(main)


def test_what_is_asked_meanwhile_happens_afterwards() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        async with aio.TaskGroup() as group:
            several = [
                group.create_task(cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork())) for _ in range(3)
            ]
            await aio.sleep(0.5)
            cloud.compute.power.stop(OWNER, server.id)
        await cloud.idle()
        assert known(cloud, server) == plugged(cloud, server)
        assert {each.result().id for each in several} < set(known(cloud, server))
        assert (cloud.show(server).vm_state, cloud.show(server).task_state) == ("stopped", None)
        assert {each.phase for each in cloud.compute.actions.list_all(server.id)} == {"done"}

    run(main)


def test_a_caller_who_hangs_up_changes_nothing() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        loop = asyncio.get_running_loop()
        caller = loop.create_task(cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork()))
        await aio.sleep(0.5)
        caller.cancel()
        await asyncio.wait([caller])
        await cloud.idle()
        assert len(known(cloud, server)) == 2
        assert known(cloud, server) == plugged(cloud, server)

    run(main)


@pytest.mark.parametrize("when", [0.0, 0.5, 1.5])
def test_deleting_meanwhile_leaves_no_port(when: float) -> None:
    async def main(cloud: Small) -> None:
        server, mine = await active(cloud), own_port(cloud, cloud.network_id)
        several = [
            asyncio.get_running_loop().create_task(cloud.compute.interfaces.attach(OWNER, server.id, asked))
            for asked in (AskedNetwork(port_id=mine.id), AskedNetwork())
        ]
        await aio.sleep(when)
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()
        assert [each.id for each in cloud.network.ports.list_all(EVERYTHING)] == [mine.id]
        assert (cloud.copies(), cloud.network.ports.show(EVERYTHING, mine.id).device_id) == ({}, "")
        await asyncio.wait(several)
        failures = [type(each.exception()) for each in several]
        assert failures == [type(None) if when > 1.0 else Conflict, Conflict]

    run(main)


@pytest.mark.parametrize("when", [0.0, 0.5, 10.0])
def test_after_a_crash_it_goes_on(when: float) -> None:
    async def main(cloud: Small, crash: Crash) -> None:
        server = await active(cloud)
        (old,) = cloud.compute.servers.ports(server)
        attaching = asyncio.get_running_loop().create_task(
            cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork())
        )
        await aio.sleep(0)
        await cloud.compute.interfaces.detach(OWNER, server.id, old.id)
        await aio.sleep(when)
        cloud = await crash(cloud)
        await asyncio.wait([attaching])
        attaching.exception()
        await cloud.idle()
        assert known(cloud, server) == plugged(cloud, server)
        assert len(known(cloud, server)) == 1
        assert old.id not in known(cloud, server)
        assert {each.phase for each in cloud.compute.actions.list_all(server.id)} == {"done"}

    run_to_crash(main)


def test_a_port_that_the_network_deletes_is_told_no_more() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        (port,) = cloud.compute.servers.ports(server)
        cloud.network.ports.delete(Viewer(PROJECT), port.id)
        assert cloud.compute.servers.addresses([server])[server.id] == []
        assert cloud.compute.servers.security_groups([server])[server.id] == []
        with pytest.raises(NotFound):
            await cloud.compute.interfaces.detach(OWNER, server.id, port.id)
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()
        assert cloud.copies() == {}

    run(main)


# ---------------------------------------------------------------- groups and addresses


def test_security_groups_by_name_and_id() -> None:
    async def main(cloud: Small) -> None:
        server, interfaces = await active(cloud), cloud.compute.interfaces
        (group,) = cloud.network.groups.create([{"project_id": PROJECT, "name": "web"}])
        names = lambda: cloud.compute.servers.security_groups([server])[server.id]  # noqa: E731
        interfaces.add_security_group(OWNER, server.id, "web")
        interfaces.add_security_group(OWNER, server.id, group.id)
        assert sorted(names()) == ["default", "web"]
        interfaces.remove_security_group(OWNER, server.id, "web")
        with pytest.raises(NotFound, match="not associated"):
            interfaces.remove_security_group(OWNER, server.id, "web")
        interfaces.remove_security_group(OWNER, server.id, "default")
        assert names() == []
        with pytest.raises(NotFound, match="Security group nothing not found"):
            interfaces.add_security_group(OWNER, server.id, "nothing")
        without = await active(cloud, networks=())
        with pytest.raises(Invalid, match="port_security_enabled"):
            interfaces.add_security_group(OWNER, without.id, "web")

    run(main)


def test_addresses_are_added_and_removed() -> None:
    async def main(cloud: Small) -> None:
        server, interfaces = await active(cloud), cloud.compute.interfaces
        addresses = lambda: [each.address for each in cloud.compute.servers.addresses([server])[server.id]]  # noqa: E731
        (first,) = addresses()
        interfaces.add_fixed_ip(OWNER, server.id, cloud.network_id)
        assert len(addresses()) == 2
        interfaces.remove_fixed_ip(OWNER, server.id, first)
        assert len(addresses()) == 1
        assert first not in addresses()
        with pytest.raises(Invalid):
            interfaces.remove_fixed_ip(OWNER, server.id, first)
        with pytest.raises(Invalid):
            interfaces.add_fixed_ip(OWNER, server.id, "elsewhere")

    run(main)


def test_a_floating_ip_leads_to_a_server_and_no_more() -> None:
    async def main(cloud: Small) -> None:
        network, interfaces = cloud.network, cloud.compute.interfaces
        public = network.networks.create([{"project_id": ADMIN.project_id, "name": "public", "external": True}])[0]
        network.subnets.create(
            EVERYTHING,
            [{"network_id": public.id, "project_id": ADMIN.project_id, "ip_version": 4, "cidr": "203.0.113.0/24"}],
        )
        (router,) = network.routers.create(EVERYTHING, [{"project_id": PROJECT, "gateway": GatewaySpec(public.id)}])
        subnet = network.subnets.list_all(EVERYTHING, {"network_id": [cloud.network_id]})[0]
        network.routers.add_interface(EVERYTHING, router.id, subnet_id=subnet.id)
        (floating,) = network.floating_ips.create(
            Viewer(PROJECT), [{"floating_network_id": public.id, "project_id": PROJECT}]
        )
        server, address = await active(cloud), floating.floating_ip_address
        interfaces.add_floating_ip(OWNER, server.id, address)
        told = cloud.compute.servers.addresses([server])[server.id]
        assert [(each.kind, each.address == address) for each in told] == [("fixed", False), ("floating", True)]
        interfaces.remove_floating_ip(OWNER, server.id, address)
        assert len(cloud.compute.servers.addresses([server])[server.id]) == 1
        with pytest.raises(Conflict, match="not associated"):
            interfaces.remove_floating_ip(OWNER, server.id, address)
        with pytest.raises(NotFound, match="Floating IP not found"):
            interfaces.add_floating_ip(OWNER, server.id, "203.0.113.250")
        with pytest.raises(Invalid, match="Specified fixed address"):
            interfaces.add_floating_ip(OWNER, server.id, address, "192.0.2.1")

    run(main)


def test_a_port_that_could_not_be_unplugged_is_unplugged_by_the_next_comparison() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud, networks=())
        cloud.driver.faults.order(OperationFault(FaultKind.LOSE, "plug"))
        for operation in ("plug", "unplug"):
            cloud.driver.faults.order(OperationFault(FaultKind.FAIL, operation))
        with pytest.raises(BackendFailed):
            await cloud.compute.interfaces.attach(OWNER, server.id, AskedNetwork(cloud.network_id))
        assert cloud.compute.servers.ports(server) == []
        assert len(plugged(cloud, server)) == 1
        await cloud.compute.reconciler.look_at(server.host or "")
        assert plugged(cloud, server) == []
        assert await cloud.compute.reconciler.look_at(server.host or "") == []

    run(main)


def test_a_port_that_was_unplugged_though_it_stays_is_plugged_by_the_next_comparison() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        (port,) = cloud.compute.servers.ports(server)
        cloud.driver.faults.order(OperationFault(FaultKind.LOSE, "unplug"))
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "unplug"))
        await cloud.compute.interfaces.detach(OWNER, server.id, port.id)
        await cloud.idle()
        assert [each.id for each in cloud.compute.servers.ports(server)] == [port.id]
        assert plugged(cloud, server) == []
        await cloud.compute.reconciler.look_at(server.host or "")
        assert plugged(cloud, server) == [port.id]

    run(main)
