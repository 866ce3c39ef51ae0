"""Ports over HTTP: addresses, MACs, who may set what."""

import pytest

from tests.unit.api.network.cloud import refused

PORTS = "/network/v2.0/ports"


def addresses(port):
    return [each["ip_address"] for each in port["fixed_ips"]]


def test_a_port_gets_the_next_address_a_mac_and_the_default_group(cloud):
    network, subnet = cloud.wired(cloud.alice)
    first = cloud.make(cloud.alice, "ports", network_id=network["id"])
    second = cloud.make(cloud.alice, "ports", network_id=network["id"])
    assert first["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.2"}]
    assert addresses(second) == ["10.0.0.3"]
    assert first["mac_address"].startswith("fa:16:3e:")
    assert first["mac_address"] != second["mac_address"]
    groups = cloud.alice.get("/network/v2.0/security-groups?name=default").json()["security_groups"]
    assert first["security_groups"] == [groups[0]["id"]]
    assert first["status"] == "DOWN"


def test_an_address_that_was_given_back_is_given_again(cloud):
    network, _ = cloud.wired(cloud.alice)
    port = cloud.make(cloud.alice, "ports", network_id=network["id"])
    assert cloud.alice.delete(f"{PORTS}/{port['id']}").status_code == 204
    assert addresses(cloud.make(cloud.alice, "ports", network_id=network["id"])) == addresses(port)


def test_addresses_are_given_as_asked(cloud):
    network, subnet = cloud.wired(cloud.alice)
    told = [{"ip_address": "10.0.0.77"}, {"subnet_id": subnet["id"]}]
    port = cloud.make(cloud.alice, "ports", network_id=network["id"], fixed_ips=told)
    assert addresses(port) == ["10.0.0.77", "10.0.0.2"]
    assert cloud.make(cloud.alice, "ports", network_id=network["id"], fixed_ips=[])["fixed_ips"] == []
    for address, status, kind in (
        ("10.0.0.77", 409, "IpAddressAlreadyAllocated"),
        ("10.9.0.1", 400, "InvalidIpForNetwork"),
        ("10.0.0.255", 400, "InvalidIpForNetwork"),
        ("nonsense", 400, None),
    ):
        body = {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": address}]}}
        refused(cloud.alice.post(PORTS, json=body), status, kind)
    body = {"port": {"network_id": network["id"], "fixed_ips": [{"subnet_id": network["id"]}]}}
    refused(cloud.alice.post(PORTS, json=body), 400, "InvalidInput")


def test_automatic_addresses_follow_from_the_mac(cloud):
    network, _ = cloud.wired(cloud.alice)
    mode = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    before = cloud.make(cloud.alice, "ports", network_id=network["id"], mac_address="fa:16:3e:00:00:01")
    subnet = cloud.make(cloud.alice, "subnets", network_id=network["id"], cidr="fd00::/64", **mode)
    port = cloud.make(cloud.alice, "ports", network_id=network["id"], mac_address="fa:16:3e:00:00:02")
    assert addresses(port) == ["10.0.0.3", "fd00::f816:3eff:fe00:2"]
    shown = cloud.alice.get(f"{PORTS}/{before['id']}").json()["port"]
    assert addresses(shown) == ["10.0.0.2", "fd00::f816:3eff:fe00:1"]
    body = {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": "fd00::5"}]}}
    refused(cloud.alice.post(PORTS, json=body), 400, "AllocationOnAutoAddressSubnet")
    assert cloud.alice.delete(f"/network/v2.0/subnets/{subnet['id']}").status_code == 204
    assert addresses(cloud.alice.get(f"{PORTS}/{port['id']}").json()["port"]) == ["10.0.0.3"]


def test_addresses_are_changed_and_those_that_stay_are_kept(cloud):
    network, subnet = cloud.wired(cloud.alice)
    port = cloud.make(cloud.alice, "ports", network_id=network["id"])
    path = f"{PORTS}/{port['id']}"
    told = [{"subnet_id": subnet["id"]}, {"ip_address": "10.0.0.9"}]
    changed = cloud.alice.put(path, json={"port": {"fixed_ips": told}}).json()["port"]
    assert addresses(changed) == ["10.0.0.2", "10.0.0.9"]
    changed = cloud.alice.put(path, json={"port": {"fixed_ips": told[1:]}}).json()["port"]
    assert addresses(changed) == ["10.0.0.9"]
    assert addresses(cloud.make(cloud.alice, "ports", network_id=network["id"])) == ["10.0.0.2"]


def test_a_mac_is_on_a_network_once(cloud):
    network, _ = cloud.wired(cloud.alice)
    mac = {"network_id": network["id"], "mac_address": "02:00:00:00:00:01"}
    cloud.make(cloud.alice, "ports", **mac)
    refused(cloud.alice.post(PORTS, json={"port": mac}), 409, "MacAddressInUse")
    other, _ = cloud.wired(cloud.alice)
    cloud.make(cloud.alice, "ports", **{**mac, "network_id": other["id"]})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mac_address", "02:00:00:00:00:01"),
        ("fixed_ips", [{"ip_address": "10.0.0.9"}]),
        ("port_security_enabled", False),
        ("allowed_address_pairs", [{"ip_address": "10.0.0.0/24"}]),
        ("binding:host_id", "host"),
        ("binding:profile", {"a": 1}),
        ("device_owner", "network:dhcp"),
    ],
)
def test_on_somebody_elses_network_a_project_sets_less(cloud, name, value):
    network = cloud.make(cloud.admin, "networks", shared=True)
    cloud.make(cloud.admin, "subnets", network_id=network["id"], cidr="10.0.0.0/24")
    refused(cloud.alice.post(PORTS, json={"port": {"network_id": network["id"], name: value}}), 403)
    port = cloud.make(cloud.alice, "ports", network_id=network["id"])
    refused(cloud.alice.put(f"{PORTS}/{port['id']}", json={"port": {name: value}}), 403)


