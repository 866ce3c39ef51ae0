"""Tokens over HTTP: how they are had, shown and taken back."""

from __future__ import annotations

import re

import pytest

from tests.unit.api.identity.cloud import PASSWORD

ADMIN_PROJECT = {"name": "admin", "domain": {"id": "default"}}
TOKENS = "/identity/v3/auth/tokens"


def test_discovery_is_300_at_the_root_and_200_at_the_version(cloud):
    root = cloud.anybody.get("/identity/")
    assert root.status_code == 300
    (version,) = root.json()["versions"]["values"]
    assert version["id"] == "v3.14"
    assert version["status"] == "stable"
    assert version["links"] == [{"rel": "self", "href": "http://cloud.test/identity/v3/"}]
    one = cloud.anybody.get("/identity/v3/")
    assert (one.status_code, one.json()["version"]) == (200, version)
    assert one.json()["version"]["media-types"][0]["type"] == "application/vnd.openstack.identity-v3+json"


def test_a_password_gives_a_token_for_a_project(cloud):
    answer = cloud.login("admin", PASSWORD, project=ADMIN_PROJECT)
    assert answer.status_code == 201
    assert re.fullmatch(r"gAAAA[\w-]{180,250}", answer.headers["x-subject-token"])
    token = answer.json()["token"]
    assert token["methods"] == ["password"]
    assert token["user"] == {
        "id": cloud.ids.user_id,
        "name": "admin",
        "domain": {"id": "default", "name": "Default"},
        "password_expires_at": None,
    }
    assert token["project"] == {
        "id": cloud.ids.project_id,
        "name": "admin",
        "domain": {"id": "default", "name": "Default"},
    }
    assert token["is_domain"] is False
    assert [role["name"] for role in token["roles"]] == ["admin", "manager", "member", "reader"]
    for key in ("issued_at", "expires_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", token[key])
    assert re.fullmatch(r"[\w-]{22}", token["audit_ids"][0])
    swift = next(entry for entry in token["catalog"] if entry["type"] == "object-store")
    assert swift["endpoints"][0]["url"] == f"http://cloud.test/v1/AUTH_{cloud.ids.project_id}"
    assert set(swift["endpoints"][0]) == {"id", "interface", "region", "region_id", "url"}


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        ({"project": {"name": "admin", "domain": {"name": "Default"}}}, "project"),
        ({"domain": {"id": "default"}}, "domain"),
        ({"domain": {"name": "Default"}}, "domain"),
        ({"system": {"all": True}}, "system"),
    ],
)
def test_a_token_is_for_the_scope_that_was_asked_for(cloud, scope, key):
    token = cloud.login("admin", PASSWORD, **scope).json()["token"]
    assert key in token
    assert "catalog" in token
    assert {"project", "domain", "system"} & set(token) == {key}


def test_without_a_scope_a_token_has_no_roles_and_no_catalogue(cloud):
    token = cloud.login("admin", PASSWORD).json()["token"]
    assert not {"project", "domain", "system", "roles", "catalog"} & set(token)


def test_the_default_project_is_the_scope_where_none_is_asked_for(cloud):
    project = cloud.make("projects", "project", name="home", domain_id="default")
    user = cloud.make("users", "user", name="eve", password="p", default_project_id=project["id"])
    assert "project" not in cloud.login("eve", "p").json()["token"]
    cloud.grant(user["id"], "member", f"projects/{project['id']}")
    assert cloud.login("eve", "p").json()["token"]["project"]["name"] == "home"
    auth = {"identity": {"methods": ["password"], "password": {"user": {"id": user["id"], "password": "p"}}}}
    explicit = cloud.anybody.post(TOKENS, json={"auth": {**auth, "scope": "unscoped"}})
    assert "project" not in explicit.json()["token"]


@pytest.mark.parametrize(
    ("name", "password", "scope"),
    [
        ("admin", "wrong", {}),
        ("nobody", PASSWORD, {}),
        ("admin", PASSWORD, {"project": {"id": "0" * 32}}),
        ("admin", PASSWORD, {"project": {"name": "nowhere", "domain": {"id": "default"}}}),
        ("admin", PASSWORD, {"domain": {"name": "nowhere"}}),
        ("eve", "p", {"project": ADMIN_PROJECT}),
        ("eve", "p", {"system": {"all": True}}),
        ("disabled", "p", {}),
    ],
)
def test_a_refused_login_is_401_in_the_same_words_whatever_was_wrong(cloud, name, password, scope):
    cloud.make("users", "user", name="eve", password="p")
    cloud.make("users", "user", name="disabled", password="p", enabled=False)
    answer = cloud.login(name, password, **scope)
    assert answer.status_code == 401
    assert answer.json() == {
        "error": {"code": 401, "message": "The request you have made requires authentication.", "title": "Unauthorized"}
    }
    assert "x-subject-token" not in answer.headers


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"identity": {}},
        {"identity": {"methods": "password"}},
        {"identity": {"methods": ["password"]}},
        {"identity": {"methods": ["password"], "password": {"user": {"name": "admin", "password": "x"}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"domain": {"id": "default"}, "password": "x"}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"id": "x"}}}},
        {"identity": {"methods": ["token"], "token": {}}},
        {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {}},
        {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {"name": "admin"}}},
        {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"system": {}}},
        {
            "identity": {"methods": ["token"], "token": {"id": "x"}},
            "scope": {"project": {"id": "a"}, "domain": {"id": "b"}},
        },
    ],
)
def test_a_login_that_makes_no_sense_is_400(cloud, auth):
    assert cloud.anybody.post(TOKENS, json={"auth": auth}).status_code == 400


