"""Ports: a MAC, addresses and security groups on a network, for one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import or_, select

from sundog.control.network import addresses
from sundog.control.network.addresses import FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACE, Allocation
from sundog.control.network.books import Books, Only, chosen, found, grouped
from sundog.control.network.groups import check_groups, ensure_default_group
from sundog.control.network.networks import visible
from sundog.control.network.quotas import check_quota
from sundog.control.network.records import FixedIp, Port, record
from sundog.control.network.refusals import bad_request, conflict, invalid, invalid_input, missing
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import network as tables
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.core.ipam import address_text, parse_address, version_of

ROUTERS: Final = (ROUTER_INTERFACE, ROUTER_GATEWAY)
OURS: Final = (*ROUTERS, FLOATING_IP)
"""Owners whose ports come and go with a router or a floating IP alone."""

MOST_PAIRS: Final = 10


class Ports:
    """Ports: a project sees its own, and all of its networks."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, viewer: Viewer, only: Only | None = None) -> list[Port]:
        """The ports that the viewer sees."""
        with self._books.reading() as tx:
            return read_ports(tx, viewer, *chosen(tables.ports, only or {}))

    def show(self, viewer: Viewer, port_id: str) -> Port:
        """A port.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return get_port(tx, viewer, port_id)

    def create(self, viewer: Viewer, specs: Sequence[Mapping[str, Any]]) -> list[Port]:
        """Make ports, all or none.

        Raises: NotFound, QuotaExceeded, Invalid; Conflict for an address or MAC that is taken.
        """
        with self._books.writing() as tx:
            return [create_port(tx, self._books, viewer, **spec) for spec in specs]

    def update(self, viewer: Viewer, port_id: str, changes: Mapping[str, Any]) -> Port:
        """Change a port.

        Raises: NotFound, Invalid; Conflict for an address or MAC that is taken.
        """
        with self._books.writing() as tx:
            return update_port(tx, self._books, viewer, port_id, changes)

    def delete(self, viewer: Viewer, port_id: str) -> None:
        """Delete a port. Its floating IPs stay, with no port.

        Raises: NotFound; Conflict for a port of a router or a floating IP.
        """
        with self._books.writing() as tx:
            port = get_port(tx, viewer, port_id)
            if port.device_owner in OURS:
                raise conflict(
                    "ServicePortInUse",
                    f"Port {port_id} cannot be deleted directly via the port API: has device owner "
                    f"{port.device_owner}.",
                )
            delete_port(tx, self._books, port)


def read_ports(reader: Reader, viewer: Viewer, *where: Any) -> list[Port]:
    """The ports that meet ``where``, by id, with their addresses and groups."""
    p, n = tables.ports, tables.networks.c
    query = (
        select(p, n.project_id.label("network_project_id"))
        .join_from(p, tables.networks, p.c.network_id == n.id)
        .where(*where)
        .order_by(p.c.id)
    )
    if not viewer.sees_all:
        query = query.where(or_(p.c.project_id == viewer.project_id, n.project_id == viewer.project_id))
    rows = [dict(row) for row in reader.execute(query).mappings()]
    ids = [row["id"] for row in rows]
    a = tables.addresses.c
    # For more than these many, reading all is as fast as naming each.
    theirs = [] if len(ids) > 500 else [{"port_id": ids}]
    ips = grouped(reader.find(tables.addresses, *theirs, order_by=(a.port_id, a.position)), "port_id")
    members = grouped(reader.find(tables.port_groups, *theirs), "port_id")
    return [
        record(
            Port,
            row,
            fixed_ips=tuple(record(FixedIp, each) for each in ips.get(row["id"], [])),
            security_groups=tuple(each["security_group_id"] for each in members.get(row["id"], [])),
        )
        for row in rows
    ]


def get_port(reader: Reader, viewer: Viewer, port_id: str) -> Port:
    """A port.

    Raises: NotFound.
    """
    ports = read_ports(reader, viewer, tables.ports.c.id == port_id)
    if not ports:
        raise missing("Port", port_id)
    return ports[0]


def create_port(
    tx: Tx,
    books: Books,
    viewer: Viewer,
    *,
    network_id: str,
    project_id: str,
    name: str = "",
    description: str = "",
    mac_address: str | None = None,
    fixed_ips: Sequence[Mapping[str, str]] | None = None,
    security_groups: Sequence[str] | None = None,
    admin_state_up: bool = True,
    device_id: str = "",
    device_owner: str = "",
    port_security_enabled: bool | None = None,
    allowed_address_pairs: Sequence[Mapping[str, str]] = (),
    extra_dhcp_opts: Sequence[Mapping[str, Any]] = (),
    host_id: str = "",
    vnic_type: str = "normal",
    profile: Mapping[str, Any] | None = None,
) -> Port:
    """Make a port, with addresses and security groups of its own accord where nothing is asked.

    Raises: NotFound, QuotaExceeded, Invalid; Conflict for an address or MAC that is taken.
    """
    network = found(tx, tables.networks, "Network", network_id, *visible(viewer))
    ours = device_owner.startswith("network:")
    security = network["port_security_enabled"] if port_security_enabled is None else port_security_enabled
    security = security and not ours
    groups = _groups(tx, books, viewer, project_id, security_groups, security, ours)
    _check_device(tx, viewer, device_owner, device_id)
    check_quota(tx, project_id, "port")
    mac = _mac(tx, network_id, mac_address) if mac_address else books.new_mac(tx, network_id)
    pairs = checked_pairs(allowed_address_pairs, security, mac)
    values = {
        **books.standard(project_id, description),
        "name": name,
        "network_id": network_id,
        "mac_address": mac,
        "admin_state_up": admin_state_up,
        "status": _status(host_id, device_owner),
        "device_id": device_id,
        "device_owner": device_owner,
        "port_security_enabled": security,
        "allowed_address_pairs": pairs,
        "extra_dhcp_opts": merged_options([], extra_dhcp_opts),
        "host_id": host_id,
        "vnic_type": vnic_type,
        "profile": dict(profile or {}),
    }
    tx.insert(tables.ports, **values)
    port_id = values["id"]
    allocation = Allocation(tx, network_id, port_id, mac=mac, device_owner=device_owner, is_new=True)
    if fixed_ips is None:
        allocation.of_its_own()
    else:
        allocation.given(fixed_ips, with_automatic=bool(fixed_ips))
    _join(tx, port_id, groups)
    return Port(
        **values,
        fixed_ips=tuple(allocation.given_now),
        security_groups=tuple(sorted(groups)),
        network_project_id=network["project_id"],
    )


def update_port(tx: Tx, books: Books, viewer: Viewer, port_id: str, changes: Mapping[str, Any]) -> Port:
    """Change a port.

    Raises: NotFound, Invalid; Conflict for an address or MAC that is taken.
    """
    port = get_port(tx, viewer, port_id)
    values = dict(changes)
    fixed_ips, groups = values.pop("fixed_ips", None), values.pop("security_groups", None)
    mac = port.mac_address
    if values.get("mac_address", mac).lower() != mac:
        mac = values["mac_address"] = _mac(tx, port.network_id, values["mac_address"])
    security = values.get("port_security_enabled", port.port_security_enabled)
    members = port.security_groups if groups is None else groups
    if not security and members and port.port_security_enabled:
        raise conflict(
            "PortSecurityPortHasSecurityGroup",
            "Port has security group associated. Cannot disable port security or IP address until security group is "
            "removed.",
        )
    if groups is not None:
        if groups and not security:
            raise _needs_security()
        check_groups(tx, viewer, groups)
    pairs = checked_pairs(values.get("allowed_address_pairs", port.allowed_address_pairs), security, mac)
    if "allowed_address_pairs" in values:
        values["allowed_address_pairs"] = pairs
    if "extra_dhcp_opts" in values:
        values["extra_dhcp_opts"] = merged_options(port.extra_dhcp_opts, values["extra_dhcp_opts"])
    owner = values.get("device_owner", port.device_owner)
    if owner != port.device_owner or values.get("device_id", port.device_id) != port.device_id:
        if port.device_owner in OURS:
            raise invalid_input(f"The device of a port of {port.device_owner} cannot be changed")
        _check_device(tx, viewer, owner, values.get("device_id", port.device_id))
    if {"host_id", "device_owner"} & set(values):
        values["status"] = _status(values.get("host_id", port.host_id), owner)
    books.change(tx, tables.ports, port_id, values)
    if fixed_ips is not None:
        _update_addresses(tx, port, fixed_ips, mac)
    if groups is not None:
        tx.delete(tables.port_groups, tables.port_groups.c.port_id == port_id)
        _join(tx, port_id, groups)
    return get_port(tx, EVERYTHING, port_id)


def delete_port(tx: Tx, books: Books, port: Port) -> None:
    """Delete a port, whoever owns it; its floating IPs let go of it."""
    table = tables.floating_ips
    for row in tx.find(table, table.c.port_id == port.id):
        books.change(tx, table, row["id"], {**UNASSOCIATED})
    addresses.release(tx, port.fixed_ips)
    tx.delete(tables.ports, tables.ports.c.id == port.id)


UNASSOCIATED: Final[Mapping[str, Any]] = {
    "port_id": None,
    "fixed_ip_address": None,
    "router_id": None,
    "status": "DOWN",
}
"""What a floating IP without a port says."""


def checked_pairs(pairs: Sequence[Mapping[str, str]], security: bool, mac: str) -> list[dict[str, str]]:
    """Allowed address pairs; one without a MAC has the port's.

    Raises: Invalid for too many or the same twice; Conflict without port security.
    """
    if not pairs:
        return []
    if not security:
        raise conflict(
            "AddressPairAndPortSecurityRequired",
            "Port Security must be enabled in order to have allowed address pairs on a port.",
        )
    if len(pairs) > MOST_PAIRS:
        raise invalid(
            "AllowedAddressPairExhausted", f"The number of allowed address pair exceeds the maximum {MOST_PAIRS}."
        )
    told = [{"mac_address": each.get("mac_address", mac), "ip_address": each["ip_address"]} for each in pairs]
    for index, each in enumerate(told):
        if each in told[:index]:
            raise invalid_input(
                f"Request contains duplicate address pair: mac_address {each['mac_address']} ip_address "
                f"{each['ip_address']}",
                kind="DuplicateAddressPairInRequest",
            )
    return told


def merged_options(known: Sequence[Mapping[str, Any]], told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """DHCP options with what is told of them: one of the same name and IP version is replaced, or goes for no value."""
    options = {(each["opt_name"], each["ip_version"]): dict(each) for each in known}
    for each in told:
        key = (each["opt_name"], each.get("ip_version", 4))
        if each.get("opt_value") is None:
            options.pop(key, None)
        else:
            options[key] = {"opt_name": key[0], "opt_value": each["opt_value"], "ip_version": key[1]}
    return list(options.values())


def _groups(
    tx: Tx,
    books: Books,
    viewer: Viewer,
    project_id: str,
    told: Sequence[str] | None,
    security: bool,
    ours: bool,
) -> list[str]:
    """The security groups of a new port."""
    if told is None:
        default = ensure_default_group(tx, books, project_id)
        return [default] if default and security and not ours else []
    if told and not security:
        raise _needs_security()
    check_groups(tx, viewer, told)
    return list(dict.fromkeys(told))


def _needs_security() -> Exception:
    return invalid(
        "PortSecurityAndIPRequiredForSecurityGroups",
        "Port security must be enabled and port must have an IP address in order to use security groups.",
    )


def _join(tx: Tx, port_id: str, group_ids: Sequence[str]) -> None:
    rows = [{"port_id": port_id, "security_group_id": each} for each in dict.fromkeys(group_ids)]
    tx.insert_many(tables.port_groups, rows)


def _mac(tx: Tx, network_id: str, told: str) -> str:
    """Raises: Conflict if another port of the network has the MAC."""
    mac = told.lower().replace("-", ":")
    if tx.get(tables.ports, network_id=network_id, mac_address=mac) is not None:
        raise conflict(
            "MacAddressInUse",
            f"Unable to complete operation for network {network_id}. The mac address {mac} is in use.",
        )
    return mac


def _check_device(tx: Tx, viewer: Viewer, owner: str, device_id: str) -> None:
    """Raises: Conflict for a port that would be the interface of somebody else's router."""
    if viewer.sees_all or owner not in ROUTERS or not device_id:
        return
    router = tx.get(tables.routers, id=device_id)
    if router is None or router["project_id"] != viewer.project_id:
        raise conflict(
            "DeviceIDNotOwnedByTenant",
            f"The following device_id {device_id} is not owned by your project or matches another project router.",
        )


