"""What is told of a server in each version: which parts, and whether Tempest takes it."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from sundog.api.compute.history import VERSIONS
from sundog.api.compute.policy import RULES
from sundog.api.compute.views import servers as views
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Policy
from sundog.api.kit.versions import parse_version
from sundog.control.compute.records import Address, Fault, Host, Server, ServerFlavor, ServerImage
from sundog.core.lifecycle.statuses import TABLE
from tests.unit.api.compute.servers_api import BEARERS

NOW = datetime(2024, 1, 1, 12, 30, 15, 250, tzinfo=UTC)
HOST = Host(1, "host-uuid", "h1", "service-uuid", False, None, False, NOW, NOW, is_up=True, zone="az1")
ID = "3e5d47b0-24e5-4f24-9c9a-7d90f0b3a00d"


def make_server(**facts: Any) -> Server:
    plain: dict[str, Any] = {
        "id": ID, "number": 26, "project_id": "p" * 32, "user_id": "u" * 32, "name": "web", "hostname": "web",
        "description": None, "reservation_id": "r-12345678", "launch_index": 0, "vm_state": "active",
        "task_state": None, "power_state": 1, "progress": 0, "locked_by": None, "locked_reason": None, "fault": None,
        "host": "host-uuid", "generation": 1, "availability_zone": None, "group_id": None, "hints": {},
        "flavor": ServerFlavor("1", "m1.tiny", 1, 512, 1, 0, 0, {"hw:cpu_policy": "shared"}),
        "image_id": "70a599e0-31e7-49b7-b260-868f441e862b",
        "image": ServerImage("70a599e0-31e7-49b7-b260-868f441e862b", "cirros", 1, "qcow2", properties={
            "hw_disk_bus": "virtio", "architecture": "x86_64", "my_own": "secret"}),
        "key_name": None, "key": None, "user_data": None, "config_drive": False, "disk_config": "AUTO",
        "root_device_name": "/dev/vda", "access_ip_v4": None, "access_ip_v6": None, "metadata": {"a": "b"},
        "trusted_certs": None, "kept": {}, "created_at": NOW, "updated_at": NOW, "launched_at": NOW,
        "terminated_at": None, "deleted_at": None,
    }  # fmt: skip
    return Server(**plain | facts)


AROUND = views.Around(
    {
        ID: [
            Address("private", 4, "10.0.0.5", "fa:16:3e:00:00:01"),
            Address("private", 4, "203.0.113.7", "fa:16:3e:00:00:01", "floating"),
            Address("private", 6, "fd00::5", "fa:16:3e:00:00:01"),
        ]
    },
    {ID: ["default", "web"]},
    {"host-uuid": HOST},
)


def ctx(version: str, who: str = "alice") -> Context:
    policy = Policy(RULES.values())
    return Context(
        None, SimpleNamespace(), "req-1", "http://cloud.test", "/compute", policy, parse_version(version), BEARERS[who]
    )


def told(version: str, who: str = "alice", server: Server | None = None, **options: Any) -> dict[str, Any]:
    server = server or make_server()
    shape = views.shape(ctx(version, who), BEARERS["alice"].project_id, **options)
    return views.detailed(shape, server, AROUND)


ALWAYS = {
    "id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "image", "flavor", "created", "updated",
    "addresses", "accessIPv4", "accessIPv6", "links", "OS-DCF:diskConfig", "progress", "key_name",
    "OS-EXT-AZ:availability_zone", "config_drive", "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at",
    "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "OS-EXT-STS:power_state", "os-extended-volumes:volumes_attached",
    "security_groups",
}  # fmt: skip
STEPS = {
    "2.9": {"locked"},
    "2.19": {"description"},
    "2.26": {"tags"},
    "2.63": {"trusted_image_certificates"},
    "2.71": {"server_groups"},
    "2.73": {"locked_reason"},
    "2.90": {"OS-EXT-SRV-ATTR:hostname"},
    "2.96": {"pinned_availability_zone"},
    "2.100": {"scheduler_hints"},
}
ADMINS = {
    "2.1": {"OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:instance_name", "OS-EXT-SRV-ATTR:hypervisor_hostname"},
    "2.3": {
        f"OS-EXT-SRV-ATTR:{name}"
        for name in (
            "hostname", "kernel_id", "launch_index", "ramdisk_id", "reservation_id", "root_device_name", "user_data"
        )
    },
    "2.16": {"host_status"},
}  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_tells_what_it_brought_and_what_was_before(version):
    mine = set(ALWAYS)
    for since, names in STEPS.items():
        if parse_version(since) <= parse_version(version):
            mine |= names
    assert set(told(version)) == mine
    for since, names in ADMINS.items():
        if parse_version(since) <= parse_version(version):
            mine |= names
    assert set(told(version, "admin")) == mine


def test_a_list_tells_no_server_groups():
    assert "server_groups" not in told("2.100", groups=False)


def test_the_flavor_is_a_link_until_2_46_and_itself_from_2_47():
    assert told("2.46")["flavor"] == {
        "id": "1",
        "links": [{"rel": "bookmark", "href": "http://cloud.test/compute/flavors/1"}],
    }
    assert told("2.47")["flavor"] == {
        "vcpus": 1, "ram": 512, "disk": 1, "ephemeral": 0, "swap": 0, "original_name": "m1.tiny",
        "extra_specs": {"hw:cpu_policy": "shared"},
    }  # fmt: skip


def test_the_image_tells_the_properties_that_nova_knows_from_2_98():
    assert set(told("2.97")["image"]) == {"id", "links"}
    assert told("2.98")["image"]["properties"] == {"hw_disk_bus": "virtio", "architecture": "x86_64"}
    assert told("2.98", server=make_server(image_id=None, image=None))["image"] == ""


def test_the_short_form_of_an_update_ends_with_2_75():
    short = told("2.74", "admin", short=True)
    assert set(short) & {"key_name", "OS-EXT-STS:vm_state", "OS-EXT-SRV-ATTR:host", "host_status"} == set()
    assert "OS-EXT-IPS:type" not in short["addresses"]["private"][0]
    assert set(told("2.75", "admin", short=True)) == set(told("2.75", "admin"))
    assert "key_name" in told("2.54", short=True, rebuilt=True)
    assert "key_name" not in told("2.53", short=True, rebuilt=True)
    assert "OS-EXT-SRV-ATTR:user_data" not in told("2.75", "admin", short=True, rebuilt=True)


def test_addresses_are_hidden_while_a_server_is_built_and_floating_ones_come_last():
    assert told("2.1", server=make_server(vm_state="building"))["addresses"] == {}
    addresses = told("2.1")["addresses"]["private"]
    assert [each["addr"] for each in addresses] == ["10.0.0.5", "fd00::5", "203.0.113.7"]
    assert addresses[2] == {
        "version": 4, "addr": "203.0.113.7", "OS-EXT-IPS:type": "floating",
        "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01",
    }  # fmt: skip


def test_a_fault_is_told_of_a_server_in_error_with_its_details_for_administrators():
    fault = Fault(500, "No valid host was found.", "2024-01-01T00:00:00Z", "inner workings")
    server = make_server(vm_state="error", fault=fault)
    assert told("2.1", server=server)["fault"] == {
        "code": 500,
        "message": "No valid host was found.",
        "created": "2024-01-01T00:00:00Z",
    }
    assert told("2.1", "admin", server=server)["fault"]["details"] == "inner workings"
    assert "fault" not in told("2.1", "admin", server=make_server(fault=fault))
    refused = dataclasses.replace(fault, code=404)
    assert told("2.1", server=make_server(vm_state="error", fault=refused))["fault"]["details"] == "inner workings"


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, "UP"),
        ({"is_up": False}, "UNKNOWN"),
        ({"forced_down": True, "is_up": False}, "DOWN"),
        ({"disabled": True}, "MAINTENANCE"),
    ],
)
def test_the_status_of_a_host(facts, status):
    assert views.status_of_host(dataclasses.replace(HOST, **facts)) == status


def test_a_shelved_server_that_was_offloaded_is_on_no_host_and_in_no_zone():
    server = told("2.96", "admin", server=make_server(vm_state="shelved_offloaded", availability_zone="az9"))
    assert (server["hostId"], server["OS-EXT-SRV-ATTR:host"], server["OS-EXT-AZ:availability_zone"]) == ("", None, "")
    assert server["pinned_availability_zone"] == "az9"
    assert server["host_status"] == ""


def test_projects_know_a_host_by_different_ids():
    mine, theirs = told("2.1"), told("2.1", server=make_server(project_id="q" * 32))
    assert len(mine["hostId"]) == 56
    assert mine["hostId"] != theirs["hostId"]


# ---------------------------------------------------------------- Tempest's own schemas

SCHEMAS = [
    "2_1", "2_3", "2_6", "2_8", "2_9", "2_16", "2_19", "2_26", "2_45", "2_47", "2_48", "2_51", "2_54", "2_57", "2_58",
    "2_62", "2_63", "2_70", "2_71", "2_73", "2_75", "2_79", "2_80", "2_84", "2_89", "2_96", "2_97", "2_98", "2_99",
    "2_100",
]  # fmt: skip
STATES = [*itertools.product(TABLE, (None,)), ("active", "rebooting"), ("active", "migrating")]


def servers_in_all_states() -> list[Server]:
    fault = Fault(500, "it broke", "2024-01-01T00:00:00Z", "details")
    whole = {
        "locked_by": "owner", "locked_reason": "mine", "group_id": ID, "hints": {"group": ID}, "tags": ("a", "b"),
        "key_name": "k", "config_drive": True, "access_ip_v4": "192.0.2.1", "access_ip_v6": "2001:db8::1",
        "trusted_certs": ["c"], "availability_zone": "az1", "description": "d", "user_data": "YQ==",
    }  # fmt: skip
    plain = [make_server(vm_state=vm, task_state=task, fault=fault) for vm, task in STATES]
    return [*plain, make_server(**whole), make_server(image_id=None, image=None, host=None, launched_at=None)]


def conforms(value: Any, schema: Any) -> None:
    formats = jsonschema.FormatChecker(["ipv4", "ipv6"])
    jsonschema.Draft4Validator(schema, format_checker=formats).validate(value)


@pytest.mark.parametrize("who", ["alice", "admin"])
@pytest.mark.parametrize("name", SCHEMAS)
def test_tempest_takes_every_answer(name, who):
    pytest.importorskip("tempest", reason="Tempest is in the test-only environment of conformance alone")
    schemas = importlib.import_module(f"tempest.lib.api_schema.response.compute.v{name}.servers")
    version = name.replace("_", ".")
    for server in servers_in_all_states():
        shown = {"server": told(version, who, server)}
        conforms(shown, schemas.get_server["response_body"])
        listed = {"servers": [told(version, who, server, groups=False)]}
        conforms(listed, schemas.list_servers_detail["response_body"])
        updated = {"server": told(version, who, server, short=True)}
        conforms(updated, schemas.update_server["response_body"])
        rebuilt = {"server": told(version, who, server, short=True, rebuilt=True)}
        if parse_version(version) >= parse_version("2.57"):
            rebuilt["server"]["user_data"] = server.user_data
        conforms(rebuilt, schemas.rebuild_server["response_body"])
