"""What a network driver is told follows from the books, and follows them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sundog.backends.networks import Address, DhcpOption, Floating, NoWires, Pair, Report, Rule, WiredPort, Wiring
from sundog.control.network import Network, Viewer, bootstrap
from sundog.control.network.routers import GatewaySpec
from sundog.control.network.wirer import AGAIN_S, SOON_S, Wirer
from sundog.control.network.wiring import read_wiring
from sundog.control.store import open_store
from sundog.errors import BackendFailed
from sundog.runtime import aio, warp
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams

ME = Viewer("a")
OWN = {"project_id": "a"}


@pytest.fixture
def network() -> Iterator[Network]:
    store = open_store(":memory:")
    store.migrate()
    yield Network(store, Ids(Streams(1).stream("ids")), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    store.close()


def wiring_of(network: Network) -> Wiring:
    with network.books.reading() as tx:
        return read_wiring(tx)


def make_network(network: Network, cidr: str = "10.0.0.0/24", **more: Any) -> str:
    made = network.networks.create([{**OWN, "name": "net"}])[0].id
    network.subnets.create(ME, [{**OWN, "network_id": made, "cidr": cidr, **more}])
    return made


def make_port(network: Network, network_id: str, **more: Any) -> Any:
    spec = {**OWN, "network_id": network_id, "device_owner": "compute:nova", "device_id": "a-server", **more}
    return network.ports.create(ME, [spec])[0]


def port_of(network: Network, port_id: str) -> WiredPort:
    return next(port for each in wiring_of(network).networks for port in each.ports if port.id == port_id)


def test_an_empty_cloud_has_no_wires(network: Network) -> None:
    assert wiring_of(network) == Wiring()


def test_a_port_is_told_with_all_that_holds_for_it(network: Network) -> None:
    net = make_network(network, dns_nameservers=["192.0.2.53"])
    pairs = [{"ip_address": "10.0.0.128/25", "mac_address": "FA:16:3E:00:00:99"}]
    options = [{"opt_name": "bootfile-name", "opt_value": "a\nb", "ip_version": 4}]
    port = make_port(network, net, allowed_address_pairs=pairs, extra_dhcp_opts=options)
    told = port_of(network, port.id)
    subnet = wiring_of(network).networks[0].subnets[0]
    assert told.addresses == (Address(subnet.id, port.fixed_ips[0].ip_address),)
    assert told.pairs == (Pair("fa:16:3e:00:00:99", "10.0.0.128/25"),)
    assert told.dhcp_options == (DhcpOption("bootfile-name", "a\nb"),)  # as it was written: a driver leaves it out
    assert (told.server_id, told.project_id, told.secured, told.enabled) == ("a-server", "a", True, True)
    assert (subnet.cidr, subnet.gateway, subnet.nameservers) == ("10.0.0.0/24", "10.0.0.1", ("192.0.2.53",))


def test_a_group_as_the_other_end_is_the_addresses_of_its_members_of_that_version(network: Network) -> None:
    net = make_network(network)
    one, two = make_port(network, net), make_port(network, net)
    mine = sorted(f"{each.fixed_ips[0].ip_address}/32" for each in (one, two))
    rules = port_of(network, one.id).rules
    assert Rule("egress", 4) in rules
    assert Rule("ingress", 4, remotes=tuple(mine)) in rules
    assert Rule("ingress", 6, remotes=()) in rules  # nobody, and not everybody
    network.ports.delete(ME, two.id)
    assert Rule("ingress", 4, remotes=(f"{one.fixed_ips[0].ip_address}/32",)) in port_of(network, one.id).rules


@pytest.mark.parametrize(
    ("protocol", "number"), [("tcp", 6), ("112", 112), ("icmp", 1), ("ip", None), ("0", None), (None, None)]
)
def test_a_protocol_is_its_number_and_none_is_any(network: Network, protocol: str | None, number: int | None) -> None:
    group = network.groups.create([{**OWN, "name": "g"}])[0]
    told = {"direction": "ingress", "ethertype": "IPv4", "protocol": protocol, "remote_ip_prefix": "192.0.2.7/24"}
    network.rules.create(ME, [{"security_group_id": group.id, **told}])
    port = make_port(network, make_network(network), security_groups=[group.id])
    assert Rule("ingress", 4, number, remotes=("192.0.2.0/24",)) in port_of(network, port.id).rules


def test_a_router_has_its_legs_its_way_out_and_floating_ips(network: Network) -> None:
    public = bootstrap(network, "admin", ipv4="198.51.100.0/24")
    net = make_network(network)
    port = make_port(network, net)
    router = network.routers.create(ME, [{**OWN, "gateway": GatewaySpec(public.id)}])[0]
    subnet_id = next(s.id for each in wiring_of(network).networks if each.id == net for s in each.subnets)
    network.routers.add_interface(ME, router.id, subnet_id=subnet_id)
    spec = {**OWN, "floating_network_id": public.id, "port_id": port.id}
    floating = network.floating_ips.create(ME, [spec])[0]
    told = wiring_of(network).routers[0]
    assert [(leg.network_id, leg.addresses) for leg in told.legs] == [(net, ("10.0.0.1/24",))]
    assert told.outside is not None
    assert told.outside.network_id == public.id
    assert (told.next_hop, told.snat) == ("198.51.100.1", True)
    assert told.floating == (Floating(floating.floating_ip_address, port.fixed_ips[0].ip_address),)
    assert all(each.ports == () for each in wiring_of(network).networks if each.external)


def test_a_world_without_wires_refuses_what_the_contract_refuses(network: Network) -> None:
    port = make_port(network, make_network(network))
    driver = NoWires()

    async def act() -> None:
        with pytest.raises(BackendFailed, match="apply the wiring first"):
            await driver.bind("h1", [port.id], deadline=1)
        assert (await driver.apply(wiring_of(network), deadline=1)).left_out == ()
        await driver.bind("h1", [port.id], deadline=1)

    asyncio.run(act())


class Remembers(NoWires):
    """A driver that can be told to fail, and remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Wiring] = []
        self.fails = False
        self.report = Report()

    async def apply(self, wiring: Wiring, *, deadline: float) -> Report:
        await aio.sleep(0.1)
        if self.fails:
            raise BackendFailed("the network node is on fire")
        self.told.append(wiring)
        await super().apply(wiring, deadline=deadline)
        return self.report


