"""Random operations of two projects: the books of addresses, quotas and who sees what hold after each."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sundog.control.network import Network, Viewer, bootstrap
from sundog.control.network.addresses import pool_spans, read_pool
from sundog.control.network.quotas import DEFAULTS, TABLES
from sundog.control.network.routers import GatewaySpec
from sundog.control.store import open_store
from sundog.control.store.tables import network as tables
from sundog.control.viewer import EVERYTHING
from sundog.core.ipam import AddressPool, is_host, parse_address, parse_cidr
from sundog.errors import InvariantError, SundogError
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams

PROJECTS = ("a", "b")
LIMITS = {"network": 4, "subnet": 5, "port": 9, "router": 2, "floatingip": 3, "security_group": 3, "subnetpool": 1}
WHO = st.sampled_from(PROJECTS)
PICK = st.integers(0, 30)
CIDRS = st.sampled_from(["10.0.0.0/29", "10.0.0.0/28", "10.0.1.0/30", "fd00::/64", "fd01::/64", "fd02::/126"])
MODES = st.sampled_from([None, "slaac", "dhcpv6-stateful"])


class Projects(RuleBasedStateMachine):
    """Two projects that do what comes to mind. What is refused is refused; what must hold holds all the same."""

    @initialize()
    def begin(self) -> None:
        self.store = open_store(":memory:")
        self.store.migrate()
        seconds = count()
        now = lambda: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))  # noqa: E731
        self.network = Network(self.store, Ids(Streams(1).stream("ids")), now)
        self.public = bootstrap(self.network, "admin", ipv4="198.51.100.0/28")
        for project in PROJECTS:
            self.network.quotas.update(project, LIMITS)
            self.wire(project)

    def wire(self, project: str) -> None:
        """A port behind a router that a floating IP leads to, which chance alone would seldom make."""
        viewer, own = Viewer(project), {"project_id": project}
        network_id = self.network.networks.create([own])[0].id
        told = {**own, "network_id": network_id}
        subnet = self.network.subnets.create(viewer, [{**told, "cidr": "10.0.0.0/29"}])[0]
        router = self.network.routers.create(viewer, [{**own, "gateway": GatewaySpec(self.public.id)}])[0]
        self.network.routers.add_interface(viewer, router.id, subnet_id=subnet.id)
        port = self.network.ports.create(viewer, [told])[0]
        floating = {**own, "floating_network_id": self.public.id, "port_id": port.id}
        self.network.floating_ips.create(viewer, [floating])

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    def tried(self, do: Any, *args: Any, **more: Any) -> Any:
        try:
            return do(*args, **more)
        except InvariantError:
            raise
        except SundogError:
            return None

    def one(self, part: Any, number: int, who: str | None = None) -> str:
        """The id of one of the things there are, be it the project's or not; of none, if there are none."""
        rows = part.list_all(EVERYTHING if who is None else Viewer(who))
        return rows[number % len(rows)].id if rows else "none"

    @rule(who=WHO, shared=st.booleans())
    def create_network(self, who: str, shared: bool) -> None:
        self.tried(self.network.networks.create, [{"project_id": who, "shared": shared}])

    @rule(who=WHO, number=PICK, cidr=CIDRS, mode=MODES)
    def create_subnet(self, who: str, number: int, cidr: str, mode: str | None) -> None:
        spec = {"network_id": self.one(self.network.networks, number), "project_id": who, "cidr": cidr}
        if mode is not None:
            spec |= {"ipv6_ra_mode": mode, "ipv6_address_mode": mode}
        self.tried(self.network.subnets.create, Viewer(who), [spec])

    @rule(who=WHO, number=PICK, first=st.integers(1, 6), length=st.integers(0, 4))
    def change_pools(self, who: str, number: int, first: int, length: int) -> None:
        subnet_id = self.one(self.network.subnets, number)
        pools = [{"start": f"10.0.0.{first}", "end": f"10.0.0.{first + length}"}]
        changes = {"allocation_pools": pools, "gateway_ip": None}
        self.tried(self.network.subnets.update, Viewer(who), subnet_id, changes)

    @rule(who=WHO, number=PICK, several=st.integers(1, 3), address=st.none() | st.integers(0, 15))
    def create_ports(self, who: str, number: int, several: int, address: int | None) -> None:
        spec: dict[str, Any] = {"network_id": self.one(self.network.networks, number), "project_id": who}
        if address is not None:
            spec["fixed_ips"] = [{"ip_address": f"10.0.0.{address}"}]
        self.tried(self.network.ports.create, Viewer(who), [spec] * several)

    @rule(who=WHO, number=PICK, addresses=st.lists(st.integers(0, 9), max_size=3))
    def change_addresses(self, who: str, number: int, addresses: list[int]) -> None:
        fixed = [{"ip_address": f"10.0.0.{each}"} for each in addresses]
        port_id = self.one(self.network.ports, number)
        self.tried(self.network.ports.update, Viewer(who), port_id, {"fixed_ips": fixed})

    @rule(who=WHO, gateway=st.booleans())
    def create_router(self, who: str, gateway: bool) -> None:
        spec = {"project_id": who, "gateway": GatewaySpec(self.public.id) if gateway else None}
        self.tried(self.network.routers.create, Viewer(who), [spec])

    @rule(who=WHO, router=PICK, number=PICK, by_port=st.booleans(), verb=st.sampled_from(["add", "remove"]))
    def connect(self, who: str, router: int, number: int, by_port: bool, verb: str) -> None:
        part = self.network.ports if by_port else self.network.subnets
        told = {"port_id" if by_port else "subnet_id": self.one(part, number, who)}
        do = getattr(self.network.routers, f"{verb}_interface")
        self.tried(do, Viewer(who), self.one(self.network.routers, router), **told)

    @rule(who=WHO, router=PICK, gateway=st.booleans())
    def change_gateway(self, who: str, router: int, gateway: bool) -> None:
        changes = {"gateway": GatewaySpec(self.public.id) if gateway else None}
        self.tried(self.network.routers.update, Viewer(who), self.one(self.network.routers, router), changes)

    @rule(who=WHO, port=st.none() | PICK)
    def create_floating_ip(self, who: str, port: int | None) -> None:
        spec = {"project_id": who, "floating_network_id": self.public.id}
        if port is not None:
            spec["port_id"] = self.one(self.network.ports, port)
        self.tried(self.network.floating_ips.create, Viewer(who), [spec])

    @rule(who=WHO, number=PICK, port=st.none() | PICK)
    def move_floating_ip(self, who: str, number: int, port: int | None) -> None:
        changes = {"port_id": None if port is None else self.one(self.network.ports, port)}
        self.tried(self.network.floating_ips.update, Viewer(who), self.one(self.network.floating_ips, number), changes)

    @rule(who=WHO)
    def create_group(self, who: str) -> None:
        self.tried(self.network.groups.create, [{"project_id": who, "name": "g"}])

    @rule(
        who=WHO,
        kind=st.sampled_from(["networks", "subnets", "ports", "routers", "floating_ips", "groups"]),
        number=PICK,
    )
    def delete(self, who: str, kind: str, number: int) -> None:
        part = getattr(self.network, kind)
        self.tried(part.delete, Viewer(who), self.one(part, number))

    @invariant()
    def macs_are_unique_on_a_network(self) -> None:
        ports = self.network.ports.list_all(EVERYTHING)
        assert max(Counter((each.network_id, each.mac_address) for each in ports).values(), default=1) == 1

    @invariant()
    def every_address_is_a_ports_once_and_in_its_subnet(self) -> None:
        with self.store.read() as tx:
            rows, ports = tx.find(tables.addresses), {each["id"]: each for each in tx.find(tables.ports)}
            subnets = {each["id"]: each for each in tx.find(tables.subnets)}
        seen = Counter((subnets[row["subnet_id"]]["network_id"], row["ip_address"]) for row in rows)
        assert max(seen.values(), default=1) == 1
        for row in rows:
            subnet = subnets[row["subnet_id"]]
            assert ports[row["port_id"]]["network_id"] == subnet["network_id"]
            assert is_host(parse_cidr(subnet["cidr"]), parse_address(row["ip_address"]))

    @invariant()
    def free_addresses_are_those_of_the_pools_that_nobody_has(self) -> None:
        for subnet in self.network.subnets.list_all(EVERYTHING):
            with self.store.read() as tx:
                kept = read_pool(tx, subnet)
                rows = tx.find(tables.addresses, tables.addresses.c.subnet_id == subnet.id)
            taken = [parse_address(row["ip_address"]) for row in rows]
            assert kept == AddressPool.of(pool_spans(subnet.allocation_pools), taken)

    @invariant()
    def usage_is_the_count_of_rows_and_never_above_the_limit(self) -> None:
        for project in PROJECTS:
            usage = self.network.quotas.usage(project)
            assert set(usage) == set(DEFAULTS)
            for name, (most, used) in usage.items():
                with self.store.read() as tx:
                    assert used == sum(row["project_id"] == project for row in tx.find(TABLES[name]))
                assert most < 0 or used <= most, name

    @invariant()
    def nothing_of_one_project_is_seen_by_the_other(self) -> None:
        n = self.network
        networks = {each.id: each for each in n.networks.list_all(EVERYTHING)}
        for project in PROJECTS:
            viewer = Viewer(project)
            for part in (n.routers, n.floating_ips, n.groups, n.rules, n.subnet_pools):
                assert all(each.project_id == project for each in part.list_all(viewer))
            for each in n.networks.list_all(viewer):
                assert each.project_id == project or each.shared or each.external
            for port in n.ports.list_all(viewer):
                assert project in (port.project_id, networks[port.network_id].project_id)
            for subnet in n.subnets.list_all(viewer):
                network = networks[subnet.network_id]
                assert network.shared or project in (subnet.project_id, network.project_id)

    @invariant()
    def a_floating_ip_leads_through_a_router_that_reaches_both_sides(self) -> None:
        routers = {each.id: each for each in self.network.routers.list_all(EVERYTHING)}
        ports = {each.id: each for each in self.network.ports.list_all(EVERYTHING)}
        for floating in self.network.floating_ips.list_all(EVERYTHING):
            assert floating.floating_port_id in ports
            if floating.port_id is None:
                assert (floating.router_id, floating.fixed_ip_address) == (None, None)
                continue
            gateway = routers[floating.router_id].gateway
            assert gateway is not None
            assert gateway.network_id == floating.floating_network_id
            fixed = ports[floating.port_id].fixed_ips
            assert floating.fixed_ip_address in {each.ip_address for each in fixed}


TestProjects = Projects.TestCase
TestProjects.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
