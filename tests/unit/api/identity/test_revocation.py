"""Whatever ends what a bearer could do ends the token with it, at the next request."""

from __future__ import annotations

import pytest

from tests.unit.api.identity.cloud import PASSWORD, Cloud

MINE = "/identity/v3/auth/projects"


class Bearer:
    """A member of a project of a domain of their own, and a token."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.domain = cloud.make("domains", "domain", name="d")["id"]
        self.project = cloud.make("projects", "project", name="p", domain_id=self.domain)["id"]
        self.user = cloud.make("users", "user", name="eve", domain_id=self.domain, password="old")["id"]
        cloud.grant(self.user, "member", f"projects/{self.project}")
        self.client = self.again("old")

    def again(self, password: str):
        return self.cloud.as_user("eve", password, self.domain, project={"id": self.project})

    def good(self) -> bool:
        status = self.client.get(MINE).status_code
        assert status in (200, 401)
        return status == 200

    def does(self, method: str, path: str, **body) -> None:
        """What the administrator does to the bearer."""
        path = path.format(user=self.user, project=self.project, domain=self.domain, role=self.cloud.role_id("member"))
        answer = self.cloud.admin(method, f"/identity/v3/{path}", **({"json": body} if body else {}))
        assert answer.status_code in (200, 204), answer.text


@pytest.fixture
def bearer(cloud):
    return Bearer(cloud)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "users/{user}", {"user": {"password": "new"}}),
        ("PATCH", "users/{user}", {"user": {"enabled": False}}),
        ("DELETE", "users/{user}", {}),
        ("DELETE", "projects/{project}/users/{user}/roles/{role}", {}),
        ("PATCH", "projects/{project}", {"project": {"enabled": False}}),
        ("DELETE", "projects/{project}", {}),
        ("PATCH", "domains/{domain}", {"domain": {"enabled": False}}),
    ],
)
def test_a_token_ends_with_what_it_stood_for(bearer, method, path, body):
    assert bearer.good()
    bearer.does(method, path, **body)
    assert not bearer.good()
    assert bearer.cloud.admin.get(MINE).status_code == 200


def test_a_token_of_a_user_who_was_disabled_does_not_come_back_with_the_user(bearer):
    bearer.does("PATCH", "users/{user}", user={"enabled": False})
    bearer.does("PATCH", "users/{user}", user={"enabled": True})
    assert not bearer.good()
    bearer.client = bearer.again("old")
    assert bearer.good()


def test_a_new_token_is_good_right_after_the_password_was_changed(bearer):
    path = f"/identity/v3/users/{bearer.user}/password"
    change = {"user": {"original_password": "old", "password": "new"}}
    answer = bearer.cloud.anybody.post(path, json=change)
    assert (answer.status_code, answer.content) == (204, b"")
    assert not bearer.good()
    bearer.client = bearer.again("new")
    assert bearer.good()
    assert bearer.cloud.login("eve", "old", bearer.domain).status_code == 401


def test_nobody_changes_a_password_without_the_old_one(bearer):
    change = {"user": {"original_password": "wrong", "password": "new"}}
    theirs = bearer.cloud.anybody.post(f"/identity/v3/users/{bearer.user}/password", json=change)
    nobodys = bearer.cloud.anybody.post(f"/identity/v3/users/{'0' * 32}/password", json=change)
    assert theirs.status_code == nobodys.status_code == 401
    assert theirs.json() == nobodys.json()
    assert bearer.good()
    admin = bearer.cloud.admin.post(f"/identity/v3/users/{bearer.user}/password", json=change)
    assert admin.status_code == 401


def test_a_role_that_is_taken_from_a_group_is_taken_from_its_members(bearer):
    cloud = bearer.cloud
    group = cloud.make("groups", "group", name="g", domain_id=bearer.domain)["id"]
    path = f"/identity/v3/projects/{bearer.project}/groups/{group}/roles/{cloud.role_id('manager')}"
    assert cloud.admin.put(path).status_code == 204
    assert cloud.admin.put(f"/identity/v3/groups/{group}/users/{bearer.user}").status_code == 204
    roles = cloud.login("eve", "old", bearer.domain, project={"id": bearer.project}).json()["token"]["roles"]
    assert [role["name"] for role in roles] == ["manager", "member", "reader"]
    bearer.does("DELETE", "projects/{project}/users/{user}/roles/{role}")
    assert bearer.good()
    assert cloud.admin.delete(f"/identity/v3/groups/{group}/users/{bearer.user}").status_code == 204
    assert not bearer.good()


def test_a_token_ends_with_the_domain_of_its_user_wherever_it_is_for(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    client = cloud.persona("guest", "reader", f"projects/{cloud.ids.project_id}", domain)
    assert client.get(MINE).status_code == 200
    path = f"/identity/v3/domains/{domain}"
    assert cloud.admin.patch(path, json={"domain": {"enabled": False}}).status_code == 200
    assert client.get(MINE).status_code == 401
    assert cloud.admin.patch(path, json={"domain": {"enabled": True}}).status_code == 200
    assert client.get(MINE).status_code == 200


def test_deleting_a_role_takes_it_from_everybody(bearer):
    cloud = bearer.cloud
    role = cloud.make("roles", "role", name="helper")["id"]
    other = cloud.make("users", "user", name="other", password="p")["id"]
    path = f"/identity/v3/projects/{bearer.project}/users/{other}/roles/{role}"
    assert cloud.admin.put(path).status_code == 204
    client = cloud.as_user("other", "p", project={"id": bearer.project})
    assert client.get(MINE).status_code == 200
    assert cloud.admin.delete(f"/identity/v3/roles/{role}").status_code == 204
    assert client.get(MINE).status_code == 401


def test_a_key_that_was_rotated_out_has_sealed_no_good_token(bearer):
    identity = bearer.cloud.identity
    identity.keys.rotate()
    assert bearer.good()
    identity.keys.rotate()
    assert not bearer.good()
    bearer.client = bearer.again("old")
    assert bearer.good()


def test_another_process_that_writes_to_the_store_is_noticed(tmp_path):
    mine = Cloud(str(tmp_path / "cloud.db"))
    bearer = Bearer(mine)
    assert bearer.good()
    other = Cloud(str(tmp_path / "cloud.db"))
    assert other.ids.admin_is_new is False
    other._admin = other.as_user("admin", PASSWORD, project={"id": other.ids.project_id})
    assert bearer.good()
    answer = other.admin.patch(f"/identity/v3/users/{bearer.user}", json={"user": {"enabled": False}})
    assert answer.status_code == 200
    assert not bearer.good()
    mine.store.close()
    other.store.close()
