"""Subnets and subnet pools over HTTP."""

import pytest

from tests.unit.api.network.cloud import refused

SUBNETS = "/network/v2.0/subnets"
POOLS = "/network/v2.0/subnetpools"


@pytest.fixture
def network(cloud):
    return cloud.make(cloud.alice, "networks")


def test_a_subnet_has_a_gateway_and_gives_out_the_rest(cloud, network):
    subnet = cloud.make(cloud.alice, "subnets", network_id=network["id"], ip_version=4, cidr="10.1.0.0/28")
    assert subnet["gateway_ip"] == "10.1.0.1"
    assert subnet["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.14"}]
    assert subnet["enable_dhcp"] is True
    shown = cloud.alice.get(f"/network/v2.0/networks/{network['id']}").json()["network"]
    assert shown["subnets"] == [subnet["id"]]


def test_a_subnet_without_gateway_gives_out_all(cloud, network):
    subnet = cloud.make(cloud.alice, "subnets", network_id=network["id"], cidr="10.1.0.0/29", gateway_ip=None)
    assert subnet["gateway_ip"] is None
    assert subnet["allocation_pools"] == [{"start": "10.1.0.1", "end": "10.1.0.6"}]


@pytest.mark.parametrize(
    ("told", "kind", "words"),
    [
        ({"cidr": "10.0.0.1/24"}, None, "10.0.0.0/24"),
        ({"cidr": "nonsense"}, None, "subnet"),
        ({"cidr": "0.0.0.0/0", "enable_dhcp": False}, None, "0 is not allowed as CIDR prefix length"),
        ({"cidr": "10.0.0.0/31"}, "InvalidInput", "incompatible with DHCP"),
        ({"cidr": "224.0.0.0/24"}, "InvalidInput", "Multicast"),
        ({"cidr": "127.0.0.0/24"}, "InvalidInput", "Loopback"),
        ({"cidr": "0.0.0.0/24"}, "InvalidInput", "First IP"),
        ({"cidr": "10.0.0.0/24", "ip_version": 6}, "InvalidInput", "does not match the ip_version"),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.255"}, "InvalidInput", "Gateway is not valid"),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "fd00::1"}, "InvalidInput", "gateway_ip"),
        ({"cidr": "10.0.0.0/24", "ipv6_ra_mode": "slaac"}, "InvalidInput", "ipv6_ra_mode is not valid"),
        ({"cidr": "10.0.0.0/24", "dns_nameservers": ["fd00::1"]}, "InvalidInput", "dns_nameserver"),
        ({"cidr": "10.0.0.0/24", "dns_nameservers": ["1.1.1.1"] * 6}, "DNSNameServersExhausted", "exceeds"),
        ({"cidr": "10.0.0.0/24", "dns_nameservers": ["a\nb"]}, None, "not a valid IP"),
        ({"cidr": "fd00::/64", "dns_nameservers": ["fe80::1%a\nb"]}, None, "not a valid IP"),
        ({"cidr": "fd00::/64", "gateway_ip": "fd00::1%a"}, None, "not a valid IP"),
        (
            {"cidr": "fd00::/64", "host_routes": [{"destination": "fe80::%a\nb/64", "nexthop": "fd00::9"}]},
            "InvalidInput",
            "Error parsing destination",
        ),
        ({"cidr": "10.0.0.0/24", "prefixlen": 24}, "BadRequest", "must not be supplied together"),
        ({"cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "enable_dhcp": False}, "InvalidInput", "enable_dhcp"),
        (
            {"cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
            "InvalidInput",
            "same value",
        ),
        ({"cidr": "fd00::/80", "ipv6_address_mode": "slaac"}, "InvalidInput", "EUI-64"),
        ({}, "BadRequest", "cidr"),
        (
            {"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.2"}]},
            "InvalidAllocationPool",
            "not valid",
        ),
        (
            {"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.9", "end": "10.0.1.2"}]},
            "OutOfBoundsAllocationPool",
            "beyond",
        ),
    ],
)
def test_a_subnet_that_cannot_be_is_400(cloud, network, told, kind, words):
    answer = cloud.alice.post(SUBNETS, json={"subnet": {"network_id": network["id"], **told}})
    assert words in refused(answer, 400, kind)
    assert cloud.alice.get(SUBNETS).json() == {"subnets": []}


