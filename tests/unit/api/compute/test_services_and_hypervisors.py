"""Services and hypervisors: the hosts, as administrators see them."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest

from tests.unit.api.compute.cloud import refused
from tests.unit.control.compute.rows import BEGIN, add_server

SERVICES = "/os-services"
HYPERVISORS = "/os-hypervisors"
NOTHING = "00000000-0000-4000-8000-000000000000"
FIGURES = {
    "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb", "free_disk_gb",
    "current_workload", "running_vms", "disk_available_least",
}  # fmt: skip


@pytest.fixture
def hosts(cloud):
    return cloud.compute.hosts.list_all()


# ---------------------------------------------------------------- services


def services(cloud, query="", v="2.53"):
    answer = cloud.admin.get(f"{SERVICES}{query}", v=v)
    assert answer.status_code == 200, answer.text
    return answer.json()["services"]


@pytest.mark.parametrize(("v", "forced"), [("2.1", False), ("2.11", True), ("2.53", True), ("2.104", True)])
def test_what_is_told_of_a_service_follows_from_the_version(cloud, hosts, v, forced):
    told = services(cloud, v=v)
    assert [each["host"] for each in told] == [each.name for each in hosts]
    for service, host in zip(told, hosts, strict=True):
        assert service["id"] == (host.service_id if v in ("2.53", "2.104") else host.number)
        assert ("forced_down" in service) == forced
        assert (service["binary"], service["status"], service["state"]) == ("nova-compute", "enabled", "up")
        assert service["disabled_reason"] is None


def test_services_are_filtered(cloud, hosts):
    assert [each["host"] for each in services(cloud, f"?host={hosts[1].name}")] == [hosts[1].name]
    assert len(services(cloud, "?binary=nova-compute")) == 3
    assert services(cloud, "?binary=nova-scheduler") == []
    assert len(services(cloud, "?other=1", "2.74")) == 3
    refused(cloud.admin.get(f"{SERVICES}?other=1", v="2.75"), 400)


def test_a_service_is_changed_by_its_host_before_2_53(cloud, hosts):
    body = {"host": hosts[0].name, "binary": "nova-compute"}

    def put(action, v="2.11", **more):
        return cloud.admin.put(f"{SERVICES}/{action}", json=body | more, v=v)

    assert put("disable").json() == {"service": body | {"status": "disabled"}}
    told = put("disable-log-reason", disabled_reason="disk").json()["service"]
    assert told == body | {"status": "disabled", "disabled_reason": "disk"}
    assert services(cloud)[0]["disabled_reason"] == "disk"
    assert put("enable").json() == {"service": body | {"status": "enabled"}}
    assert services(cloud)[0]["disabled_reason"] is None
    assert put("force-down", forced_down="true").json() == {"service": body | {"forced_down": True}}
    assert services(cloud)[0]["state"] == "down"
    put("force-down", forced_down=False)
    assert services(cloud)[0]["state"] == "up"
    refused(put("force-down", "2.10"), 404)
    refused(put("explode"), 404)
    refused(put("disable-log-reason"), 400)
    refused(put("force-down"), 400)
    refused(put("disable", host="nowhere"), 404)
    refused(put("disable", binary="nova-scheduler"), 400)
    refused(put("disable", "2.10", forced_down=True), 400)


def test_a_service_is_changed_by_its_id_since_2_53(cloud, hosts):
    path = f"{SERVICES}/{hosts[0].service_id}"

    def put(**body):
        return cloud.admin.put(path, json=body, v="2.53")

    told = put(status="disabled", disabled_reason="disk").json()["service"]
    assert (told["id"], told["status"], told["disabled_reason"]) == (hosts[0].service_id, "disabled", "disk")
    assert put(forced_down=True).json()["service"]["status"] == "disabled"
    told = put(status="enabled", forced_down=False).json()["service"]
    assert (told["status"], told["forced_down"], told["disabled_reason"]) == ("enabled", False, None)
    for wrong in ({}, {"status": "enabled", "disabled_reason": "x"}, {"status": "on"}, {"host": "x"}):
        refused(put(**wrong), 400)
    refused(cloud.admin.put(f"{SERVICES}/{NOTHING}", json={"status": "enabled"}, v="2.53"), 404)
    refused(cloud.admin.put(f"{SERVICES}/enable", json={"status": "enabled"}, v="2.53"), 400)


def test_a_service_that_answers_or_holds_servers_is_not_deleted(cloud, hosts):
    add_server(cloud.store, host=hosts[0].uuid)
    refused(cloud.admin.delete(f"{SERVICES}/{hosts[0].service_id}", v="2.53"), 409)
    refused(cloud.admin.delete(f"{SERVICES}/{hosts[1].number}", v="2.1"), 409)
    refused(cloud.admin.delete(f"{SERVICES}/{NOTHING}", v="2.53"), 404)
    refused(cloud.admin.delete(f"{SERVICES}/99", v="2.1"), 404)
    refused(cloud.admin.delete(f"{SERVICES}/99", v="2.53"), 400)
    refused(cloud.admin.delete(f"{SERVICES}/x", v="2.52"), 400)


# ---------------------------------------------------------------- hypervisors


@pytest.mark.parametrize("v", ["2.1", "2.28", "2.53", "2.88", "2.104"])
def test_what_is_told_of_a_hypervisor_follows_from_the_version(cloud, hosts, v):
    minor = int(v.partition(".")[2])
    told = cloud.admin.get(f"{HYPERVISORS}/detail", v=v).json()["hypervisors"]
    assert [each["hypervisor_hostname"] for each in told] == [each.name for each in hosts]
    for each, host in zip(told, hosts, strict=True):
        shown = cloud.admin.get(f"{HYPERVISORS}/{each['id']}", v=v).json()["hypervisor"]
        assert {**shown, "uptime": None} == {**each, "uptime": None}  # the clock went on
        assert each["id"] == (host.uuid if minor >= 53 else host.number)
        assert ip_address(each["host_ip"]).is_private
        assert each["service"]["id"] == (host.service_id if minor >= 53 else host.number)
        assert set(each) >= FIGURES if minor < 88 else not FIGURES & set(each)
        if minor < 88:
            assert each["cpu_info"] == ({} if minor >= 28 else "{}")
        else:
            assert " up 0 days,  0:00" in each["uptime"]


def test_what_is_used_is_what_placement_knows(cloud, hosts):
    host = hosts[0]
    inventory = cloud.placement.inventories(host.uuid)
    add_server(cloud.store, host=host.uuid, task_state="rebooting")
    add_server(cloud.store, host=host.uuid)
    add_server(cloud.store, host=host.uuid, deleted_at=BEGIN)
    told = cloud.admin.get(f"{HYPERVISORS}/{host.uuid}", v="2.53").json()["hypervisor"]
    assert (told["running_vms"], told["current_workload"]) == (2, 1)
    assert told["vcpus"] == inventory["VCPU"].total
    assert told["memory_mb_used"] == inventory["MEMORY_MB"].reserved
    assert told["free_ram_mb"] == told["memory_mb"] - told["memory_mb_used"]
    total = cloud.admin.get(f"{HYPERVISORS}/statistics", v="2.87").json()["hypervisor_statistics"]
    assert set(total) == FIGURES | {"count"}
    assert (total["count"], total["running_vms"], total["vcpus"]) == (3, 2, 3 * told["vcpus"])
    cloud.compute.hosts.update(host.service_id, disabled=True)
    total = cloud.admin.get(f"{HYPERVISORS}/statistics").json()["hypervisor_statistics"]
    assert (total["count"], total["running_vms"]) == (2, 0)
    refused(cloud.admin.get(f"{HYPERVISORS}/statistics", v="2.88"), 400)


def test_hypervisors_are_paged_since_2_33(cloud, hosts):
    page = cloud.admin.get(f"{HYPERVISORS}?limit=2", v="2.33").json()
    assert [each["id"] for each in page["hypervisors"]] == [hosts[0].number, hosts[1].number]
    [link] = page["hypervisors_links"]
    assert link["href"].endswith(f"/os-hypervisors?limit=2&marker={hosts[1].number}")
    page = cloud.admin.get(f"{HYPERVISORS}/detail?limit=2&marker={hosts[1].uuid}", v="2.53").json()
    assert [each["id"] for each in page["hypervisors"]] == [hosts[2].uuid]
    refused(cloud.admin.get(f"{HYPERVISORS}?marker=nothing", v="2.33"), 400)
    refused(cloud.admin.get(f"{HYPERVISORS}?other=1", v="2.53"), 400)


def test_hypervisors_are_searched_with_their_servers(cloud, hosts):
    name = hosts[0].name
    server = add_server(cloud.store, host=hosts[0].uuid, name="web")
    listed = [{"name": "web", "uuid": server}]
    found = cloud.admin.get(f"{HYPERVISORS}/{name}/search").json()["hypervisors"]
    assert [each["hypervisor_hostname"] for each in found] == [name]
    assert cloud.admin.get(f"{HYPERVISORS}/{name}/servers").json()["hypervisors"][0]["servers"] == listed
    assert "servers" not in cloud.admin.get(f"{HYPERVISORS}/{hosts[1].name}/servers").json()["hypervisors"][0]
    query = f"?hypervisor_hostname_pattern={name}&with_servers=true"
    [told] = cloud.admin.get(HYPERVISORS + query, v="2.53").json()["hypervisors"]
    assert told["servers"] == listed
    path = f"{HYPERVISORS}/{hosts[1].uuid}?with_servers=1"
    assert "servers" not in cloud.admin.get(path, v="2.74").json()["hypervisor"]
    assert cloud.admin.get(path, v="2.75").json()["hypervisor"]["servers"] == []
    for refusal in ("?hypervisor_hostname_pattern=a&limit=1", "?with_servers=maybe"):
        refused(cloud.admin.get(HYPERVISORS + refusal, v="2.53"), 400)
    refused(cloud.admin.get(f"{HYPERVISORS}?hypervisor_hostname_pattern=nowhere", v="2.53"), 404)
    refused(cloud.admin.get(f"{HYPERVISORS}/nowhere/search"), 404)
    refused(cloud.admin.get(f"{HYPERVISORS}/{name}/search", v="2.53"), 404)


def test_the_uptime_of_a_host_that_is_down_is_not_known(cloud, hosts):
    path = f"{HYPERVISORS}/{hosts[0].number}/uptime"
    told = cloud.admin.get(path).json()["hypervisor"]
    assert set(told) == {"id", "hypervisor_hostname", "state", "status", "uptime"}
    cloud.compute.hosts.update(hosts[0].service_id, forced_down=True)
    refused(cloud.admin.get(path), 400)
    assert cloud.admin.get(f"{HYPERVISORS}/{hosts[0].uuid}", v="2.88").json()["hypervisor"]["uptime"] is None
    refused(cloud.admin.get(f"{HYPERVISORS}/{hosts[0].uuid}/uptime", v="2.88"), 404)


def test_ids_are_numbers_before_2_53_and_uuids_since(cloud, hosts):
    refused(cloud.admin.get(f"{HYPERVISORS}/{hosts[0].uuid}", v="2.52"), 404)
    refused(cloud.admin.get(f"{HYPERVISORS}/{hosts[0].number}", v="2.53"), 400)
    refused(cloud.admin.get(f"{HYPERVISORS}/{NOTHING}", v="2.53"), 404)
    refused(cloud.admin.get(f"{HYPERVISORS}/99", v="2.1"), 404)


def test_hosts_are_for_administrators(cloud, hosts):
    for path in (SERVICES, HYPERVISORS, f"{HYPERVISORS}/detail", f"{HYPERVISORS}/statistics", f"{HYPERVISORS}/1"):
        refused(cloud.alice.get(path), 403)
    body = json.dumps({"host": hosts[0].name, "binary": "nova-compute"})
    refused(cloud.alice.put(f"{SERVICES}/disable", content=body), 403)
    refused(cloud.alice.delete(f"{SERVICES}/1"), 403)


# ---------------------------------------------------------------- hosts by their old name

HOSTS = "/os-hosts"


def test_hosts_that_take_servers_are_listed_by_zone_until_2_42(cloud, hosts):
    every = [{"host_name": each.name, "service": "compute", "zone": "nova"} for each in hosts]
    assert cloud.admin.get(HOSTS, v="2.42").json() == {"hosts": every}
    assert cloud.admin.get(f"{HOSTS}?zone=").json() == cloud.admin.get(f"{HOSTS}?zone=nova").json() == {"hosts": every}
    assert cloud.admin.get(f"{HOSTS}?zone=elsewhere").json() == {"hosts": []}
    cloud.compute.hosts.update(hosts[0].service_id, disabled=True)
    assert cloud.admin.get(HOSTS).json() == {"hosts": every[1:]}
    refused(cloud.admin.get(HOSTS, v="2.43"), 404)
    refused(cloud.admin.get(f"{HOSTS}/{hosts[0].name}", v="2.43"), 404)


def test_a_host_tells_what_is_used_and_by_whom(cloud, hosts):
    host = hosts[0]
    add_server(cloud.store, host=host.uuid, vcpus=2, memory_mb=1024)
    add_server(cloud.store, host=host.uuid, project_id="project-b")
    add_server(cloud.store, host=host.uuid, deleted_at=BEGIN)
    add_server(cloud.store, host=hosts[1].uuid)
    rows = [each["resource"] for each in cloud.admin.get(f"{HOSTS}/{host.name}").json()["host"]]
    assert {each["host"] for each in rows} == {host.name}
    total, now, most, *projects = rows
    shown = cloud.admin.get(f"{HYPERVISORS}/{host.number}").json()["hypervisor"]
    assert [total[name] for name in ("project", "cpu", "memory_mb", "disk_gb")] == [
        "(total)", shown["vcpus"], shown["memory_mb"], shown["local_gb"],
    ]  # fmt: skip
    assert (now["project"], now["memory_mb"]) == ("(used_now)", shown["memory_mb_used"])
    assert (most["project"], most["cpu"], most["memory_mb"], most["disk_gb"]) == ("(used_max)", 3, 1536, 2)
    assert {each["project"]: each["cpu"] for each in projects} == {"project-a": 2, "project-b": 1}
    refused(cloud.admin.get(f"{HOSTS}/nowhere"), 404)


def test_a_host_is_enabled_and_disabled_by_its_name(cloud, hosts):
    path = f"{HOSTS}/{hosts[0].name}"
    assert cloud.admin.put(path, json={"status": "Disable"}).json() == {"host": hosts[0].name, "status": "disabled"}
    assert cloud.compute.hosts.show(hosts[0].uuid).disabled
    assert cloud.admin.put(path, json={"status": "enable"}).json()["status"] == "enabled"
    assert not cloud.compute.hosts.show(hosts[0].uuid).disabled
    wrongs = ({}, {"status": None}, {"status": "on"}, {"status": "enable", "maintenance_mode": None}, {"x": 1})
    for wrong in wrongs:
        refused(cloud.admin.put(path, json=wrong), 400)
    refused(cloud.admin.put(f"{HOSTS}/nowhere", json={"status": "enable"}), 404)
    cloud.compute.hosts.update(hosts[0].service_id, forced_down=True)
    refused(cloud.admin.put(path, json={"status": "disable"}), 400)


def test_no_host_is_turned_off_or_put_into_maintenance(cloud, hosts):
    path = f"{HOSTS}/{hosts[0].name}"
    refused(cloud.admin.put(path, json={"status": "disable", "maintenance_mode": "enable"}), 501)
    assert not cloud.compute.hosts.show(hosts[0].uuid).disabled
    for what in ("startup", "shutdown", "reboot"):
        refused(cloud.admin.get(f"{path}/{what}"), 501)
        refused(cloud.admin.get(f"{HOSTS}/nowhere/{what}"), 404)
        refused(cloud.alice.get(f"{path}/{what}"), 403)
    refused(cloud.alice.get(HOSTS), 403)
    refused(cloud.alice.get(path), 403)
    refused(cloud.alice.put(path, json={"status": "disable"}), 403)
