"""Aggregates and availability zones, and who else learns of them."""

from __future__ import annotations

import pytest

from tests.unit.api.compute.cloud import refused
from tests.unit.control.compute.rows import add_server

PATH = "/os-aggregates"
NEW = {"id", "name", "availability_zone", "created_at", "updated_at", "deleted", "deleted_at"}


def make(cloud, name="ssd", zone=None):
    answer = cloud.admin.post(PATH, json={"aggregate": {"name": name, "availability_zone": zone}}, v="2.41")
    assert answer.status_code == 200, answer.text
    return answer.json()["aggregate"]


def act(cloud, number, **action):
    return cloud.admin.post(f"{PATH}/{number}/action", json=action, v="2.41")


def add(cloud, number, host):
    answer = act(cloud, number, add_host={"host": host})
    assert answer.status_code == 200, answer.text
    return answer.json()["aggregate"]


@pytest.fixture
def hosts(cloud):
    return [each.name for each in cloud.compute.hosts.list_all()]


def zone_of(cloud, host):
    return cloud.compute.hosts.by_name(host).zone


def test_an_aggregate_is_made_shown_renamed_and_deleted(cloud):
    made = make(cloud)
    assert set(made) == NEW | {"uuid"}
    assert set(cloud.admin.post(PATH, json={"aggregate": {"name": "x"}}, v="2.40").json()["aggregate"]) == NEW
    shown = cloud.admin.get(f"{PATH}/{made['id']}", v="2.41").json()["aggregate"]
    assert shown == made | {"hosts": [], "metadata": {}}
    renamed = cloud.admin.put(f"{PATH}/{made['id']}", json={"aggregate": {"name": " nvme "}}).json()["aggregate"]
    assert renamed["name"] == "nvme"
    assert renamed["updated_at"] is not None
    assert [each["name"] for each in cloud.admin.get(PATH).json()["aggregates"]] == ["nvme", "x"]
    gone = cloud.admin.delete(f"{PATH}/{made['id']}")
    assert (gone.status_code, gone.content) == (200, b"")
    assert refused(cloud.admin.get(f"{PATH}/{made['id']}"), 404) == "Aggregate 1 could not be found."


@pytest.mark.parametrize(
    "wrong",
    [{}, {"name": ""}, {"name": "x" * 256}, {"name": 5}, {"name": "x", "availability_zone": "a:b"}, {"name": " x"},
     {"name": "x", "availability_zone": ""}, {"name": "x", "metadata": {}}],
)  # fmt: skip
def test_what_makes_no_aggregate_is_refused(cloud, wrong):
    refused(cloud.admin.post(PATH, json={"aggregate": wrong}), 400)


def test_a_name_is_taken_once(cloud):
    make(cloud)
    assert refused(cloud.admin.post(PATH, json={"aggregate": {"name": "ssd"}}), 409) == "Aggregate ssd already exists."
    other = make(cloud, "other")["id"]
    refused(cloud.admin.put(f"{PATH}/{other}", json={"aggregate": {"name": "ssd"}}), 409)


def test_hosts_come_and_go_in_placement_too(cloud, hosts):
    made = make(cloud)
    told = add(cloud, made["id"], hosts[0])
    assert told["hosts"] == [hosts[0]]
    uuid = cloud.compute.hosts.by_name(hosts[0]).uuid
    assert cloud.placement.aggregates_of(uuid) == (made["uuid"],)
    assert "already has host" in refused(act(cloud, made["id"], add_host={"host": hosts[0]}), 409)
    refused(cloud.admin.delete(f"{PATH}/{made['id']}"), 400)
    refused(act(cloud, made["id"], add_host={"host": "nowhere"}), 404)
    refused(act(cloud, 99, add_host={"host": hosts[0]}), 404)
    told = act(cloud, made["id"], remove_host={"host": hosts[0]}).json()["aggregate"]
    assert told["hosts"] == []
    assert cloud.placement.aggregates_of(uuid) == ()
    message = refused(act(cloud, made["id"], remove_host={"host": hosts[0]}), 404)
    assert message == f"Cannot remove host {hosts[0]} in aggregate {made['id']}"


def test_other_aggregates_of_a_provider_stay(cloud, hosts):
    uuid, theirs = cloud.compute.hosts.by_name(hosts[0]).uuid, "99999999-0000-4000-8000-000000000000"
    cloud.placement.set_aggregates(uuid, [theirs])
    made = make(cloud)
    add(cloud, made["id"], hosts[0])
    assert set(cloud.placement.aggregates_of(uuid)) == {theirs, made["uuid"]}
    act(cloud, made["id"], remove_host={"host": hosts[0]})
    assert cloud.placement.aggregates_of(uuid) == (theirs,)


def test_a_zone_is_metadata_that_the_pool_follows(cloud, hosts):
    made, before = make(cloud, zone="east"), zone_of(cloud, hosts[0])
    add(cloud, made["id"], hosts[0])
    assert zone_of(cloud, hosts[0]) == "east"
    assert zone_of(cloud, hosts[1]) == before
    told = act(cloud, made["id"], set_metadata={"metadata": {"availability_zone": "west", "disk": "ssd"}})
    assert told.json()["aggregate"]["metadata"] == {"availability_zone": "west", "disk": "ssd"}
    assert zone_of(cloud, hosts[0]) == "west"
    facts = cloud.compute.scheduling.facts
    assert facts.metadata(made["uuid"]) == {"availability_zone": "west", "disk": "ssd"}
    act(cloud, made["id"], set_metadata={"metadata": {"disk": None}})
    assert facts.metadata(made["uuid"]) == {"availability_zone": "west"}
    cloud.admin.put(f"{PATH}/{made['id']}", json={"aggregate": {"availability_zone": "north"}})
    assert zone_of(cloud, hosts[0]) == "north"
    act(cloud, made["id"], remove_host={"host": hosts[0]})
    assert zone_of(cloud, hosts[0]) == before


