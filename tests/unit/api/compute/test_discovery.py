"""Versions, faults and extensions."""

from __future__ import annotations

import pytest

from sundog.api.compute import SERVICE
from sundog.api.compute.history import VERSIONS
from sundog.api.compute.policy import RULES
from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.control.principal import Principal
from sundog.errors import Unauthorized
from tests.unit.api.client import Client


def authenticate(token):
    if token != "alice":
        raise Unauthorized("The request you have made requires authentication.")
    return Principal("u1", project_id="project-a", roles=("member", "reader"))


@pytest.fixture
def app():
    return application([SERVICE], Desk(None, Policy(SERVICE.rules), authenticate, lambda: "req-1"))


def test_every_version_in_the_list_is_where_its_link_says(app):
    anybody = Client(app)
    versions = anybody.get("/compute/").json()["versions"]
    assert [each["id"] for each in versions] == ["v2.0", "v2.1"]
    for each in versions:
        [link] = each["links"]
        shown = anybody.get(link["href"].removeprefix("http://cloud.test")).json()["version"]
        assert [link] == [x for x in shown["links"] if x["rel"] == "self"]
        assert set(shown) == {"id", "status", "version", "min_version", "updated", "links", "media-types"}


def test_all_microversions_are_there_in_order():
    assert list(VERSIONS) == [f"2.{minor}" for minor in range(1, 105)]


@pytest.mark.parametrize(
    "headers",
    [{"X-OpenStack-Nova-API-Version": "2.15"}, {"OpenStack-API-Version": "compute 2.15"}],
)
def test_a_version_is_asked_by_either_header_and_told_in_both(app, headers):
    answer = Client(app, x_auth_token="alice").get("/compute/v2.1/extensions", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["x-openstack-nova-api-version"] == "2.15"
    assert answer.headers["openstack-api-version"] == "compute 2.15"
    assert answer.headers["x-openstack-request-id"] == answer.headers["x-compute-request-id"] == "req-1"


@pytest.mark.parametrize(
    ("version", "status", "name"),
    [("2.105", 406, "computeFault"), ("1.0", 406, "computeFault"), ("2", 400, "badRequest")],
)
def test_a_version_that_is_not_there_is_a_fault_of_novas(app, version, status, name):
    headers = {"X-OpenStack-Nova-API-Version": version}
    answer = Client(app, x_auth_token="alice").get("/compute/v2.1/extensions", headers=headers)
    assert answer.status_code == status
    assert answer.json()[name]["code"] == status


def test_the_names_of_old_extensions_are_told_to_who_has_a_token(app):
    alice = Client(app, x_auth_token="alice")
    every = alice.get("/compute/v2.1/extensions").json()["extensions"]
    assert "Hosts" in {each["name"] for each in every}
    assert alice.get("/compute/v2.1/extensions/os-consoles").json()["extension"] in every
    assert alice.get("/compute/v2.1/extensions/nothing").json()["itemNotFound"]["code"] == 404
    assert Client(app).get("/compute/v2.1/extensions").json()["error"]["code"] == 401


def test_rules_have_novas_names_and_words():
    assert RULES["os_compute_api:servers:create"].doc == "Servers: create"
    assert RULES["os_compute_api:servers:create"].check.startswith("(role:member and")
    assert all(rule.doc for rule in RULES.values())
