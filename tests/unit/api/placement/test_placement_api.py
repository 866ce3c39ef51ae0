"""Placement over HTTP: versions, faults, headers, policy, and one example of each kind of operation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sundog.api.kit.application import application
from sundog.api.kit.noauth import noauth2
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.api.placement import SERVICE
from sundog.control.placement import NewProvider, Placement
from sundog.core.pool import Inventory
from sundog.errors import Unauthorized
from tests.unit.api.client import Client
from tests.unit.control.placement.books_of import host, make_placement

CONSUMER = "d3b0c7a2-6d3a-4a5c-9a0e-0d5a0f0c1b2a"
AGGREGATE = "5ac0a5c6-62b6-4b6b-8d3c-4a3d3ab1a5d0"
NOWHERE = "00000000-0000-0000-0000-00000000dead"
UUID = "7260669a-e3d4-4867-aaa7-683e2ab6958c"


def make_client(placement: Placement | None = None, token: str = "admin", **headers: str) -> Client:
    def authenticate(_token: str) -> Any:
        raise Unauthorized("The request you have made requires authentication.")

    cloud = SimpleNamespace(placement=placement or make_placement())
    desk = Desk(cloud, Policy(SERVICE.rules), authenticate, lambda: "req-1", noauth2("127.0.0.1"))
    return Client(application([SERVICE], desk), x_auth_token=token, **headers)


def at(version: str, **headers: str) -> dict[str, str]:
    return {"openstack-api-version": f"placement {version}", **headers}


def error_of(answer: Any) -> dict[str, Any]:
    (told,) = answer.json()["errors"]
    assert isinstance(told, dict)
    return told


# ---------------------------------------------------------------- versions and faults


def test_the_root_tells_the_versions_without_a_token() -> None:
    client = make_client()
    answer = client.get("/placement/", headers={"x-auth-token": ""})
    assert answer.json()["versions"][0] | {"links": None} == {
        "id": "v1.0",
        "min_version": "1.0",
        "max_version": "1.39",
        "status": "CURRENT",
        "links": None,
    }
    assert answer.headers["openstack-api-version"] == "placement 1.0"


@pytest.mark.parametrize(
    ("version", "status", "detail"),
    [
        ("0.9", 406, "Unacceptable version header: 0.9"),
        ("1.40", 406, "Unacceptable version header: 1.40"),
        ("pony.horse", 400, "invalid version string: pony.horse"),
        ("1.2.3", 400, "invalid version string: 1.2.3"),
    ],
)
def test_a_version_that_there_is_not_is_refused(version: str, status: int, detail: str) -> None:
    answer = make_client().get("/placement/resource_providers", headers=at(version))
    assert (answer.status_code, error_of(answer)["detail"]) == (status, detail)
    assert status == 400 or error_of(answer)["max_version"] == "1.39"


def test_latest_is_the_newest() -> None:
    answer = make_client().get("/placement/resource_providers", headers=at("latest"))
    assert answer.headers["openstack-api-version"] == "placement 1.39"


def test_a_fault_has_a_code_from_1_23_on() -> None:
    client = make_client()
    early = error_of(client.get(f"/placement/resource_providers/{UUID}", headers=at("1.22")))
    assert early == {
        "status": 404,
        "title": "Not Found",
        "detail": f"No resource provider with uuid {UUID} found",
        "request_id": "req-1",
    }
    assert error_of(client.get("/placement/nothing", headers=at("1.23")))["code"] == "placement.undefined_code"


def test_a_conflict_tells_its_code() -> None:
    placement = make_placement()
    uuid = host(placement, "h1", VCPU=4)
    client = make_client(placement, openstack_api_version="placement 1.39")
    again = client.post("/placement/resource_providers", json={"name": "h1"})
    assert (again.status_code, error_of(again)["code"]) == (409, "placement.duplicate_name")
    stale = client.put(
        f"/placement/resource_providers/{uuid}/inventories",
        json={"resource_provider_generation": 0, "inventories": {}},
    )
    assert (stale.status_code, error_of(stale)["code"]) == (409, "placement.concurrent_update")


def test_dates_are_told_from_1_15_on() -> None:
    client = make_client()
    assert "last-modified" not in client.get("/placement/resource_providers", headers=at("1.14")).headers
    headers = client.get("/placement/resource_providers", headers=at("1.15")).headers
    assert headers["cache-control"] == "no-cache"
    assert headers["last-modified"].endswith("GMT")


@pytest.mark.parametrize(
    ("method", "path", "first"),
    [
        ("GET", f"/resource_providers/{UUID}/aggregates", "1.1"),
        ("GET", "/resource_classes", "1.2"),
        ("GET", "/traits", "1.6"),
        ("GET", "/usages?project_id=p1", "1.9"),
        ("GET", "/allocation_candidates?resources=VCPU:1", "1.10"),
        ("POST", "/allocations", "1.13"),
        ("POST", "/reshaper", "1.30"),
    ],
)
def test_an_operation_is_not_there_before_its_version(method: str, path: str, first: str) -> None:
    client = make_client(x_roles="service")
    before = f"1.{int(first[2:]) - 1}"
    lost = error_of(client(method, "/placement" + path, headers=at(before)))
    assert (lost["status"], lost["detail"]) == (404, "The resource could not be found.")
    found = client(method, "/placement" + path, headers=at(first))
    assert found.status_code in (200, 415) or "uuid" in error_of(found)["detail"]


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize(
    ("headers", "may"),
    [
        ({"x-roles": "admin"}, True),
        ({"x-roles": "service"}, True),
        ({"x-roles": "member,reader"}, False),
        ({"x-roles": "admin,member,reader", "openstack-system-scope": "all"}, False),
        ({}, False),
    ],
)
def test_placement_is_for_administrators_and_services_of_a_project(headers: dict[str, str], may: bool) -> None:
    client = make_client(token="user", **{name.replace("-", "_"): value for name, value in headers.items()})
    assert client.get("/placement/resource_providers").status_code == (200 if may else 403)


def test_a_reader_sees_the_usages_of_the_own_project_alone() -> None:
    client = make_client(token="user", x_roles="reader", x_project_id="p1", openstack_api_version="placement 1.39")
    assert client.get("/placement/usages?project_id=p1").json() == {"usages": {}}
    assert client.get("/placement/usages?project_id=p2").status_code == 403
    assert client.get("/placement/usages").status_code == 403


def test_the_reshaper_is_for_services_alone() -> None:
    assert make_client().post("/placement/reshaper", headers=at("1.30")).status_code == 403


def test_without_a_token_there_is_nothing() -> None:
    assert make_client(token="").get("/placement/resource_providers").status_code == 401


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "'name' is a required property"),
        ({"name": 3}, "3 is not of type 'string'"),
        ({"name": "x" * 201}, "Failed validating 'maxLength'"),
        ({"name": "x", "color": "blue"}, "Additional properties are not allowed ('color' was unexpected)"),
        ({"name": "x", "uuid": "house"}, "'house' is not a 'uuid'"),
    ],
)
def test_a_bad_body_is_told_in_the_words_of_json_schema(body: dict[str, Any], says: str) -> None:
    answer = make_client().post("/placement/resource_providers", json=body)
    assert answer.status_code == 400
    assert error_of(answer)["detail"].startswith("JSON does not validate: ")
    assert says in error_of(answer)["detail"]


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"content-type": "text/plain"}, b"hello", 415),
        ({}, b"hello", 400),
        ({}, b"", 415),
        ({"content-type": "application/json"}, b"{", 400),
        ({"content-type": "application/json"}, b"", 400),
    ],
)
def test_a_body_must_be_said_to_be_json(headers: dict[str, str], content: bytes, status: int) -> None:
    assert make_client().post("/placement/resource_providers", content=content, headers=headers).status_code == status


def test_nothing_but_json_is_sent() -> None:
    client = make_client()
    assert client.get("/placement/resource_providers", headers={"accept": "text/plain"}).status_code == 406
    assert client.get("/placement/resource_providers", headers={"accept": "text/html,*/*;q=0.8"}).status_code == 200


def test_a_provider_that_is_not_there_is_told_before_the_body_is_looked_at() -> None:
    answer = make_client().put(f"/placement/resource_providers/{NOWHERE}/inventories", json={"house": "red"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "query",
    ["names=x", "resources=VCPU", "resources=VCPU:0", "resources=CUSTOM_NO:1", "required=CUSTOM_NO", "member_of=x",
     "member_of=%21" + AGGREGATE, "required=in:HW_CPU_X86_AVX", "in_tree=x", "uuid=x", "required=,", "resources="],
)  # fmt: skip
def test_a_query_that_means_nothing_is_refused(query: str) -> None:
    assert make_client().get(f"/placement/resource_providers?{query}", headers=at("1.31")).status_code == 400


@pytest.mark.parametrize(
    "query",
    ["", "limit=5", "required=HW_CPU_X86_AVX", "resources_A=VCPU:1&resources_B=VCPU:1",
     "resources=VCPU:99999999999999999999"]
    + [f"resources=VCPU:1&{rest}" for rest in (
        "limit=0", "color=blue", "group_policy=maybe", "same_subtree=_A", "same_subtree=", "in_tree=x",
        "required=HW_CPU_X86_AVX,!HW_CPU_X86_AVX", "required=in:!HW_CPU_X86_AVX", "required_A=CUSTOM_X",
        "root_required=HW_CPU_X86_AVX&root_required=HW_CPU_X86_AVX", "root_required=HW_CPU_X86_AVX,!HW_CPU_X86_AVX",
    )],
)  # fmt: skip
def test_candidates_that_cannot_be_asked_for_are_refused(query: str) -> None:
    answer = make_client().get(f"/placement/allocation_candidates?{query}", headers=at("1.39"))
    assert answer.status_code == 400, answer.text


# ---------------------------------------------------------------- a life


def test_a_host_is_made_filled_used_and_removed() -> None:
    client = make_client(openstack_api_version="placement 1.39")
    made = client.post("/placement/resource_providers", json={"name": "h1", "uuid": UUID.replace("-", "")})
    assert (made.status_code, made.json()["uuid"], made.json()["generation"]) == (200, UUID, 0)
    here = f"/placement/resource_providers/{UUID}"
    assert made.headers["location"] == f"http://cloud.test{here}"
    assert [link["rel"] for link in made.json()["links"]] == [
        "self", "inventories", "usages", "aggregates", "traits", "allocations",
    ]  # fmt: skip
    stock = {"VCPU": {"total": 8, "allocation_ratio": 2.0}, "MEMORY_MB": {"total": 1024, "max_unit": 512}}
    put = client.put(f"{here}/inventories", json={"resource_provider_generation": 0, "inventories": stock})
    assert put.json()["inventories"]["VCPU"] == {
        "total": 8,
        "reserved": 0,
        "min_unit": 1,
        "max_unit": 2147483647,
        "step_size": 1,
        "allocation_ratio": 2.0,
    }
    assert client.put("/placement/traits/CUSTOM_FAST").status_code == 201
    traits = {"resource_provider_generation": 1, "traits": ["CUSTOM_FAST", "HW_CPU_X86_AVX"]}
    assert client.put(f"{here}/traits", json=traits).json()["traits"] == ["HW_CPU_X86_AVX", "CUSTOM_FAST"]
    asked = client.get("/placement/allocation_candidates?resources=VCPU:2,MEMORY_MB:512&required=CUSTOM_FAST").json()
    (candidate,) = asked["allocation_requests"]
    assert asked["provider_summaries"][UUID]["resources"]["VCPU"] == {"capacity": 16, "used": 0}
    body = candidate | {"project_id": "p1", "user_id": "u1", "consumer_generation": None, "consumer_type": "INSTANCE"}
    assert client.put(f"/placement/allocations/{CONSUMER}", json=body).status_code == 204
    assert client.get(f"{here}/usages").json()["usages"] == {"VCPU": 2, "MEMORY_MB": 512}
    assert client.get(f"/placement/allocations/{CONSUMER}").json() == {
        "allocations": {UUID: {"resources": {"VCPU": 2, "MEMORY_MB": 512}, "generation": 3}},
        "project_id": "p1",
        "user_id": "u1",
        "consumer_generation": 1,
        "consumer_type": "INSTANCE",
    }
    usages = client.get("/placement/usages?project_id=p1").json()["usages"]
    assert usages == {"INSTANCE": {"VCPU": 2, "MEMORY_MB": 512, "consumer_count": 1}}
    in_use = client.delete(here)
    assert (in_use.status_code, error_of(in_use)["code"]) == (409, "placement.resource_provider.inuse")
    assert client.delete(f"/placement/allocations/{CONSUMER}").status_code == 204
    assert client.delete(here).status_code == 204
    assert client.get(here).status_code == 404


def test_two_consumers_that_want_the_last_room_get_it_once() -> None:
    placement = make_placement()
    uuid = host(placement, "h1", VCPU=4)
    client = make_client(placement, openstack_api_version="placement 1.12")
    body = {"allocations": {uuid: {"resources": {"VCPU": 3}}}, "project_id": "p1", "user_id": "u1"}
    assert client.put(f"/placement/allocations/{CONSUMER}", json=body).status_code == 204
    other = client.put(f"/placement/allocations/{UUID}", json=body)
    assert (other.status_code, "would exceed the capacity" in other.text) == (409, True)
    placement.pool.check()


def test_lists_of_allocations_are_understood_from_old_clients() -> None:
    placement = make_placement()
    uuid = host(placement, "h1", VCPU=4)
    client = make_client(placement)
    body = {"allocations": [{"resource_provider": {"uuid": uuid}, "resources": {"VCPU": 3}}]}
    assert client.put(f"/placement/allocations/{CONSUMER}", json=body).status_code == 204
    told = client.get(f"/placement/allocations/{CONSUMER}", headers=at("1.38")).json()
    assert (told["project_id"], told["consumer_type"]) == ("00000000-0000-0000-0000-000000000000", "unknown")
    old = client.get("/placement/allocation_candidates?resources=VCPU:1", headers=at("1.10")).json()
    assert old["allocation_requests"] == [
        {"allocations": [{"resource_provider": {"uuid": uuid}, "resources": {"VCPU": 1}}]}
    ]


def test_where_nothing_fits_there_are_no_candidates_and_nothing_is_told() -> None:
    placement = make_placement()
    placement.create_providers(
        [NewProvider("h1", inventories={"VCPU": Inventory(4)}, traits=["HW_CPU_X86_AVX"], aggregates=[AGGREGATE])]
    )
    client = make_client(placement, openstack_api_version="placement 1.39")
    nothing: dict[str, Any] = {"allocation_requests": [], "provider_summaries": {}}
    for query in ("resources=VCPU:5", "resources=DISK_GB:1", f"resources=VCPU:1&in_tree={UUID}"):
        assert client.get(f"/placement/allocation_candidates?{query}").json() == nothing


def test_providers_are_found_by_what_they_have() -> None:
    placement = make_placement()
    first, second = host(placement, "h1", VCPU=4), host(placement, "h2", VCPU=8)
    placement.set_aggregates(second, [AGGREGATE])
    client = make_client(placement, openstack_api_version="placement 1.39")

    def found(query: str) -> list[str]:
        every = client.get(f"/placement/resource_providers?{query}").json()["resource_providers"]
        return [each["name"] for each in every]

    assert found("") == ["h1", "h2"]
    assert found("resources=VCPU:6") == ["h2"]
    assert found(f"member_of=!{AGGREGATE}") == ["h1"]
    assert found(f"member_of=in:{AGGREGATE},{UUID}") == ["h2"]
    assert found(f"uuid={first}") == found(f"in_tree={first}") == found("name=h1") == ["h1"]
    assert found(f"in_tree={UUID}") == []


def test_inventories_are_deleted_one_by_one_before_1_5() -> None:
    placement = make_placement()
    uuid = host(placement, "h1", VCPU=4)
    client = make_client(placement)
    assert client.delete(f"/placement/resource_providers/{uuid}/inventories", headers=at("1.4")).status_code == 405
    assert client.delete(f"/placement/resource_providers/{uuid}/inventories", headers=at("1.5")).status_code == 204
