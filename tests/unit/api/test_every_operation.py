"""What holds for every operation of every service, made from their tables, so that none is forgotten."""

from __future__ import annotations

import re

import pytest

from sundog import app
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import NO_TOKEN, Operation, Service
from sundog.control.identity import CatalogueItem, bootstrap
from sundog.control.identity import Settings as IdentitySettings
from sundog.control.principal import Principal
from sundog.control.store import open_store
from sundog.runtime import warp
from tests.unit.api.client import Client

NOTHING = "0123456789abcdef0123456789abcdef"
EVERY = [(service, operation) for service in app.SERVICES for operation in service.operations]
GUARDED = [(service, operation) for service, operation in EVERY if operation.rule is not NO_TOKEN]
SPOOFED = {
    "x-roles": "admin", "x-user-id": NOTHING, "x-project-id": NOTHING, "x-is-admin-project": "True",
    "x-identity-status": "Confirmed", "openstack-system-scope": "all",
}  # fmt: skip


def named(case: tuple[Service, Operation]) -> str:
    service, operation = case
    return f"{operation.method} {service.prefix}{operation.path} {operation.action or ''} {operation.since or ''}"


def path_of(service: Service, operation: Operation) -> str:
    """The path with ids of things that are not there."""
    return service.prefix + re.sub(r"{[^}]*}", NOTHING, operation.path)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cheap = IdentitySettings(argon2_memory_kib=8, argon2_passes=1)
    made = app.make_cloud(open_store(app.MEMORY), tmp_path_factory.mktemp("state"), 1, cheap)

    async def main(_world):
        item = CatalogueItem("identity", "keystone", "/identity")
        admin = bootstrap(made.identity, "canary-password", address="http://cloud.test", catalogue=[item])
        user = made.identity.users.create("stranger", admin.domain_id, password="canary-stranger")
        project = made.identity.projects.create("empty", domain_id=admin.domain_id)
        return user, project

    warp.run(main)
    return made


@pytest.fixture(scope="module")
def client(cloud):
    return Client(app.make_app(cloud, 1))


@pytest.fixture(scope="module")
def unscoped(client):
    """The token of somebody who has no role anywhere."""
    user = {"name": "stranger", "domain": {"id": "default"}, "password": "canary-stranger"}
    auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    return client.post("/identity/v3/auth/tokens", json=auth).headers["x-subject-token"]


def ask(client: Client, service: Service, operation: Operation, token: str | None = None, **headers: str):
    told = {} if token is None else {"x-auth-token": token}
    if operation.since is not None and service.history is not None:
        told["openstack-api-version"] = f"{service.history.service_type} {operation.since}"
    body = {} if operation.action is None else {"json": {operation.action: None}}
    return client(operation.method, path_of(service, operation), headers=told | headers, **body)


@pytest.mark.parametrize("case", GUARDED, ids=named)
def test_no_token_a_wrong_one_and_identity_headers_are_401(client, case):
    service, operation = case
    for token, headers in ((None, {}), ("gAAAAA" + "A" * 200, {}), (None, SPOOFED)):
        answer = ask(client, service, operation, token, **headers)
        assert answer.status_code == 401, (token, headers)
        assert answer.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize("case", GUARDED, ids=named)
def test_somebody_without_a_role_gets_nothing_but_what_everybody_may(client, unscoped, case):
    service, operation = case
    answer = ask(client, service, operation, unscoped)
    assert answer.status_code < 500, answer.text
    assert "canary" not in answer.text
    if operation.own and answer.status_code != 403:
        nobody = Principal("somebody")
        assert Policy(service.rules).allows(operation.rule, nobody, {"user_id": "somebody", "project_id": ""})


@pytest.mark.parametrize("case", EVERY, ids=named)
def test_every_operation_has_words_for_its_documentation(case):
    _, operation = case
    assert (operation.handler.__doc__ or "").strip(), "OpenAPI takes its summary from the handler's docstring"
    assert operation.rule is NO_TOKEN or operation.rule.doc
