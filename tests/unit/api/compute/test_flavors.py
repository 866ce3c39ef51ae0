"""Flavors as clients see them, version by version."""

from __future__ import annotations

import pytest

from tests.unit.api.compute.cloud import refused

BRIEF = {"id", "name", "links"}
FULL = BRIEF | {
    "ram", "disk", "vcpus", "swap", "OS-FLV-EXT-DATA:ephemeral", "OS-FLV-DISABLED:disabled", "rxtx_factor",
    "os-flavor-access:is_public",
}  # fmt: skip


def make(cloud, *, v="2.55", **more):
    values = {"name": "gold", "ram": 1024, "vcpus": 2, "disk": 10} | more
    answer = cloud.admin.post("/flavors", json={"flavor": values}, v=v)
    assert answer.status_code == 200, answer.text
    return answer.json()["flavor"]


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["flavors"]]


@pytest.mark.parametrize(
    ("v", "brief", "full"),
    [
        ("2.1", BRIEF, FULL),
        ("2.55", BRIEF | {"description"}, FULL | {"description"}),
        ("2.61", BRIEF | {"description"}, FULL | {"description", "extra_specs"}),
        (
            "2.102",
            BRIEF | {"description"},
            FULL - {"OS-FLV-DISABLED:disabled", "rxtx_factor"} | {"description", "extra_specs"},
        ),
    ],
)
def test_what_is_told_of_a_flavor_follows_from_the_version(cloud, v, brief, full):
    for each in cloud.alice.get("/flavors", v=v).json()["flavors"]:
        assert set(each) == brief
    for each in cloud.alice.get("/flavors/detail", v=v).json()["flavors"]:
        assert set(each) == full
        assert cloud.alice.get(f"/flavors/{each['id']}", v=v).json()["flavor"] == each


def test_a_new_cloud_has_five_flavors_whose_links_lead_to_them(cloud):
    assert ids(cloud.alice.get("/flavors")) == ["1", "2", "3", "4", "5"]
    tiny = cloud.alice.get("/flavors/1").json()["flavor"]
    assert (tiny["name"], tiny["ram"], tiny["vcpus"], tiny["disk"]) == ("m1.tiny", 512, 1, 1)
    assert [each["href"] for each in tiny["links"]] == [
        "http://cloud.test/compute/v2.1/flavors/1",
        "http://cloud.test/compute/flavors/1",
    ]


def test_no_swap_is_empty_text_before_2_75_and_nought_since(cloud):
    assert cloud.alice.get("/flavors/1", v="2.74").json()["flavor"]["swap"] == ""
    assert cloud.alice.get("/flavors/1", v="2.75").json()["flavor"]["swap"] == 0
    made = make(cloud, swap="64", id=7)
    assert (made["id"], made["swap"]) == ("7", 64)


def test_names_and_ids_are_taken_once(cloud):
    make(cloud, id="gold")
    again = {"name": "gold", "ram": 1, "vcpus": 1, "disk": 1}
    assert "name gold already exists" in refused(cloud.admin.post("/flavors", json={"flavor": again}), 409)
    again |= {"name": "silver", "id": "gold"}
    assert "ID gold already exists" in refused(cloud.admin.post("/flavors", json={"flavor": again}), 409)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ram": 0}, {"vcpus": -1}, {"disk": "x"}, {"ram": True}, {"ram": 2**31}, {"name": ""}, {"name": " x"},
        {"name": "a\tb"}, {"id": "a/b"}, {"id": " "}, {"rxtx_factor": 0}, {"unknown": 1}, {"description": "early"},
        {"os-flavor-access:is_public": "maybe"}, {"ephemeral": 1}, {"name": "x" * 256}, {"ram": None}, {"disk": 1.5},
    ],
)  # fmt: skip
def test_what_makes_no_flavor_is_refused(cloud, wrong):
    values = {"name": "gold", "ram": 1024, "vcpus": 2, "disk": 10} | wrong
    refused(cloud.admin.post("/flavors", json={"flavor": values}), 400)
    assert len(ids(cloud.admin.get("/flavors?is_public=None"))) == 5


def test_a_value_is_named_in_novas_words(cloud):
    values = {"name": "gold", "ram": 1024, "vcpus": 0, "disk": 10}
    message = refused(cloud.admin.post("/flavors", json={"flavor": values}), 400)
    assert message.startswith("Invalid input for field/attribute vcpus. Value: 0. ")
    message = refused(cloud.admin.post("/flavors", json={"flavor": {**values, "x": 1}}), 400)
    assert "x" in message or "vcpus" in message
    assert refused(cloud.admin.post("/flavors", json={}), 400) == "'flavor' is a required property"


