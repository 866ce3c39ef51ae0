"""Floating IPs: addresses of an external network that lead to a port's fixed address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sundog.control.network.addresses import FLOATING_IP, ROUTER_GATEWAY
from sundog.control.network.books import Books, Only, chosen, found, owned
from sundog.control.network.networks import get_network
from sundog.control.network.ports import UNASSOCIATED, create_port, delete_port, get_port
from sundog.control.network.quotas import check_quota
from sundog.control.network.records import FixedIp, FloatingIp, Port, record
from sundog.control.network.refusals import bad_request, conflict, invalid
from sundog.control.network.routers import interfaces
from sundog.control.network.subnets import get_subnet
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import network as tables
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.core.ipam import version_of
from sundog.errors import Conflict, NotFound


class FloatingIps:
    """The floating IPs of projects."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, viewer: Viewer, only: Only | None = None) -> list[FloatingIp]:
        """The floating IPs that the viewer sees."""
        with self._books.reading() as tx:
            table = tables.floating_ips
            rows = tx.find(table, *owned(table, viewer), *chosen(table, only or {}))
            return [record(FloatingIp, row) for row in rows]

    def show(self, viewer: Viewer, floating_id: str) -> FloatingIp:
        """A floating IP.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return get_floating_ip(tx, viewer, floating_id)

    def create(self, viewer: Viewer, specs: Sequence[Mapping[str, Any]]) -> list[FloatingIp]:
        """Take addresses of external networks, and associate them where a port is told.

        Raises: QuotaExceeded, NotFound, Invalid; Conflict for an address that is taken.
        """
        with self._books.writing() as tx:
            return [self._create(tx, viewer, **spec) for spec in specs]

    def _create(
        self,
        tx: Tx,
        viewer: Viewer,
        *,
        project_id: str,
        floating_network_id: str,
        description: str = "",
        floating_ip_address: str | None = None,
        subnet_id: str | None = None,
        port_id: str | None = None,
        fixed_ip_address: str | None = None,
    ) -> FloatingIp:
        _check_network(tx, viewer, floating_network_id)
        check_quota(tx, project_id, "floatingip")
        row = self._books.standard(project_id, description)
        port = self._port(tx, row["id"], floating_network_id, subnet_id, floating_ip_address)
        tx.insert(
            tables.floating_ips,
            **row,
            floating_network_id=floating_network_id,
            floating_ip_address=_ipv4(port.fixed_ips)[0].ip_address,
            floating_port_id=port.id,
            **UNASSOCIATED,
        )
        floating = get_floating_ip(tx, EVERYTHING, row["id"])
        values = _association(tx, viewer, floating, port_id, fixed_ip_address)
        tx.update(tables.floating_ips, tables.floating_ips.c.id == floating.id, **values)
        return get_floating_ip(tx, EVERYTHING, floating.id)

    def _port(self, tx: Tx, floating_id: str, network_id: str, subnet_id: str | None, address: str | None) -> Port:
        """The port that holds the address: one of IPv4, from any subnet if none is told."""
        told = {k: v for k, v in (("subnet_id", subnet_id), ("ip_address", address)) if v is not None}
        c = tables.subnets.c
        v4 = tx.find(tables.subnets, c.network_id == network_id, c.ip_version == 4, order_by=(c.created_at, c.id))
        exhausted: Conflict | None = None
        for wanted in [told] if told else [{"subnet_id": row["id"]} for row in v4]:
            try:
                return create_port(
                    tx,
                    self._books,
                    EVERYTHING,
                    network_id=network_id,
                    project_id="",
                    device_id=floating_id,
                    device_owner=FLOATING_IP,
                    fixed_ips=[wanted],
                )
            except Conflict as error:
                # The port that got no address is here still, without harm to another try: nothing refers to it.
                exhausted = error
                c_ = tables.ports.c
                tx.delete(tables.ports, c_.device_id == floating_id, c_.device_owner == FLOATING_IP)
                if told:
                    raise
        assert exhausted is not None
        raise invalid("ExternalIpAddressExhausted", f"Unable to find any IP address on external network {network_id}.")

    def update(self, viewer: Viewer, floating_id: str, changes: Mapping[str, Any]) -> FloatingIp:
        """Change a floating IP. A ``port_id`` associates it, None lets go, and without one it stays where it is.

        Raises: NotFound, Invalid; Conflict for a fixed address that has another.
        """
        with self._books.writing() as tx:
            floating = get_floating_ip(tx, viewer, floating_id)
            values = dict(changes)
            fixed = values.pop("fixed_ip_address", None)
            if "port_id" in values:
                values |= _association(tx, viewer, floating, values["port_id"], fixed)
            elif fixed is not None:
                values |= _association(tx, viewer, floating, floating.port_id, fixed)
            self._books.change(tx, tables.floating_ips, floating_id, values)
            return get_floating_ip(tx, EVERYTHING, floating_id)

    def delete(self, viewer: Viewer, floating_id: str) -> None:
        """Give a floating IP back.

        Raises: NotFound.
        """
        with self._books.writing() as tx:
            floating = get_floating_ip(tx, viewer, floating_id)
            tx.delete(tables.floating_ips, tables.floating_ips.c.id == floating_id)
            delete_port(tx, self._books, get_port(tx, EVERYTHING, floating.floating_port_id))


def get_floating_ip(reader: Reader, viewer: Viewer, floating_id: str) -> FloatingIp:
    """A floating IP.

    Raises: NotFound.
    """
    table = tables.floating_ips
    return record(FloatingIp, found(reader, table, "FloatingIP", floating_id, *owned(table, viewer)))


def _check_network(tx: Tx, viewer: Viewer, network_id: str) -> None:
    """Raises: NotFound; Invalid for a network that is not external or has no IPv4."""
    if not get_network(tx, viewer, network_id).external:
        raise bad_request("floatingip", f"Network {network_id} is not a valid external network")
    c = tables.subnets.c
    if not tx.count(tables.subnets, c.network_id == network_id, c.ip_version == 4):
        raise bad_request("floatingip", f"Network {network_id} does not contain any IPv4 subnet")


def _association(tx: Tx, viewer: Viewer, floating: FloatingIp, port_id: str | None, told: str | None) -> dict[str, Any]:
    """What the columns say of a floating IP that leads to a port, or to none."""
    if port_id is None:
        if told is not None:
            raise bad_request("floatingip", "fixed_ip_address cannot be specified without a port_id")
        return {**UNASSOCIATED}
    port = get_port(tx, viewer, port_id)
    if port.project_id != floating.project_id and not viewer.sees_all:
        raise bad_request(
            "floatingip",
            f"Cannot process floating IP association with Port {port_id}, since that port is owned by a different "
            "project",
        )
    fixed = _fixed(port, told)
    router_id = _router_for(tx, port, fixed, floating.floating_network_id)
    c = tables.floating_ips.c
    others = tx.find(
        tables.floating_ips,
        c.floating_network_id == floating.floating_network_id,
        c.port_id == port_id,
        c.fixed_ip_address == fixed.ip_address,
        c.id != floating.id,
    )
    if others:
        raise conflict(
            "FloatingIPPortAlreadyAssociated",
            f"Cannot associate floating IP {floating.floating_ip_address} ({floating.id}) with port {port_id} using "
            f"fixed IP {fixed.ip_address}, as that fixed IP already has a floating IP on external network "
            f"{floating.floating_network_id}.",
        )
    return {"port_id": port_id, "fixed_ip_address": fixed.ip_address, "router_id": router_id, "status": "ACTIVE"}


def _fixed(port: Port, told: str | None) -> FixedIp:
    """The address of a port that is meant.

    Raises: Invalid.
    """
    if port.device_owner.startswith("network:"):
        raise bad_request("floatingip", f"Port {port.id} is unable to be assigned a floating IP")
    if told is not None:
        if version_of(told) != 4:
            raise bad_request(
                "floatingip",
                f"Cannot process floating IP association with {told}, since that is not an IPv4 address",
            )
        for each in port.fixed_ips:
            if each.ip_address == told:
                return each
        raise bad_request("floatingip", f"Port {port.id} does not have fixed ip {told}")
    candidates = _ipv4(port.fixed_ips)
    if not candidates:
        raise bad_request("floatingip", f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses")
    if len(candidates) > 1:
        raise bad_request(
            "floatingip",
            f"Port {port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning "
            "a floating IP",
        )
    return candidates[0]


def _ipv4(fixed_ips: Sequence[FixedIp]) -> list[FixedIp]:
    return [each for each in fixed_ips if version_of(each.ip_address) == 4]


def _router_for(tx: Tx, port: Port, fixed: FixedIp, external_id: str) -> str:
    """The router between a subnet and an external network; the one at the subnet's gateway address, if several.

    Raises: NotFound if there is none.
    """
    subnet = get_subnet(tx, EVERYTHING, fixed.subnet_id)
    c = tables.ports.c
    routers = [
        str(row["device_id"])
        for row in tx.find(tables.ports, c.network_id == external_id, c.device_owner == ROUTER_GATEWAY)
    ]
    reached = [
        (each.ip_address != subnet.gateway_ip, router_id)
        for router_id in routers
        for interface in interfaces(tx, router_id)
        for each in interface.fixed_ips
        if each.subnet_id == subnet.id
    ]
    if not reached:
        raise NotFound(
            f"External network {external_id} is not reachable from subnet {subnet.id}.  Therefore, cannot associate "
            f"Port {port.id} with a Floating IP.",
            type="ExternalGatewayForFloatingIPNotFound",
        )
    return min(reached)[1]
