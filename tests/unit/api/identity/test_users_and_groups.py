"""Users and groups over HTTP."""

from __future__ import annotations

import pytest

from tests.unit.api.identity.cloud import PASSWORD

V3 = "/identity/v3"


def test_a_user_is_created_shown_changed_and_deleted(cloud):
    made = cloud.make("users", "user", name="eve", password="canary", email="eve@example.org", description="d")
    assert made["links"]["self"] == f"http://cloud.test{V3}/users/{made['id']}"
    assert made["email"] == "eve@example.org"
    assert (made["domain_id"], made["enabled"], made["options"]) == ("default", True, {})
    assert made["password_expires_at"] is None
    assert "default_project_id" not in made
    assert "canary" not in str(made)
    path = f"{V3}/users/{made['id']}"
    assert cloud.admin.get(path).json() == {"user": made}
    change = {"user": {"name": "adam", "email": None, "description": "changed", "phone": "1"}}
    changed = cloud.admin.patch(path, json=change).json()["user"]
    assert (changed["name"], changed["email"], changed["phone"]) == ("adam", None, "1")
    assert changed["description"] == "changed"
    gone = cloud.admin.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    missing = cloud.admin.get(path)
    assert missing.status_code == 404
    assert missing.json()["error"] == {
        "code": 404,
        "message": f"Could not find user: {made['id']}.",
        "title": "Not Found",
    }
    for method in ("PATCH", "DELETE"):
        assert cloud.admin(method, path, json={"user": {}}).status_code == 404


@pytest.mark.parametrize(
    "user",
    [
        {},
        {"name": ""},
        {"name": " "},
        {"name": "x" * 256},
        {"name": 7},
        {"name": "x", "enabled": "perhaps"},
        {"name": "x", "enabled": None},
        {"name": "x", "domain_id": "no such domain"},
        {"name": "x", "options": {"unknown": True}},
        {"name": "x", "password": 7},
        {"name": "x", "description": 7},
    ],
)
def test_a_user_that_makes_no_sense_is_400(cloud, user):
    assert cloud.admin.post(f"{V3}/users", json={"user": user}).status_code == 400


def test_a_domain_that_is_not_there_has_no_users(cloud):
    for kind in ("user", "group"):
        answer = cloud.admin.post(f"{V3}/{kind}s", json={kind: {"name": "x", "domain_id": "0" * 32}})
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == f"Could not find domain: {'0' * 32}."


