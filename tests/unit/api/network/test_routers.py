"""Routers and floating IPs over HTTP."""

import pytest

from tests.unit.api.network.cloud import refused

ROUTERS = "/network/v2.0/routers"
FLOATING = "/network/v2.0/floatingips"
PORTS = "/network/v2.0/ports"


def interface(who, router, status=200, verb="add", **told):
    answer = who.put(f"{ROUTERS}/{router['id']}/{verb}_router_interface", json=told)
    assert answer.status_code == status, answer.text
    return answer


@pytest.fixture
def wired(cloud):
    """A router of Alice's with a gateway, an interface on a subnet, and a port on it."""
    network, subnet = cloud.wired(cloud.alice)
    router = cloud.make(cloud.alice, "routers", external_gateway_info={"network_id": cloud.public.id})
    interface(cloud.alice, router, subnet_id=subnet["id"])
    return router, subnet, cloud.make(cloud.alice, "ports", network_id=network["id"])


def test_a_router_has_a_gateway_with_addresses_of_the_external_network(cloud):
    router = cloud.make(cloud.alice, "routers", name="r", external_gateway_info={"network_id": cloud.public.id})
    info = router["external_gateway_info"]
    assert (info["network_id"], info["enable_snat"]) == (cloud.public.id, True)
    assert [each["ip_address"] for each in info["external_fixed_ips"]] == ["172.24.0.10", "2001:db8:cafe::2"]
    assert cloud.alice.get(f"{PORTS}?device_id={router['id']}").json() == {"ports": []}
    path = f"{ROUTERS}/{router['id']}"
    bare = cloud.alice.put(path, json={"router": {"external_gateway_info": {}}}).json()["router"]
    assert bare["external_gateway_info"] is None
    assert cloud.admin.get(f"{PORTS}?device_id={router['id']}").json() == {"ports": []}
    assert cloud.alice.delete(path).status_code == 204
    refused(cloud.alice.get(path), 404, "RouterNotFound")


def test_source_nat_and_outer_addresses_are_set_by_administrators(cloud):
    info = {"network_id": cloud.public.id, "enable_snat": False}
    refused(cloud.alice.post(ROUTERS, json={"router": {"external_gateway_info": info}}), 403)
    told = {"network_id": cloud.public.id, "external_fixed_ips": [{"ip_address": "172.24.0.99"}]}
    refused(cloud.alice.post(ROUTERS, json={"router": {"external_gateway_info": told}}), 403)
    router = cloud.make(cloud.admin, "routers", external_gateway_info={**info, **told})
    assert router["external_gateway_info"]["enable_snat"] is False
    assert [x["ip_address"] for x in router["external_gateway_info"]["external_fixed_ips"]] == ["172.24.0.99"]


def test_a_gateway_is_on_an_external_network(cloud):
    network, _ = cloud.wired(cloud.alice)
    info = {"network_id": network["id"]}
    message = refused(cloud.alice.post(ROUTERS, json={"router": {"external_gateway_info": info}}), 400, "BadRequest")
    assert "is not an external network" in message
    info = {"network_id": "4e72dc2d-44c5-4336-9667-f7972e95c402"}
    refused(cloud.alice.post(ROUTERS, json={"router": {"external_gateway_info": info}}), 404, "NetworkNotFound")
    assert cloud.alice.get(ROUTERS).json() == {"routers": []}