def test_a_port_is_bound_by_the_compute_service(cloud):
    network, _ = cloud.wired(cloud.alice)
    port = cloud.make(
        cloud.nova, "ports", network_id=network["id"], project_id="project-a", device_id="server",
        device_owner="compute:nova", **{"binding:host_id": "host1", "binding:profile": {"x": 1}},
    )  # fmt: skip
    assert (port["status"], port["binding:vif_type"], port["binding:host_id"]) == ("ACTIVE", "ovs", "host1")
    seen = cloud.alice.get(f"{PORTS}?device_id=server").json()["ports"][0]
    assert seen["id"] == port["id"]
    assert not {"binding:host_id", "binding:profile", "binding:vif_type"} & set(seen)
    unbound = cloud.nova.put(f"{PORTS}/{port['id']}", json={"port": {"binding:host_id": None}}).json()["port"]
    assert (unbound["status"], unbound["binding:vif_type"]) == ("DOWN", "unbound")


def test_the_owner_of_a_network_sees_the_ports_of_others_on_it(cloud):
    network, _ = cloud.wired(cloud.alice)
    port = cloud.make(cloud.admin, "ports", network_id=network["id"], project_id="project-b")
    for who in (cloud.alice, cloud.bob):
        assert [each["id"] for each in who.get(PORTS).json()["ports"]] == [port["id"]]