def test_a_method_that_there_is_not_is_401(cloud):
    for methods in (["saml2"], [], ["password", "totp"]):
        auth = {"identity": {"methods": methods, "password": {"user": {"id": "x", "password": "y"}}}}
        assert cloud.anybody.post(TOKENS, json={"auth": auth}).status_code == 401


def test_a_token_gives_another_of_another_scope_that_ends_no_later(cloud):
    first = cloud.login("admin", PASSWORD)
    token, told = first.headers["x-subject-token"], first.json()["token"]
    auth = {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": {"project": ADMIN_PROJECT}}
    second = cloud.anybody.post(TOKENS, json={"auth": auth})
    assert second.status_code == 201
    rescoped = second.json()["token"]
    assert rescoped["expires_at"] == told["expires_at"]
    assert rescoped["methods"] == ["password", "token"]
    assert rescoped["audit_ids"][1] == told["audit_ids"][0]
    third = {"identity": {"methods": ["token"], "token": {"id": second.headers["x-subject-token"]}}}
    chain = cloud.anybody.post(TOKENS, json={"auth": third}).json()["token"]["audit_ids"]
    assert chain[1] == told["audit_ids"][0]


def test_a_token_is_shown_checked_and_taken_back(cloud):
    answer = cloud.login("admin", PASSWORD, project=ADMIN_PROJECT)
    subject = {"x-subject-token": answer.headers["x-subject-token"]}
    shown = cloud.admin.get(TOKENS, headers=subject)
    assert (shown.status_code, shown.json()) == (200, answer.json())
    assert shown.headers["x-subject-token"] == subject["x-subject-token"]
    assert "catalog" not in cloud.admin.get(TOKENS + "?nocatalog", headers=subject).json()["token"]
    checked = cloud.admin("HEAD", TOKENS, headers=subject)
    assert (checked.status_code, checked.content) == (200, b"")
    gone = cloud.admin.delete(TOKENS, headers=subject)
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("GET", "HEAD", "DELETE"):
        assert cloud.admin(method, TOKENS, headers=subject).status_code == 404
    with_it = {"x-auth-token": subject["x-subject-token"]}
    assert cloud.anybody.get("/identity/v3/users", headers=with_it).status_code == 401
    assert cloud.admin.get("/identity/v3/users").status_code == 200


def test_the_catalogue_can_be_left_out_of_a_new_token(cloud):
    auth = {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"id": cloud.ids.user_id, "password": PASSWORD}},
        },
        "scope": {"project": {"id": cloud.ids.project_id}},
    }
    answer = cloud.anybody.post(TOKENS + "?nocatalog", json={"auth": auth})
    assert "catalog" not in answer.json()["token"]


def test_a_token_may_be_shown_to_its_bearer_and_to_services_but_not_to_others(cloud):
    project = cloud.make("projects", "project", name="p")
    bearer = cloud.persona("bearer", "member", f"projects/{project['id']}")
    other = cloud.persona("other", "manager", f"projects/{project['id']}")
    service = cloud.persona("service", "service", f"projects/{project['id']}")
    subject = {"x-subject-token": bearer.headers["x-auth-token"]}
    assert bearer.get(TOKENS, headers=subject).status_code == 200
    assert service.get(TOKENS, headers=subject).status_code == 200
    assert service("HEAD", TOKENS, headers=subject).status_code == 403
    refused = other.get(TOKENS, headers=subject)
    assert refused.status_code == 403
    assert "identity:validate_token" in refused.json()["error"]["message"]
    assert other.delete(TOKENS, headers=subject).status_code == 403
    assert bearer.delete(TOKENS, headers=subject).status_code == 204


def test_what_a_token_can_be_had_for_is_listed(cloud):
    projects = cloud.admin.get("/identity/v3/auth/projects").json()["projects"]
    assert [each["name"] for each in projects] == ["admin"]
    domains = cloud.admin.get("/identity/v3/auth/domains").json()["domains"]
    assert [each["id"] for each in domains] == ["default"]
    assert cloud.admin.get("/identity/v3/auth/system").json()["system"] == [{"all": True}]
    cloud.make("users", "user", name="eve", password="p")
    eve = cloud.as_user("eve", "p")
    assert eve.get("/identity/v3/auth/projects").json()["projects"] == []
    assert eve.get("/identity/v3/auth/domains").json()["domains"] == []
    assert eve.get("/identity/v3/auth/system").json()["system"] == []


def test_the_catalogue_needs_a_project(cloud):
    catalogue = cloud.admin.get("/identity/v3/auth/catalog").json()["catalog"]
    assert {entry["type"] for entry in catalogue} == {"identity", "compute", "object-store"}
    unscoped = cloud.as_user("admin", PASSWORD)
    assert unscoped.get("/identity/v3/auth/catalog").status_code == 403
    system = cloud.login("admin", PASSWORD, system={"all": True}).json()["token"]
    assert {entry["type"] for entry in system["catalog"]} == {"identity", "compute"}


def test_every_byte_of_a_token_counts(cloud):
    token = cloud.admin.headers["x-auth-token"]
    accepted = []
    for place in range(len(token)):
        for bit in (0x01, 0x02, 0x04):
            changed = token[:place] + chr(ord(token[place]) ^ bit) + token[place + 1 :]
            if not changed[place].isprintable() or changed[place] == " ":
                continue
            if cloud.anybody.get("/identity/v3/auth/projects", headers={"x-auth-token": changed}).status_code != 401:
                accepted.append((place, changed))
    assert accepted == []
    for wrong in (token[:-1], token + "A", token + "=", token.upper(), "x" * 7000, "gAAAA"):
        assert cloud.anybody.get("/identity/v3/auth/projects", headers={"x-auth-token": wrong}).status_code == 401
