"""Networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, or_, select

from sundog.control.network.books import Books, Only, chosen, found, grouped
from sundog.control.network.groups import ensure_default_group
from sundog.control.network.quotas import check_quota
from sundog.control.network.records import NetworkRecord, record
from sundog.control.network.refusals import conflict, invalid_input
from sundog.control.store import Reader, Row, Tx
from sundog.control.store.tables import network as tables
from sundog.control.viewer import EVERYTHING, Viewer

TYPES: Final = ("flat", "vlan", "vxlan", "geneve", "gre", "local")
MTU: Final = {"flat": 1500, "vlan": 1500, "local": 1500, "vxlan": 1450, "geneve": 1442, "gre": 1458}
"""The longest packet by type of network, over wires that take 1500 bytes."""

_TUNNELS: Final = ("vxlan", "geneve", "gre")
_MOST_TUNNEL: Final = (1 << 24) - 1
_MOST_VLAN: Final = 4094


class Networks:
    """Networks, and what of them a project sees: its own, those shared with all, and external ones."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def list_all(self, viewer: Viewer, only: Only | None = None) -> list[NetworkRecord]:
        """The networks that the viewer sees."""
        with self._books.reading() as tx:
            rows = tx.find(tables.networks, *visible(viewer), *chosen(tables.networks, only or {}))
            subnets = grouped(_subnet_ids(tx, [row["id"] for row in rows]), "network_id")
            return [_network(row, subnets.get(row["id"], [])) for row in rows]

    def show(self, viewer: Viewer, network_id: str) -> NetworkRecord:
        """A network.

        Raises: NotFound.
        """
        with self._books.reading() as tx:
            return get_network(tx, viewer, network_id)

    def create(self, specs: Sequence[Mapping[str, Any]]) -> list[NetworkRecord]:
        """Make networks, all or none.

        Raises: QuotaExceeded, Invalid, Conflict.
        """
        with self._books.writing() as tx:
            return [create_network(tx, self._books, **spec) for spec in specs]

    def update(self, viewer: Viewer, network_id: str, changes: Mapping[str, Any]) -> NetworkRecord:
        """Change a network.

        Raises: NotFound; Conflict if others use what would no longer be shared or external.
        """
        with self._books.writing() as tx:
            network = get_network(tx, viewer, network_id)
            if network.shared and changes.get("shared") is False:
                _check_unshared(tx, network)
            if network.external and changes.get("external") is False:
                _check_no_gateways(tx, network)
            if any(changes.get(name, getattr(network, name)) != getattr(network, name) for name in _PROVIDER):
                raise invalid_input("Plugin does not support updating provider attributes")
            self._books.change(tx, tables.networks, network_id, changes)
            return get_network(tx, EVERYTHING, network_id)

    def delete(self, viewer: Viewer, network_id: str) -> None:
        """Delete a network, its subnets, and floating IPs of it that lead nowhere.

        Raises: NotFound; Conflict while it has other ports.
        """
        with self._books.writing() as tx:
            get_network(tx, viewer, network_id)
            _drop_idle_floating_ips(tx, network_id)
            ports = tx.find(tables.ports, tables.ports.c.network_id == network_id, limit=5)
            if ports:
                named = ", ".join(row["id"] for row in ports)
                raise conflict(
                    "NetworkInUse",
                    f"Unable to complete operation on network {network_id}. There are one or more ports still in use "
                    f"on the network, id for these ports is: {named}.",
                )
            tx.delete(tables.subnets, tables.subnets.c.network_id == network_id)
            tx.delete(tables.networks, tables.networks.c.id == network_id)


def visible(viewer: Viewer) -> list[ColumnElement[bool]]:
    """Conditions for the networks that the viewer sees."""
    return [] if viewer.sees_all else [visible_to(viewer.project_id)]


def visible_to(project: str | ColumnElement[str] | None) -> ColumnElement[bool]:
    """The condition for the networks that a project sees."""
    table = tables.networks.c
    return or_(table.project_id == project, table.shared, table.external)


def get_network(reader: Reader, viewer: Viewer, network_id: str) -> NetworkRecord:
    """A network, with the ids of its subnets.

    Raises: NotFound.
    """
    row = found(reader, tables.networks, "Network", network_id, *visible(viewer))
    return _network(row, _subnet_ids(reader, [network_id]))


def create_network(
    tx: Tx,
    books: Books,
    *,
    project_id: str,
    name: str = "",
    description: str = "",
    admin_state_up: bool = True,
    shared: bool = False,
    external: bool = False,
    mtu: int | None = None,
    port_security_enabled: bool = True,
    network_type: str | None = None,
    physical_network: str | None = None,
    segmentation_id: int | None = None,
) -> NetworkRecord:
    """Make a network; without a type it is a VXLAN of its own.

    Raises: QuotaExceeded; Invalid for provider attributes that do not go together; Conflict if they are taken.
    """
    check_quota(tx, project_id, "network")
    ensure_default_group(tx, books, project_id)
    kind, segment = _segment(tx, books, network_type, physical_network, segmentation_id)
    most = MTU[kind]
    if mtu is not None and not 68 <= (mtu or most) <= most:
        raise invalid_input(f"Requested MTU is too big, maximum is {most}" if mtu > most else "MTU is below 68")
    row = books.standard(project_id, description)
    tx.insert(
        tables.networks,
        **row,
        name=name,
        admin_state_up=admin_state_up,
        shared=shared,
        external=external,
        mtu=mtu or most,
        port_security_enabled=port_security_enabled,
        network_type=kind,
        physical_network=physical_network,
        segmentation_id=segment,
    )
    return get_network(tx, EVERYTHING, row["id"])