@pytest.mark.parametrize(
    ("pools", "gateway", "kind"),
    [
        ([("10.0.0.2", "10.0.0.9"), ("10.0.0.9", "10.0.0.20")], None, "OverlappingAllocationPools"),
        ([("10.0.0.2", "10.0.0.9")], "10.0.0.5", "GatewayConflictWithAllocationPools"),
    ],
)
def test_pools_that_overlap_or_hold_the_gateway_are_409(cloud, network, pools, gateway, kind):
    told = {"cidr": "10.0.0.0/24", "gateway_ip": gateway}
    told["allocation_pools"] = [{"start": first, "end": last} for first, last in pools]
    refused(cloud.alice.post(SUBNETS, json={"subnet": {"network_id": network["id"], **told}}), 409, kind)


def test_subnets_of_a_network_do_not_overlap(cloud, network):
    cloud.make(cloud.alice, "subnets", network_id=network["id"], cidr="10.0.0.0/24")
    answer = cloud.alice.post(SUBNETS, json={"subnet": {"network_id": network["id"], "cidr": "10.0.0.128/25"}})
    assert "overlaps with another subnet" in refused(answer, 400, "InvalidInput")


def test_a_subnet_on_somebody_elses_network_is_refused(cloud, network):
    refused(cloud.bob.post(SUBNETS, json={"subnet": {"network_id": network["id"], "cidr": "10.0.0.0/24"}}), 404)
    shared = cloud.make(cloud.admin, "networks", shared=True)
    refused(cloud.bob.post(SUBNETS, json={"subnet": {"network_id": shared["id"], "cidr": "10.0.0.0/24"}}), 403)


def test_subnets_of_external_networks_are_not_for_projects_and_those_of_shared_ones_are(cloud):
    assert cloud.alice.get(SUBNETS).json() == {"subnets": []}
    shared = cloud.make(cloud.admin, "networks", shared=True)
    subnet = cloud.make(cloud.admin, "subnets", network_id=shared["id"], cidr="10.0.0.0/24")
    assert [each["id"] for each in cloud.alice.get(SUBNETS).json()["subnets"]] == [subnet["id"]]


def test_a_subnet_is_changed(cloud, network):
    subnet = cloud.make(cloud.alice, "subnets", network_id=network["id"], cidr="10.0.0.0/29")
    path = f"{SUBNETS}/{subnet['id']}"
    told = {
        "gateway_ip": "10.0.0.6",
        "allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.2"}],
        "dns_nameservers": ["9.9.9.9"],
        "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.3"}],
        "enable_dhcp": False,
    }
    assert told.items() <= cloud.alice.put(path, json={"subnet": told}).json()["subnet"].items()
    port = cloud.make(cloud.alice, "ports", network_id=network["id"])
    assert port["fixed_ips"][0]["ip_address"] == "10.0.0.2"
    answer = cloud.alice.post("/network/v2.0/ports", json={"port": {"network_id": network["id"]}})
    refused(answer, 409, "IpAddressGenerationFailure")
    wide = {"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.3"}]}
    assert cloud.alice.put(path, json={"subnet": wide}).status_code == 200
    assert cloud.make(cloud.alice, "ports", network_id=network["id"])["fixed_ips"][0]["ip_address"] == "10.0.0.3"
    refused(cloud.alice.put(path, json={"subnet": {"cidr": "10.0.0.0/24"}}), 400)


def test_a_subnet_whose_addresses_are_in_use_stays(cloud):
    network, subnet = cloud.wired(cloud.alice)
    cloud.make(cloud.alice, "ports", network_id=network["id"])
    message = refused(cloud.alice.delete(f"{SUBNETS}/{subnet['id']}"), 409, "SubnetInUse")
    assert "One or more ports have an IP allocation from this subnet" in message


