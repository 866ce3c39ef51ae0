"""What servers have of the network: ports, in the transactions that write the servers.

A port that a client made is given back when its server goes; one that was made for the server goes with it. Which are
the client's is in the server's ``kept["given_ports"]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Select, bindparam, exists, select

from sundog.backends.contract import PortSpec
from sundog.control.compute.hosts import DEFAULT_ZONE
from sundog.control.compute.records import Address, AskedNetwork, Caller, Server
from sundog.control.network import Network
from sundog.control.network.networks import get_network, visible_to
from sundog.control.network.ports import create_port, delete_port, get_port, read_ports, update_port
from sundog.control.network.records import Port
from sundog.control.store import Reader, Row, Tx
from sundog.control.store.tables import compute as compute_tables
from sundog.control.store.tables import network as tables
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.errors import Conflict, Invalid, NotFound, QuotaExceeded

OWNER: Final = "compute:"
"""How the ``device_owner`` of a server's port begins; the availability zone follows."""

GIVEN: Final = "given_ports"


def resolve(reader: Reader, caller: Caller, asked: Sequence[AskedNetwork] | None) -> list[AskedNetwork]:
    """The networks and ports of a new server, checked; None asks for the project's own network if it has one.

    Raises: Invalid for a network or a port that is not there; Conflict for a port in use, or several networks to choose
    from.
    """
    viewer = Viewer(caller.project_id)
    if asked is None:
        return _only_network(reader, viewer)
    return [_checked(reader, caller.viewer, each) for each in asked]


def _only_network(reader: Reader, viewer: Viewer) -> list[AskedNetwork]:
    """The one network that the project has, or else the one that is shared with it."""
    rows = reader.rows(_USABLE, project=viewer.project_id)
    own = [row for row in rows if row["project_id"] == viewer.project_id] or rows
    if len(own) > 1:
        raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
    return [AskedNetwork(network_id=row["id"]) for row in own]


_NETWORKS: Final = tables.networks.c
_USABLE: Final = (
    select(_NETWORKS.id, _NETWORKS.project_id)
    .where(
        visible_to(bindparam("project", type_=_NETWORKS.project_id.type)),
        _NETWORKS.external.is_(False),
        _NETWORKS.admin_state_up.is_(True),
        exists().where(tables.subnets.c.network_id == _NETWORKS.id),
    )
    .order_by(_NETWORKS.id)
)
"""The networks with addresses that a project may use."""


def _checked(reader: Reader, viewer: Viewer, asked: AskedNetwork) -> AskedNetwork:
    if asked.port_id is not None:
        try:
            port = get_port(reader, viewer, asked.port_id)
        except NotFound:
            raise Invalid(f"Port id {asked.port_id} could not be found.", port=asked.port_id) from None
        if port.device_id:
            raise Conflict(f"Port {asked.port_id} is still in use.", port=asked.port_id)
        if not viewer.sees_all and port.project_id != viewer.project_id:
            raise Conflict(f"Port {asked.port_id} not usable for instance.", port=asked.port_id)
        return AskedNetwork(port.network_id, asked.port_id, tag=asked.tag)
    assert asked.network_id is not None
    try:
        network = get_network(reader, viewer, asked.network_id)
    except NotFound:
        raise Invalid(f"Network {asked.network_id} could not be found.", network=asked.network_id) from None
    if network.external and not viewer.sees_all and network.project_id != viewer.project_id:
        raise Invalid(
            f"It is not allowed to create an interface on external network {network.id}", network=network.id, status=403
        )
    if not network.subnets:
        raise Invalid(f"Network {network.id} requires a subnet in order to boot instances on.", network=network.id)
    return asked


def group_ids(reader: Reader, project_id: str, names: Sequence[str]) -> list[str]:
    """The security groups of a project that have these names or ids.

    Raises: Invalid for one that is not there; Conflict for a name that several have.
    """
    rows = reader.find(tables.security_groups, {"project_id": project_id}) if names else []
    found = []
    for name in dict.fromkeys(names):
        same = [row["id"] for row in rows if name in (row["id"], row["name"])]
        if not same and name != "default":  # the default one is made with the first port
            raise Invalid(f"Security group {name} not found for project {project_id}.", group=name)
        if len(same) > 1:
            raise Conflict(f"Multiple security groups found matching '{name}'. Use an ID to be more specific.")
        found += same
    return found


