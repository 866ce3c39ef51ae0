"""Security groups by way of compute, until 2.35."""

from __future__ import annotations

import pytest

from tests.unit.api.compute.cloud import refused

GROUPS, RULES = "/os-security-groups", "/os-security-group-rules"
NOTHING = "00000000-0000-4000-8000-000000000000"


def made(who, name="web", description="d"):
    answer = who.post(GROUPS, json={"security_group": {"name": name, "description": description}})
    assert answer.status_code == 200, answer.text
    return answer.json()["security_group"]


def ask(who, group, **told):
    told = {"ip_protocol": "tcp", "from_port": 22, "to_port": "22"} | told
    return who.post(RULES, json={"security_group_rule": {"parent_group_id": group["id"], **told}})


def ruled(who, group, **told):
    answer = ask(who, group, **told)
    assert answer.status_code == 200, answer.text
    return answer.json()["security_group_rule"]


def listed(who, query=""):
    return [each["name"] for each in who.get(f"{GROUPS}{query}").json()["security_groups"]]


@pytest.fixture
def group(cloud):
    return made(cloud.alice)


def test_a_group_is_made_shown_changed_and_deleted(cloud):
    group = made(cloud.alice, " a b ", "")
    assert group == {"id": group["id"], "name": " a b ", "description": "", "tenant_id": "project-a", "rules": []}
    path = f"{GROUPS}/{group['id']}"
    assert cloud.reader.get(path).json() == {"security_group": group}
    body = {"security_group": {"name": "x", "description": "y"}}
    assert cloud.alice.put(path, json=body).json() == {"security_group": {**group, "name": "x", "description": "y"}}
    gone = cloud.alice.delete(path)
    assert (gone.status_code, gone.content) == (202, b"")
    refused(cloud.alice.get(path), 404)


def test_a_project_lists_its_own_groups_and_an_administrator_all(cloud, group):
    made(cloud.bob, "db")
    assert listed(cloud.reader) == listed(cloud.alice, "?all_tenants=true") == ["default", "web"]
    assert listed(cloud.admin) == ["default"]
    assert listed(cloud.admin, "?all_tenants=true") == ["default", "web", "default", "db", "default"]
    assert len(listed(cloud.alice, "?limit=1")) == len(listed(cloud.alice, "?offset=1")) == 1


def test_what_cannot_be_is_refused(cloud, group):
    path = f"{GROUPS}/{group['id']}"
    body = {"security_group": {"name": "n", "description": "d"}}
    assert refused(cloud.alice.get(f"{GROUPS}/1"), 400) == "Security group id should be uuid"
    for method in ("GET", "PUT", "DELETE"):
        options = {"json": body} if method == "PUT" else {}
        refused(cloud.alice(method, f"{GROUPS}/{NOTHING}", **options), 404)
        refused(cloud.bob(method, path, **options), 404)
    refused(cloud.reader.post(GROUPS, json=body), 403)
    refused(cloud.reader.put(path, json=body), 403)
    refused(cloud.reader.delete(path), 403)
    refused(cloud.alice.post(GROUPS, json={"security_group": {"name": "n" * 256, "description": ""}}), 400)
    refused(cloud.alice.post(GROUPS, json={"security_group": {"name": "n"}}), 400)
    refused(cloud.alice.post(GROUPS, json={"security_group": {"name": "default", "description": ""}}), 403)
    [default] = [each for each in cloud.alice.get(GROUPS).json()["security_groups"] if each["name"] == "default"]
    refused(cloud.alice.delete(f"{GROUPS}/{default['id']}"), 400)
    refused(cloud.alice.put(f"{GROUPS}/{default['id']}", json=body), 400)
    cloud.network.quotas.update("project-a", {"security_group": 2})
    refused(cloud.alice.post(GROUPS, json=body), 403)
    assert listed(cloud.alice) == ["default", "web"]


def test_a_group_that_ports_are_in_is_not_deleted(cloud, group):
    viewer = cloud.viewer
    [network] = cloud.network.networks.create([{"project_id": "project-a", "name": "n"}])
    spec = {"network_id": network.id, "project_id": "project-a", "security_groups": [group["id"]]}
    cloud.network.ports.create(viewer, [spec])
    assert "in use" in refused(cloud.alice.delete(f"{GROUPS}/{group['id']}"), 400)


