"""Networks over HTTP: who sees them, who may set what, and how refusals read."""

import pytest

from tests.unit.api.network.cloud import refused

NETWORKS = "/network/v2.0/networks"


def test_versions_and_resources_are_told_without_a_token(cloud):
    answer = cloud.anybody.get("/network")
    assert answer.status_code == 200
    assert [each["id"] for each in answer.json()["versions"]] == ["v2.0"]
    resources = cloud.anybody.get("/network/v2.0/").json()["resources"]
    assert {"network", "subnet", "port"} <= {each["name"] for each in resources}
    for each in resources:
        path = each["links"][0]["href"].removeprefix("http://cloud.test")
        assert cloud.admin.get(path).status_code == 200


def test_an_extension_is_shown_as_it_is_listed(cloud):
    listed = cloud.anybody.get("/network/v2.0/extensions").json()["extensions"]
    for each in listed:
        assert set(each) == {"alias", "name", "description", "updated", "links"}
        assert cloud.anybody.get(f"/network/v2.0/extensions/{each['alias']}").json() == {"extension": each}
    refused(cloud.anybody.get("/network/v2.0/extensions/metering"), 404, "ExtensionsNotFound")


def test_without_a_token_nothing_is_told(cloud):
    assert cloud.anybody.get(NETWORKS).status_code == 401


def test_a_project_sees_its_own_networks_shared_ones_and_external_ones(cloud):
    own = cloud.make(cloud.alice, "networks", name="own")
    shared = cloud.make(cloud.admin, "networks", name="shared", shared=True)
    other = cloud.make(cloud.bob, "networks", name="other")
    seen = {each["id"] for each in cloud.alice.get(NETWORKS).json()["networks"]}
    assert seen == {own["id"], shared["id"], cloud.public.id}
    refused(cloud.alice.get(f"{NETWORKS}/{other['id']}"), 404, "NetworkNotFound")
    refused(cloud.alice.put(f"{NETWORKS}/{other['id']}", json={"network": {"name": "x"}}), 404, "NetworkNotFound")
    refused(cloud.alice.delete(f"{NETWORKS}/{other['id']}"), 404, "NetworkNotFound")
    refused(cloud.alice.delete(f"{NETWORKS}/{shared['id']}"), 403, "PolicyNotAuthorized")
    assert cloud.admin.get(f"{NETWORKS}/{other['id']}").status_code == 200


def test_a_reader_reads_only(cloud):
    own = cloud.make(cloud.alice, "networks")
    assert cloud.reader.get(f"{NETWORKS}/{own['id']}").status_code == 200
    refused(cloud.reader.post(NETWORKS, json={"network": {}}), 403)
    refused(cloud.reader.put(f"{NETWORKS}/{own['id']}", json={"network": {"name": "x"}}), 403)
    refused(cloud.reader.delete(f"{NETWORKS}/{own['id']}"), 403)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shared", True),
        ("router:external", True),
        ("provider:network_type", "flat"),
        ("provider:physical_network", "x"),
        ("provider:segmentation_id", 7),
    ],
)
def test_what_only_administrators_may_set_is_forbidden_to_others(cloud, name, value):
    refused(cloud.alice.post(NETWORKS, json={"network": {name: value}}), 403, "PolicyNotAuthorized")
    own = cloud.make(cloud.alice, "networks")
    refused(cloud.alice.put(f"{NETWORKS}/{own['id']}", json={"network": {name: value}}), 403, "PolicyNotAuthorized")
    assert "provider:network_type" not in own


def test_administrators_see_and_set_provider_attributes(cloud):
    told = {"provider:network_type": "vlan", "provider:physical_network": "phys", "provider:segmentation_id": 12}
    network = cloud.make(cloud.admin, "networks", **told)
    assert told.items() <= network.items()
    message = refused(cloud.admin.post(NETWORKS, json={"network": told}), 409, "VlanIdInUse")
    assert "VLAN 12" in message


@pytest.mark.parametrize(
    "body",
    [
        {"bogus": 1},
        {"name": 7},
        {"name": "a\nb"},
        {"name": "x" * 256},
        {"id": "x"},
        {"status": "DOWN"},
        {"subnets": []},
        {"created_at": "2024-01-01T00:00:00Z"},
        {"admin_state_up": "maybe"},
        {"external": True},
        {"mtu": 9000},
    ],
)
def test_what_is_not_an_attribute_or_not_of_its_kind_is_400(cloud, body):
    refused(cloud.alice.post(NETWORKS, json={"network": body}), 400)


def test_a_body_without_a_network_is_400(cloud):
    refused(cloud.alice.post(NETWORKS, json={}), 400)
    refused(cloud.alice.post(NETWORKS, json={"network": {}, "networks": [{}]}), 400)
    refused(cloud.alice.post(NETWORKS, content=b"{"), 400)


def test_a_network_for_another_project_is_for_administrators(cloud):
    refused(cloud.alice.post(NETWORKS, json={"network": {"project_id": "project-b"}}), 400)
    assert cloud.make(cloud.admin, "networks", tenant_id="project-b")["project_id"] == "project-b"
    refused(cloud.admin.post(NETWORKS, json={"network": {"project_id": "a", "tenant_id": "b"}}), 400)


