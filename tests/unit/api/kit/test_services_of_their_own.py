"""What a service may have of its own: faults that tell more, its own words, a first look, another path."""

from __future__ import annotations

from typing import Any

import pytest

from sundog.api.kit.application import application
from sundog.api.kit.bodies import Body
from sundog.api.kit.context import Context
from sundog.api.kit.policy import ANYBODY, Policy, Rule
from sundog.api.kit.service import NO_TOKEN, Desk, Failure, Operation, Service
from sundog.api.kit.versions import History
from sundog.errors import Unsupported
from tests.unit.api.client import Client
from tests.unit.api.kit.sample import authenticate

ANYONE = Rule("pond:anyone", ANYBODY)


def fault_of(failure: Failure) -> dict[str, Any]:
    version = None if failure.version is None else str(failure.version)
    return {"status": failure.status, "message": failure.message, "id": failure.request_id, "version": version}


def invalid(part: str, error: Any) -> str:
    return f"{part}: {'no JSON' if error is None else error.errors()[0]['type']}"


def admit(ctx: Context, operation: Operation) -> None:
    if operation.body is not None and ctx.request.headers.get("content-type") != "application/json":
        raise Unsupported("only JSON swims here")


pond = Service(
    "pond",
    prefix="/pond",
    fault_of=fault_of,
    invalid=invalid,
    admit=admit,
    history=History({"1.0": "", "1.1": ""}, "pond"),
)


class Frog(Body):
    name: str


@pond.operation("GET", "", NO_TOKEN)
async def show_root(ctx: Context):
    return {"at": ctx.link("/frogs")}


@pond.operation("POST", "/frogs", ANYONE)
async def create_frog(ctx: Context, body: Frog):
    return {"name": body.name}


@pond.operation("GET", "/frogs", ANYONE)
async def list_frogs(ctx: Context):
    return []


@pytest.fixture
def client() -> Client:
    desk = Desk(None, Policy(pond.rules), authenticate, lambda: "req-7")
    return Client(application([pond], desk), x_auth_token="admin", openstack_api_version="pond 1.1")


def test_a_fault_may_tell_the_request_and_the_version(client: Client) -> None:
    told = {"id": "req-7", "version": "1.1"}
    missing = client.post("/pond/frogs", json={}).json()
    assert missing == {"status": 400, "message": "body: missing", **told}
    headers = {"content-type": "application/json"}
    assert client.post("/pond/frogs", content=b"{", headers=headers).json()["message"] == "body: no JSON"
    assert client.get("/pond/nothing").json() == {"status": 404, "message": "The resource could not be found.", **told}


def test_a_service_has_the_first_look_at_a_request(client: Client) -> None:
    answer = client.post("/pond/frogs", content=b"x", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["message"]) == (415, "only JSON swims here")


def test_a_path_names_all_methods_that_it_takes(client: Client) -> None:
    answer = client.delete("/pond/frogs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json()["message"] == "The method DELETE is not allowed for this resource."


def test_a_version_that_is_none_does_not_hide_that_there_is_no_such_path(client: Client) -> None:
    answer = client.get("/pond/nothing", headers={"openstack-api-version": "pond x"})
    assert (answer.status_code, answer.json()["version"]) == (404, None)


def test_a_service_may_stand_at_another_path_or_at_the_root() -> None:
    desk = Desk(None, Policy(pond.rules), authenticate, lambda: "req-7")
    for prefix in ("/lake", ""):
        client = Client(application([pond.at(prefix)], desk), x_auth_token="admin")
        assert client.get(f"{prefix}/").json() == {"at": f"http://cloud.test{prefix}/frogs"}
        assert client.get(f"{prefix}/frogs").json() == []
    assert pond.prefix == "/pond"


def test_a_service_has_one_shape_of_faults() -> None:
    with pytest.raises(ValueError, match="one of fault and fault_of"):
        Service("puddle", prefix="/puddle")
