"""Hostile requests to every operation of every service, made from their tables: none is stored, logged or a 5xx."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from sundog import app
from sundog.api.kit.service import NO_TOKEN, Operation, Service
from tests.unit.api.rbac.requests import BODIES, PREPARED, STREAMS, request_for
from tests.unit.api.rbac.world import LATER, World, at

EVERY = [
    (service, each)
    for service in app.SERVICES
    for each in service.operations
    if f"{service.name} {each.method} {each.path}" not in STREAMS
]
GUARDED = [(service, each) for service, each in EVERY if each.rule is not NO_TOKEN]
WRITES = [(service, each) for service, each in GUARDED if f"{service.name} {each.method} {each.path}" in BODIES]
LISTS = [(service, each) for service, each in GUARDED if each.method == "GET" and "{" not in each.path]
WITH_BODY = [(service, each) for service, each in GUARDED if each.body is not None]

EVIL = {
    "id": "00000000-0000-0000-0000-00000000e511", "uuid": "00000000-0000-0000-0000-00000000e511",
    "status": "EVIL", "created_at": "1970-01-01T00:00:00Z", "updated_at": "1970-01-01T00:00:00Z",
    "revision_number": 666, "generation": 666, "size": 666, "checksum": "evil", "file": "/evil", "self": "/evil",
    "is_admin": True, "roles": ["admin"], "host": "evil", "locked": True, "OS-EXT-SRV-ATTR:host": "evil",
    "password_hash": "evil", "links": {"self": "evil"}, "deleted": True,
}  # fmt: skip
"""What a client may say of a thing and the cloud alone decides."""

KEPT_AS_SAID = frozenset({"identity"})
"""Services that keep whatever else is said and show it again, as Keystone does: it means nothing to them."""

OWN_FACTS = ("id", "links")
CHOSEN = ("POST /v3/regions", "PUT /v3/regions/{region_id}")
"""Things whose ids are their makers' to choose."""


def named(case: tuple[Service, Operation]) -> str:
    service, operation = case
    return f"{operation.method} {service.prefix}{operation.path} {operation.until or operation.since or ''}"


@pytest.fixture(scope="module")
def open_world(tmp_path_factory: Any) -> Iterator[World]:
    """A world in which writes are done."""
    world = World(tmp_path_factory.mktemp("state"))
    world.store.is_full = False
    yield world
    world.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: Any) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("state"))
    yield world
    world.close()


def doer(service: Service) -> str:
    """Who may make things in a service: a member where that is enough."""
    return "member" if service.name in ("network", "image") else "admin"


def with_evil(body: Any, key: str, value: Any) -> Any:
    """A body with a further key in the thing that it is about."""
    if isinstance(body, list):
        return [*body, {"op": "add", "path": f"/{key}", "value": value}]
    inner = next((each for each in body.values() if isinstance(each, dict)), None)
    if len(body) == 1 and inner is not None:
        return {name: {**each, key: value} for name, each in body.items()}
    return {**body, key: value}


@pytest.mark.parametrize("case", WRITES, ids=named)
def test_what_the_cloud_decides_is_not_taken_from_a_client(open_world, case):
    service, operation = case
    others = {"project_id": open_world.ids["B"], "tenant_id": open_world.ids["B"], "owner": open_world.ids["B"]}

    async def ask() -> list[tuple[str, Any, Any]]:
        found = []
        for key, value in (EVIL | others).items():
            request = request_for(open_world, service, operation)
            request.options["json"] = with_evil(request.options["json"], key, value)
            token = open_world.tokens[doer(service)]
            answer = await open_world.send(request.method, request.path, token, **request.options)
            found.append((key, value, answer))
        return found

    for key, value, answer in at(LATER, ask):
        assert answer.status_code < 500, (key, answer.text)
        if answer.status_code >= 400:
            continue
        thing = about(answer.json())
        if service.name in KEPT_AS_SAID and (key not in OWN_FACTS or f"{operation.method} {operation.path}" in CHOSEN):
            continue
        of_image = service.name == "image" or operation.path.startswith("/v2.1/images/")
        if of_image and key not in ("status", "created_at", "updated_at", "size", "checksum", "owner"):
            continue  # an image may be given its id, and any other key is a property
        assert thing.get(key) != value, f"{key} was stored"


def about(told: Any) -> dict[str, Any]:
    """The thing that an answer is about."""
    if isinstance(told, dict) and len(told) == 1 and isinstance(next(iter(told.values())), dict):
        return next(iter(told.values()))
    return told if isinstance(told, dict) else {}