def _status(host_id: str, owner: str) -> str:
    """A port works where it is bound to a host, and where the cloud itself serves it."""
    if owner == FLOATING_IP:
        return "N/A"
    return "ACTIVE" if host_id or owner.startswith("network:") else "DOWN"


def _update_addresses(tx: Tx, port: Port, wanted: Sequence[Mapping[str, str]], mac: str) -> None:
    """Keep what is wanted and there, give back what is not, and give the rest.

    An automatic address stays unless another subnet is gone from it; what a floating IP leads to cannot go.
    """
    allocation = Allocation(tx, port.network_id, port.id, mac=mac, device_owner=port.device_owner)
    automatic = {each.id for each in allocation.subnets if each.is_automatic}
    left, more = list(port.fixed_ips), []
    for each in sorted(wanted, key=lambda each: "ip_address" not in each):
        kept = next((fixed for fixed in left if _same(fixed, each)), None)
        if kept is not None:
            left.remove(kept)
        else:
            more.append(each)
    gone = [each for each in left if port.device_owner == ROUTER_INTERFACE or each.subnet_id not in automatic]
    _check_no_floating(tx, port, gone)
    addresses.release(tx, gone)
    allocation.given(more, with_automatic=False)


def _same(fixed: FixedIp, wanted: Mapping[str, str]) -> bool:
    if wanted.get("subnet_id", fixed.subnet_id) != fixed.subnet_id:
        return False
    told = wanted.get("ip_address")
    return told is None or address_text(parse_address(told), version_of(told)) == fixed.ip_address


def _check_no_floating(tx: Tx, port: Port, gone: Sequence[FixedIp]) -> None:
    """Raises: Invalid if a floating IP leads to one of the addresses."""
    lost = [each.ip_address for each in gone]
    table = tables.floating_ips
    rows = tx.find(table, table.c.port_id == port.id, table.c.fixed_ip_address.in_(lost))
    if rows:
        raise bad_request(
            "port",
            f"Cannot update the fixed_ips of the port {port.id}, because floating IP {rows[0]['id']} is associated "
            f"with its address {rows[0]['fixed_ip_address']}",
        )
