"""Subnets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import or_, select

from sundog.control.network import addresses
from sundog.control.network.books import Books, Only, chosen
from sundog.control.network.networks import get_network
from sundog.control.network.pools import allocated_cidr
from sundog.control.network.quotas import check_quota
from sundog.control.network.records import FixedIp, Subnet, record
from sundog.control.network.refusals import bad_request, conflict, invalid, invalid_input, missing
from sundog.control.store import Reader, Row, Tx
from sundog.control.store.tables import network as tables
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.core.ipam import (
    Intervals,
    IPNetwork,
    address_text,
    default_gateway,
    default_spans,
    is_host,
    overlapping,
    parse_address,
    parse_cidr,
    span_of,
    version_of,
)
from sundog.errors import Invalid

MOST_NAMESERVERS: Final = 5
MOST_HOST_ROUTES: Final = 20
AUTOMATIC: Final = ("slaac", "dhcpv6-stateless")
UNSET: Final = object()
"""What was not said, where None means something."""


class Subnets:
    """Subnets: a project sees its own, those of its networks, and those of networks shared with all."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, viewer: Viewer, only: Only | None = None) -> list[Subnet]:
        """The subnets that the viewer sees."""
        with self._books.reading() as tx:
            return _read(tx, viewer, *chosen(tables.subnets, only or {}))

    def show(self, viewer: Viewer, subnet_id: str) -> Subnet:
        """A subnet.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return get_subnet(tx, viewer, subnet_id)

    def create(self, viewer: Viewer, specs: Sequence[Mapping[str, Any]]) -> list[Subnet]:
        """Make subnets, all or none.

        Raises: NotFound for a network that is not there; QuotaExceeded, Invalid, Conflict.
        """
        with self._books.writing() as tx:
            return [create_subnet(tx, self._books, viewer, **spec) for spec in specs]

    def update(self, viewer: Viewer, subnet_id: str, changes: Mapping[str, Any]) -> Subnet:
        """Change a subnet.

        Raises: NotFound, Invalid; Conflict for a gateway that is in use.
        """
        with self._books.writing() as tx:
            subnet = get_subnet(tx, viewer, subnet_id)
            network = parse_cidr(subnet.cidr)
            values = dict(changes)
            pools = values.get("allocation_pools", subnet.allocation_pools)
            gateway = values.get("gateway_ip", subnet.gateway_ip)
            _check_lists(subnet.id, subnet.ip_version, values)
            if "enable_dhcp" in values and not values["enable_dhcp"] and subnet.ipv6_address_mode:
                raise invalid_input("Cannot disable enable_dhcp with ipv6 attributes set")
            if values.get("enable_dhcp") and not subnet.enable_dhcp:
                _check_dhcp(network)
            if gateway != subnet.gateway_ip:
                _check_gateway_free(tx, subnet)
            if "allocation_pools" in values or "gateway_ip" in values:
                spans = _checked_pools(network, pools, gateway)
                values["allocation_pools"] = _pools(spans, pools, subnet.ip_version)
                addresses.new_pool(tx, subnet.id, spans)
            self._books.change(tx, tables.subnets, subnet_id, values)
            return get_subnet(tx, EVERYTHING, subnet_id)

    def delete(self, viewer: Viewer, subnet_id: str) -> None:
        """Delete a subnet. Addresses that ports gave themselves go with it.

        Raises: NotFound; Conflict while ports have addresses from it.
        """
        with self._books.writing() as tx:
            subnet = get_subnet(tx, viewer, subnet_id)
            a, p = tables.addresses.c, tables.ports.c
            query = (
                select(a.ip_address, p.id, p.device_owner).join_from(tables.addresses, tables.ports, a.port_id == p.id)
            ).where(a.subnet_id == subnet_id)
            rows = list(tx.execute(query).mappings())
            if any(not subnet.is_automatic or row["device_owner"] == addresses.ROUTER_INTERFACE for row in rows):
                raise conflict(
                    "SubnetInUse",
                    f"Unable to complete operation on subnet {subnet_id}: One or more ports have an IP allocation "
                    "from this subnet.",
                )
            addresses.release(tx, [FixedIp(subnet_id=subnet_id, ip_address=row["ip_address"]) for row in rows])
            tx.delete(tables.subnets, tables.subnets.c.id == subnet_id)


def get_subnet(reader: Reader, viewer: Viewer, subnet_id: str) -> Subnet:
    """A subnet, with what is its network's.

    Raises: NotFound.
    """
    subnets = _read(reader, viewer, tables.subnets.c.id == subnet_id)
    if not subnets:
        raise missing("Subnet", subnet_id)
    return subnets[0]


def create_subnet(
    tx: Tx,
    books: Books,
    viewer: Viewer,
    *,
    network_id: str,
    project_id: str,
    name: str = "",
    description: str = "",
    ip_version: int | None = None,
    cidr: str | None = None,
    subnetpool_id: str | None = None,
    use_default_subnetpool: bool = False,
    prefixlen: int | None = None,
    gateway_ip: Any = UNSET,
    allocation_pools: Sequence[Mapping[str, str]] | None = None,
    dns_nameservers: Sequence[str] = (),
    host_routes: Sequence[Mapping[str, str]] = (),
    enable_dhcp: bool = True,
    ipv6_ra_mode: str | None = None,
    ipv6_address_mode: str | None = None,
) -> Subnet:
    """Make a subnet from a CIDR or a subnet pool, and give automatic addresses to the ports that are there already.

    Raises: NotFound, QuotaExceeded, Invalid.
    """
    get_network(tx, viewer, network_id)
    if cidr is None or subnetpool_id is not None or use_default_subnetpool:
        if allocation_pools and cidr is None:
            raise bad_request("subnets", "allocation_pools allowed only for specific subnet requests.")
        pool_id, net = allocated_cidr(
            tx,
            viewer,
            project_id,
            cidr=cidr,
            prefixlen=prefixlen,
            pool_id=subnetpool_id,
            use_default=use_default_subnetpool,
            ip_version=ip_version,
        )
    else:
        if prefixlen is not None:
            raise bad_request("subnets", "cidr and prefixlen must not be supplied together")
        pool_id, net = None, parse_cidr(cidr)
    version = net.version if ip_version is None else ip_version
    if version != net.version:
        raise invalid_input(f"cidr '{net}' does not match the ip_version '{version}'")
    _check_overlap(tx, network_id, net)
    _check_ipv6(version, ipv6_ra_mode, ipv6_address_mode, enable_dhcp, net)
    if enable_dhcp:
        _check_dhcp(net)
    lists = {"dns_nameservers": list(dns_nameservers), "host_routes": list(host_routes)}
    _check_lists("new subnet", version, lists)
    gateway = default_gateway(net) if gateway_ip is UNSET else gateway_ip
    spans = _checked_pools(net, allocation_pools, gateway)
    check_quota(tx, project_id, "subnet")
    row = books.standard(project_id, description)
    tx.insert(
        tables.subnets,
        **row,
        **lists,
        name=name,
        network_id=network_id,
        subnetpool_id=pool_id,
        ip_version=version,
        cidr=str(net),
        gateway_ip=None if gateway is None else address_text(parse_address(gateway), version),
        enable_dhcp=enable_dhcp,
        ipv6_ra_mode=ipv6_ra_mode,
        ipv6_address_mode=ipv6_address_mode,
        allocation_pools=_pools(spans, allocation_pools, version),
    )
    addresses.new_pool(tx, row["id"], spans)
    if ipv6_address_mode in AUTOMATIC:
        _address_ports(tx, network_id, row["id"])
    return get_subnet(tx, EVERYTHING, row["id"])


def _read(reader: Reader, viewer: Viewer, *where: Any) -> list[Subnet]:
    s, n = tables.subnets, tables.networks.c
    query = (
        select(s, n.project_id.label("network_project_id"), n.shared, n.external)
        .join_from(s, tables.networks, s.c.network_id == n.id)
        .where(*where)
        .order_by(s.c.id)
    )
    if not viewer.sees_all:
        query = query.where(or_(s.c.project_id == viewer.project_id, n.project_id == viewer.project_id, n.shared))
    return [record(Subnet, row) for row in reader.execute(query).mappings()]


def _check_overlap(tx: Tx, network_id: str, net: IPNetwork) -> None:
    """Raises: Invalid if the network has the addresses already, or for a prefix that covers everything."""
    if net.prefixlen == 0:
        raise invalid_input("0 is not allowed as CIDR prefix length")
    c = tables.subnets.c
    rows: list[Row] = tx.find(tables.subnets, c.network_id == network_id)
    if overlapping(net, [parse_cidr(row["cidr"]) for row in rows]) is not None:
        raise invalid_input(f"Requested subnet with cidr: {net} for network: {network_id} overlaps with another subnet")


def _check_ipv6(version: int, ra_mode: str | None, address_mode: str | None, dhcp: bool, net: IPNetwork) -> None:
    """Raises: Invalid for modes that do not go together."""
    if version == 4:
        for name, mode in (("ipv6_ra_mode", ra_mode), ("ipv6_address_mode", address_mode)):
            if mode is not None:
                raise invalid_input(f"{name} is not valid when ip_version is 4")
        return
    if (ra_mode or address_mode) and not dhcp:
        raise invalid_input("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if ra_mode and address_mode and ra_mode != address_mode:
        raise invalid_input(
            f"ipv6_ra_mode set to '{ra_mode}' with ipv6_address_mode set to '{address_mode}' is not valid. If both "
            "attributes are set, they must be the same value"
        )
    if address_mode in AUTOMATIC and net.prefixlen != 64:
        raise invalid_input(
            f"Invalid CIDR {net} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the "
            "prefix to be /64"
        )


def _check_dhcp(net: IPNetwork) -> None:
    """Raises: Invalid for a network that cannot have DHCP."""
    if net.prefixlen > (30 if net.version == 4 else 126):
        raise invalid_input("Subnet has a prefix length that is incompatible with DHCP service enabled")
    if net.is_multicast:
        raise invalid_input("Multicast IP subnet is not supported if enable_dhcp is True")
    if net.is_loopback:
        raise invalid_input("Loopback IP subnet is not supported if enable_dhcp is True")
    if net.version == 4 and span_of(net)[0] == 0:
        raise invalid_input("First IP '0.0.0.0' of network is not supported if enable_dhcp is True.")


def _check_lists(subnet_id: str, version: int, values: Mapping[str, Any]) -> None:
    """Raises: Invalid for name servers and routes that are too many or of another version."""
    servers, routes = values.get("dns_nameservers") or (), values.get("host_routes") or ()
    if len(servers) > MOST_NAMESERVERS:
        raise invalid(
            "DNSNameServersExhausted",
            f"Unable to complete operation for {subnet_id}. The number of DNS nameservers exceeds the limit "
            f"{MOST_NAMESERVERS}.",
        )
    if len(routes) > MOST_HOST_ROUTES:
        raise invalid(
            "HostRoutesExhausted",
            f"Unable to complete operation for {subnet_id}. The number of host routes exceeds the limit "
            f"{MOST_HOST_ROUTES}.",
        )
    told = [("dns_nameserver", each) for each in servers]
    told += [(name, route[name]) for route in routes for name in ("destination", "nexthop")]
    for name, address in told:
        try:
            match = version_of(address) == version
        except Invalid:
            raise invalid_input(f"Error parsing {name} address {address}") from None
        if not match:
            raise invalid_input(f"{name} '{address}' does not match the ip_version '{version}'")


def _checked_pools(net: IPNetwork, pools: Sequence[Mapping[str, str]] | None, gateway: str | None) -> Intervals:
    """What the subnet gives out of its own accord.

    Raises: Invalid for pools or a gateway that are not of the subnet; Conflict if pools overlap or hold the gateway.
    """
    if gateway is not None:
        if version_of(gateway) != net.version:
            raise invalid_input(f"gateway_ip '{gateway}' does not match the ip_version '{net.version}'")
        number, (first, last) = parse_address(gateway), span_of(net)
        if first <= number <= last and net.version == 4 and not is_host(net, number):
            raise invalid_input("Gateway is not valid on subnet")
    if pools is None:
        return default_spans(net, gateway)
    spans = [_span(net, pool) for pool in pools]
    for index, (first, last) in enumerate(spans):
        for other, (low, high) in enumerate(spans[:index]):
            if low <= last and first <= high:
                raise conflict(
                    "OverlappingAllocationPools",
                    f"Found overlapping allocation pools: {_words(pools[other])} {_words(pools[index])} for subnet "
                    f"{net}.",
                )
        if gateway is not None and first <= parse_address(gateway) <= last:
            raise conflict(
                "GatewayConflictWithAllocationPools",
                f"Gateway ip {gateway} conflicts with allocation pool {_words(pools[index])}.",
            )
    return Intervals.of(spans)


def _span(net: IPNetwork, pool: Mapping[str, str]) -> tuple[int, int]:
    versions = {version_of(pool["start"]), version_of(pool["end"])}
    first, last = parse_address(pool["start"]), parse_address(pool["end"])
    if versions != {net.version} or first > last:
        raise invalid("InvalidAllocationPool", f"The allocation pool {_words(pool)} is not valid.")
    if not (is_host(net, first) and is_host(net, last)):
        raise invalid(
            "OutOfBoundsAllocationPool",
            f"The allocation pool {_words(pool)} spans beyond the subnet cidr {net}.",
        )
    return first, last


def _words(pool: Mapping[str, str]) -> str:
    return f"{pool['start']}-{pool['end']}"


def _pools(spans: Intervals, told: Sequence[Mapping[str, str]] | None, version: int) -> list[dict[str, str]]:
    """Allocation pools as they are shown: as they were told, so that neighbours stay apart."""
    if told is not None:
        return [{"start": each["start"], "end": each["end"]} for each in told]
    return [{"start": address_text(first, version), "end": address_text(last, version)} for first, last in spans]


def _check_gateway_free(tx: Tx, subnet: Subnet) -> None:
    """Raises: Conflict while a router has the gateway's address."""
    if subnet.gateway_ip is None:
        return
    row = tx.get(tables.addresses, subnet_id=subnet.id, ip_address=subnet.gateway_ip)
    if row is None:
        return
    port = tx.get(tables.ports, id=row["port_id"])
    if port is not None and port["device_owner"] == addresses.ROUTER_INTERFACE:
        raise conflict(
            "GatewayIpInUse",
            f"Current gateway ip {subnet.gateway_ip} already in use by port {port['id']}. Unable to update.",
        )


def _address_ports(tx: Tx, network_id: str, subnet_id: str) -> None:
    """Give every port of a network the address that follows from its MAC in a new automatic subnet."""
    for port in tx.find(tables.ports, tables.ports.c.network_id == network_id):
        if port["device_owner"] != addresses.ROUTER_INTERFACE:
            given = addresses.Allocation(
                tx, network_id, port["id"], mac=port["mac_address"], device_owner=port["device_owner"]
            )
            given.given([{"subnet_id": subnet_id}], with_automatic=False)