def test_a_rule_is_made_and_deleted(cloud, group):
    rule = ruled(cloud.alice, group, cidr="10.2.3.124/24")
    assert rule == {
        "id": rule["id"], "parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 22,
        "group": {}, "ip_range": {"cidr": "10.2.3.124/24"},
    }  # fmt: skip
    anywhere = ruled(cloud.alice, group)
    assert anywhere["ip_range"] == {"cidr": "0.0.0.0/0"}
    pings = ruled(cloud.alice, group, ip_protocol="icmp", from_port=-1, to_port=-1, cidr="::/0")
    assert (pings["from_port"], pings["to_port"], pings["ip_range"]) == (-1, -1, {"cidr": "::/0"})
    shown = cloud.alice.get(f"{GROUPS}/{group['id']}").json()["security_group"]
    assert shown["rules"] == [rule, anywhere, pings]
    assert refused(ask(cloud.alice, group), 400) == f"This rule already exists in group {group['id']}"
    refused(cloud.bob.delete(f"{RULES}/{rule['id']}"), 404)
    refused(cloud.reader.delete(f"{RULES}/{rule['id']}"), 403)
    assert cloud.alice.delete(f"{RULES}/{rule['id']}").status_code == 202
    refused(cloud.alice.delete(f"{RULES}/{rule['id']}"), 404)
    refused(cloud.alice.delete(f"{RULES}/1"), 400)


def test_a_rule_for_another_group_goes_with_it(cloud, group):
    other = made(cloud.alice, "db")
    rule = ruled(cloud.alice, group, group_id=other["id"])
    assert (rule["group"], rule["ip_range"]) == ({"name": "db", "tenant_id": "project-a"}, {})
    everything = ruled(cloud.alice, group, group_id=other["id"], ip_protocol=None, from_port=None, to_port=None)
    assert (everything["ip_protocol"], everything["from_port"], everything["to_port"]) == (None, None, None)
    every_port = ruled(cloud.alice, group, group_id=other["id"], from_port=None, to_port=None)
    assert (every_port["from_port"], every_port["to_port"]) == (1, 65535)
    assert len(cloud.alice.get(f"{GROUPS}/{group['id']}").json()["security_group"]["rules"]) == 3
    cloud.alice.delete(f"{GROUPS}/{other['id']}")
    assert cloud.alice.get(f"{GROUPS}/{group['id']}").json()["security_group"]["rules"] == []


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"from_port": 70000}, "Invalid port range 70000:22. Former value cannot be greater than the later"),
        ({"from_port": 0}, "Invalid port range 0:22. Valid TCP ports should be between 1-65535"),
        ({"to_port": 65536}, "Invalid port range 22:65536. Valid TCP ports should be between 1-65535"),
        ({"from_port": 23}, "Invalid port range 23:22. Former value cannot be greater than the later"),
        ({"ip_protocol": "icmp", "from_port": 256}, "Invalid port range 256:22. For ICMP, the type:code must be valid"),
        ({"ip_protocol": "999-x"}, "Invalid IP protocol 999-x."),
        ({"from_port": "x"}, "Invalid input received: To and From ports must be integers"),
        ({"ip_protocol": "icmp", "to_port": []},
         "Invalid input received: Type and Code must be integers for ICMP protocol type"),
        ({"ip_protocol": None}, "Not enough parameters to build a valid rule."),
        ({"from_port": None}, "Not enough parameters to build a valid rule."),
        ({"cidr": "10.0.0.0"}, "Invalid cidr 10.0.0.0."),
        ({"cidr": "x/8"}, "Invalid cidr x/8."),
        ({"cidr": "10.0.0.0/0"}, "Bad prefix for network in cidr 10.0.0.0/0"),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused(cloud, group, told, message):
    assert refused(ask(cloud.alice, group, **told), 400) == message


def test_rules_are_for_groups_that_one_has(cloud, group):
    refused(ask(cloud.alice, {"id": "web"}), 400)
    refused(ask(cloud.alice, {"id": NOTHING}), 404)
    refused(ask(cloud.alice, group, group_id=NOTHING), 404)
    refused(ask(cloud.bob, group), 404)
    refused(ask(cloud.reader, group), 403)
    cloud.network.quotas.update("project-a", {"security_group_rule": 0})
    refused(ask(cloud.alice, group), 403)


def test_they_are_gone_since_2_36(cloud, group):
    for path in (GROUPS, f"{GROUPS}/{group['id']}"):
        refused(cloud.alice.get(path, v="2.36"), 404)
    refused(cloud.alice.post(RULES, json={}, v="2.36"), 404)
