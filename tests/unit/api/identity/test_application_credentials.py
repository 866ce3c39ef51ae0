"""Application credentials over HTTP."""

from __future__ import annotations

import pytest

from tests.unit.api.client import Client

V3 = "/identity/v3"
TOKENS = f"{V3}/auth/tokens"


class Owner:
    """A manager of a project, who makes application credentials."""

    def __init__(self, cloud) -> None:
        self.cloud = cloud
        self.project = cloud.make("projects", "project", name="p")["id"]
        self.client = cloud.persona("eve", "manager", f"projects/{self.project}")
        headers = {"x-subject-token": self.client.headers["x-auth-token"]}
        self.user = self.client.get(TOKENS, headers=headers).json()["token"]["user"]["id"]
        self.path = f"{V3}/users/{self.user}/application_credentials"

    def make(self, **values):
        body = {"application_credential": {"name": "ci", **values}}
        answer = self.client.post(self.path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["application_credential"]

    def login(self, scope=None, **credential):
        auth = {"identity": {"methods": ["application_credential"], "application_credential": credential}}
        if scope is not None:
            auth["scope"] = scope
        return self.cloud.anybody.post(TOKENS, json={"auth": auth})

    def program(self, made) -> Client:
        answer = self.login(id=made["id"], secret=made["secret"])
        assert answer.status_code == 201, answer.text
        return Client(self.cloud.app, x_auth_token=answer.headers["x-subject-token"])


@pytest.fixture
def owner(cloud):
    return Owner(cloud)


def test_a_credential_gives_a_token_for_its_project_and_roles(owner):
    made = owner.make(description="d", roles=[{"name": "member"}], access_rules=None)
    assert len(made["secret"]) == 86
    assert (made["project_id"], made["unrestricted"], made["expires_at"]) == (owner.project, False, None)
    assert [each["name"] for each in made["roles"]] == ["member"]
    answer = owner.login(id=made["id"], secret=made["secret"])
    token = answer.json()["token"]
    assert token["methods"] == ["application_credential"]
    assert token["project"]["id"] == owner.project
    assert [each["name"] for each in token["roles"]] == ["member", "reader"]
    assert token["application_credential"] == {"id": made["id"], "name": "ci", "restricted": True}
    by_name = owner.login(name="ci", user={"id": owner.user}, secret=made["secret"])
    assert by_name.status_code == 201
    by_names = owner.login(name="ci", user={"name": "eve", "domain": {"id": "default"}}, secret=made["secret"])
    assert by_names.status_code == 201


def test_its_secret_is_told_once(owner):
    made = owner.make(secret="canary-of-ci")
    assert made["secret"] == "canary-of-ci"
    shown = owner.client.get(f"{owner.path}/{made['id']}").json()["application_credential"]
    assert shown == {key: value for key, value in made.items() if key != "secret"}
    listed = owner.client.get(owner.path).json()["application_credentials"]
    assert listed == [shown]
    assert owner.client.get(owner.path + "?name=other").json()["application_credentials"] == []


def test_a_refused_credential_is_401_whatever_was_wrong(owner):
    made = owner.make()
    refused = [
        owner.login(id=made["id"], secret="wrong"),
        owner.login(id="0" * 32, secret=made["secret"]),
        owner.login(name="ci", secret=made["secret"]),
        owner.login(name="other", user={"id": owner.user}, secret=made["secret"]),
        owner.login(name="ci", user={"id": owner.cloud.ids.user_id}, secret=made["secret"]),
        owner.login(id=made["id"], secret=made["secret"], scope={"system": {"all": True}}),
    ]
    assert [each.status_code for each in refused] == [401] * len(refused)
    assert len({each.text for each in refused}) == 1


def test_its_token_cannot_be_made_one_for_anything_else(owner):
    program = owner.program(owner.make())
    token = {"methods": ["token"], "token": {"id": program.headers["x-auth-token"]}}

    def rescoped(scope):
        return owner.cloud.anybody.post(TOKENS, json={"auth": {"identity": token, "scope": scope}})

    same = rescoped({"project": {"id": owner.project}})
    assert same.status_code == 201
    assert same.json()["token"]["application_credential"]["name"] == "ci"
    assert rescoped("unscoped").status_code == 401
    assert rescoped({"domain": {"id": "default"}}).status_code == 401


@pytest.mark.parametrize("end", ["deleted", "role", "user", "password"])
def test_its_token_ends_with_it_and_with_what_it_stands_on(owner, end):
    made = owner.make()
    program = owner.program(made)
    path = f"{V3}/auth/projects"
    assert program.get(path).status_code == 200
    admin = owner.cloud.admin
    if end == "deleted":
        gone = owner.client.delete(f"{owner.path}/{made['id']}")
        assert (gone.status_code, gone.content) == (204, b"")
    elif end == "role":
        role = f"{V3}/projects/{owner.project}/users/{owner.user}/roles"
        admin.put(f"{role}/{owner.cloud.role_id('reader')}")
        assert admin.delete(f"{role}/{owner.cloud.role_id('manager')}").status_code == 204
    elif end == "user":
        assert admin.patch(f"{V3}/users/{owner.user}", json={"user": {"enabled": False}}).status_code == 200
    else:
        assert admin.patch(f"{V3}/users/{owner.user}", json={"user": {"password": "new"}}).status_code == 200
    assert program.get(path).status_code == 401
    # A password is not what a credential stands on; only the tokens of before are taken back.
    assert owner.login(id=made["id"], secret=made["secret"]).status_code == (201 if end == "password" else 401)


def test_one_that_is_restricted_makes_and_removes_no_others(owner):
    made = owner.make()
    program = owner.program(made)
    body = {"application_credential": {"name": "more"}}
    assert program.get(owner.path).status_code == 200
    assert program.post(owner.path, json=body).status_code == 403
    assert program.delete(f"{owner.path}/{made['id']}").status_code == 403
    free = owner.program(owner.make(name="free", unrestricted=True))
    assert free.post(owner.path, json=body).status_code == 201
    assert free.delete(f"{owner.path}/{made['id']}").status_code == 204


def test_it_ends_when_it_was_made_to(owner):
    made = owner.make(expires_at="2999-01-01T00:00:00.000000Z")
    assert made["expires_at"] == "2999-01-01T00:00:00.000000"
    for wrong in ("2001-01-01T00:00:00Z", "soon"):
        body = {"application_credential": {"name": "x", "expires_at": wrong}}
        assert owner.client.post(owner.path, json=body).status_code == 400


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": "x", "roles": [{"name": "admin"}]},
        {"name": "x", "roles": [{"name": "nothing"}]},
        {"name": "x", "roles": [{"id": "0" * 32}]},
        {"name": "x", "project_id": "0" * 32},
        {"name": "x", "user_id": "0" * 32},
        {"name": "x", "access_rules": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]},
    ],
)
def test_one_that_makes_no_sense_is_400(owner, values):
    assert owner.client.post(owner.path, json={"application_credential": values}).status_code == 400


def test_a_name_is_given_once_by_a_user(owner):
    owner.make()
    assert owner.client.post(owner.path, json={"application_credential": {"name": "ci"}}).status_code == 409


def test_nobody_makes_one_for_another_or_looks_at_anothers(owner):
    made = owner.make()
    other = owner.cloud.persona("other", "member", f"projects/{owner.project}")
    body = {"application_credential": {"name": "x"}}
    assert other.post(owner.path, json=body).status_code == 403
    assert owner.cloud.admin.post(owner.path, json=body).status_code == 403
    assert other.get(owner.path).status_code == 403
    assert other.get(f"{owner.path}/{made['id']}").status_code == 403
    headers = {"x-subject-token": other.headers["x-auth-token"]}
    own_id = other.get(TOKENS, headers=headers).json()["token"]["user"]["id"]
    # Naming oneself in the path does not make it one's own.
    mine = f"{V3}/users/{own_id}/application_credentials/{made['id']}"
    assert other.get(mine).status_code == 403
    assert other.delete(mine).status_code == 403
    assert owner.cloud.admin.get(f"{owner.path}/{made['id']}").status_code == 200
    assert owner.cloud.admin.delete(f"{owner.path}/{made['id']}").status_code == 204
