"""What a guest is told about itself: documents by path, as OpenStack's and EC2's metadata services give them.

The documents are made by pure functions of a :class:`Guest`. Who asks is said by a proxy next to the guest, which
proves by a shared secret that it may: nothing else about a request says whose metadata are meant.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import select

from sundog.control.compute import ports
from sundog.control.compute.books import Books, get_server
from sundog.control.compute.hosts import DEFAULT_ZONE, Hosts
from sundog.control.compute.records import Address, Server
from sundog.control.network.records import Port, Subnet
from sundog.control.network.subnets import get_subnet
from sundog.control.store import Reader
from sundog.control.store.tables import network as network_tables
from sundog.control.store.tables.meta import meta
from sundog.control.viewer import EVERYTHING
from sundog.errors import Forbidden, Invalid, NotFound
from sundog.runtime.ids import random_secret

DOMAIN: Final = "novalocal"
SECRET: Final = "metadata_proxy_shared_secret"  # noqa: S105 - the name under which it is kept
LATEST: Final = "latest"

EC2_VERSIONS: Final = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04",
)  # fmt: skip

FOLSOM, GRIZZLY, HAVANA, LIBERTY, NEWTON, NEWTON_2 = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06",
)  # fmt: skip
OCATA, ROCKY, VICTORIA, EPOXY = "2017-02-22", "2018-08-27", "2020-10-14", "2025-04-04"
OPENSTACK_VERSIONS: Final = (FOLSOM, GRIZZLY, HAVANA, LIBERTY, NEWTON, NEWTON_2, OCATA, ROCKY, VICTORIA, EPOXY)
"""Nova's, by the day: what a version has, all later ones have."""

Tree: TypeAlias = "Mapping[str, Tree] | Sequence[str] | str | bytes"
"""What EC2's paths lead to: folders, lists, texts."""

_LABEL: Final = "_name"
"""How a folder is listed in the one above, where that is not its name."""