def test_an_interface_is_at_the_gateway_address_of_its_subnet(cloud, wired):
    router, subnet, _ = wired
    ports = cloud.alice.get(f"{PORTS}?device_id={router['id']}").json()["ports"]
    assert [each["fixed_ips"][0]["ip_address"] for each in ports] == ["10.0.0.1"]
    assert ports[0]["device_owner"] == "network:router_interface"
    assert ports[0]["security_groups"] == []
    refused(cloud.alice.delete(f"{PORTS}/{ports[0]['id']}"), 409, "ServicePortInUse")
    refused(cloud.alice.delete(f"{ROUTERS}/{router['id']}"), 409, "RouterInUse")
    refused(
        cloud.alice.put(f"/network/v2.0/subnets/{subnet['id']}", json={"subnet": {"gateway_ip": "10.0.0.9"}}),
        409,
        "GatewayIpInUse",
    )
    told = interface(cloud.alice, router, verb="remove", subnet_id=subnet["id"]).json()
    assert (told["id"], told["port_id"], told["subnet_ids"]) == (router["id"], ports[0]["id"], [subnet["id"]])
    refused(
        interface(cloud.alice, router, 404, "remove", subnet_id=subnet["id"]), 404, "RouterInterfaceNotFoundForSubnet"
    )


def test_a_port_becomes_an_interface_and_goes_with_it(cloud, wired):
    router, _, used = wired
    network, subnet = cloud.wired(cloud.alice, "10.1.0.0/24")
    port = cloud.make(cloud.alice, "ports", network_id=network["id"])
    assert interface(cloud.alice, router, port_id=port["id"]).json()["subnet_id"] == subnet["id"]
    refused(interface(cloud.alice, router, 409, port_id=port["id"]), 409, "PortInUse")
    interface(cloud.alice, router, verb="remove", port_id=port["id"])
    refused(cloud.alice.get(f"{PORTS}/{port['id']}"), 404)
    refused(interface(cloud.alice, router, 404, "remove", port_id=used["id"]), 404, "RouterInterfaceNotFound")


def test_what_a_router_cannot_be_connected_with(cloud, wired):
    router, subnet, port = wired
    other, overlapping = cloud.wired(cloud.alice, "10.0.0.0/25")
    bare = cloud.make(cloud.alice, "subnets", network_id=other["id"], cidr="10.5.0.0/24", gateway_ip=None)
    _, foreign = cloud.wired(cloud.bob, "10.6.0.0/24")
    for told in ({}, {"subnet_id": subnet["id"], "port_id": port["id"]}, {"subnet_id": subnet["id"]},
                 {"subnet_id": overlapping["id"]}, {"subnet_id": bare["id"]}):  # fmt: skip
        interface(cloud.alice, router, 400, **told)
    interface(cloud.alice, router, 404, subnet_id=foreign["id"])
    refused(interface(cloud.bob, router, 404, subnet_id=foreign["id"]), 404, "RouterNotFound")


def test_prefixes_of_ipv6_on_one_network_share_an_interface(cloud):
    network = cloud.make(cloud.alice, "networks")
    router = cloud.make(cloud.alice, "routers")
    mode = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "network_id": network["id"]}
    first = cloud.make(cloud.alice, "subnets", cidr="fd00::/64", **mode)
    second = cloud.make(cloud.alice, "subnets", cidr="fd01::/64", **mode)
    one, two = (interface(cloud.alice, router, subnet_id=each["id"]).json() for each in (first, second))
    assert one["port_id"] == two["port_id"]
    interface(cloud.alice, router, verb="remove", subnet_id=first["id"])
    port = cloud.alice.get(f"{PORTS}/{one['port_id']}").json()["port"]
    assert [each["ip_address"] for each in port["fixed_ips"]] == ["fd01::1"]


def test_further_routes_lead_to_what_the_router_reaches(cloud, wired):
    router, subnet, _ = wired
    path = f"{ROUTERS}/{router['id']}"
    route = {"destination": "192.168.9.0/24", "nexthop": "10.0.0.50"}
    assert cloud.alice.put(path, json={"router": {"routes": [route]}}).json()["router"]["routes"] == [route]
    for bad in ({**route, "nexthop": "10.99.0.1"}, {**route, "nexthop": "10.0.0.1"}):
        refused(cloud.alice.put(path, json={"router": {"routes": [bad]}}), 400, "InvalidRoutes")
    refused(cloud.alice.put(path, json={"router": {"routes": [route, route]}}), 400)
    refused(interface(cloud.alice, router, 409, "remove", subnet_id=subnet["id"]), 409, "RouterInterfaceInUseByRoute")
    more = {"destination": "192.168.8.0/24", "nexthop": "10.0.0.51"}
    added = cloud.alice.put(f"{path}/add_extraroutes", json={"router": {"routes": [route, more]}})
    assert added.json()["router"]["routes"] == [route, more]
    left = cloud.alice.put(f"{path}/remove_extraroutes", json={"router": {"routes": [route]}})
    assert left.json()["router"]["routes"] == [more]


