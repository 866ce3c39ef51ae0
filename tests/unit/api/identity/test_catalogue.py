"""Regions, services and endpoints over HTTP."""

from __future__ import annotations

import pytest

V3 = "/identity/v3"


def test_regions_are_created_shown_changed_and_deleted(cloud):
    admin = cloud.admin
    made = cloud.make("regions", "region", id="north", description="d")
    assert made["parent_region_id"] is None
    assert cloud.make("regions", "region")["id"]
    assert admin.post(f"{V3}/regions", json={"region": {"id": "north"}}).status_code == 409
    named = admin.put(f"{V3}/regions/south", json={"region": {"parent_region_id": "north"}})
    assert (named.status_code, named.json()["region"]["id"]) == (201, "south")
    assert admin.put(f"{V3}/regions/east", json={"region": {"id": "west"}}).status_code == 400
    assert admin.post(f"{V3}/regions", json={"region": {"parent_region_id": "nowhere"}}).status_code == 400
    path = f"{V3}/regions/north"
    assert admin.get(path).json()["region"] == made
    assert admin.patch(path, json={"region": {"description": "e"}}).json()["region"]["description"] == "e"
    assert admin.patch(path, json={"region": {"parent_region_id": "south"}}).status_code == 400
    children = admin.get(f"{V3}/regions?parent_region_id=north").json()["regions"]
    assert [each["id"] for each in children] == ["south"]
    assert admin.delete(path).status_code == 403
    assert admin.delete(f"{V3}/regions/RegionOne").status_code == 403
    assert admin.delete(f"{V3}/regions/south").status_code == 204
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404


def test_services_and_endpoints_are_created_shown_changed_and_deleted(cloud):
    admin = cloud.admin
    service = cloud.make("services", "service", type="dns", name="designate", description="d", colour="red")
    assert (service["enabled"], service["colour"]) == (True, "red")
    path = f"{V3}/services/{service['id']}"
    assert admin.get(path).json() == {"service": service}
    assert admin.patch(path, json={"service": {"name": "d2"}}).json()["service"]["name"] == "d2"
    assert [each["id"] for each in admin.get(f"{V3}/services?type=dns").json()["services"]] == [service["id"]]
    endpoint = cloud.make(
        "endpoints", "endpoint", service_id=service["id"], interface="public", url="http://dns", region="RegionOne"
    )
    assert (endpoint["region"], endpoint["region_id"]) == ("RegionOne", "RegionOne")
    where = f"{V3}/endpoints/{endpoint['id']}"
    assert admin.get(where).json() == {"endpoint": endpoint}
    older = {"endpoint": {"service_id": service["id"], "interface": "admin", "url": "http://dns", "region": "new"}}
    assert admin.post(f"{V3}/endpoints", json=older).status_code == 201
    assert admin.get(f"{V3}/regions/new").status_code == 200
    assert admin.patch(where, json={"endpoint": {"region": "newer"}}).json()["endpoint"]["region_id"] == "newer"
    listed = admin.get(f"{V3}/endpoints?service_id={service['id']}&interface=public").json()["endpoints"]
    assert [each["id"] for each in listed] == [endpoint["id"]]
    changed = admin.patch(where, json={"endpoint": {"url": "http://elsewhere", "enabled": False}})
    assert changed.json()["endpoint"]["url"] == "http://elsewhere"
    assert admin.patch(where, json={"endpoint": {"service_id": "0" * 32}}).status_code == 400
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == admin.get(where).status_code == 404


def test_what_is_disabled_is_not_in_a_catalogue(cloud):
    def types() -> set[str]:
        return {each["type"] for each in cloud.admin.get(f"{V3}/auth/catalog").json()["catalog"]}

    service = cloud.make("services", "service", type="dns")["id"]
    assert "dns" not in types()
    endpoint = cloud.make("endpoints", "endpoint", service_id=service, interface="public", url="http://dns")["id"]
    assert "dns" in types()
    cloud.admin.patch(f"{V3}/endpoints/{endpoint}", json={"endpoint": {"enabled": False}})
    assert "dns" not in types()
    cloud.admin.patch(f"{V3}/endpoints/{endpoint}", json={"endpoint": {"enabled": True}})
    cloud.admin.patch(f"{V3}/services/{service}", json={"service": {"enabled": False}})
    assert "dns" not in types()


@pytest.mark.parametrize(
    "endpoint",
    [
        {},
        {"interface": "secret", "url": "http://x"},
        {"interface": "public", "url": "no address"},
        {"interface": "public", "url": "http://x", "enabled": "True"},
        {"interface": "public", "url": "http://x", "region_id": "nowhere"},
        {"interface": "public", "url": "http://x/%(password)s"},
        {"interface": "public", "url": "http://x", "service_id": "0" * 32},
    ],
)
def test_an_endpoint_that_makes_no_sense_is_400(cloud, endpoint):
    service = cloud.admin.get(f"{V3}/services").json()["services"][0]["id"]
    body = {"endpoint": {"service_id": service, **endpoint}}
    assert cloud.admin.post(f"{V3}/endpoints", json=body).status_code == 400


def test_only_regions_are_for_everybody(cloud):
    project = cloud.make("projects", "project", name="p")["id"]
    member = cloud.persona("eve", "manager", f"projects/{project}")
    assert member.get(f"{V3}/regions").status_code == member.get(f"{V3}/regions/RegionOne").status_code == 200
    for method, path in (
        ("GET", "services"),
        ("GET", "endpoints"),
        ("POST", "regions"),
        ("POST", "services"),
        ("POST", "endpoints"),
        ("PATCH", "regions/RegionOne"),
        ("DELETE", "regions/RegionOne"),
    ):
        assert member(method, f"{V3}/{path}", json={}).status_code == 403, (method, path)
    auditor = cloud.persona("auditor", "reader", "system")
    assert auditor.get(f"{V3}/services").status_code == auditor.get(f"{V3}/endpoints").status_code == 200
    assert auditor.post(f"{V3}/regions", json={"region": {}}).status_code == 403