def make_ports(
    tx: Tx,
    network: Network,
    server: Server,
    asked: Sequence[AskedNetwork],
    groups: Sequence[str],
    *,
    host: str,
    zone: str = DEFAULT_ZONE,
) -> list[str]:
    """Give a server its ports, bound to its host; returns the ids of those that the client had made.

    ``groups`` are ids of security groups, none for the default one. ``host`` is the host's name.
    Raises: QuotaExceeded, Invalid, Conflict.
    """
    given = []
    for each in asked:
        device: dict[str, Any] = {"device_id": server.id, "device_owner": OWNER + zone, "host_id": host}
        if each.port_id is not None:
            update_port(tx, network.books, EVERYTHING, each.port_id, device)
            given.append(each.port_id)
            _forget_tag(tx, each.port_id)  # one that was taken from its server behind our back has its tag still
            _write_tag(tx, server, each.port_id, each.tag)
            continue
        assert each.network_id is not None
        fixed = None if each.fixed_ip is None else [{"ip_address": each.fixed_ip}]
        try:
            port = create_port(
                tx, network.books, EVERYTHING, network_id=each.network_id, project_id=server.project_id,
                fixed_ips=fixed, security_groups=list(groups) or None, **device,
            )  # fmt: skip
        except QuotaExceeded as error:
            raise QuotaExceeded("Maximum number of ports exceeded", type="PortLimitExceeded") from error
        except Conflict as error:
            if each.fixed_ip is not None:
                raise Invalid(f"Fixed IP address {each.fixed_ip} is already in use.", address=each.fixed_ip) from error
            raise
        _write_tag(tx, server, port.id, each.tag)
    return given


def _write_tag(tx: Tx, server: Server, port_id: str, tag: str | None) -> None:
    if tag is not None:
        tx.insert(compute_tables.nic_tags, port_id=port_id, server_id=server.id, tag=tag)


def _forget_tag(tx: Tx, port_id: str) -> None:
    tx.delete(compute_tables.nic_tags, compute_tables.nic_tags.c.port_id == port_id)


def tags_of(reader: Reader, server_id: str) -> dict[str, str]:
    """The tags by which a guest knows its ports, by port; those that have one."""
    rows = reader.find(compute_tables.nic_tags, {"server_id": server_id})
    return {row["port_id"]: row["tag"] for row in rows}


def ports_of(reader: Reader, server_ids: Sequence[str]) -> dict[str, list[Port]]:
    """The ports of servers, in the order in which they were made."""
    p = tables.ports.c
    where = [p.device_owner.startswith(OWNER)]
    if len(server_ids) <= 500:
        where.append(p.device_id.in_(list(server_ids)))
    found: dict[str, list[Port]] = {each: [] for each in server_ids}
    for port in sorted(read_ports(reader, EVERYTHING, *where), key=lambda port: (port.created_at, port.id)):
        if port.device_id in found:
            found[port.device_id].append(port)
    return found


def bind_ports(tx: Tx, network: Network, server_id: str, host: str) -> None:
    """Let a server's ports be where it is now; ``host`` is a name, empty for nowhere."""
    for port in ports_of(tx, [server_id])[server_id]:
        if port.host_id != host:
            update_port(tx, network.books, EVERYTHING, port.id, {"host_id": host})


def drop_ports(tx: Tx, network: Network, server: Server) -> None:
    """Take a server's ports away: those made for it are deleted, the client's are free again."""
    given = server.kept.get(GIVEN, ())
    for port in ports_of(tx, [server.id])[server.id]:
        drop_port(tx, network, port, given=port.id in given)


def drop_port(tx: Tx, network: Network, port: Port, *, given: bool) -> None:
    """Take one port away from its server, and its tag."""
    if given:
        _forget_tag(tx, port.id)
        update_port(tx, network.books, EVERYTHING, port.id, {"device_id": "", "device_owner": "", "host_id": ""})
    else:
        delete_port(tx, network.books, port)


def port_specs(reader: Reader, server_id: str) -> tuple[PortSpec, ...]:
    """The ports of a server as its host must know them, in the order in which they were made."""
    ports: dict[str, list[Row]] = {}
    for row in reader.rows(_SPECS, server=server_id):
        ports.setdefault(row["id"], []).append(row)
    return tuple(
        PortSpec(
            port_id,
            rows[0]["network_id"],
            rows[0]["mac_address"],
            tuple(row["ip_address"] for row in rows if row["ip_address"] is not None),
            rows[0]["mtu"],
        )
        for port_id, rows in ports.items()
    )


