"""Quotas, classes, limits and usage as clients see them, version by version."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.api.compute.cloud import refused
from tests.unit.control.compute.rows import BEGIN, add_server

NETWORKS = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}
FILES = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
OWN = {"instances", "cores", "ram", "key_pairs", "server_groups", "server_group_members", "metadata_items"}
A = "/os-quota-sets/project-a"
VERSIONS = [("2.1", OWN | FILES | NETWORKS), ("2.36", OWN | FILES), ("2.57", OWN), ("2.104", OWN)]


@pytest.mark.parametrize(("v", "names"), VERSIONS)
def test_what_is_told_of_quotas_follows_from_the_version(cloud, v, names):
    shown = cloud.reader.get(A, v=v).json()["quota_set"]
    assert set(shown) == names | {"id"}
    assert (shown["id"], shown["instances"], shown["cores"], shown["ram"]) == ("project-a", 10, 20, 51200)
    assert cloud.reader.get(f"{A}/defaults", v=v).json() == {"quota_set": shown}
    details = cloud.reader.get(f"{A}/detail", v=v).json()["quota_set"]
    assert details["cores"] == {"limit": 20, "in_use": 0, "reserved": 0}
    changed = cloud.admin.put(A, json={"quota_set": {"cores": 30}}, v=v).json()["quota_set"]
    assert set(changed) == names
    assert changed["cores"] == 30
    gone = cloud.admin.delete(A, v=v)
    assert (gone.status_code, gone.content) == (202, b"")
    assert cloud.reader.get(A, v=v).json()["quota_set"]["cores"] == 20


@pytest.mark.parametrize(
    ("v", "wrong"),
    [
        ("2.1", {"unknown": 1}), ("2.36", {"fixed_ips": 1}), ("2.57", {"injected_files": 1}), ("2.1", {"cores": -2}),
        ("2.1", {"cores": "many"}), ("2.1", {"cores": 2**31}), ("2.1", {"cores": 1.5}), ("2.1", {"force": "maybe"}),
        ("2.1", {"cores": True}),
    ],
)  # fmt: skip
def test_what_is_no_quota_is_refused(cloud, v, wrong):
    refused(cloud.admin.put(A, json={"quota_set": wrong}, v=v), 400)


def test_what_is_used_is_counted_and_not_taken_away_without_force(cloud):
    add_server(cloud.store, vcpus=4, memory_mb=2048)
    details = cloud.reader.get(f"{A}/detail").json()["quota_set"]
    assert details["cores"] == {"limit": 20, "in_use": 4, "reserved": 0}
    message = refused(cloud.admin.put(A, json={"quota_set": {"cores": "3"}}), 400)
    assert message == "Quota limit 3 for cores must be greater than or equal to already used and reserved 4."
    forced = cloud.admin.put(A, json={"quota_set": {"cores": 3, "force": True}})
    assert forced.json()["quota_set"]["cores"] == 3


def test_users_have_quotas_too(cloud):
    cloud.admin.put(f"{A}?user_id=u1", json={"quota_set": {"cores": 5}})
    assert cloud.alice.get(f"{A}?user_id=u1").json()["quota_set"]["cores"] == 5
    assert cloud.alice.get(A).json()["quota_set"]["cores"] == 20
    cloud.admin.delete(f"{A}?user_id=u1")
    assert cloud.alice.get(f"{A}?user_id=u1").json()["quota_set"]["cores"] == 20
    refused(cloud.admin.get(f"{A}?other=1", v="2.75"), 400)
    refused(cloud.admin.put(f"{A}?other=1", json={"quota_set": {}}, v="2.75"), 400)


def test_quotas_are_the_projects_own_to_see_and_administrators_to_change(cloud):
    refused(cloud.bob.get(A), 403)
    refused(cloud.bob.get(f"{A}/detail"), 403)
    assert cloud.bob.get(f"{A}/defaults").status_code == 200
    refused(cloud.alice.put(A, json={"quota_set": {"cores": 30}}), 403)
    refused(cloud.alice.delete(A), 403)
    message = refused(cloud.admin.get("/os-quota-sets/nobodys"), 400)
    assert message == "Project ID nobodys is not a valid project."


@pytest.mark.parametrize(
    ("v", "names"),
    [("2.1", OWN - {"server_groups", "server_group_members"} | FILES | NETWORKS), ("2.50", OWN | FILES), ("2.57", OWN)],
)
def test_classes(cloud, v, names):
    path = "/os-quota-class-sets/default"
    shown = cloud.admin.get(path, v=v).json()["quota_class_set"]
    assert set(shown) == names | {"id"}
    changed = cloud.admin.put(path, json={"quota_class_set": {"cores": 40}}, v=v).json()["quota_class_set"]
    assert set(changed) == names
    assert cloud.alice.get(A).json()["quota_set"]["cores"] == 40
    refused(cloud.alice.get(path), 403)
    refused(cloud.alice.put(path, json={"quota_class_set": {}}), 403)


@pytest.mark.parametrize(
    ("v", "there", "gone"),
    [
        ("2.1", {"maxSecurityGroups", "maxImageMeta", "maxPersonality", "totalFloatingIpsUsed"}, set()),
        ("2.36", {"maxImageMeta", "maxPersonality"}, {"maxSecurityGroups", "totalFloatingIpsUsed"}),
        ("2.39", {"maxPersonality", "maxServerMeta"}, {"maxImageMeta"}),
        ("2.57", {"maxServerGroups", "totalServerGroupsUsed"}, {"maxPersonality", "maxPersonalitySize"}),
    ],
)
def test_limits_follow_from_the_version(cloud, v, there, gone):
    absolute = cloud.alice.get("/limits", v=v).json()["limits"]["absolute"]
    assert there <= set(absolute)
    assert not gone & set(absolute)


def test_limits_tell_what_is_used(cloud):
    add_server(cloud.store, vcpus=4, memory_mb=2048)
    told = cloud.alice.get("/limits").json()["limits"]
    assert told["rate"] == []
    absolute = told["absolute"]
    assert (absolute["totalCoresUsed"], absolute["totalRAMUsed"], absolute["totalInstancesUsed"]) == (4, 2048, 1)
    assert cloud.bob.get("/limits").json()["limits"]["absolute"]["totalCoresUsed"] == 0
    refused(cloud.bob.get("/limits?tenant_id=project-a"), 403)
    assert cloud.admin.get("/limits?tenant_id=project-a").json()["limits"]["absolute"] == absolute
    refused(cloud.alice.get("/limits?other=1", v="2.75"), 400)


# ---------------------------------------------------------------- usage

USAGE = "/os-simple-tenant-usage"
HOUR = timedelta(hours=1)


@pytest.fixture
def later(cloud):
    """A cloud whose clock shows the next day."""
    cloud.compute.books.now = lambda: BEGIN + 24 * HOUR
    return cloud


def used(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_usage_of_a_project_without_an_id_is_not_that_of_all(later):
    refused(later.admin.get(f"{USAGE}/"), 404)
    assert later.admin.get(USAGE).status_code == 200


def test_usage_counts_the_hours_of_the_period(later):
    add_server(later.store, vcpus=2, memory_mb=1024, launched_at=BEGIN)
    add_server(later.store, vcpus=4, memory_mb=1024, launched_at=BEGIN + HOUR, terminated_at=BEGIN + 3 * HOUR,
               deleted_at=BEGIN + 3 * HOUR)  # fmt: skip
    add_server(later.store, launched_at=None)
    add_server(later.store, project_id="project-b", launched_at=BEGIN + 20 * HOUR)
    period = "?start=2024-01-01T00:00:00&end=2024-01-01T10:00:00"
    told = used(later.reader.get(f"{USAGE}/project-a{period}"))["tenant_usage"]
    assert told["total_hours"] == 12.0
    assert told["total_vcpus_usage"] == 28.0
    assert told["total_memory_mb_usage"] == 12 * 1024.0
    assert [each["state"] for each in told["server_usages"]] == ["active", "terminated"]
    assert [each["uptime"] for each in told["server_usages"]] == [24 * 3600, 2 * 3600]
    assert told["server_usages"][1]["ended_at"] == "2024-01-01T03:00:00.000000"
    [summary] = used(later.admin.get(f"{USAGE}{period}"))["tenant_usages"]
    assert summary == {name: value for name, value in told.items() if name != "server_usages"}
    every = used(later.admin.get(f"{USAGE}?start=2024-01-01T00:00:00&detailed=1"))["tenant_usages"]
    assert [(each["tenant_id"], each["total_hours"]) for each in every] == [("project-a", 26.0), ("project-b", 4.0)]
    assert used(later.admin.get(f"{USAGE}/nobodys{period}")) == {"tenant_usage": {}}


def test_usage_is_paged_by_server_since_2_40(later):
    ids = [add_server(later.store) for _ in range(3)]
    period = "start=2024-01-01T00:00:00"
    page = used(later.admin.get(f"{USAGE}?{period}&detailed=1&limit=2", v="2.40"))
    [summary] = page["tenant_usages"]
    assert [each["instance_id"] for each in summary["server_usages"]] == ids[:2]
    [link] = page["tenant_usages_links"]
    assert f"marker={ids[1]}" in link["href"]
    rest = used(later.admin.get(f"{USAGE}/project-a?{period}&limit=2&marker={ids[1]}", v="2.40"))
    assert [each["instance_id"] for each in rest["tenant_usage"]["server_usages"]] == ids[2:]
    assert "tenant_usage_links" not in rest
    refused(later.admin.get(f"{USAGE}?{period}&marker=nothing", v="2.40"), 400)
    refused(later.admin.get(f"{USAGE}?{period}&other=1", v="2.75"), 400)
    refused(later.admin.get(f"{USAGE}/project-a?{period}&detailed=1", v="2.75"), 400)


def test_nothing_is_used_between_now_and_now(later):
    add_server(later.store)
    assert used(later.reader.get(f"{USAGE}/project-a"))["tenant_usage"]["total_hours"] == 0.0


@pytest.mark.parametrize("query", ["?start=yesterday", "?start=2024-01-01T05:00:00&end=2024-01-01T04:00:00"])
def test_what_is_no_period_is_refused(later, query):
    refused(later.admin.get(f"{USAGE}{query}"), 400)


def test_usage_of_others_is_for_administrators(later):
    refused(later.alice.get(f"{USAGE}?start=2024-01-01T00:00:00"), 403)
    refused(later.alice.get(f"{USAGE}/project-b?start=2024-01-01T00:00:00"), 403)