def test_only_administrators_make_and_delete_flavors(cloud):
    values = {"flavor": {"name": "gold", "ram": 1024, "vcpus": 2, "disk": 10}}
    message = refused(cloud.alice.post("/flavors", json=values), 403)
    assert message == "Policy doesn't allow os_compute_api:os-flavor-manage:create to be performed."
    refused(cloud.alice.delete("/flavors/1"), 403)
    gone = cloud.admin.delete("/flavors/1")
    assert (gone.status_code, gone.content) == (202, b"")
    assert refused(cloud.admin.delete("/flavors/1"), 404) == "Flavor 1 could not be found."


def test_descriptions_can_be_changed_since_2_55(cloud):
    refused(cloud.admin.put("/flavors/1", json={"flavor": {"description": "small"}}, v="2.54"), 404)
    answer = cloud.admin.put("/flavors/1", json={"flavor": {"description": "small"}}, v="2.55")
    assert answer.json()["flavor"]["description"] == "small"
    assert cloud.admin.put("/flavors/1", json={"flavor": {"description": None}}, v="2.61").status_code == 200
    refused(cloud.admin.put("/flavors/1", json={"flavor": {"name": "x"}}, v="2.55"), 400)
    refused(cloud.alice.put("/flavors/1", json={"flavor": {"description": "x"}}, v="2.55"), 403)


def test_lists_are_filtered_sorted_and_paged(cloud):
    assert ids(cloud.alice.get("/flavors?minRam=4096&minDisk=80")) == ["4", "5"]
    assert ids(cloud.alice.get("/flavors?sort_key=memory_mb&sort_dir=desc&limit=2")) == ["5", "4"]
    page = cloud.alice.get("/flavors?limit=2")
    [link] = page.json()["flavors_links"]
    assert link == {"rel": "next", "href": "http://cloud.test/compute/v2.1/flavors?limit=2&marker=2"}
    assert ids(cloud.alice.get("/flavors?limit=2&marker=2")) == ["3", "4"]
    assert "flavors_links" not in cloud.alice.get("/flavors?limit=2&marker=4").json()
    assert refused(cloud.alice.get("/flavors?marker=nothing"), 400) == "marker [nothing] not found"
    for wrong in ("limit=-1", "limit=x", "sort_key=secret", "sort_dir=up", "minRam=x"):
        refused(cloud.alice.get(f"/flavors?{wrong}"), 400)


def test_unknown_keys_of_queries_are_refused_since_2_75(cloud):
    assert len(ids(cloud.alice.get("/flavors?unknown=1", v="2.74"))) == 5
    for path in ("/flavors", "/flavors/detail"):
        message = refused(cloud.alice.get(f"{path}?unknown=1", v="2.75"), 400)
        assert message == "Additional properties are not allowed ('unknown' was unexpected)"
    assert cloud.alice.get("/flavors/1?unknown=1", v="2.101").status_code == 200
    refused(cloud.alice.get("/flavors/1?unknown=1", v="2.102"), 400)


def test_names_are_patterns_since_2_102(cloud):
    refused(cloud.alice.get("/flavors?name=tiny", v="2.101"), 400)
    assert ids(cloud.alice.get("/flavors?name=tiny", v="2.102")) == ["1"]
    assert ids(cloud.alice.get("/flavors?name=^m1.*l$", v="2.102")) == ["2"]
    refused(cloud.alice.get("/flavors", params={"name": "(a*)*b"}, v="2.102"), 400)
    refused(cloud.alice.get("/flavors?sort_key=rxtx_factor", v="2.102"), 400)


def test_a_private_flavor_is_there_for_its_projects_alone(cloud):
    make(cloud, id="p", **{"os-flavor-access:is_public": False})
    for who in (cloud.alice, cloud.bob):
        assert "p" not in ids(who.get("/flavors"))
        refused(who.get("/flavors/p"), 404)
    grant = {"addTenantAccess": {"tenant": "project-a"}}
    answer = cloud.admin.post("/flavors/p/action", json=grant)
    assert answer.json() == {"flavor_access": [{"flavor_id": "p", "tenant_id": "project-a"}]}
    assert cloud.admin.get("/flavors/p/os-flavor-access").json() == answer.json()
    assert "p" in ids(cloud.alice.get("/flavors"))
    assert cloud.alice.get("/flavors/p").status_code == 200
    assert "p" not in ids(cloud.bob.get("/flavors?is_public=None"))
    assert "p" not in ids(cloud.admin.get("/flavors"))
    assert "p" in ids(cloud.admin.get("/flavors?is_public=none"))
    assert ids(cloud.admin.get("/flavors?is_public=false")) == ["p"]
    refused(cloud.admin.get("/flavors?is_public=maybe"), 400)
    refused(cloud.admin.post("/flavors/p/action", json=grant), 409)
    revoke = {"removeTenantAccess": {"tenant": "project-a"}}
    assert cloud.admin.post("/flavors/p/action", json=revoke).json() == {"flavor_access": []}
    refused(cloud.admin.post("/flavors/p/action", json=revoke), 404)
    refused(cloud.alice.get("/flavors/p"), 404)


