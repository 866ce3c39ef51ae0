"""Server groups as clients see them, version by version."""

from __future__ import annotations

import pytest

from tests.unit.api.compute.cloud import refused
from tests.unit.control.compute.rows import BEGIN, add_server

PATH = "/os-server-groups"


def make(who, policy="affinity", **rules):
    body = {"server_group": {"name": "web", "policy": policy} | ({"rules": rules} if rules else {})}
    answer = who.post(PATH, json=body, v="2.64")
    assert answer.status_code == 200, answer.text
    return answer.json()["server_group"]


@pytest.mark.parametrize(
    ("v", "keys"),
    [
        ("2.1", {"id", "name", "members", "policies", "metadata"}),
        ("2.13", {"id", "name", "members", "policies", "metadata", "project_id", "user_id"}),
        ("2.64", {"id", "name", "members", "policy", "rules", "project_id", "user_id"}),
    ],
)
def test_what_is_told_of_a_group_follows_from_the_version(cloud, v, keys):
    wanted = {"policy": "affinity"} if v == "2.64" else {"policies": ["affinity"]}
    made = cloud.alice.post(PATH, json={"server_group": {"name": "web", **wanted}}, v=v).json()["server_group"]
    assert set(made) == keys
    assert cloud.reader.get(f"{PATH}/{made['id']}", v=v).json() == {"server_group": made}
    assert cloud.reader.get(PATH, v=v).json() == {"server_groups": [made]}
    gone = cloud.alice.delete(f"{PATH}/{made['id']}", v=v)
    assert (gone.status_code, gone.content) == (204, b"")
    assert refused(cloud.alice.get(f"{PATH}/{made['id']}"), 404).startswith("Instance group")


@pytest.mark.parametrize(
    ("v", "wrong"),
    [
        ("2.14", {"policies": ["soft-affinity"]}), ("2.1", {"policies": []}), ("2.1", {"policies": ["affinity"] * 2}),
        ("2.1", {"policy": "affinity"}), ("2.64", {"policies": ["affinity"]}), ("2.64", {"policy": "legacy"}),
        ("2.64", {"policy": "affinity", "rules": {"max_server_per_host": 2}}),
        ("2.64", {"policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        ("2.64", {"policy": "anti-affinity", "rules": {"other": 2}}), ("2.64", {"policy": "affinity", "name": ""}),
    ],
)  # fmt: skip
def test_what_makes_no_group_is_refused(cloud, v, wrong):
    refused(cloud.alice.post(PATH, json={"server_group": {"name": "web"} | wrong}, v=v), 400)


def test_soft_policies_and_rules(cloud):
    body = {"server_group": {"name": "web", "policies": ["soft-anti-affinity"]}}
    assert cloud.alice.post(PATH, json=body, v="2.15").json()["server_group"]["policies"] == ["soft-anti-affinity"]
    assert make(cloud.alice, "anti-affinity", max_server_per_host="3")["rules"] == {"max_server_per_host": 3}


def test_members_are_the_servers_that_live(cloud):
    group = make(cloud.alice)["id"]
    lives = add_server(cloud.store, group_id=group)
    add_server(cloud.store, group_id=group, deleted_at=BEGIN)
    add_server(cloud.store)
    assert cloud.alice.get(f"{PATH}/{group}").json()["server_group"]["members"] == [lives]
    assert cloud.alice.delete(f"{PATH}/{group}").status_code == 204
    assert cloud.compute.servers.show(cloud.viewer, lives).group_id is None


def test_groups_of_others_are_not_there(cloud):
    group = make(cloud.alice)["id"]
    for call in (cloud.bob.get, cloud.bob.delete):
        refused(call(f"{PATH}/{group}"), 404)
    assert cloud.bob.get(f"{PATH}?all_projects=1").json() == {"server_groups": []}
    assert cloud.admin.get(PATH).json() == {"server_groups": []}
    assert len(cloud.admin.get(f"{PATH}?all_projects").json()["server_groups"]) == 1
    refused(cloud.reader.delete(f"{PATH}/{group}"), 403)
    refused(cloud.reader.post(PATH, json={"server_group": {"name": "x", "policy": "affinity"}}, v="2.64"), 403)
    assert cloud.admin.delete(f"{PATH}/{group}").status_code == 204


def test_parts_of_the_list_and_unknown_keys(cloud):
    ids = [make(cloud.alice)["id"] for _ in range(3)]
    told = cloud.alice.get(f"{PATH}?limit=1&offset=1").json()["server_groups"]
    assert [each["id"] for each in told] == ids[1:2]
    assert cloud.alice.get(f"{PATH}?other=1", v="2.74").status_code == 200
    refused(cloud.alice.get(f"{PATH}?other=1", v="2.75"), 400)


def test_the_quota_holds(cloud):
    cloud.compute.quotas.update("project-a", {"server_groups": 1})
    make(cloud.alice)
    body = {"server_group": {"name": "web", "policy": "affinity"}}
    assert refused(cloud.alice.post(PATH, json=body, v="2.64"), 403) == "Quota exceeded, too many server groups."