def test_groups_need_port_security_and_belong_to_the_project(cloud):
    network, _ = cloud.wired(cloud.alice)
    group = cloud.make(cloud.alice, "security-groups", name="g")
    other = cloud.make(cloud.bob, "security-groups", name="g")
    port = cloud.make(cloud.alice, "ports", network_id=network["id"], security_groups=[group["id"]])
    path = f"{PORTS}/{port['id']}"
    assert port["security_groups"] == [group["id"]]
    refused(cloud.alice.delete(f"/network/v2.0/security-groups/{group['id']}"), 409, "SecurityGroupInUse")
    refused(cloud.alice.put(path, json={"port": {"security_groups": [other["id"]]}}), 404, "SecurityGroupNotFound")
    refused(
        cloud.alice.put(path, json={"port": {"port_security_enabled": False}}), 409, "PortSecurityPortHasSecurityGroup"
    )
    bare = {"security_groups": [], "port_security_enabled": False}
    assert cloud.alice.put(path, json={"port": bare}).json()["port"]["security_groups"] == []
    refused(cloud.alice.put(path, json={"port": {"security_groups": [group["id"]]}}), 400)
    pairs = {"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}
    refused(cloud.alice.put(path, json={"port": pairs}), 409, "AddressPairAndPortSecurityRequired")


def test_address_pairs_have_the_ports_mac_unless_it_is_said(cloud):
    network, _ = cloud.wired(cloud.alice)
    pair = {"ip_address": "10.0.0.9"}
    port = cloud.make(cloud.alice, "ports", network_id=network["id"], allowed_address_pairs=[pair])
    assert port["allowed_address_pairs"] == [{"mac_address": port["mac_address"], **pair}]
    path = f"{PORTS}/{port['id']}"
    refused(cloud.alice.put(path, json={"port": {"allowed_address_pairs": [pair, pair]}}), 400)
    many = [{"ip_address": f"10.0.0.{n}"} for n in range(11)]
    refused(cloud.alice.put(path, json={"port": {"allowed_address_pairs": many}}), 400, "AllowedAddressPairExhausted")


@pytest.mark.parametrize(
    "options",
    [
        [{"opt_name": "a\nb", "opt_value": "x"}],
        [{"opt_name": "router", "opt_value": "x\ndhcp-script=/bin/sh"}],
        [{"opt_name": "router", "opt_value": "1.1.1.1,2.2.2.2"}],
        [{"opt_name": "tag:x,router", "opt_value": "x"}],
        [{"opt_name": "", "opt_value": "x"}],
        [{"opt_value": "x"}],
    ],
)
def test_nothing_is_injected_by_a_dhcp_option(cloud, options):
    network, _ = cloud.wired(cloud.alice)
    body = {"port": {"network_id": network["id"], "extra_dhcp_opts": options}}
    refused(cloud.alice.post(PORTS, json=body), 400)


def test_dhcp_options_are_merged_by_name_and_taken_away_by_null(cloud):
    network, _ = cloud.wired(cloud.alice)
    option = lambda name, value: {"opt_name": name, "opt_value": value}  # noqa: E731
    port = cloud.make(
        cloud.alice, "ports", network_id=network["id"], extra_dhcp_opts=[option("a", "1"), option("b", "2")]
    )
    told = {"extra_dhcp_opts": [option("a", None), option("b", "3"), option("c", "4")]}
    changed = cloud.alice.put(f"{PORTS}/{port['id']}", json={"port": told}).json()["port"]
    assert [(x["opt_name"], x["opt_value"], x["ip_version"]) for x in changed["extra_dhcp_opts"]] == [
        ("b", "3", 4), ("c", "4", 4)
    ]  # fmt: skip


def test_ports_are_found_by_address_group_and_part_of_an_address(cloud):
    network, subnet = cloud.wired(cloud.alice)
    port = cloud.make(cloud.alice, "ports", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.77"}])
    cloud.make(cloud.alice, "ports", network_id=network["id"])
    found = lambda query: [x["id"] for x in cloud.alice.get(f"{PORTS}?{query}").json()["ports"]]  # noqa: E731
    assert found("fixed_ips=ip_address%3D10.0.0.77") == [port["id"]]
    assert found("fixed_ips=ip_address_substr%3D.77") == [port["id"]]
    assert found(f"mac_address={port['mac_address']}") == [port["id"]]
    assert len(found(f"fixed_ips=subnet_id%3D{subnet['id']}")) == 2
    assert len(found(f"security_groups={port['security_groups'][0]}&id={port['id']}")) == 1


def test_ports_that_cannot_all_be_are_none(cloud):
    network, _ = cloud.wired(cloud.alice, "10.0.0.0/29")
    body = {"ports": [{"network_id": network["id"]} for _ in range(6)]}
    refused(cloud.alice.post(PORTS, json=body), 409, "IpAddressGenerationFailure")
    assert cloud.alice.get(PORTS).json() == {"ports": []}
    answer = cloud.alice.post(PORTS, json={"ports": body["ports"][:5]})
    assert len({addresses(each)[0] for each in answer.json()["ports"]}) == 5
