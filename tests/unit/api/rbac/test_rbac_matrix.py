"""Every operation of every service, asked for by every kind of caller: as OpenStack's documented defaults say.

The tables beside this are written by hand from those defaults, and know nothing of our rules.
"""

from __future__ import annotations

from typing import Any

import pytest

from sundog import app
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import NO_TOKEN, Operation, Service
from tests.unit.api.rbac import compute, identity, image, metrics, network, placement, sundog
from tests.unit.api.rbac.personas import FOR_A_PROJECT, ON_ACME, ON_SYSTEM, PERSONAS
from tests.unit.api.rbac.requests import BODIES, PREPARED, SEEN_BY, STREAMS, is_of_oneself, request_for
from tests.unit.api.rbac.world import LATER, World, at

TABLES = {
    each.__name__.rpartition(".")[2]: each.TABLE
    for each in (compute, identity, image, metrics, network, placement, sundog)
} | {"metadata": {}}
GUARDED = [
    (service, operation)
    for service in app.SERVICES
    for operation in service.operations
    if operation.rule is not NO_TOKEN
]
RULES = [(service, rule) for service in app.SERVICES for rule in service.rules]
HIDING = frozenset({"image", "network"})
"""Services that answer 404 to whoever may not see a thing, be it there or not."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("state"))
    yield world
    world.close()


@pytest.fixture(scope="module")
def principals(world):
    return world.principals()


def named(case: tuple[Service, Operation]) -> str:
    service, operation = case
    last = " ".join(filter(None, (operation.action, str(operation.until or operation.since or ""))))
    return f"{operation.method} {service.prefix}{operation.path} {last}"


def test_every_rule_has_its_line_and_every_service_its_table():
    for service in app.SERVICES:
        names = {rule.name for rule in service.rules}
        assert sorted(names - set(TABLES[service.name])) == []


@pytest.mark.parametrize("case", RULES, ids=lambda case: f"{case[0].name} {case[1].name}")
def test_a_rule_lets_those_do_it_to_what_is_project_as_whom_openstack_lets(world, principals, case):
    service, rule = case
    policy, target = Policy(service.rules), target_of(world)
    assert {who for who in PERSONAS if policy.allows(rule, principals[who], target)} == TABLES[service.name][rule.name]


def target_of(world: World) -> dict[str, Any]:
    """Something of project A's, as all services tell it to their rules."""
    ids = world.ids
    about = {
        "user.id": ids["user member"], "user.domain_id": ids["acme"], "project.id": ids["A"],
        "project.domain_id": ids["acme"], "group.domain_id": ids["acme"], "domain.id": ids["acme"],
        "domain_id": ids["acme"], "role.name": "member", "role.domain_id": None,
        "credential.user_id": ids["user member"], "token.user_id": ids["user member"],
    }  # fmt: skip
    return {
        "project_id": ids["A"], "tenant_id": ids["A"], "user_id": ids["user member"], "owner": ids["A"],
        "member_id": "another", "visibility": "private", "shared": False, "external": False, "network_device": False,
        "network:project_id": ids["A"], "security_group:project_id": ids["A"],
        **{f"target.{name}": value for name, value in about.items()},
    }  # fmt: skip


@pytest.mark.parametrize("case", GUARDED, ids=named)
def test_an_operation_is_open_to_those_to_whom_openstack_opens_it_and_closed_to_others(world, case):
    service, operation = case
    request = request_for(world, service, operation)
    endless = f"{service.name} {operation.method} {operation.path}" in STREAMS

    async def ask() -> dict[str, Any]:
        return {
            who: await world.send(request.method, request.path, world.tokens.get(who), **request.options)
            for who in ("none", "expired", "revoked", *PERSONAS)
            if not (endless and who in TABLES[service.name][operation.rule.name])
        }

    answers = at(LATER, ask)
    found = {who: answer.status_code for who, answer in answers.items()}
    expected = {who: expectation(service, operation, who, about_a=request.about_a) for who in found}
    assert {who: status for who, status in found.items() if not expected[who](status)} == {}
    if is_list(service, operation):
        for who in PERSONAS:
            if who not in TABLES[service.name][operation.rule.name] and found.get(who) == 200:
                shown = [name for name, each in world.ids.items() if each in answers[who].text and name in OF_A]
                assert shown == [], f"{who} sees what is A's in a list"


OF_A = frozenset({
    "A", "network", "subnet", "port", "router", "floating IP", "security group", "rule", "subnet pool", "image",
    "queued image", "shared image", "credential", "user member", "group",
})  # fmt: skip


def is_list(service: Service, operation: Operation) -> bool:
    return operation.method == "GET" and "{" not in operation.path