def test_a_floating_ip_is_associated_moved_and_let_go(cloud, wired):
    router, subnet, port = wired
    floating = cloud.make(cloud.alice, "floatingips", floating_network_id=cloud.public.id)
    assert (floating["status"], floating["port_id"], floating["router_id"]) == ("DOWN", None, None)
    path = f"{FLOATING}/{floating['id']}"
    put = lambda **told: cloud.alice.put(path, json={"floatingip": told})  # noqa: E731
    told = put(port_id=port["id"]).json()["floatingip"]
    assert (told["fixed_ip_address"], told["router_id"], told["status"]) == ("10.0.0.2", router["id"], "ACTIVE")
    refused(
        interface(cloud.alice, router, 409, "remove", subnet_id=subnet["id"]), 409, "RouterInterfaceInUseByFloatingIP"
    )
    gateway = {"router": {"external_gateway_info": None}}
    refused(cloud.alice.put(f"{ROUTERS}/{router['id']}", json=gateway), 409, "RouterExternalGatewayInUseByFloatingIp")
    other = cloud.make(cloud.alice, "ports", network_id=port["network_id"])
    assert put(port_id=other["id"]).json()["floatingip"]["fixed_ip_address"] == "10.0.0.3"
    assert put(description="x").json()["floatingip"]["port_id"] == other["id"]
    assert put(port_id=None).json()["floatingip"]["router_id"] is None
    assert cloud.alice.delete(path).status_code == 204
    refused(cloud.alice.get(path), 404, "FloatingIPNotFound")


def test_a_fixed_address_has_one_floating_ip(cloud, wired):
    _, _, port = wired
    told = {"floating_network_id": cloud.public.id, "port_id": port["id"]}
    first = cloud.make(cloud.alice, "floatingips", **told)
    refused(cloud.alice.post(FLOATING, json={"floatingip": told}), 409, "FloatingIPPortAlreadyAssociated")
    assert [x["id"] for x in cloud.alice.get(FLOATING).json()["floatingips"]] == [first["id"]]
    assert cloud.alice.delete(f"{PORTS}/{port['id']}").status_code == 204
    assert cloud.alice.get(f"{FLOATING}/{first['id']}").json()["floatingip"]["port_id"] is None


def test_a_floating_ip_that_cannot_be(cloud, wired):
    _, subnet, port = wired
    network, _ = cloud.wired(cloud.alice, "10.7.0.0/24")
    alone = cloud.make(cloud.alice, "ports", network_id=network["id"])
    two = cloud.make(cloud.alice, "ports", network_id=port["network_id"], fixed_ips=[{"subnet_id": subnet["id"]}] * 2)
    foreign_network, _ = cloud.wired(cloud.bob)
    foreign = cloud.make(cloud.bob, "ports", network_id=foreign_network["id"])
    base = {"floating_network_id": cloud.public.id}
    for told, status, kind in (
        ({"floating_network_id": network["id"]}, 400, "BadRequest"),
        ({**base, "port_id": alone["id"]}, 404, "ExternalGatewayForFloatingIPNotFound"),
        ({**base, "port_id": two["id"]}, 400, "BadRequest"),
        ({**base, "port_id": foreign["id"]}, 404, "PortNotFound"),
        ({**base, "fixed_ip_address": "10.0.0.2"}, 400, "BadRequest"),
        ({**base, "port_id": port["id"], "fixed_ip_address": "10.0.0.200"}, 400, "BadRequest"),
        ({**base, "floating_ip_address": "172.24.0.77"}, 403, "PolicyNotAuthorized"),
    ):
        refused(cloud.alice.post(FLOATING, json={"floatingip": told}), status, kind)
    assert cloud.admin.get(f"{PORTS}?device_owner=network:floatingip").json() == {"ports": []}
    chosen = cloud.make(cloud.manager, "floatingips", **base, floating_ip_address="172.24.0.77")
    assert chosen["floating_ip_address"] == "172.24.0.77"
    refused(
        cloud.manager.post(FLOATING, json={"floatingip": {**base, "floating_ip_address": "172.24.0.77"}}),
        409,
        "IpAddressAlreadyAllocated",
    )
    picked = cloud.make(cloud.alice, "floatingips", **base, port_id=two["id"],
                        fixed_ip_address=two["fixed_ips"][1]["ip_address"])  # fmt: skip
    assert picked["fixed_ip_address"] == two["fixed_ips"][1]["ip_address"]