def test_a_name_is_taken_once_in_a_domain(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    cloud.make("users", "user", name="eve")
    assert cloud.admin.post(f"{V3}/users", json={"user": {"name": "eve"}}).status_code == 409
    other = cloud.make("users", "user", name="eve", domain_id=domain)
    assert cloud.admin.post(f"{V3}/users", json={"user": {"name": "eve", "domain_id": domain}}).status_code == 409
    third = cloud.make("users", "user", name="adam", domain_id=domain)
    path = f"{V3}/users/{third['id']}"
    assert cloud.admin.patch(path, json={"user": {"name": "eve"}}).status_code == 409
    assert cloud.admin.patch(path, json={"user": {"name": "adam"}}).status_code == 200
    assert other["id"] != third["id"]


def test_what_a_client_sends_back_cannot_become_what_is_ours(cloud):
    evil = {
        "id": "0" * 32,
        "links": {"self": "http://evil"},
        "password_hash": "x",
        "generation": 99,
        "password_expires_at": "2000-01-01",
        "created_at": "x",
    }
    made = cloud.make("users", "user", name="eve", password="p", **evil)
    assert made["id"] != evil["id"]
    assert made["links"]["self"].startswith("http://cloud.test/")
    assert made["password_expires_at"] is None
    assert cloud.login("eve", "p").status_code == 201
    path = f"{V3}/users/{made['id']}"
    assert cloud.admin.patch(path, json={"user": {"id": "1" * 32}}).status_code == 400
    assert cloud.admin.patch(path, json={"user": {"domain_id": "other"}}).status_code == 400
    assert cloud.admin.patch(path, json={"user": {"id": made["id"], "domain_id": "default"}}).status_code == 200


def test_users_are_found_by_filters_and_in_pages(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    cloud.make("users", "user", name="Anna", enabled=False)
    cloud.make("users", "user", name="Hanna")
    cloud.make("users", "user", name="otto", domain_id=domain)

    def names(query: str) -> list[str]:
        return sorted(user["name"] for user in cloud.admin.get(f"{V3}/users?{query}").json()["users"])

    assert names("") == ["Anna", "Hanna", "admin", "otto"]
    assert names("name=Anna") == ["Anna"]
    assert names("name=anna") == []
    assert names("name__contains=nna") == ["Anna", "Hanna"]
    assert names("name__icontains=ANNA") == ["Anna", "Hanna"]
    assert names("name__istartswith=an") == ["Anna"]
    assert names("name__endswith=o") == ["otto"]
    assert names("enabled=false") == ["Anna"]
    assert names("enabled=true") == ["Hanna", "admin", "otto"]
    assert names(f"domain_id={domain}") == ["otto"]
    assert names("email=none&unknown=1") == ["Anna", "Hanna", "admin", "otto"]

    seen, path = [], f"{V3}/users?limit=3"
    while path:
        answer = cloud.admin.get(path).json()
        assert len(answer["users"]) <= 3
        assert answer["links"]["self"] == "http://cloud.test" + path.removeprefix("http://cloud.test")
        seen += [user["name"] for user in answer["users"]]
        path = answer["links"]["next"]
    assert sorted(seen) == ["Anna", "Hanna", "admin", "otto"]
    assert cloud.admin.get(f"{V3}/users?limit=-1").status_code == 400
    assert cloud.admin.get(f"{V3}/users?limit=1&marker=none").status_code == 400


def test_a_domain_cannot_be_a_default_project(cloud):
    user = {"name": "eve", "default_project_id": "default"}
    assert cloud.admin.post(f"{V3}/users", json={"user": user}).status_code == 400
    made = cloud.make("users", "user", name="eve", default_project_id="0" * 32)
    assert made["default_project_id"] == "0" * 32
    change = {"user": {"default_project_id": "default"}}
    assert cloud.admin.patch(f"{V3}/users/{made['id']}", json=change).status_code == 400


def test_a_user_sees_itself_and_nothing_of_others(cloud):
    project = cloud.make("projects", "project", name="p")["id"]
    eve = cloud.persona("eve", "manager", f"projects/{project}")
    token = eve.get(f"{V3}/auth/tokens", headers={"x-subject-token": eve.headers["x-auth-token"]}).json()["token"]
    mine = f"{V3}/users/{token['user']['id']}"
    assert eve.get(mine).status_code == 200
    assert [each["name"] for each in eve.get(mine + "/projects").json()["projects"]] == ["p"]
    assert eve.get(mine + "/groups").json()["groups"] == []
    theirs, nobodys = f"{V3}/users/{cloud.ids.user_id}", f"{V3}/users/{'0' * 32}"
    for end in ("", "/projects", "/groups"):
        refused, missing = eve.get(theirs + end), eve.get(nobodys + end)
        assert refused.status_code == missing.status_code == 403
        assert refused.json() == missing.json()
    for method, path in (
        ("GET", f"{V3}/users"),
        ("POST", f"{V3}/users"),
        ("PATCH", mine),
        ("DELETE", mine),
        ("PATCH", theirs),
        ("DELETE", nobodys),
    ):
        assert eve(method, path, json={"user": {"name": "x"}}).status_code == 403, (method, path)


def test_a_manager_of_a_domain_manages_its_users_and_no_others(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    manager = cloud.persona("boss", "manager", f"domains/{domain}", domain)
    made = manager.post(f"{V3}/users", json={"user": {"name": "eve", "domain_id": domain}})
    assert made.status_code == 201
    path = f"{V3}/users/{made.json()['user']['id']}"
    assert manager.patch(path, json={"user": {"enabled": False}}).status_code == 200
    assert sorted(user["name"] for user in manager.get(f"{V3}/users").json()["users"]) == ["boss", "eve"]
    assert manager.get(f"{V3}/users?domain_id=default").json()["users"] == []
    theirs = f"{V3}/users/{cloud.ids.user_id}"
    assert manager.get(theirs).status_code == 403
    assert manager.patch(theirs, json={"user": {"password": "mine"}}).status_code == 403
    assert manager.post(f"{V3}/users", json={"user": {"name": "x", "domain_id": "default"}}).status_code == 403
    assert manager.delete(path).status_code == 204
    reader = cloud.persona("clerk", "reader", f"domains/{domain}", domain)
    assert reader.get(f"{V3}/users").status_code == 200
    assert reader.post(f"{V3}/users", json={"user": {"name": "y", "domain_id": domain}}).status_code == 403


def test_a_reader_of_the_system_sees_everything_and_changes_nothing(cloud):
    reader = cloud.persona("auditor", "reader", "system")
    assert len(reader.get(f"{V3}/users").json()["users"]) == 2
    assert reader.get(f"{V3}/users/{cloud.ids.user_id}").status_code == 200
    assert reader.get(f"{V3}/users/{'0' * 32}").status_code == 404
    assert reader.post(f"{V3}/users", json={"user": {"name": "x"}}).status_code == 403
    assert reader.delete(f"{V3}/users/{cloud.ids.user_id}").status_code == 403


def test_groups_have_users(cloud):
    group = cloud.make("groups", "group", name="g", description="d", colour="red")
    assert (group["description"], group["colour"], group["domain_id"]) == ("d", "red", "default")
    path = f"{V3}/groups/{group['id']}"
    assert cloud.admin.get(path).json() == {"group": group}
    assert cloud.admin.patch(path, json={"group": {"name": "h", "description": None}}).json()["group"]["name"] == "h"
    assert [each["name"] for each in cloud.admin.get(f"{V3}/groups?name=h").json()["groups"]] == ["h"]
    assert cloud.admin.post(f"{V3}/groups", json={"group": {"name": "h"}}).status_code == 409
    assert cloud.admin.post(f"{V3}/groups", json={"group": {}}).status_code == 400
    user = cloud.make("users", "user", name="eve")["id"]
    member = f"{path}/users/{user}"
    assert cloud.admin("HEAD", member).status_code == 404
    for _ in range(2):
        answer = cloud.admin.put(member)
        assert (answer.status_code, answer.content) == (204, b"")
    assert cloud.admin("HEAD", member).status_code == 204
    assert cloud.admin.get(member).status_code == 204
    assert [each["name"] for each in cloud.admin.get(f"{path}/users").json()["users"]] == ["eve"]
    groups = cloud.admin.get(f"{V3}/users/{user}/groups").json()["groups"]
    assert [each["name"] for each in groups] == ["h"]
    assert cloud.admin.delete(member).status_code == 204
    assert cloud.admin.delete(member).status_code == 404
    assert cloud.admin.put(f"{path}/users/{'0' * 32}").status_code == 404
    assert cloud.admin.put(f"{V3}/groups/{'0' * 32}/users/{user}").status_code == 404
    assert cloud.admin.delete(path).status_code == 204
    assert cloud.admin.get(path).status_code == 404


def test_groups_of_other_domains_are_out_of_reach(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    manager = cloud.persona("boss", "manager", f"domains/{domain}", domain)
    theirs = cloud.make("groups", "group", name="theirs")["id"]
    mine = manager.post(f"{V3}/groups", json={"group": {"name": "mine"}}).json()["group"]
    assert mine["domain_id"] == domain
    assert [each["name"] for each in manager.get(f"{V3}/groups").json()["groups"]] == ["mine"]
    assert manager.get(f"{V3}/groups/{theirs}").status_code == 403
    assert manager.delete(f"{V3}/groups/{theirs}").status_code == 403
    # Only who is of the same domain can be put into a group of it.
    assert manager.put(f"{V3}/groups/{mine['id']}/users/{cloud.ids.user_id}").status_code == 403
    assert manager.put(f"{V3}/groups/{theirs}/users/{cloud.ids.user_id}").status_code == 403
    assert manager.delete(f"{V3}/groups/{mine['id']}").status_code == 204


def test_deleting_a_domain_takes_all_that_is_in_it(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    project = cloud.make("projects", "project", name="p", domain_id=domain)["id"]
    user = cloud.make("users", "user", name="eve", domain_id=domain, password="p")["id"]
    group = cloud.make("groups", "group", name="g", domain_id=domain)["id"]
    role = cloud.make("roles", "role", name="r", domain_id=domain)["id"]
    assert cloud.admin.put(f"{V3}/groups/{group}/users/{user}").status_code == 204
    cloud.grant(user, "member", f"projects/{project}")
    path = f"{V3}/domains/{domain}"
    assert cloud.admin.delete(path).status_code == 403
    assert cloud.admin.patch(path, json={"domain": {"enabled": False}}).status_code == 200
    assert cloud.admin.delete(path).status_code == 204
    for gone in (f"projects/{project}", f"users/{user}", f"groups/{group}", f"roles/{role}", f"domains/{domain}"):
        assert cloud.admin.get(f"{V3}/{gone}").status_code == 404, gone
    left = cloud.admin.get(f"{V3}/role_assignments").json()["role_assignments"]
    assert {each["user"]["id"] for each in left} == {cloud.ids.user_id}
    assert cloud.login("admin", PASSWORD).status_code == 201