def test_a_driver_is_told_once_for_each_change_however_many_ask(network: Network) -> None:
    driver = Remembers()
    wirer = Wirer(network.books, driver)

    async def main(_world: object) -> None:
        net = make_network(network)
        await aio.gather(*(wirer.settle() for _ in range(5)))
        assert len(driver.told) == 1
        make_port(network, net)
        await aio.gather(*(wirer.settle() for _ in range(5)))
        assert driver.told[1:] == [wiring_of(network)]
        await wirer.settle(again=True)
        assert len(driver.told) == 3

    warp.run(main)


def test_what_failed_is_said_again_until_it_is_so(network: Network) -> None:
    driver = Remembers()
    wirer = Wirer(network.books, driver)

    async def main(_world: object) -> None:
        driver.fails = True
        make_network(network)
        async with aio.TaskGroup() as group:
            task = group.create_task(wirer.run(), name="wires")
            await aio.sleep(5)
            assert (driver.told, wirer.failure is not None) == ([], True)
            driver.fails = False
            await aio.sleep(5)
            assert (driver.told, wirer.failure) == ([wiring_of(network)], None)
            await aio.sleep(AGAIN_S + 5)
            assert len(driver.told) == 2  # everything is said again now and then
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    warp.run(main)


def test_what_is_not_so_is_told_and_what_failed_is_tried_again_soon(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    driver = Remembers()
    wirer = Wirer(network.books, driver)

    async def main(_world: object) -> None:
        make_network(network)
        driver.report = Report(("it is flat",), ("host a did not answer",))
        async with aio.TaskGroup() as group:
            task = group.create_task(wirer.run(), name="wires")
            await aio.sleep(4 * SOON_S)
            assert wirer.report == driver.report
            assert 3 <= len(driver.told) <= 4
            driver.fails = True
            await aio.sleep(2 * SOON_S)
            assert wirer.report.failed == ("host a did not answer", "the network node is on fire")
            driver.fails, driver.report = False, Report()
            await aio.sleep(2 * SOON_S)
            assert wirer.report == Report()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    warp.run(main)
    assert sorted(each.message for each in caplog.records) == [
        "host a did not answer", "it is flat", "the network node is on fire",
    ]  # fmt: skip


def test_what_a_host_forgot_while_it_was_being_told_is_told_again(network: Network) -> None:
    driver = Remembers()
    wirer = Wirer(network.books, driver)

    async def main(_world: object) -> None:
        make_network(network)
        async with aio.TaskGroup() as group:
            group.create_task(wirer.settle(), name="telling")
            await aio.sleep(0.05)
            wirer.forget()
        await wirer.settle()
        assert len(driver.told) == 2
        await wirer.settle()
        assert len(driver.told) == 2

    warp.run(main)