def test_a_subnet_comes_from_a_pool(cloud, network):
    pool = cloud.make(cloud.alice, "subnetpools", name="p", prefixes=["10.8.0.0/16"], default_prefixlen=26)
    assert (pool["min_prefixlen"], pool["max_prefixlen"], pool["ip_version"]) == (8, 32, 4)
    first = cloud.make(cloud.alice, "subnets", network_id=network["id"], ip_version=4, subnetpool_id=pool["id"])
    second = cloud.make(
        cloud.alice, "subnets", network_id=network["id"], ip_version=4, subnetpool_id=pool["id"], prefixlen=24
    )
    third = cloud.make(cloud.alice, "subnets", network_id=network["id"], subnetpool_id=pool["id"])
    assert [each["cidr"] for each in (first, second, third)] == ["10.8.0.0/26", "10.8.1.0/24", "10.8.0.64/26"]
    refused(cloud.alice.delete(f"{POOLS}/{pool['id']}"), 400, "SubnetPoolDeleteError")
    for cidr, status in (("10.8.0.0/26", 409), ("10.9.0.0/26", 409), ("10.8.2.0/24", 201)):
        told = {"network_id": network["id"], "cidr": cidr, "subnetpool_id": pool["id"]}
        assert cloud.alice.post(SUBNETS, json={"subnet": told}).status_code == status


def test_a_pool_keeps_its_bounds_and_its_prefixes(cloud):
    for told, kind in (
        ({"prefixes": []}, None),
        ({"prefixes": ["10.0.0.0/8", "fd00::/48"]}, "PrefixVersionMismatch"),
        ({"prefixes": ["10.0.0.0/8"], "min_prefixlen": 4}, "UnsupportedMinSubnetPoolPrefix"),
        ({"prefixes": ["10.0.0.0/8"], "min_prefixlen": 24, "max_prefixlen": 16}, "IllegalSubnetPoolPrefixBounds"),
        ({"prefixes": ["10.0.0.0/8"], "default_prefixlen": 30, "max_prefixlen": 28}, "IllegalSubnetPoolPrefixBounds"),
    ):
        refused(cloud.alice.post(POOLS, json={"subnetpool": {"name": "p", **told}}), 400, kind)
    pool = cloud.make(cloud.alice, "subnetpools", name="p", prefixes=["10.0.0.0/16", "10.0.1.0/24"])
    assert pool["prefixes"] == ["10.0.0.0/16"]
    path = f"{POOLS}/{pool['id']}"
    refused(cloud.alice.put(path, json={"subnetpool": {"prefixes": ["10.1.0.0/16"]}}), 400)
    more = {"prefixes": ["10.0.0.0/16", "10.1.0.0/16"], "name": "q"}
    assert cloud.alice.put(path, json={"subnetpool": more}).json()["subnetpool"]["prefixes"] == more["prefixes"]
    refused(cloud.bob.get(path), 404, "SubnetPoolNotFound")


def test_shared_and_default_pools_are_made_by_administrators(cloud, network):
    told = {"name": "p", "prefixes": ["10.0.0.0/16"], "default_prefixlen": 24}
    for name in ("shared", "is_default"):
        refused(cloud.alice.post(POOLS, json={"subnetpool": {**told, name: True}}), 403)
    answer = cloud.alice.post(
        SUBNETS, json={"subnet": {"network_id": network["id"], "ip_version": 4, "use_default_subnetpool": True}}
    )
    refused(answer, 400, "BadRequest")
    pool = cloud.make(cloud.admin, "subnetpools", **told, shared=True, is_default=True)
    subnet = cloud.make(cloud.alice, "subnets", network_id=network["id"], ip_version=4, use_default_subnetpool=True)
    assert subnet["subnetpool_id"] == pool["id"]
    refused(cloud.admin.post(POOLS, json={"subnetpool": {**told, "is_default": True}}), 400)


def test_a_pool_has_a_quota_for_each_project(cloud, network):
    pool = cloud.make(cloud.alice, "subnetpools", name="p", prefixes=["10.0.0.0/16"], default_quota=256)
    told = {"network_id": network["id"], "subnetpool_id": pool["id"], "prefixlen": 25}
    for status in (201, 201, 409):
        assert cloud.alice.post(SUBNETS, json={"subnet": told}).status_code == status
