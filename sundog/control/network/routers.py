"""Routers: interfaces on subnets, a gateway to an external network, further routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sundog.control.network.addresses import ROUTER_GATEWAY, ROUTER_INTERFACE, Allocation, release
from sundog.control.network.books import Books, Only, chosen, found, owned
from sundog.control.network.networks import get_network
from sundog.control.network.ports import create_port, delete_port, get_port, read_ports, update_port
from sundog.control.network.quotas import check_quota
from sundog.control.network.records import Gateway, Port, Router, Subnet, record
from sundog.control.network.refusals import bad_request, conflict, invalid, invalid_input, missing
from sundog.control.network.subnets import get_subnet
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import network as tables
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.core.ipam import overlapping, parse_address, parse_cidr, span_of, version_of
from sundog.errors import NotFound

MOST_ROUTES: Final = 30


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """A gateway as it is asked for; None is what was not said."""

    network_id: str
    enable_snat: bool | None = None
    fixed_ips: Sequence[Mapping[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """A router's interface: its port, the subnet that was added or removed, and all subnets of the port."""

    router: Router
    port: Port
    subnet_ids: Sequence[str]


class Routers:
    """The routers of projects."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, viewer: Viewer, only: Only | None = None) -> list[Router]:
        """The routers that the viewer sees."""
        with self._books.reading() as tx:
            return _read(tx, viewer, *chosen(tables.routers, only or {}))

    def show(self, viewer: Viewer, router_id: str) -> Router:
        """A router.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return get_router(tx, viewer, router_id)

    def create(self, viewer: Viewer, specs: Sequence[Mapping[str, Any]]) -> list[Router]:
        """Make routers, all or none.

        Raises: QuotaExceeded, NotFound, Invalid, Conflict.
        """
        with self._books.writing() as tx:
            return [self._create(tx, viewer, **spec) for spec in specs]

    def _create(
        self,
        tx: Tx,
        viewer: Viewer,
        *,
        project_id: str,
        name: str = "",
        description: str = "",
        admin_state_up: bool = True,
        gateway: GatewaySpec | None = None,
    ) -> Router:
        check_quota(tx, project_id, "router")
        row = self._books.standard(project_id, description)
        tx.insert(
            tables.routers,
            **row,
            name=name,
            admin_state_up=admin_state_up,
            gateway_port_id=None,
            enable_snat=True,
            routes=[],
        )
        router = get_router(tx, EVERYTHING, row["id"])
        if gateway is not None:
            self._set_gateway(tx, viewer, router, gateway)
        return get_router(tx, EVERYTHING, router.id)

    def update(self, viewer: Viewer, router_id: str, changes: Mapping[str, Any]) -> Router:
        """Change a router. A ``gateway`` of None takes the gateway away.

        Raises: NotFound, Invalid; Conflict while floating IPs need the gateway.
        """
        with self._books.writing() as tx:
            router = get_router(tx, viewer, router_id)
            values = dict(changes)
            gateway = values.pop("gateway", router)
            if gateway is None or isinstance(gateway, GatewaySpec):
                self._set_gateway(tx, viewer, router, gateway)
            if "routes" in values:
                values["routes"] = _checked_routes(tx, router_id, values["routes"])
            self._books.change(tx, tables.routers, router_id, values)
            return get_router(tx, EVERYTHING, router_id)

    def add_routes(self, viewer: Viewer, router_id: str, routes: Sequence[Mapping[str, str]]) -> Router:
        """Add routes to those that a router has.

        Raises: NotFound, Invalid.
        """
        return self._change_routes(viewer, router_id, lambda old: [*old, *(each for each in routes if each not in old)])

    def remove_routes(self, viewer: Viewer, router_id: str, routes: Sequence[Mapping[str, str]]) -> Router:
        """Take routes from a router; those that it does not have do not matter.

        Raises: NotFound.
        """
        return self._change_routes(viewer, router_id, lambda old: [each for each in old if each not in routes])

    def _change_routes(self, viewer: Viewer, router_id: str, changed: Any) -> Router:
        with self._books.writing() as tx:
            router = get_router(tx, viewer, router_id)
            routes = _checked_routes(tx, router_id, changed([dict(each) for each in router.routes]))
            self._books.change(tx, tables.routers, router_id, {"routes": routes})
            return get_router(tx, EVERYTHING, router_id)

    def delete(self, viewer: Viewer, router_id: str) -> None:
        """Delete a router and its gateway.

        Raises: NotFound; Conflict while it has interfaces.
        """
        with self._books.writing() as tx:
            router = get_router(tx, viewer, router_id)
            ports = interfaces(tx, router_id)
            if ports:
                named = ", ".join(each.id for each in ports)
                raise conflict("RouterInUse", f"Router {router_id} has ports still attached: {named}")
            self._set_gateway(tx, EVERYTHING, router, None)
            tx.delete(tables.routers, tables.routers.c.id == router_id)

    def add_interface(
        self, viewer: Viewer, router_id: str, *, subnet_id: str | None = None, port_id: str | None = None
    ) -> Interface:
        """Connect a router to a subnet, at the subnet's gateway address, or by a port that is there.

        Raises: NotFound, Invalid; Conflict for a port that is in use.
        """
        if (subnet_id is None) == (port_id is None):
            raise bad_request(
                "router",
                "Either subnet_id or port_id must be specified"
                if subnet_id is None
                else "Cannot specify both subnet-id and port-id",
            )
        with self._books.writing() as tx:
            router = get_router(tx, viewer, router_id)
            if port_id is not None:
                return self._add_by_port(tx, viewer, router, port_id)
            assert subnet_id is not None
            return self._add_by_subnet(tx, viewer, router, subnet_id)

    def _add_by_subnet(self, tx: Tx, viewer: Viewer, router: Router, subnet_id: str) -> Interface:
        subnet = get_subnet(tx, viewer, subnet_id)
        if subnet.gateway_ip is None:
            raise bad_request("router", "Subnet for router interface must have a gateway IP")
        if not viewer.sees_all and viewer.project_id != subnet.project_id:
            raise bad_request(
                "router",
                f"Cannot add interface to router because subnet {subnet_id} is not owned by project making the request",
            )
        _check_mode(subnet)
        _check_overlaps(tx, router, [subnet])
        wanted = {"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}
        known = _ipv6_interface(tx, router.id, subnet.network_id) if subnet.ip_version == 6 else None
        if known is not None:
            allocation = Allocation(
                tx, known.network_id, known.id, mac=known.mac_address, device_owner=known.device_owner
            )
            allocation.given([wanted], with_automatic=False)
            self._books.change(tx, tables.ports, known.id, {})
            return Interface(router, get_port(tx, EVERYTHING, known.id), [subnet.id])
        port = create_port(
            tx,
            self._books,
            EVERYTHING,
            network_id=subnet.network_id,
            project_id=router.project_id,
            device_id=router.id,
            device_owner=ROUTER_INTERFACE,
            fixed_ips=[wanted],
        )
        return Interface(router, port, [subnet.id])

    def _add_by_port(self, tx: Tx, viewer: Viewer, router: Router, port_id: str) -> Interface:
        port = get_port(tx, viewer, port_id)
        if port.device_id:
            raise conflict(
                "PortInUse",
                f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
                f"attached device {port.device_id}.",
            )
        if not port.fixed_ips:
            raise bad_request("router", "Router port must have at least one fixed IP")
        subnets = [get_subnet(tx, EVERYTHING, each.subnet_id) for each in port.fixed_ips]
        for subnet in subnets:
            _check_mode(subnet)
        _check_overlaps(tx, router, subnets)
        if sum(each.ip_version == 4 for each in subnets) > 1:
            raise bad_request("router", "Cannot have multiple IPv4 subnets on router port")
        values: dict[str, Any] = {"device_id": router.id, "device_owner": ROUTER_INTERFACE}
        if port.port_security_enabled:
            values |= {"port_security_enabled": False, "allowed_address_pairs": [], "security_groups": []}
        port = update_port(tx, self._books, EVERYTHING, port_id, values)
        return Interface(router, port, [each.id for each in subnets])

    def remove_interface(
        self, viewer: Viewer, router_id: str, *, subnet_id: str | None = None, port_id: str | None = None
    ) -> Interface:
        """Disconnect a router from a subnet, or from all subnets of a port, which is deleted.

        Raises: NotFound, Invalid; Conflict while a floating IP or a route needs it.
        """
        if subnet_id is None and port_id is None:
            raise bad_request("router", "Either subnet_id or port_id must be specified")
        with self._books.writing() as tx:
            router = get_router(tx, viewer, router_id)
            port = _interface(tx, viewer, router_id, subnet_id, port_id)
            gone = [each for each in port.fixed_ips if port_id is not None or each.subnet_id == subnet_id]
            for each in gone:
                _check_not_needed(tx, router, get_subnet(tx, EVERYTHING, each.subnet_id))
            if len(gone) < len(port.fixed_ips):
                release(tx, gone)
                self._books.change(tx, tables.ports, port.id, {})
            else:
                delete_port(tx, self._books, port)
            return Interface(router, port, [each.subnet_id for each in gone])

    def _set_gateway(self, tx: Tx, viewer: Viewer, router: Router, gateway: GatewaySpec | None) -> None:
        """Give a router a gateway, another one, or none."""
        old = router.gateway
        if gateway is not None:
            _check_external(tx, viewer, gateway)
            if not old or old.network_id != gateway.network_id:
                _check_overlaps_gateway(tx, router, gateway.network_id)
        keeps = old is not None and gateway is not None and old.network_id == gateway.network_id
        if old is not None and not keeps:
            self._drop_gateway(tx, router, old)
        if gateway is None:
            return
        snat = True if gateway.enable_snat is None else gateway.enable_snat
        if keeps:
            assert router.gateway_port_id is not None
            if gateway.fixed_ips is not None:
                update_port(tx, self._books, EVERYTHING, router.gateway_port_id, {"fixed_ips": gateway.fixed_ips})
            self._books.change(tx, tables.routers, router.id, {"enable_snat": snat})
            return
        port = create_port(
            tx,
            self._books,
            EVERYTHING,
            network_id=gateway.network_id,
            project_id="",
            device_id=router.id,
            device_owner=ROUTER_GATEWAY,
            fixed_ips=gateway.fixed_ips or None,
        )
        if not port.fixed_ips:
            raise bad_request("router", f"No IPs available for external network {gateway.network_id}")
        self._books.change(tx, tables.routers, router.id, {"gateway_port_id": port.id, "enable_snat": snat})

    def _drop_gateway(self, tx: Tx, router: Router, old: Gateway) -> None:
        if tx.count(tables.floating_ips, tables.floating_ips.c.router_id == router.id):
            raise conflict(
                "RouterExternalGatewayInUseByFloatingIp",
                f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
                f"{old.network_id} is required by one or more floating IPs.",
            )
        assert router.gateway_port_id is not None
        self._books.change(tx, tables.routers, router.id, {"gateway_port_id": None, "enable_snat": True})
        delete_port(tx, self._books, get_port(tx, EVERYTHING, router.gateway_port_id))


def get_router(reader: Reader, viewer: Viewer, router_id: str) -> Router:
    """A router with its gateway.

    Raises: NotFound.
    """
    found(reader, tables.routers, "Router", router_id, *owned(tables.routers, viewer))
    return _read(reader, viewer, tables.routers.c.id == router_id)[0]


def interfaces(reader: Reader, router_id: str) -> list[Port]:
    """The ports by which a router is connected to subnets."""
    c = tables.ports.c
    return read_ports(reader, EVERYTHING, c.device_id == router_id, c.device_owner == ROUTER_INTERFACE)


def _read(reader: Reader, viewer: Viewer, *where: Any) -> list[Router]:
    rows = reader.find(tables.routers, *owned(tables.routers, viewer), *where)
    routers = [record(Router, row) for row in rows]
    wanted = [each.gateway_port_id for each in routers if each.gateway_port_id is not None]
    c = tables.ports.c
    one = c.id == wanted[0] if len(wanted) == 1 else c.device_owner == ROUTER_GATEWAY
    ports = {each.id: each for each in read_ports(reader, EVERYTHING, one)} if wanted else {}
    return [replace(each, gateway=_gateway(each, ports)) for each in routers]


def _gateway(router: Router, ports: Mapping[str, Port]) -> Gateway | None:
    if router.gateway_port_id is None:
        return None
    port = ports[router.gateway_port_id]
    return Gateway(network_id=port.network_id, enable_snat=router.enable_snat, fixed_ips=port.fixed_ips)


def _check_external(tx: Tx, viewer: Viewer, gateway: GatewaySpec) -> None:
    """Raises: NotFound, Invalid for a network that is not external or an address that is its gateway's."""
    if not get_network(tx, viewer, gateway.network_id).external:
        raise bad_request("router", f"Network {gateway.network_id} is not an external network")
    c = tables.subnets.c
    gateways = {row["gateway_ip"] for row in tx.find(tables.subnets, c.network_id == gateway.network_id)}
    for each in gateway.fixed_ips or ():
        if each.get("ip_address") in gateways:
            raise bad_request("router", f"External IP {each['ip_address']} is the same as the gateway IP")


def _check_overlaps_gateway(tx: Tx, router: Router, network_id: str) -> None:
    """Raises: Invalid if a subnet of the external network overlaps with one that the router is on."""
    c = tables.subnets.c
    outside = [record(Subnet, row) for row in tx.find(tables.subnets, c.network_id == network_id)]
    for port in interfaces(tx, router.id):
        for fixed in port.fixed_ips:
            _check_pair(get_subnet(tx, EVERYTHING, fixed.subnet_id), outside)


def _check_overlaps(tx: Tx, router: Router, subnets: Sequence[Subnet]) -> None:
    """Raises: Invalid if the router is on one of the subnets, or on one that overlaps."""
    new = {each.id for each in subnets}
    inside = [fixed.subnet_id for port in interfaces(tx, router.id) for fixed in port.fixed_ips]
    for subnet_id in inside:
        if subnet_id in new:
            raise bad_request("router", f"Router already has a port on subnet {subnet_id}")
    known = [get_subnet(tx, EVERYTHING, each) for each in inside]
    if router.gateway is not None:
        c = tables.subnets.c
        rows = tx.find(tables.subnets, c.network_id == router.gateway.network_id)
        known += [record(Subnet, row) for row in rows]
    for each in known:
        _check_pair(each, subnets)


def _check_pair(known: Subnet, subnets: Iterable[Subnet]) -> None:
    for subnet in subnets:
        if overlapping(parse_cidr(subnet.cidr), [parse_cidr(known.cidr)]) is not None:
            raise bad_request(
                "router",
                f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {known.cidr} of subnet {known.id}",
            )


def _check_mode(subnet: Subnet) -> None:
    """Raises: Invalid for a subnet that another router announces."""
    if subnet.ip_version == 6 and subnet.ipv6_ra_mode is None and subnet.ipv6_address_mode is not None:
        raise bad_request(
            "router",
            f"IPv6 subnet {subnet.id} configured to receive RAs from an external router cannot be added to Neutron "
            "Router.",
        )


def _ipv6_interface(tx: Tx, router_id: str, network_id: str) -> Port | None:
    """The interface of a router on a network that has IPv6 addresses: it takes the network's other prefixes too."""
    for port in interfaces(tx, router_id):
        if port.network_id == network_id and any(version_of(each.ip_address) == 6 for each in port.fixed_ips):
            return port
    return None


def _interface(tx: Tx, viewer: Viewer, router_id: str, subnet_id: str | None, port_id: str | None) -> Port:
    """The interface that is meant.

    Raises: NotFound; Invalid if port and subnet do not go together.
    """
    ports = interfaces(tx, router_id)
    if port_id is not None:
        port = next((each for each in ports if each.id == port_id), None)
        if port is None:
            raise NotFound(
                f"Router {router_id} does not have an interface with id {port_id}", type="RouterInterfaceNotFound"
            )
        if subnet_id is not None and subnet_id not in {each.subnet_id for each in port.fixed_ips}:
            raise invalid(
                "SubnetMismatchForPort", f"Subnet on port {port_id} does not match the requested subnet {subnet_id}."
            )
        return port
    assert subnet_id is not None
    on_it = [port for port in ports if any(fixed.subnet_id == subnet_id for fixed in port.fixed_ips)]
    if not on_it:
        if not tx.count(tables.subnets, tables.subnets.c.id == subnet_id):
            raise missing("Subnet", subnet_id)
        get_subnet(tx, viewer, subnet_id)
        raise NotFound(
            f"Router {router_id} has no interface on subnet {subnet_id}", type="RouterInterfaceNotFoundForSubnet"
        )
    return on_it[0]


def _check_not_needed(tx: Tx, router: Router, subnet: Subnet) -> None:
    """Raises: Conflict if a floating IP or a route leads through the router's interface on the subnet."""
    c = tables.floating_ips.c
    for row in tx.find(tables.floating_ips, c.router_id == router.id):
        fixed = tx.get(tables.addresses, subnet_id=subnet.id, ip_address=row["fixed_ip_address"])
        if fixed is not None and fixed["port_id"] == row["port_id"]:
            raise conflict(
                "RouterInterfaceInUseByFloatingIP",
                f"Router interface for subnet {subnet.id} on router {router.id} cannot be deleted, as it is required "
                "by one or more floating IPs.",
            )
    first, last = span_of(parse_cidr(subnet.cidr))
    for route in router.routes:
        hop = route["nexthop"]
        if version_of(hop) == subnet.ip_version and first <= parse_address(hop) <= last:
            raise conflict(
                "RouterInterfaceInUseByRoute",
                f"Router interface for subnet {subnet.id} on router {router.id} cannot be deleted, as it is required "
                "by one or more routes.",
            )


def _checked_routes(tx: Tx, router_id: str, routes: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Routes as they are kept.

    Raises: Invalid for too many, the same twice, or a next hop that the router does not reach or is itself.
    """
    told = [{"destination": each["destination"], "nexthop": each["nexthop"]} for each in routes]
    if len(told) > MOST_ROUTES:
        raise invalid(
            "RoutesExhausted",
            f"Unable to complete operation for {router_id}. The number of routes exceeds the maximum {MOST_ROUTES}.",
        )
    ports = read_ports(tx, EVERYTHING, tables.ports.c.device_id == router_id)
    fixed = [each for port in ports for each in port.fixed_ips]
    spans = [
        (version_of(each.ip_address), span_of(parse_cidr(get_subnet(tx, EVERYTHING, each.subnet_id).cidr)))
        for each in fixed
    ]
    for index, route in enumerate(told):
        if route in told[:index]:
            raise invalid_input(f"Duplicate items in the list: '{route}'")
        destination, hop = parse_cidr(route["destination"]), route["nexthop"]
        if version_of(hop) != destination.version:
            raise invalid_input(f"nexthop '{hop}' does not match the ip_version '{destination.version}'")
        number = parse_address(hop)
        if not any(version == version_of(hop) and low <= number <= high for version, (low, high) in spans):
            raise _invalid_routes(told, "the nexthop is not connected with router")
        if any(parse_address(each.ip_address) == number for each in fixed):
            raise _invalid_routes(told, "the nexthop is used by router")
    return told


def _invalid_routes(routes: Sequence[Mapping[str, str]], reason: str) -> Exception:
    return invalid("InvalidRoutes", f"Invalid format for routes: {routes}, {reason}")