def test_what_is_in_the_store_is_told_again_at_the_start(cloud, hosts):
    made = make(cloud, zone="east")
    add(cloud, made["id"], hosts[0])
    pool, facts = cloud.placement.pool, cloud.compute.scheduling.facts
    facts.set_metadata(made["uuid"], {})
    row = cloud.placement.books.providers[cloud.compute.hosts.by_name(hosts[0]).uuid].row
    pool.set_zone(row, None)
    cloud.compute.aggregates.load(pool, facts)
    assert pool.zone_of(row) == "east"
    assert facts.metadata(made["uuid"]) == {"availability_zone": "east"}


def test_a_host_is_in_one_zone_only(cloud, hosts):
    east, west, plain = make(cloud, "e", "east"), make(cloud, "w", "west"), make(cloud, "p")
    add(cloud, east["id"], hosts[0])
    message = refused(act(cloud, west["id"], add_host={"host": hosts[0]}), 409)
    assert message == (
        f"Cannot add host to aggregate {west['id']}. "
        "Reason: One or more hosts already in availability zone(s) ['east']."
    )
    add(cloud, plain["id"], hosts[0])
    metadata = {"availability_zone": "west"}
    refused(act(cloud, plain["id"], set_metadata={"metadata": metadata}), 400)
    refused(cloud.admin.put(f"{PATH}/{plain['id']}", json={"aggregate": metadata}), 400)
    refused(act(cloud, east["id"], set_metadata={"metadata": {"availability_zone": None}}), 400)
    refused(cloud.admin.put(f"{PATH}/{east['id']}", json={"aggregate": {"availability_zone": None}}), 400)
    same = make(cloud, "e2", "east")
    assert add(cloud, same["id"], hosts[0])["hosts"] == [hosts[0]]


def test_a_host_with_servers_changes_no_zone(cloud, hosts):
    east, plain = make(cloud, "e", "east"), make(cloud, "p")
    add_server(cloud.store, host=cloud.compute.hosts.by_name(hosts[0]).uuid)
    assert "already has 1 instance(s)" in refused(act(cloud, east["id"], add_host={"host": hosts[0]}), 409)
    add(cloud, plain["id"], hosts[0])
    metadata = {"availability_zone": "west"}
    assert "contain instances" in refused(act(cloud, plain["id"], set_metadata={"metadata": metadata}), 400)
    add(cloud, east["id"], hosts[1])
    add_server(cloud.store, host=cloud.compute.hosts.by_name(hosts[1]).uuid)
    refused(act(cloud, east["id"], remove_host={"host": hosts[1]}), 409)
    assert zone_of(cloud, hosts[1]) == "east"


@pytest.mark.parametrize(
    "body",
    [{}, {"add_host": {}}, {"add_host": {"host": "a/b"}}, {"other": {}}, {"add_host": None},
     {"add_host": {"host": "h"}, "remove_host": {"host": "h"}}, {"set_metadata": {"metadata": {"k": 5}}},
     {"set_metadata": {"metadata": {"a/b": "x"}}}],
)  # fmt: skip
def test_what_is_no_action_is_refused(cloud, body):
    made = make(cloud)
    refused(cloud.admin.post(f"{PATH}/{made['id']}/action", json=body), 400)


def test_aggregates_are_for_administrators(cloud):
    refused(cloud.alice.get(PATH), 403)
    refused(cloud.alice.post(PATH, json={"aggregate": {"name": "x"}}), 403)
    refused(cloud.alice.post(f"{PATH}/1/action", json={"add_host": {"host": "h"}}), 403)
    refused(cloud.admin.get(f"{PATH}/first"), 400)
    refused(cloud.alice.get("/os-availability-zone/detail"), 403)


def test_zones_are_listed_with_hosts_for_administrators(cloud, hosts):
    add(cloud, make(cloud, zone="east")["id"], hosts[0])
    default = zone_of(cloud, hosts[1])
    brief = cloud.alice.get("/os-availability-zone").json()["availabilityZoneInfo"]
    assert [(each["zoneName"], each["zoneState"], each["hosts"]) for each in brief] == [
        (zone, {"available": True}, None) for zone in sorted(("east", default))
    ]
    full = {
        each["zoneName"]: each["hosts"]
        for each in cloud.admin.get("/os-availability-zone/detail").json()["availabilityZoneInfo"]
    }
    assert set(full["east"]) == {hosts[0]}
    service = full["east"][hosts[0]]["nova-compute"]
    assert (service["available"], service["active"]) == (True, True)
    cloud.compute.hosts.update(cloud.compute.hosts.by_name(hosts[0]).service_id, disabled=True)
    brief = cloud.alice.get("/os-availability-zone").json()["availabilityZoneInfo"]
    assert brief[-1] == {"zoneName": "east", "zoneState": {"available": False}, "hosts": None}