def test_several_networks_are_made_all_or_none(cloud):
    answer = cloud.alice.post(NETWORKS, json={"networks": [{"name": "a"}, {"name": "b"}]})
    assert answer.status_code == 201
    assert [each["name"] for each in answer.json()["networks"]] == ["a", "b"]
    assert cloud.admin.put("/network/v2.0/quotas/project-a", json={"quota": {"network": 3}}).status_code == 200
    refused(cloud.alice.post(NETWORKS, json={"networks": [{}, {}]}), 409, "OverQuota")
    assert len(cloud.alice.get(f"{NETWORKS}?project_id=project-a").json()["networks"]) == 2
    cloud.make(cloud.alice, "networks")
    message = refused(cloud.alice.post(NETWORKS, json={"network": {}}), 409, "OverQuota")
    assert message == "Quota exceeded for resources: ['network']."


def test_a_network_with_ports_cannot_be_deleted_and_one_with_subnets_can(cloud):
    network, subnet = cloud.wired(cloud.alice)
    port = cloud.make(cloud.alice, "ports", network_id=network["id"])
    message = refused(cloud.alice.delete(f"{NETWORKS}/{network['id']}"), 409, "NetworkInUse")
    assert "There are one or more ports still in use on the network" in message
    assert cloud.alice.delete(f"/network/v2.0/ports/{port['id']}").status_code == 204
    assert cloud.alice.delete(f"{NETWORKS}/{network['id']}").status_code == 204
    refused(cloud.alice.get(f"/network/v2.0/subnets/{subnet['id']}"), 404, "SubnetNotFound")


def test_a_network_that_others_use_stays_shared(cloud):
    shared = cloud.make(cloud.admin, "networks", shared=True)
    cloud.make(cloud.alice, "ports", network_id=shared["id"])
    answer = cloud.admin.put(f"{NETWORKS}/{shared['id']}", json={"network": {"shared": False}})
    refused(answer, 409, "InvalidSharedSetting")


def test_a_change_counts_the_revision_up(cloud):
    network = cloud.make(cloud.alice, "networks", name="a")
    changed = cloud.alice.put(f"{NETWORKS}/{network['id']}", json={"network": {"name": "b"}}).json()["network"]
    assert (changed["name"], changed["revision_number"]) == ("b", 1)
    assert changed["updated_at"] > network["updated_at"]


def test_only_the_fields_that_are_asked_for_are_told(cloud):
    network = cloud.make(cloud.alice, "networks", name="a")
    assert cloud.alice.get(f"{NETWORKS}/{network['id']}?fields=id&fields=name").json() == {
        "network": {"id": network["id"], "name": "a"}
    }
    listed = cloud.alice.get(f"{NETWORKS}?fields=tenant_id&name=a").json()["networks"]
    assert listed == [{"tenant_id": "project-a"}]


def test_lists_are_filtered_sorted_and_told_page_by_page(cloud):
    for name in ("c", "a", "b", "b"):
        cloud.make(cloud.alice, "networks", name=name, admin_state_up=name != "a")
    names = lambda query: [each["name"] for each in cloud.alice.get(f"{NETWORKS}?{query}").json()["networks"]]  # noqa: E731
    assert sorted(names("name=a&name=b")) == ["a", "b", "b"]
    assert names("admin_state_up=False") == ["a"]
    assert names("sort_key=name&sort_dir=desc&project_id=project-a") == ["c", "b", "b", "a"]
    first = cloud.alice.get(f"{NETWORKS}?limit=3&sort_key=name").json()
    following = next(each["href"] for each in first["networks_links"] if each["rel"] == "next")
    second = cloud.alice.get(following.removeprefix("http://cloud.test")).json()
    told = [each["name"] for each in (*first["networks"], *second["networks"])]
    assert told == ["a", "b", "b", "c", "public"]
    back = next(each["href"] for each in second["networks_links"] if each["rel"] == "previous")
    assert cloud.alice.get(back.removeprefix("http://cloud.test")).json()["networks"] == first["networks"]
    refused(cloud.alice.get(f"{NETWORKS}?limit=-1"), 400)
    refused(cloud.alice.get(f"{NETWORKS}?sort_key=bogus"), 400)
    refused(cloud.alice.get(f"{NETWORKS}?admin_state_up=maybe"), 400)
    assert len(names("bogus=1")) == 5


def test_tags_are_put_on_found_by_and_taken_off(cloud):
    network = cloud.make(cloud.alice, "networks")
    tags = f"{NETWORKS}/{network['id']}/tags"
    assert cloud.alice.put(f"{tags}/red").status_code == 201
    assert cloud.alice.put(f"{tags}/red").status_code == 201
    assert cloud.alice.get(f"{tags}/red").status_code == 204
    refused(cloud.alice.get(f"{tags}/blue"), 404, "TagNotFound")
    assert cloud.alice.put(tags, json={"tags": ["blue", "green"]}).json() == {"tags": ["blue", "green"]}
    count = lambda query: len(cloud.alice.get(f"{NETWORKS}?{query}").json()["networks"])  # noqa: E731
    assert [count(q) for q in ("tags=blue,green", "tags=blue,red", "tags-any=blue,red", "not-tags=blue")] == [
        1, 0, 1, 1
    ]  # fmt: skip
    refused(cloud.alice.put(tags, json={"tags": ["a\nb"]}), 400)
    refused(cloud.bob.put(f"{tags}/x"), 404)
    refused(cloud.reader.put(f"{tags}/x"), 403)
    refused(cloud.alice.put(tags, json={"tags": [str(n) for n in range(51)]}), 400)
    assert cloud.alice.delete(f"{tags}/blue").status_code == 204
    assert cloud.alice.delete(tags).status_code == 204
    assert cloud.alice.get(tags).json() == {"tags": []}