def expectation(service: Service, operation: Operation, who: str, *, about_a: bool) -> Any:
    """Whether a status is what ``who`` is to be answered."""
    if who in ("none", "expired", "revoked"):
        return lambda status: status == 401
    table = TABLES[service.name]
    allowed = table[operation.rule.name]
    if not about_a:
        # About what is the caller's own, these are in their project or domain what others are in A's.
        peers = {"stranger": "manager", "other_domain": "domain_manager"}
        allowed |= {mine for mine, like in peers.items() if like in allowed}
        allowed |= FOR_A_PROJECT if is_everybodys(service, operation) else frozenset()
        allowed |= frozenset(PERSONAS) if is_filtered(service, operation) else frozenset()
    allowed = ONLY.get(f"{service.name} {operation.method} {operation.path}", allowed)
    if who in allowed:
        return lambda status: is_answered(service, operation, status)
    if (
        (service.name == "compute" or "{server_id}" in operation.path)
        and about_a
        and who not in seen_by(service, operation)
    ):
        # Nova looks a server up before it asks a rule, and other things after; it tells nothing in either case.
        return lambda status: status in (403, 404)
    if is_loose(service, operation):
        return lambda status: status >= 400 and status != 500
    if has_no_project(service, operation, who):
        return lambda status: status in (400, 404)
    if service.name in HIDING and about_a and who not in seen_by(service, operation):
        return lambda status: status == 404
    return lambda status: status == 403


NEEDS_PORTS = (
    "addFloatingIp", "removeFloatingIp", "addFixedIp", "removeFixedIp", "addSecurityGroup", "removeSecurityGroup",
)  # fmt: skip
"""Actions for which a server must be plugged in, which the one here is not yet."""

ONLY = {"identity GET /v3/auth/catalog": frozenset(PERSONAS) - {*ON_ACME, *ON_SYSTEM, "other_domain", "unscoped"}}
"""Operations that have a further condition: a catalogue is made for a project alone."""


def is_filtered(service: Service, operation: Operation) -> bool:
    """Lists that are open to all, and have what the caller may see."""
    if service.name == "network":
        return is_list(service, operation) and "quota" not in operation.path
    return operation.path == "/v3/credentials" and operation.method == "GET"


def is_everybodys(service: Service, operation: Operation) -> bool:
    """Keypairs are listed and made by everybody for themselves."""
    return service.name == "compute" and is_of_oneself(operation) and is_list(service, operation)


def has_no_project(service: Service, operation: Operation, who: str) -> bool:
    """Neutron wants to know for whom a thing is to be, before it looks at any rule."""
    named = service.name == "network" and operation.method == "POST" and "{" not in operation.path
    return named and who not in FOR_A_PROJECT - {"unscoped"}


def is_answered(service: Service, operation: Operation, status: int) -> bool:
    """Whether a status tells that policy had nothing against it. A write that would be done is refused by the store."""
    if status in (401, 403) or status >= 500:
        return status == 503
    if operation.action in NEEDS_PORTS:
        return status in (400, 404, 409)
    if service.name == "compute" and status == 404:
        # What a server has may not be there. The server itself is.
        return operation.path.count("{") > 1 or "/servers/" not in operation.path
    # Where policy comes first, whatever else is wrong may be found after it.
    return operation.own or is_loose(service, operation) or status not in (400, 404, 413, 415)


def is_loose(service: Service, operation: Operation) -> bool:
    """Whether what is asked may fail for other reasons, before policy is asked or after: it has a body that nobody has
    written down here, or is about what is the caller's own."""
    unknown = operation.body is not None and not operation.own and operation.action is None
    unknown = unknown and f"{service.name} {operation.method} {operation.path}" not in BODIES
    # Migrations can be asked for by project since 2.80; before, that is a wrong query.
    too_old = operation.path == "/v2.1/os-migrations" and operation.until is not None
    return service.name not in PREPARED or unknown or too_old or is_of_oneself(operation)


def seen_by(service: Service, operation: Operation) -> frozenset[str]:
    """Who may know that what an operation is about is there."""
    table, name = TABLES[service.name], operation.rule.name
    if service.name == "image":
        return table["get_image"]
    if service.name == "sundog":
        return frozenset()
    if service.name == "compute":
        kind = "os-server-groups" if "/os-server-groups" in operation.path else "servers"
        return table[f"os_compute_api:{kind}:show"] if "{" in operation.path else frozenset(PERSONAS)
    told = SEEN_BY.get(f"{service.name} {operation.method} {operation.path}")
    if told is not None:
        return table[told]
    if "quota" in name or "_" not in name:
        return frozenset(PERSONAS)
    kind = "router" if operation.path.startswith("/v2.0/routers/") else name.partition(":")[0].partition("_")[2]
    return table[f"get_{kind}"]