_PROVIDER: Final = ("network_type", "physical_network", "segmentation_id")


def _segment(
    tx: Tx, books: Books, kind: str | None, physical: str | None, number: int | None
) -> tuple[str, int | None]:
    """The type of a network and its number there, checked or chosen."""
    if kind is None:
        if physical is not None or number is not None:
            raise invalid_input("network_type required")
        return "vxlan", _free_tunnel(tx, books, "vxlan")
    if kind not in TYPES:
        raise invalid_input(f"network_type value '{kind}' not supported")
    if kind in ("flat", "vlan") and not physical:
        raise invalid_input(f"physical_network required for {kind} provider network")
    if kind not in ("flat", "vlan") and physical:
        raise invalid_input(f"physical_network prohibited for {kind} provider network")
    if kind in ("flat", "local"):
        if number is not None:
            raise invalid_input(f"segmentation_id prohibited for {kind} provider network")
        if kind == "flat" and _taken(tx, kind, physical, None):
            raise conflict(
                "FlatNetworkInUse", f"Unable to create the flat network. Physical network {physical} is in use."
            )
        return kind, None
    if number is None:
        return kind, _free_tunnel(tx, books, kind) if kind in _TUNNELS else _next_vlan(tx, physical)
    most = _MOST_VLAN if kind == "vlan" else _MOST_TUNNEL
    if not 1 <= number <= most:
        raise invalid_input(f"segmentation_id out of range (1 through {most})")
    if _taken(tx, kind, physical, number):
        if kind == "vlan":
            raise conflict(
                "VlanIdInUse",
                f"Unable to create the network. The VLAN {number} on physical network {physical} is in use.",
            )
        raise conflict("TunnelIdInUse", f"Unable to create the network. The tunnel ID {number} is in use.")
    return kind, number


def _taken(tx: Tx, kind: str, physical: str | None, number: int | None) -> bool:
    c = tables.networks.c
    same = (c.network_type == kind, c.physical_network == physical, c.segmentation_id == number)
    return tx.count(tables.networks, *same) > 0


def _free_tunnel(tx: Tx, books: Books, kind: str) -> int:
    """A number that no tunnel has, drawn: clouds that share a wire or a machine would all begin at the lowest one."""
    while _taken(tx, kind, None, number := 1 + int(books.ids.hex(6), 16) % _MOST_TUNNEL):
        pass
    return number


def _next_vlan(tx: Tx, physical: str | None) -> int:
    """The lowest number that no VLAN of this physical network has."""
    c = tables.networks.c
    told = tx.execute(select(c.segmentation_id).where(c.network_type == "vlan", c.physical_network == physical))
    used = {int(row[0]) for row in told}
    number = next(number for number in range(1, len(used) + 2) if number not in used)
    if number > _MOST_VLAN:
        raise conflict("NoNetworkAvailable", "Unable to create the network. No project network is available.")
    return number


def _subnet_ids(reader: Reader, network_ids: list[str]) -> list[Row]:
    c = tables.subnets.c
    if len(network_ids) == 1:
        where = c.network_id == network_ids[0]
    else:
        # All are as fast to read as a long list of some.
        where = c.network_id.is_not(None)
    query = select(c.id, c.network_id).where(where).order_by(c.created_at, c.id)
    return [dict(row) for row in reader.execute(query).mappings()]


def _network(row: Row, subnets: Sequence[Row]) -> NetworkRecord:
    return record(NetworkRecord, row, subnets=tuple(each["id"] for each in subnets))


def _drop_idle_floating_ips(tx: Tx, network_id: str) -> None:
    c = tables.floating_ips.c
    for row in tx.find(tables.floating_ips, c.floating_network_id == network_id, c.port_id.is_(None)):
        tx.delete(tables.floating_ips, c.id == row["id"])
        # The addresses go with their port and need not be given back: the network's subnets are about to go too.
        tx.delete(tables.ports, tables.ports.c.id == row["floating_port_id"])


def _check_unshared(tx: Tx, network: NetworkRecord) -> None:
    """Raises: Conflict if another project has something on the network."""
    own = (network.project_id, "")
    for table in (tables.ports, tables.subnets):
        if tx.count(table, table.c.network_id == network.id, table.c.project_id.not_in(own)):
            raise conflict(
                "InvalidSharedSetting",
                f"Unable to reconfigure sharing settings for network {network.id}. Multiple projects are using it.",
            )


def _check_no_gateways(tx: Tx, network: NetworkRecord) -> None:
    c = tables.ports.c
    if tx.count(tables.ports, c.network_id == network.id, c.device_owner == "network:router_gateway"):
        raise conflict(
            "ExternalNetworkInUse",
            f"External network {network.id} cannot be updated to be made non-external, since it has existing "
            "gateway ports.",
        )
