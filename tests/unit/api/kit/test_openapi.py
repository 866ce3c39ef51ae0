"""The OpenAPI document: one that a program can make requests from."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from sundog import app
from sundog.api.kit.bodies import Query
from sundog.api.kit.context import Context
from sundog.api.kit.openapi import described
from sundog.api.kit.policy import ANYBODY, Rule
from sundog.api.kit.service import NO_TOKEN, Service
from tests.unit.api.kit.sample import fault

DOCUMENT = described(app.SERVICES, "1")
OPERATIONS = [(path, method, told) for path, methods in DOCUMENT["paths"].items() for method, told in methods.items()]


class Inner(Query):
    name: str = ""


class Asking(Query):
    inner: list[Inner] = []


def test_every_operation_has_an_id_of_its_own():
    times = Counter(told["operationId"] for _, _, told in OPERATIONS)
    assert [name for name, number in times.items() if number > 1] == []
    assert all(re.fullmatch(r"\w+", name) for name in times)


def test_one_handler_of_several_paths_is_told_apart_by_method_and_path():
    service = Service("x", prefix="/x", fault=fault)

    async def show(ctx: Context, name: str) -> None:
        """Show."""

    for method, path in (("GET", "/a/{name}"), ("HEAD", "/a/{name}"), ("GET", "/b/{name}")):
        service.operation(method, path, Rule("x:show", ANYBODY))(show)
    told = described([service], "1")["paths"]
    assert [each["operationId"] for methods in told.values() for each in methods.values()] == [
        "x_show_get_x_a_name",
        "x_show_head_x_a_name",
        "x_show_get_x_b_name",
    ]


def test_every_operation_of_every_table_is_there():
    served = {
        (re.sub(r"{(\w+):\w+}", r"{\1}", service.prefix + each.path), each.method.lower())
        for service in app.SERVICES
        for each in service.operations
    }
    assert {(path, method) for path, method, _ in OPERATIONS} == served


def test_every_reference_leads_somewhere():
    def references(value: Any) -> list[str]:
        if isinstance(value, list):
            return [each for item in value for each in references(item)]
        if not isinstance(value, dict):
            return []
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [each for item in value.values() for each in references(item)]

    schemas = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) <= schemas


def test_a_query_whose_model_has_models_inside_is_resolved():
    service = Service("x", prefix="/x", fault=fault)

    @service.operation("GET", "/a", Rule("x:list", ANYBODY))
    async def list_them(ctx: Context, query: Asking) -> dict[str, Any]:
        """List."""
        return {}

    told = described([service], "1")
    schema = told["paths"]["/x/a"]["get"]["parameters"][0]["schema"]
    assert schema["items"] == {"$ref": "#/components/schemas/Inner"}
    assert "Inner" in told["components"]["schemas"]


def test_each_part_of_a_path_is_a_parameter_that_has_at_least_a_character():
    for path, method, told in OPERATIONS:
        named = {each["name"]: each["schema"] for each in told["parameters"] if each["in"] == "path"}
        assert sorted(named) == sorted(re.findall(r"{(\w+)}", path)), (method, path)
        assert all(each.get("minLength") == 1 or "format" in each for each in named.values()), path


def test_the_answers_are_told_success_first_with_faults_in_the_shape_of_the_service():
    told = DOCUMENT["paths"]["/network/v2.0/networks/{network_id}"]["put"]
    assert list(told["responses"]) == ["200", "400", "401", "403", "404", "409", "413", "415", "default"]
    assert "NeutronError" in told["responses"]["404"]["content"]["application/json"]["example"]
    gone = DOCUMENT["paths"]["/network/v2.0/networks/{network_id}"]["delete"]["responses"]
    assert "content" not in gone["204"]
    assert "x-openstack-request-id" in gone["204"]["headers"]
    assert all(next(iter(each["responses"])).startswith(("2", "3")) for _, _, each in OPERATIONS)


def test_what_needs_a_token_says_so():
    free = {
        (service.prefix + each.path.replace(":path}", "}"), each.method.lower())
        for service in app.SERVICES
        for each in service.operations
        if each.rule is NO_TOKEN
    }
    assert {(path, method) for path, method, told in OPERATIONS if "security" not in told} == free
    assert DOCUMENT["components"]["securitySchemes"]["token"] == {
        "type": "apiKey",
        "in": "header",
        "name": "X-Auth-Token",
    }


def test_bodies_that_are_read_by_the_handler_are_told_too():
    patch = DOCUMENT["paths"]["/image/v2/images/{image_id}"]["patch"]["requestBody"]["content"]
    assert sorted(patch) == [
        "application/openstack-images-v2.0-json-patch",
        "application/openstack-images-v2.1-json-patch",
    ]
    file = DOCUMENT["paths"]["/image/v2/images/{image_id}/file"]["put"]["requestBody"]["content"]
    assert list(file) == ["application/octet-stream"]


def test_it_is_the_same_each_time_and_plain_json():
    assert json.dumps(described(app.SERVICES, "1")) == json.dumps(DOCUMENT)