@dataclass(frozen=True, slots=True)
class Guest:
    """All that documents are made of. ``ports`` are in their order; ``tags`` are by port, ``mtus`` by network."""

    server: Server
    zone: str
    ports: Sequence[Port]
    subnets: Mapping[str, Subnet]
    mtus: Mapping[str, int]
    addresses: Sequence[Address]
    groups: Sequence[str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Document:
    """An answer: its bytes and their media type."""

    content: bytes
    media_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Proof:
    """Who asks, as a proxy says it, and its signature of the server's id (HMAC-SHA256, hexadecimal)."""

    server_id: str
    project_id: str
    signature: str


class Metadata:
    """Documents of servers over the store. ``secret`` is what proxies sign with; empty for one made up and kept."""

    def __init__(self, books: Books, hosts: Hosts, secret: str = "") -> None:
        self._books, self._hosts, self._secret = books, hosts, secret

    def secret(self) -> str:
        """What proxies sign with: made up when it is first asked for, and the same ever after."""
        if not self._secret:
            with self._books.writing() as tx:
                row = tx.get(meta, key=SECRET)
                if row is None:
                    tx.insert(meta, key=SECRET, value=random_secret())
                    row = tx.get(meta, key=SECRET)
                assert row is not None
                self._secret = row["value"]
        return self._secret

    def read(self, path: str, proof: Proof) -> Document:
        """The document at a path for the guest that is proven to ask.

        Raises: Forbidden for a wrong signature; NotFound for a server that is gone or another project's, or a path that
        leads nowhere.
        """
        expected = signature_of(self.secret(), proof.server_id)
        if not hmac.compare_digest(expected.encode(), proof.signature.encode()):
            raise Forbidden("Invalid proxy request signature.")
        with self._books.reading() as tx:
            server = get_server(tx, EVERYTHING, proof.server_id)
            if not hmac.compare_digest(server.project_id.encode(), proof.project_id.encode()):
                raise NotFound("The resource could not be found.")
            guest = self._guest(tx, server)
        return document(guest, path, seed=random_secret)

    def guest(self, server: Server) -> Guest:
        """All that documents of a server are made of."""
        with self._books.reading() as tx:
            return self._guest(tx, server)

    def _guest(self, tx: Reader, server: Server) -> Guest:
        mine = ports.ports_of(tx, [server.id])[server.id]
        ids = dict.fromkeys(fixed.subnet_id for port in mine for fixed in port.fixed_ips)
        n, g = network_tables.networks.c, network_tables.security_groups.c
        members = list(dict.fromkeys(group for port in mine for group in port.security_groups))
        names = {row.id: row.name for row in tx.execute(select(g.id, g.name).where(g.id.in_(members)))}
        networks = [port.network_id for port in mine]
        host = self._hosts.by_uuid(server.host)
        return Guest(
            server,
            (host.zone if host is not None else server.availability_zone) or DEFAULT_ZONE,
            mine,
            {each: get_subnet(tx, EVERYTHING, each) for each in ids},
            {row.id: row.mtu for row in tx.execute(select(n.id, n.mtu).where(n.id.in_(networks)))},
            ports.addresses_of(tx, [server.id])[server.id],
            [names[each] for each in members],
            ports.tags_of(tx, server.id),
        )


def signature_of(secret: str, server_id: str) -> str:
    """What a proxy that knows the secret signs a request about a server with."""
    return hmac.new(secret.encode(), server_id.encode(), hashlib.sha256).hexdigest()


def index() -> Document:
    """What is at the root, the same for everybody."""
    return _text([*EC2_VERSIONS, LATEST])


def document(guest: Guest, path: str, *, seed: Callable[[int], str]) -> Document:
    """The document at a path. ``seed`` gives so many bytes of chance as text, for the guest's own.

    Raises: NotFound for a path that leads nowhere.
    """
    parts = [each for each in path.split("/") if each]
    if not parts:
        return index()
    if parts[0] != "openstack":
        return _text(_walk(ec2_tree(guest, parts[0]), parts[1:]))
    if len(parts) == 1:
        return _text([*OPENSTACK_VERSIONS, LATEST])
    found = openstack_documents(guest, parts[1], seed=seed)
    if len(parts) == 2:
        return _text(list(found))
    if len(parts) > 3 or parts[2] not in found:
        raise _nowhere()
    return found[parts[2]]()


# ---------------------------------------------------------------- OpenStack's


def openstack_documents(
    guest: Guest, version: str, *, seed: Callable[[int], str]
) -> dict[str, Callable[[], Document]]:  # fmt: skip
    """The documents of a version, by name. Raises: NotFound for a version that there is not."""
    version = _known(version, OPENSTACK_VERSIONS)
    user_data = guest.server.user_data
    found: dict[str, Callable[[], Document]] = {
        "meta_data.json": lambda: _json(meta_data(guest, version, seed=seed(384)))
    }
    if user_data is not None:
        found["user_data"] = lambda: Document(base64.b64decode(user_data), "application/octet-stream")
    if version >= GRIZZLY:
        found["password"] = lambda: Document(b"")
    if version >= HAVANA:
        found["vendor_data.json"] = lambda: _json({})
    if version >= LIBERTY:
        found["network_data.json"] = lambda: _json(network_data(guest))
    if version >= NEWTON_2:
        found["vendor_data2.json"] = lambda: _json({})
    return found


def meta_data(guest: Guest, version: str, *, seed: str) -> dict[str, Any]:
    """``meta_data.json``: what a version of it says of a server. ``seed`` is text full of chance."""
    server = guest.server
    told: dict[str, Any] = {"uuid": server.id}
    if server.metadata:
        told["meta"] = dict(server.metadata)
    if server.key is not None:
        name, key = server.key["name"], server.key["public_key"]
        told["public_keys"] = {name: key}
        told["keys"] = [{"name": name, "type": server.key["type"], "data": key}]
    told |= {
        "hostname": f"{server.hostname}.{DOMAIN}",
        "name": server.name,
        "launch_index": server.launch_index,
        "availability_zone": guest.zone,
    }
    for since, name, value in (
        (GRIZZLY, "random_seed", base64.b64encode(seed.encode()).decode()),
        (LIBERTY, "project_id", server.project_id),
        (NEWTON, "devices", _devices(guest, version)),
        (VICTORIA, "dedicated_cpus", []),
    ):
        if version >= since:
            told[name] = value
    return told


def _devices(guest: Guest, version: str) -> list[dict[str, Any]]:
    """The ports that have a tag. Where in the guest they are, no driver says, which Nova calls ``none``."""
    trusted = {"vf_trusted": False} if version >= ROCKY else {}
    return [
        {
            **trusted, "type": "nic", "mac": port.mac_address, "bus": "none", "address": "none",
            "tags": [guest.tags[port.id]],
        }
        for port in guest.ports
        if port.id in guest.tags
    ]  # fmt: skip


def network_data(guest: Guest) -> dict[str, Any]:
    """``network_data.json``: a link a port, the first address of each IP version on it, name servers."""
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    services: list[dict[str, str]] = []
    for port in guest.ports:
        if not port.fixed_ips:
            continue
        link = f"tap{port.id[:11]}"
        links.append(
            {
                "id": link, "vif_id": port.id, "type": "ovs", "mtu": guest.mtus[port.network_id],
                "ethernet_mac_address": port.mac_address,
            }
        )  # fmt: skip
        for version in (4, 6):
            first = next(((each.ip_address, guest.subnets[each.subnet_id]) for each in port.fixed_ips
                          if guest.subnets[each.subnet_id].ip_version == version), None)  # fmt: skip
            if first is None:
                continue
            networks.append(
                {"id": f"network{len(networks)}", **_network(*first), "link": link, "network_id": port.network_id}
            )
            services += [each for each in _name_servers(first[1]) if each not in services]
    return {"links": links, "networks": networks, "services": services}


def _network(address: str, subnet: Subnet) -> dict[str, Any]:
    """How a guest comes to its address: by DHCP, or as it is told here."""
    kind, mode = f"ipv{subnet.ip_version}", subnet.ipv6_address_mode
    if mode is not None:
        kind = f"{kind}_{mode}"
    elif subnet.enable_dhcp:
        return {"type": f"{kind}_dhcp"}
    anywhere = "0.0.0.0" if subnet.ip_version == 4 else "::"  # noqa: S104 - a route, nothing listens
    routes = [] if subnet.gateway_ip is None else [(f"{anywhere}/0", subnet.gateway_ip)]
    routes += [(each["destination"], each["nexthop"]) for each in subnet.host_routes]
    return {
        "type": kind,
        "ip_address": address,
        "netmask": str(ipaddress.ip_network(subnet.cidr).netmask),
        "routes": [
            {"network": str(to.network_address), "netmask": str(to.netmask), "gateway": gateway}
            for to, gateway in ((ipaddress.ip_network(cidr, strict=False), gateway) for cidr, gateway in routes)
        ],
        "services": _name_servers(subnet),
    }


def _name_servers(subnet: Subnet) -> list[dict[str, str]]:
    return [{"type": "dns", "address": each} for each in subnet.dns_nameservers]


# ---------------------------------------------------------------- EC2's


def ec2_tree(guest: Guest, version: str) -> Tree:
    """What EC2's paths of a version lead to. Raises: NotFound for a version that there is not."""
    version, server = _known(version, EC2_VERSIONS), guest.server
    fixed, floating = (
        next((each.address for each in guest.addresses if each.kind == kind and each.version == 4), "")
        for kind in ("fixed", "floating")
    )
    hostname = f"{server.hostname}.{DOMAIN}"
    told: dict[str, Tree] = {
        "ami-id": f"ami-{(server.image_id or '0' * 8)[:8]}",
        "ami-launch-index": str(server.launch_index),
        "ami-manifest-path": "FIXME",
        "hostname": hostname,
        "instance-id": f"i-{server.number:08x}",
        "local-ipv4": fixed,
        "reservation-id": server.reservation_id,
        "security-groups": list(guest.groups),
    }
    if server.key is not None:
        told["public-keys"] = {
            "0": {_LABEL: f"0={server.key['name']}", "openssh-key": server.key["public_key"]}
        }  # fmt: skip
    more: tuple[tuple[str, dict[str, Tree]], ...] = (
        ("2007-01-19", {"local-hostname": hostname, "public-hostname": hostname, "public-ipv4": floating}),
        ("2007-08-29", {"instance-type": server.flavor.name}),
        ("2007-12-15", {"block-device-mapping": {"ami": "vda", "root": server.root_device_name}}),
        ("2008-02-01", {"placement": {"availability-zone": guest.zone}}),
        ("2008-09-01", {"instance-action": "none"}),
    )
    for since, values in more:
        if EC2_VERSIONS.index(version) >= EC2_VERSIONS.index(since):
            told |= values
    tree: dict[str, Tree] = {"meta-data": told}
    if server.user_data is not None:
        tree["user-data"] = base64.b64decode(server.user_data)
    return tree


def _walk(tree: Tree, parts: Sequence[str]) -> Tree:
    for part in parts:
        if not isinstance(tree, Mapping) or part not in tree or part == _LABEL:
            raise _nowhere()
        tree = tree[part]
    return tree


# ---------------------------------------------------------------- answers


def _known(version: str, versions: Sequence[str]) -> str:
    if version == LATEST:
        return versions[-1]
    if version not in versions:
        raise _nowhere()
    return version


def _text(tree: Tree) -> Document:
    """A folder as a list of what is in it, a list as lines, a text as it is."""
    if isinstance(tree, bytes):
        return Document(tree, "application/octet-stream")
    if isinstance(tree, Mapping):
        return Document("\n".join(_listed(name, tree[name]) for name in sorted(tree) if name != _LABEL).encode())
    return Document((tree if isinstance(tree, str) else "\n".join(tree)).encode())


def _listed(name: str, tree: Tree) -> str:
    if not isinstance(tree, Mapping):
        return name
    label = tree.get(_LABEL)
    return label if isinstance(label, str) else f"{name}/"


def _json(value: Any) -> Document:
    return Document(json.dumps(value).encode(), "application/json")


def _nowhere() -> NotFound:
    return NotFound("The resource could not be found.")


def proof_of(server_id: str | None, project_id: str | None, signature: str | None) -> Proof:
    """What a proxy says, each once. Raises: Invalid for what is missing, in Nova's words."""
    for name, value in (
        ("X-Instance-ID", server_id),
        ("X-Instance-ID-Signature", signature),
        ("X-Tenant-ID", project_id),
    ):
        if value is None:
            raise Invalid(f"{name} header is missing from request.")
    return Proof(server_id or "", project_id or "", signature or "")
