"""What a cloud cannot begin without: an external network that routers reach the world by."""

from __future__ import annotations

from typing import Final

from sundog.control.network.network import Network
from sundog.control.network.records import NetworkRecord
from sundog.control.viewer import EVERYTHING
from sundog.core.ipam import address_text, parse_cidr, span_of

PUBLIC: Final = "public"
_FIRST_HOST: Final = 10


def bootstrap(
    network: Network,
    project_id: str,
    *,
    name: str = PUBLIC,
    ipv4: str = "172.24.0.0/21",
    ipv6: str = "2001:db8:cafe::/64",
    physical_network: str = PUBLIC,
) -> NetworkRecord:
    """The external network called ``name`` with a subnet of each version; made if it is not there, else left as it is.

    ``project_id`` is the administrator's project. The first addresses of the IPv4 subnet are left for what the cloud
    does not hand out.
    """
    known = [each for each in network.networks.list_all(EVERYTHING) if each.name == name and each.external]
    public = known[0] if known else _network(network, project_id, name, physical_network)
    versions = {each.ip_version for each in network.subnets.list_all(EVERYTHING, {"network_id": [public.id]})}
    net = parse_cidr(ipv4)
    first, last = span_of(net)
    if 4 not in versions:
        pool = {"start": address_text(first + _FIRST_HOST, 4), "end": address_text(last - 1, 4)}
        _subnet(network, public, f"{name}-subnet", ipv4, [pool])
    if 6 not in versions:
        _subnet(network, public, f"ipv6-{name}-subnet", ipv6, None)
    return network.networks.show(EVERYTHING, public.id)


def _network(network: Network, project_id: str, name: str, physical_network: str) -> NetworkRecord:
    spec = {
        "project_id": project_id,
        "name": name,
        "external": True,
        "network_type": "flat",
        "physical_network": physical_network,
    }
    return network.networks.create([spec])[0]


def _subnet(network: Network, public: NetworkRecord, name: str, cidr: str, pools: list[dict[str, str]] | None) -> None:
    spec = {
        "network_id": public.id,
        "project_id": public.project_id,
        "name": name,
        "cidr": cidr,
        "enable_dhcp": False,
        "allocation_pools": pools,
    }
    network.subnets.create(EVERYTHING, [spec])