def port_spec(reader: Reader, server_id: str, port_id: str) -> PortSpec | None:
    """A port of a server as its host must know it; None if the server has none of this id."""
    return next((each for each in port_specs(reader, server_id) if each.id == port_id), None)


def port_ids_on(reader: Reader, host: str) -> dict[str, list[str]]:
    """The ports of the servers of a host, by server, in the order in which they were made."""
    found: dict[str, list[str]] = {}
    for row in reader.rows(_IDS_ON, host=host):
        found.setdefault(row["device_id"], []).append(row["id"])
    return found


_PORTS, _ADDRESSES, _SERVERS = tables.ports.c, tables.addresses.c, compute_tables.servers.c
_SPECS: Final = (
    select(_PORTS.id, _PORTS.network_id, _PORTS.mac_address, _ADDRESSES.ip_address, _NETWORKS.mtu)
    .join_from(tables.ports, tables.networks, _NETWORKS.id == _PORTS.network_id)
    .outerjoin(tables.addresses, _ADDRESSES.port_id == _PORTS.id)
    .where(_PORTS.device_id == bindparam("server"), _PORTS.device_owner.startswith(OWNER))
    .order_by(_PORTS.created_at, _PORTS.id, _ADDRESSES.position)
)
_IDS_ON: Final = (
    select(_PORTS.id, _PORTS.device_id)
    .join_from(compute_tables.servers, tables.ports, _PORTS.device_id == _SERVERS.id)
    .where(_SERVERS.host == bindparam("host"), _SERVERS.deleted_at.is_(None), _PORTS.device_owner.startswith(OWNER))
    .order_by(_PORTS.created_at, _PORTS.id)
)


def addresses_of(reader: Reader, server_ids: Sequence[str]) -> dict[str, list[Address]]:
    """The addresses of servers, floating ones behind the fixed ones that they lead to.

    Of a page of a thousand servers this is told at once: few columns, and no record of a port.
    """
    p, n, a, f = tables.ports, tables.networks.c, tables.addresses, tables.floating_ips.c
    found: dict[str, list[Address]] = {each: [] for each in server_ids}
    for some in _portions(server_ids):
        mine = (p.c.device_id.in_(some), p.c.device_owner.startswith(OWNER))
        leading = select(f.port_id, f.fixed_ip_address, f.floating_ip_address).join(p, p.c.id == f.port_id).where(*mine)
        floating = {(port_id, fixed): address for port_id, fixed, address in _rows(reader, leading)}
        fixed_ones = (
            select(p.c.device_id, p.c.id, p.c.mac_address, n.name, a.c.ip_address)
            .join_from(p, a, a.c.port_id == p.c.id)
            .join(tables.networks, n.id == p.c.network_id)
            .where(*mine)
            .order_by(p.c.created_at, p.c.id, a.c.position)
        )
        for server_id, port_id, mac, network, address in _rows(reader, fixed_ones):
            of_server = found[server_id]
            of_server.append(Address(network, 6 if ":" in address else 4, address, mac))
            public = floating.get((port_id, address))
            if public is not None:
                of_server.append(Address(network, 4, public, mac, "floating"))
    return found


def group_names_of(reader: Reader, server_ids: Sequence[str]) -> dict[str, list[str]]:
    """The names of the security groups of servers' ports, each once, by name."""
    p, m, g = tables.ports, tables.port_groups, tables.security_groups.c
    found: dict[str, list[str]] = {each: [] for each in server_ids}
    for some in _portions(server_ids):
        query = (
            select(p.c.device_id, g.name)
            .distinct()
            .join_from(p, m, m.c.port_id == p.c.id)
            .join(tables.security_groups, g.id == m.c.security_group_id)
            .where(p.c.device_id.in_(some), p.c.device_owner.startswith(OWNER))
            .order_by(g.name)
        )
        for server_id, name in _rows(reader, query):
            found[server_id].append(name)
    return found


_PORTION: Final = 1000
"""So many ids are named in one statement; databases have a limit."""


def _rows(reader: Reader, query: Select[Any]) -> Iterable[Any]:
    return reader.execute(query)


def _portions(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _PORTION] for start in range(0, len(ids), _PORTION)]
