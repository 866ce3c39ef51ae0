"""Whoever asks about what is another project's is told what is told of a thing that was never there, word by word."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sundog import app
from sundog.api.kit.service import NO_TOKEN, Operation, Service
from tests.unit.api.rbac.requests import Request, request_for
from tests.unit.api.rbac.world import LATER, World, at

OF_A = (
    "server", "server group", "network", "subnet", "loose subnet", "port", "router", "floating IP",
    "security group", "rule", "subnet pool", "image", "queued image", "A", "user member", "group", "credential",
    "application credential",
)  # fmt: skip
"""What is project A's, or its domain's."""

NOBODYS = {
    36: "99999999-aaaa-4bbb-8ccc-dddddddddddd", 32: "99999999aaaa4bbb8cccdddddddddddd",
}  # fmt: skip
"""Ids that nothing has, by their length."""

WITH_ID = [
    (service, each)
    for service in app.SERVICES
    for each in service.operations
    if each.rule is not NO_TOKEN and "{" in each.path
]


def named(case: tuple[Service, Operation]) -> str:
    service, operation = case
    version = operation.until or operation.since or ""
    return f"{operation.method} {service.prefix}{operation.path} {operation.action or ''} {version}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: Any) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("state"))
    yield world
    world.close()


def elsewhere(world: World, request: Request) -> tuple[Request, dict[str, str]]:
    """The request about things that nobody has, and which id stands for which."""
    instead, path = {}, request.path
    for name in OF_A:
        mine = world.ids.get(name, "")
        if re.search(rf"/{re.escape(mine)}(/|$)", path):
            instead[mine] = NOBODYS.get(len(mine), "nobodys")
            path = re.sub(rf"/{re.escape(mine)}(?=/|$)", f"/{instead[mine]}", path)
    return replace(request, path=path), instead


def plain(text: str, instead: dict[str, str]) -> str:
    """An answer without what differs from one request to the next."""
    for mine, nobodys in instead.items():
        text = text.replace(mine, nobodys)
    return re.sub(r"req-[0-9a-f-]{36}", "req-", text)


@pytest.mark.parametrize("case", WITH_ID, ids=named)
def test_what_is_anothers_is_answered_as_what_is_not_there(world: World, case: tuple[Service, Operation]) -> None:
    service, operation = case
    request = request_for(world, service, operation)
    other, instead = elsewhere(world, request)
    if not instead:
        pytest.skip("it is about nothing of a project's")

    async def ask() -> tuple[Any, Any]:
        token = world.tokens["stranger"]
        return (
            await world.send(request.method, request.path, token, **request.options),
            await world.send(other.method, other.path, token, **other.options),
        )

    mine, nobodys = at(LATER, ask)
    assert mine.status_code == nobodys.status_code
    assert plain(mine.text, instead) == plain(nobodys.text, instead)
    assert json.dumps(sorted(mine.headers)) == json.dumps(sorted(nobodys.headers))