def test_what_is_said_of_a_user_beside_what_keystone_knows_changes_nothing_of_it(open_world):
    user = open_world.ids["user member"]
    said = {"generation": 666, "password_hash": "evil", "is_admin": True, "roles": ["admin"], "enabled": True}

    async def ask() -> Any:
        path = f"/identity/v3/users/{user}"
        await open_world.send("PATCH", path, open_world.tokens["admin"], json={"user": said})
        token = await open_world._log_in("member", {"project": {"id": open_world.ids["A"]}}, open_world.ids["acme"])
        old = await open_world.send("GET", path, open_world.tokens["member"])
        new = await open_world.send("GET", path, token)
        return old, new, open_world.cloud.identity.authenticate(token).roles

    old, new, roles = at(LATER, ask)
    assert (old.status_code, new.status_code, roles) == (200, 200, ("member", "reader"))


@pytest.mark.parametrize("case", WITH_BODY, ids=named)
def test_bodies_that_are_too_long_too_deep_or_no_json_are_refused_in_the_services_own_shape(world, case):
    service, operation = case
    bodies = {
        "long": b'{"x": "' + b"y" * (operation.most_bytes + 1) + b'"}',
        "deep": b"[" * 50_000 + b"]" * 50_000,
        "half": b'{"a": {"b": ',
        "bytes": b"\xff\xfe\x00",
        "number": b"1e99999",
        "null": b"null",
        "list": b"[]",
        "surrogate": b'{"\\ud800": "\\udfff"}',
        "nul": b'{"\\u0000": "\\u0000"}',
    }

    async def ask() -> dict[str, Any]:
        request = request_for(world, service, operation)
        options = {name: value for name, value in request.options.items() if name != "json"}
        headers = {**options.pop("headers"), "content-type": "application/json"}
        token = world.tokens["service" if operation.rule.name.endswith("reshape") else "admin"]
        return {
            name: await world.send(request.method, request.path, token, content=body, headers=headers, **options)
            for name, body in bodies.items()
        }

    answers = at(LATER, ask)
    allowed = {name: (413,) if name == "long" else (400,) for name in bodies}
    # Some operations need no body at all, and an empty list is a body like others to some.
    allowed |= dict.fromkeys(("null", "list"), (200, 201, 204, 400, 403, 404, 409, 503))
    found = {name: answer.status_code for name, answer in answers.items()}
    assert {name: status for name, status in found.items() if status not in allowed[name]} == {}
    assert all("canary" not in answer.text and "Traceback" not in answer.text for answer in answers.values())


@pytest.mark.parametrize("case", LISTS, ids=named)
def test_absurd_queries_of_lists_are_answered_or_refused_and_never_an_error(open_world, case):
    world = open_world  # listing the security groups of a project makes the one that every project has
    service, operation = case
    queries = [
        "limit=1000000000", "limit=-1", "limit=x", "limit=1e9", "limit=99999999999999999999999999", "marker=nobody",
        "marker=%00", "sort_key=nothing", "sort_key=id&sort_dir=up", "fields=nothing", "name=%F0%9F%98%80",
        "name=" + "x" * 5000, "name[]=1", "project_id=%27%20or%201=1--", "id=a&id=b", "changes-since=yesterday",
        "tags=a,b&not-tags-any=c", "resources=VCPU:1e9", "member_of=!!", "%FF=%FE", "page_reverse=x",
    ]  # fmt: skip

    async def ask() -> dict[str, int]:
        request = request_for(world, service, operation)
        headers, token = request.options["headers"], world.tokens["admin"]
        return {
            query: (await world.send("GET", f"{request.path}?{query}", token, headers=headers)).status_code
            for query in queries
        }

    assert {query: status for query, status in at(LATER, ask).items() if status not in (200, 300, 400, 404, 409)} == {}


def test_a_token_of_which_any_one_character_is_another_is_none(world):
    token = world.tokens["member"]
    others = ["A" if each != "A" else "B" for each in token]
    wrong = [token[:at_] + other + token[at_ + 1 :] for at_, other in enumerate(others)]
    wrong += [token[:length] for length in range(len(token))] + [
        token + "A",
        token * 2,
        " " + token[:-1],
        "A" * 1_000_000,
    ]

    async def ask() -> set[int]:
        return {(await world.send("GET", "/identity/v3/regions", each)).status_code for each in wrong}

    assert at(LATER, ask) == {401}


def test_no_answer_and_no_log_names_a_password_or_a_token(open_world, caplog):
    """Whatever is asked, by whomever: passwords of the world begin with ``canary-``."""
    caplog.set_level(logging.DEBUG)
    secrets = ["canary-", *open_world.tokens.values()]

    async def ask() -> list[Any]:
        answers = []
        for service, operation in GUARDED:
            if service.name not in PREPARED or operation.method == "DELETE" or operation.path == "/v3/auth/tokens":
                continue
            request = request_for(open_world, service, operation)
            answers += [
                await open_world.send(request.method, request.path, open_world.tokens[who], **request.options)
                for who in ("admin", "member", "stranger")
            ]
        return answers

    for answer in at(LATER, ask):
        told = answer.text + json.dumps(dict(answer.headers))
        assert not [each for each in secrets if each in told], answer.request.url
    mine = "\n".join(each.getMessage() for each in caplog.records if not each.name.startswith("httpx"))
    assert not [each for each in secrets if each in mine]
