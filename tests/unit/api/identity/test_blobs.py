"""Credentials and policies over HTTP: what is kept for others."""

from __future__ import annotations

import hashlib

import pytest

from tests.unit.api.client import Client
from tests.unit.api.identity.cloud import Cloud

V3 = "/identity/v3"
EC2 = '{"access": "AKEY", "secret": "canary-of-ec2"}'


def whoever(client: Client) -> str:
    """The id of a client's user."""
    subject = {"x-subject-token": client.headers["x-auth-token"]}
    return client.get(f"{V3}/auth/tokens", headers=subject).json()["token"]["user"]["id"]


@pytest.fixture
def project(cloud):
    return cloud.make("projects", "project", name="p")["id"]


@pytest.fixture
def eve(cloud, project):
    return cloud.persona("eve", "member", f"projects/{project}")


def test_a_credential_is_created_shown_changed_and_deleted_by_its_user(cloud, project, eve):
    body = {"credential": {"type": "ec2", "blob": EC2, "project_id": project}}
    answer = eve.post(f"{V3}/credentials", json=body)
    assert answer.status_code == 201
    made = answer.json()["credential"]
    assert made["id"] == hashlib.sha256(b"AKEY").hexdigest()
    assert (made["user_id"], made["project_id"], made["type"], made["blob"]) == (whoever(eve), project, "ec2", EC2)
    assert eve.post(f"{V3}/credentials", json=body).status_code == 409
    path = f"{V3}/credentials/{made['id']}"
    assert eve.get(path).json() == {"credential": made}
    assert [each["id"] for each in eve.get(f"{V3}/credentials?type=ec2").json()["credentials"]] == [made["id"]]
    assert eve.get(f"{V3}/credentials?type=totp").json()["credentials"] == []
    blob = {"access": "AKEY", "secret": "another"}
    assert '"another"' in eve.patch(path, json={"credential": {"blob": blob}}).json()["credential"]["blob"]
    for wrong in (
        {"blob": '{"secret": "x"}'},
        {"type": "totp"},
        {"user_id": cloud.ids.user_id},
        {"project_id": cloud.ids.project_id},
        {"id": "0" * 32},
    ):
        assert eve.patch(path, json={"credential": wrong}).status_code == 400, wrong
    assert eve.delete(path).status_code == 204
    assert cloud.admin.get(path).status_code == 404


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"type": "totp"},
        {"type": "ec2", "blob": EC2},
        {"type": "ec2", "blob": "{}", "project_id": "x"},
        {"type": "ec2", "blob": "not json", "project_id": "x"},
        {"type": "totp", "blob": "x", "user_id": "0" * 32},
    ],
)
def test_a_credential_that_makes_no_sense_is_400(cloud, credential):
    assert cloud.admin.post(f"{V3}/credentials", json={"credential": credential}).status_code == 400


def test_nobody_reaches_the_credentials_of_others(cloud, project, eve):
    body = {"credential": {"type": "totp", "blob": "canary-of-admin"}}
    theirs = cloud.admin.post(f"{V3}/credentials", json=body).json()["credential"]
    path = f"{V3}/credentials/{theirs['id']}"
    assert eve.get(f"{V3}/credentials").json()["credentials"] == []
    for method in ("GET", "PATCH", "DELETE"):
        refused = eve(method, path, json={"credential": {}})
        missing = eve(method, f"{V3}/credentials/{'0' * 32}", json={"credential": {}})
        assert refused.status_code == missing.status_code == 403
        assert refused.json() == missing.json()
    forged = {"credential": {"type": "totp", "blob": "x", "user_id": cloud.ids.user_id}}
    assert eve.post(f"{V3}/credentials", json=forged).status_code == 403
    assert cloud.admin.get(path).status_code == 200


def test_ossa_2026_005_an_application_credential_reaches_no_credential_beyond_its_project(cloud: Cloud, project, eve):
    mine = eve.post(f"{V3}/credentials", json={"credential": {"type": "totp", "blob": "canary"}}).json()["credential"]
    user = whoever(eve)

    def program(**values) -> Client:
        body = {"application_credential": {"name": "n", **values}}
        made = eve.post(f"{V3}/users/{user}/application_credentials", json=body).json()["application_credential"]
        shown = {"id": made["id"], "secret": made["secret"]}
        auth = {"identity": {"methods": ["application_credential"], "application_credential": shown}}
        token = cloud.anybody.post(f"{V3}/auth/tokens", json={"auth": auth}).headers["x-subject-token"]
        return Client(cloud.app, x_auth_token=token)

    ec2 = {"credential": {"type": "ec2", "blob": EC2, "project_id": project}}
    restricted, free = program(name="restricted"), program(name="free", unrestricted=True)
    for each in (restricted, free):
        assert each.get(f"{V3}/credentials").json()["credentials"] == []
        assert each.get(f"{V3}/credentials/{mine['id']}").status_code == 403
        assert each.delete(f"{V3}/credentials/{mine['id']}").status_code == 403
    assert restricted.post(f"{V3}/credentials", json=ec2).status_code == 403
    elsewhere = {"credential": {**ec2["credential"], "project_id": cloud.ids.project_id}}
    assert free.post(f"{V3}/credentials", json=elsewhere).status_code == 403
    assert free.post(f"{V3}/credentials", json=ec2).status_code == 201


def test_the_credentials_of_a_user_go_with_the_user(cloud, eve):
    made = eve.post(f"{V3}/credentials", json={"credential": {"type": "totp", "blob": "x"}}).json()["credential"]
    assert cloud.admin.delete(f"{V3}/users/{whoever(eve)}").status_code == 204
    assert cloud.admin.get(f"{V3}/credentials/{made['id']}").status_code == 404


def test_policies_are_created_shown_changed_and_deleted(cloud, eve):
    admin = cloud.admin
    made = cloud.make("policies", "policy", type="text/plain", blob="allow", note="n")
    assert (made["type"], made["blob"], made["note"]) == ("text/plain", "allow", "n")
    path = f"{V3}/policies/{made['id']}"
    assert admin.get(path).json() == {"policy": made}
    assert [each["id"] for each in admin.get(f"{V3}/policies?type=text/plain").json()["policies"]] == [made["id"]]
    assert admin.patch(path, json={"policy": {"blob": {"a": 1}}}).json()["policy"]["blob"] == '{"a": 1}'
    assert admin.patch(path, json={"policy": {"id": "x"}}).status_code == 400
    assert admin.post(f"{V3}/policies", json={"policy": {"type": "x"}}).status_code == 400
    for method, where in (("GET", path), ("GET", f"{V3}/policies"), ("DELETE", path)):
        assert eve(method, where).status_code == 403
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == admin.delete(path).status_code == 404