def test_an_address_that_a_floating_ip_leads_to_stays_on_its_port(cloud, wired):
    _, _, port = wired
    cloud.make(cloud.alice, "floatingips", floating_network_id=cloud.public.id, port_id=port["id"])
    body = {"port": {"fixed_ips": [{"ip_address": "10.0.0.99"}]}}
    refused(cloud.alice.put(f"{PORTS}/{port['id']}", json=body), 400, "BadRequest")


def test_an_external_network_goes_with_its_idle_floating_ips_and_not_with_others(cloud, wired):
    idle = cloud.make(cloud.bob, "floatingips", floating_network_id=cloud.public.id)
    path = f"/network/v2.0/networks/{cloud.public.id}"
    refused(cloud.admin.delete(path), 409, "NetworkInUse")
    assert cloud.bob.get(f"{FLOATING}/{idle['id']}").status_code == 200
    gateway = {"router": {"external_gateway_info": None}}
    assert cloud.alice.put(f"{ROUTERS}/{wired[0]['id']}", json=gateway).status_code == 200
    assert cloud.admin.delete(path).status_code == 204
    refused(cloud.bob.get(f"{FLOATING}/{idle['id']}"), 404)


def test_an_external_network_with_gateways_stays_external(cloud, wired):
    body = {"network": {"router:external": False}}
    refused(cloud.admin.put(f"/network/v2.0/networks/{cloud.public.id}", json=body), 409, "ExternalNetworkInUse")


def test_quotas_are_shown_changed_and_reset(cloud, wired):
    quotas = "/network/v2.0/quotas/project-a"
    refused(cloud.alice.get(quotas), 403)
    assert cloud.manager.get(quotas).json()["quota"]["router"] == 10
    refused(cloud.manager.put(quotas, json={"quota": {"router": 99}}), 403)
    refused(cloud.manager.get("/network/v2.0/quotas/project-b"), 403)
    assert cloud.admin.put(quotas, json={"quota": {"router": 1}}).json()["quota"]["router"] == 1
    refused(cloud.admin.put(quotas, json={"quota": {"router": -2}}), 400)
    refused(cloud.admin.put(quotas, json={"quota": {"bogus": 1}}), 400)
    refused(cloud.alice.post(ROUTERS, json={"router": {}}), 409, "OverQuota")
    details = cloud.admin.get(f"{quotas}/details.json").json()["quota"]
    assert details["router"] == {"limit": 1, "used": 1, "reserved": 0}
    assert [each["project_id"] for each in cloud.admin.get("/network/v2.0/quotas").json()["quotas"]] == ["project-a"]
    assert cloud.admin.get(f"{quotas}/default").json()["quota"]["router"] == 10
    assert cloud.admin.delete(quotas).status_code == 204
    refused(cloud.admin.delete(quotas), 404, "TenantQuotaNotFound")
    cloud.make(cloud.alice, "routers")