def test_access_has_its_own_refusals(cloud):
    grant = {"addTenantAccess": {"tenant": "project-a"}}
    refused(cloud.admin.get("/flavors/1/os-flavor-access"), 404)
    refused(cloud.admin.post("/flavors/1/action", json=grant, v="2.7"), 409)
    assert cloud.admin.post("/flavors/1/action", json=grant, v="2.6").status_code == 200
    nobodys = {"addTenantAccess": {"tenant": "nobodys"}}
    assert refused(cloud.admin.post("/flavors/1/action", json=nobodys), 400).startswith("Project ID nobodys")
    for body in ({}, {"addTenantAccess": {}}, {"other": {}}, grant | {"removeTenantAccess": {"tenant": "x"}}):
        refused(cloud.admin.post("/flavors/1/action", json=body), 400)
    refused(cloud.alice.post("/flavors/1/action", json=grant), 403)
    refused(cloud.alice.post("/flavors/1/action", json={"removeTenantAccess": {"tenant": "x"}}), 403)
    refused(cloud.alice.get("/flavors/1/os-flavor-access"), 403)


def test_extra_specs_are_added_shown_changed_and_removed(cloud):
    path = "/flavors/1/os-extra_specs"
    answer = cloud.admin.post(path, json={"extra_specs": {"hw:cpu_policy": "dedicated", "n": 5}})
    assert answer.json() == {"extra_specs": {"hw:cpu_policy": "dedicated", "n": 5}}
    assert cloud.reader.get(path).json() == {"extra_specs": {"hw:cpu_policy": "dedicated", "n": "5"}}
    assert cloud.admin.put(f"{path}/n", json={"n": "6"}).json() == {"n": "6"}
    assert cloud.alice.get(f"{path}/n").json() == {"n": "6"}
    shown = cloud.alice.get("/flavors/1", v="2.61").json()["flavor"]
    assert shown["extra_specs"] == {"hw:cpu_policy": "dedicated", "n": "6"}
    gone = cloud.admin.delete(f"{path}/n")
    assert (gone.status_code, gone.content) == (200, b"")
    assert refused(cloud.admin.delete(f"{path}/n"), 404) == "Flavor 1 has no extra specs with key n."
    refused(cloud.alice.get(f"{path}/n"), 404)
    refused(cloud.admin.put(f"{path}/n", json={"m": "6"}), 400)
    refused(cloud.admin.put(f"{path}/n", json={"n": "6", "m": "6"}), 400)
    refused(cloud.admin.post("/flavors/none/os-extra_specs", json={"extra_specs": {}}), 404)
    for who, call in ((cloud.alice, cloud.alice.post), (cloud.reader, cloud.reader.post)):
        refused(call(path, json={"extra_specs": {}}), 403)
        refused(who.delete(f"{path}/n"), 403)


@pytest.mark.parametrize("specs", [{"a/b": "x"}, {"k": "x" * 256}, {"k" * 256: "x"}, {"k": True}, {"k": None}])
def test_extra_specs_that_cannot_be_are_refused(cloud, specs):
    refused(cloud.admin.post("/flavors/1/os-extra_specs", json={"extra_specs": specs}), 400)


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("hw:cpu_policy", "dedicated", True), ("hw:cpu_policy", "mine", False), ("hw:cpu_polcy", "shared", False),
        ("hw:numa_cpus.0", "1-2,^3", True), ("hw:numa_cpus.x", "1", False), ("hw:numa_nodes", "0", False),
        ("resources:VCPU", "2", True), ("resources1:CUSTOM_GPU", "1", True), ("resources:GPU", "1", False),
        ("resources:VCPU", "two", False), ("trait:HW_CPU_X86_AVX", "required", True),
        ("trait:HW_CPU_X86_AVX", "maybe", False), ("trait:HW_NOTHING", "required", False),
        ("trait_A:CUSTOM_X", "forbidden", True), ("quota:vif_inbound_peak", "-1", False),
        ("quota:cpu_quota", "-1", True), ("my:own", "anything", True), ("plain", "anything", True),
        ("hw:boot_menu", "yes", True), ("hw:boot_menu", "perhaps", False),
        ("capabilities:cpu_info:vendor", "Intel", True), ("capabilities:colour", "red", False),
        ("aggregate_instance_extra_specs:ssd", "true", True), ("group_policy", "none", True),
    ],
)  # fmt: skip
def test_known_extra_specs_are_checked_since_2_86(cloud, name, value, fits):
    path, body = "/flavors/1/os-extra_specs", {"extra_specs": {name: value}}
    answer = cloud.admin.post(path, json=body, v="2.86")
    if fits:
        assert answer.status_code == 200, answer.text
    else:
        assert refused(answer, 400).startswith("Validation failed; ")
        assert cloud.alice.get(path).json() == {"extra_specs": {}}
    assert cloud.admin.post(path, json=body, v="2.85").status_code == 200
