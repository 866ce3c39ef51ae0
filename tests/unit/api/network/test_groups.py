"""Security groups and rules over HTTP."""

import pytest

from tests.unit.api.network.cloud import refused

GROUPS = "/network/v2.0/security-groups"
RULES = "/network/v2.0/security-group-rules"


@pytest.fixture
def group(cloud):
    return cloud.make(cloud.alice, "security-groups", name="web")


def test_a_project_has_a_default_group_from_its_first_look_at_groups(cloud):
    groups = cloud.alice.get(GROUPS).json()["security_groups"]
    assert [each["name"] for each in groups] == ["default"]
    rules = {(r["direction"], r["ethertype"], r["remote_group_id"]) for r in groups[0]["security_group_rules"]}
    own = groups[0]["id"]
    assert rules == {
        ("egress", "IPv4", None), ("egress", "IPv6", None), ("ingress", "IPv4", own), ("ingress", "IPv6", own)
    }  # fmt: skip
    assert cloud.alice.get(GROUPS).json()["security_groups"] == groups
    listed = cloud.admin.get(f"{GROUPS}?project_id=project-x&name=default").json()["security_groups"]
    assert [each["project_id"] for each in listed] == ["project-x"]
    assert cloud.bob.get(f"{GROUPS}?project_id=project-y").json()["security_groups"] == []


def test_the_default_group_is_deleted_by_administrators_alone_and_is_the_only_one_of_its_name(cloud):
    default = cloud.alice.get(GROUPS).json()["security_groups"][0]
    path = f"{GROUPS}/{default['id']}"
    refused(cloud.alice.delete(path), 409, "SecurityGroupCannotRemoveDefault")
    refused(cloud.alice.put(path, json={"security_group": {"name": "x"}}), 409, "SecurityGroupCannotUpdateDefault")
    refused(
        cloud.alice.post(GROUPS, json={"security_group": {"name": "default"}}), 409, "SecurityGroupDefaultAlreadyExists"
    )
    assert cloud.admin.delete(path).status_code == 204
    assert cloud.alice.get(GROUPS).json()["security_groups"][0]["id"] != default["id"]


def test_a_new_group_lets_everything_out(cloud, group):
    assert {(r["direction"], r["ethertype"]) for r in group["security_group_rules"]} == {
        ("egress", "IPv4"), ("egress", "IPv6")
    }  # fmt: skip
    refused(cloud.bob.get(f"{GROUPS}/{group['id']}"), 404, "SecurityGroupNotFound")
    changed = cloud.alice.put(f"{GROUPS}/{group['id']}", json={"security_group": {"name": "x", "description": "y"}})
    assert (changed.json()["security_group"]["name"], changed.status_code) == ("x", 200)
    assert cloud.alice.delete(f"{GROUPS}/{group['id']}").status_code == 204


def test_a_rule_is_made_once(cloud, group):
    told = {
        "security_group_id": group["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": 80,
        "port_range_max": 90, "remote_ip_prefix": "10.0.0.7/24",
    }  # fmt: skip
    rule = cloud.make(cloud.alice, "security-group-rules", **told)
    assert rule["remote_ip_prefix"] == "10.0.0.7/24"
    assert rule["normalized_cidr"] == "10.0.0.0/24"
    message = refused(cloud.alice.post(RULES, json={"security_group_rule": told}), 409, "SecurityGroupRuleExists")
    assert rule["id"] in message
    same = {**told, "protocol": 6}
    refused(cloud.alice.post(RULES, json={"security_group_rule": same}), 409, "SecurityGroupRuleExists")
    assert cloud.alice.get(f"{RULES}/{rule['id']}").json()["security_group_rule"] == rule
    refused(cloud.bob.delete(f"{RULES}/{rule['id']}"), 404, "SecurityGroupRuleNotFound")
    refused(cloud.reader.delete(f"{RULES}/{rule['id']}"), 403)
    assert cloud.alice.delete(f"{RULES}/{rule['id']}").status_code == 204


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"ethertype": "IPv5"}, "ethertype"),
        ({"protocol": "nonsense"}, "protocol nonsense not supported"),
        ({"protocol": "256"}, "not supported"),
        ({"protocol": "tcp", "port_range_min": 90, "port_range_max": 80}, "port_range_min must be <="),
        ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 80}, "Invalid value for port"),
        ({"protocol": "tcp", "port_range_min": 1, "port_range_max": 65536}, "Invalid value for port"),
        ({"port_range_min": 1, "port_range_max": 2}, "Must also specify protocol"),
        ({"protocol": "icmp", "port_range_min": 256}, "Invalid value for ICMP"),
        ({"protocol": "icmp", "port_range_max": 1}, "is missing"),
        ({"protocol": "esp", "port_range_min": 1, "port_range_max": 2}, "Ports cannot be specified"),
        ({"protocol": "ipv6-icmp"}, "Invalid ethertype"),
        ({"remote_ip_prefix": "bad"}, "Invalid CIDR"),
        ({"remote_ip_prefix": "fd00::/64"}, "Conflicting value ethertype IPv4 for CIDR fd00::/64"),
        ({"direction": "sideways"}, "direction"),
    ],
)
def test_a_rule_that_makes_no_sense_is_400(cloud, group, told, words):
    body = {"security_group_id": group["id"], "direction": "ingress", **told}
    assert words in refused(cloud.alice.post(RULES, json={"security_group_rule": body}), 400)


def test_the_other_side_of_a_rule_is_a_group_or_a_prefix(cloud, group):
    base = {"security_group_id": group["id"], "direction": "ingress"}
    other = cloud.make(cloud.alice, "security-groups", name="db")
    foreign = cloud.make(cloud.bob, "security-groups", name="db")
    rule = cloud.make(cloud.alice, "security-group-rules", **base, remote_group_id=other["id"])
    assert rule["remote_group_id"] == other["id"]
    both = {**base, "remote_group_id": other["id"], "remote_ip_prefix": "10.0.0.0/8"}
    refused(cloud.alice.post(RULES, json={"security_group_rule": both}), 400)
    body = {"security_group_rule": {**base, "remote_group_id": foreign["id"]}}
    refused(cloud.alice.post(RULES, json=body), 404, "SecurityGroupNotFound")
    body = {"security_group_rule": {**base, "security_group_id": foreign["id"]}}
    refused(cloud.alice.post(RULES, json=body), 404, "SecurityGroupNotFound")


def test_several_rules_are_made_all_or_none(cloud, group):
    rule = lambda port: {  # noqa: E731
        "security_group_id": group["id"], "direction": "ingress", "protocol": "udp", "port_range_min": port,
        "port_range_max": port,
    }  # fmt: skip
    refused(cloud.alice.post(RULES, json={"security_group_rules": [rule(1), rule(2), rule(1)]}), 409)
    assert len(cloud.alice.get(f"{RULES}?security_group_id={group['id']}").json()["security_group_rules"]) == 2
    answer = cloud.alice.post(RULES, json={"security_group_rules": [rule(1), rule(2)]})
    assert (answer.status_code, len(answer.json()["security_group_rules"])) == (201, 2)


def test_groups_have_a_quota_that_never_stands_in_the_way_of_the_default_one(cloud):
    assert cloud.admin.put("/network/v2.0/quotas/project-a", json={"quota": {"security_group": 0}}).status_code == 200
    refused(cloud.alice.post(GROUPS, json={"security_group": {"name": "x"}}), 409, "OverQuota")
    network, _ = cloud.wired(cloud.alice)
    assert len(cloud.make(cloud.alice, "ports", network_id=network["id"])["security_groups"]) == 1
