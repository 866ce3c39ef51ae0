"""Roles, who has them on what, and what follows from it, over HTTP."""

from __future__ import annotations

import pytest

V3 = "/identity/v3"


def test_a_role_is_created_shown_changed_and_deleted(cloud):
    made = cloud.make("roles", "role", name="helper", description="d")
    assert (made["domain_id"], made["options"], made["description"]) == (None, {}, "d")
    path = f"{V3}/roles/{made['id']}"
    assert cloud.admin.get(path).json() == {"role": made}
    assert cloud.admin.patch(path, json={"role": {"name": "aide"}}).json()["role"]["name"] == "aide"
    assert cloud.admin.post(f"{V3}/roles", json={"role": {"name": "aide"}}).status_code == 409
    assert cloud.admin.post(f"{V3}/roles", json={"role": {}}).status_code == 400
    names = [each["name"] for each in cloud.admin.get(f"{V3}/roles").json()["roles"]]
    assert sorted(names) == ["ResellerAdmin", "admin", "aide", "manager", "member", "reader", "service"]
    assert [each["name"] for each in cloud.admin.get(f"{V3}/roles?name=aide").json()["roles"]] == ["aide"]
    assert cloud.admin.delete(path).status_code == 204
    assert cloud.admin.get(path).status_code == 404


def test_a_role_of_a_domain_is_listed_with_it_and_given_inside_of_it_alone(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    role = cloud.make("roles", "role", name="helper", domain_id=domain)["id"]
    assert "helper" not in [each["name"] for each in cloud.admin.get(f"{V3}/roles").json()["roles"]]
    listed = cloud.admin.get(f"{V3}/roles?domain_id={domain}").json()["roles"]
    assert [(each["name"], each["domain_id"]) for each in listed] == [("helper", domain)]
    inside = cloud.make("projects", "project", name="p", domain_id=domain)["id"]
    user = cloud.make("users", "user", name="eve", password="p")["id"]
    outside = f"{V3}/projects/{cloud.ids.project_id}/users/{user}/roles/{role}"
    assert cloud.admin.put(outside).status_code == 403
    assert cloud.admin.put(f"{V3}/projects/{inside}/users/{user}/roles/{role}").status_code == 204
    other = cloud.make("roles", "role", name="other", domain_id=domain)["id"]
    assert cloud.admin.put(f"{V3}/roles/{role}/implies/{other}").status_code == 201
    assert cloud.admin.put(f"{V3}/roles/{cloud.role_id('member')}/implies/{role}").status_code == 403
    # By itself it gives nothing; it stands for the roles that it implies.
    assert cloud.login("eve", "p", project={"id": inside}).status_code == 401
    implies = f"{V3}/roles/{role}/implies/{cloud.role_id('reader')}"
    assert cloud.admin.put(implies).status_code == 201
    token = cloud.login("eve", "p", project={"id": inside}).json()["token"]
    assert [each["name"] for each in token["roles"]] == ["reader"]


def test_roles_imply_others(cloud):
    admin = cloud.admin
    prior, implied = (cloud.make("roles", "role", name=name)["id"] for name in ("prior", "implied"))
    path = f"{V3}/roles/{prior}/implies"
    assert admin.get(path).json()["role_inference"]["implies"] == []
    assert admin("HEAD", f"{path}/{implied}").status_code == 404
    made = admin.put(f"{path}/{implied}")
    assert made.status_code == 201
    inference = made.json()["role_inference"]
    assert (inference["prior_role"]["id"], inference["implies"]["id"]) == (prior, implied)
    assert inference["implies"]["links"]["self"] == f"http://cloud.test{V3}/roles/{implied}"
    assert admin.get(f"{path}/{implied}").json() == made.json()
    head = admin("HEAD", f"{path}/{implied}")
    assert (head.status_code, head.content) == (204, b"")
    assert [each["name"] for each in admin.get(path).json()["role_inference"]["implies"]] == ["implied"]
    rules = admin.get(f"{V3}/role_inferences").json()["role_inferences"]
    told = {(each["prior_role"]["name"], one["name"]) for each in rules for one in each["implies"]}
    assert told == {("admin", "manager"), ("manager", "member"), ("member", "reader"), ("prior", "implied")}
    assert admin.put(f"{path}/{cloud.role_id('admin')}").status_code == 403
    assert admin.put(f"{path}/{prior}").status_code == 400
    assert admin.put(f"{path}/{'0' * 32}").status_code == 404
    assert admin.delete(f"{path}/{implied}").status_code == 204
    assert admin.delete(f"{path}/{implied}").status_code == 404


def test_the_first_roles_are_immutable(cloud):
    path = f"{V3}/roles/{cloud.role_id('reader')}"
    assert cloud.admin.delete(path).status_code == 403
    assert cloud.admin.patch(path, json={"role": {"name": "x"}}).status_code == 403


@pytest.mark.parametrize("actor", ["users", "groups"])
@pytest.mark.parametrize("target", ["projects", "domains", "system", "OS-INHERIT/projects", "OS-INHERIT/domains"])
def test_a_role_is_given_checked_listed_and_taken_away(cloud, actor, target):
    admin = cloud.admin
    identifier = {
        "users": lambda: cloud.make("users", "user", name="eve")["id"],
        "groups": lambda: cloud.make("groups", "group", name="g")["id"],
    }[actor]()
    where = {
        "projects": cloud.ids.project_id,
        "domains": "default",
    }
    base = target if target == "system" else f"{target}/{where[target.rpartition('/')[2]]}"
    roles = f"{V3}/{base}/{actor}/{identifier}/roles"
    end = "/inherited_to_projects" if target.startswith("OS-INHERIT") else ""
    path = f"{roles}/{cloud.role_id('member')}{end}"
    assert admin("HEAD", path).status_code == 404
    assert admin.get(roles + end).json()["roles"] == []
    for _ in range(2):
        given = admin.put(path)
        assert (given.status_code, given.content) == (204, b"")
    assert admin("HEAD", path).status_code == 204
    assert admin.get(path).status_code == 204
    assert [each["name"] for each in admin.get(roles + end).json()["roles"]] == ["member"]
    assert admin.delete(path).status_code == 204
    assert admin.delete(path).status_code == 404
    assert admin.put(f"{roles}/{'0' * 32}{end}").status_code == 404
    assert admin.put(path.replace(identifier, "0" * 32)).status_code == 404


def test_a_role_that_is_inherited_holds_below_and_not_on_the_target(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    top = cloud.make("projects", "project", name="top", domain_id=domain)["id"]
    low = cloud.make("projects", "project", name="low", parent_id=top)["id"]
    user = cloud.make("users", "user", name="eve", password="p")["id"]
    path = f"{V3}/OS-INHERIT/{{}}/users/{user}/roles/{cloud.role_id('member')}/inherited_to_projects"
    assert cloud.admin.put(path.format(f"projects/{top}")).status_code == 204
    assert cloud.login("eve", "p", project={"id": top}).status_code == 401
    assert cloud.login("eve", "p", project={"id": low}).status_code == 201
    assert cloud.admin.delete(path.format(f"projects/{top}")).status_code == 204
    assert cloud.admin.put(path.format(f"domains/{domain}")).status_code == 204
    assert cloud.login("eve", "p", domain={"id": domain}).status_code == 401
    for project in (top, low):
        assert cloud.login("eve", "p", project={"id": project}).status_code == 201
    eve = cloud.as_user("eve", "p")
    assert {each["id"] for each in eve.get(f"{V3}/auth/projects").json()["projects"]} == {top, low}


def test_role_assignments_are_listed_as_they_were_made(cloud):
    admin = cloud.admin
    group = cloud.make("groups", "group", name="g")["id"]
    role = cloud.role_id("member")
    assert admin.put(f"{V3}/projects/{cloud.ids.project_id}/groups/{group}/roles/{role}").status_code == 204
    listed = admin.get(f"{V3}/role_assignments").json()
    assert listed["links"]["self"] == f"http://cloud.test{V3}/role_assignments"
    assert len(listed["role_assignments"]) == 4
    (mine,) = admin.get(f"{V3}/role_assignments?group.id={group}").json()["role_assignments"]
    assert mine == {
        "group": {"id": group},
        "role": {"id": role},
        "scope": {"project": {"id": cloud.ids.project_id}},
        "links": {"assignment": f"http://cloud.test{V3}/projects/{cloud.ids.project_id}/groups/{group}/roles/{role}"},
    }
    (named,) = admin.get(f"{V3}/role_assignments?group.id={group}&include_names").json()["role_assignments"]
    default = {"id": "default", "name": "Default"}
    assert named["group"] == {"id": group, "name": "g", "domain": default}
    assert named["scope"]["project"] == {"id": cloud.ids.project_id, "name": "admin", "domain": default}
    assert named["role"] == {"id": role, "name": "member"}

    def count(query: str) -> int:
        return len(admin.get(f"{V3}/role_assignments?{query}").json()["role_assignments"])

    assert count(f"user.id={cloud.ids.user_id}") == 3
    assert count("scope.system=all") == 1
    assert count("scope.domain.id=default") == 1
    assert count(f"scope.project.id={cloud.ids.project_id}") == 2
    assert count(f"role.id={role}") == 1
    for wrong in (
        "scope.domain.id=default&scope.project.id=x",
        "scope.system=all&scope.project.id=x",
        "user.id=x&group.id=y",
        "effective&group.id=y",
        "effective&scope.domain.id=default&scope.OS-INHERIT:inherited_to=projects",
        "include_subtree",
    ):
        assert admin.get(f"{V3}/role_assignments?{wrong}").status_code == 400, wrong


def test_effective_assignments_are_what_follows(cloud):
    admin = cloud.admin
    group = cloud.make("groups", "group", name="g")["id"]
    user = cloud.make("users", "user", name="eve")["id"]
    top = cloud.make("projects", "project", name="top")["id"]
    low = cloud.make("projects", "project", name="low", parent_id=top)["id"]
    member, reader = cloud.role_id("member"), cloud.role_id("reader")
    admin.put(f"{V3}/groups/{group}/users/{user}")
    path = f"projects/{top}/groups/{group}/roles/{member}"
    assert admin.put(f"{V3}/OS-INHERIT/{path}/inherited_to_projects").status_code == 204
    listed = admin.get(f"{V3}/role_assignments?effective&user.id={user}").json()["role_assignments"]
    told = {each["role"]["id"]: each for each in listed}
    assert set(told) == {member, reader}
    for each in listed:
        assert each["scope"]["project"]["id"] == low
        assert each["scope"]["OS-INHERIT:inherited_to"] == "projects"
        assert each["links"]["membership"] == f"http://cloud.test{V3}/groups/{group}/users/{user}"
        assert each["links"]["assignment"] == f"http://cloud.test{V3}/OS-INHERIT/{path}/inherited_to_projects"
    assert told[reader]["links"]["prior_role"].endswith(f"/prior_role/{member}/implies/{reader}")
    assert "prior_role" not in told[member]["links"]
    given = admin.get(f"{V3}/role_assignments?scope.OS-INHERIT:inherited_to=projects").json()["role_assignments"]
    assert [each["scope"]["project"]["id"] for each in given] == [top]
    tree = f"{V3}/role_assignments?include_subtree&scope.project.id={top}"
    assert len(admin.get(tree).json()["role_assignments"]) == 1
    assert {each["scope"]["project"]["id"] for each in admin.get(tree + "&effective").json()["role_assignments"]} == {
        low
    }


def test_a_manager_of_a_domain_gives_the_lesser_roles_inside_of_it(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    manager = cloud.persona("boss", "manager", f"domains/{domain}", domain)
    project = cloud.make("projects", "project", name="p", domain_id=domain)["id"]
    user = cloud.make("users", "user", name="eve", domain_id=domain)["id"]
    inside = f"{V3}/projects/{project}/users/{user}/roles/"
    assert manager.put(inside + cloud.role_id("member")).status_code == 204
    assert manager("HEAD", inside + cloud.role_id("member")).status_code == 204
    assert manager.delete(inside + cloud.role_id("member")).status_code == 204
    for refused in (
        inside + cloud.role_id("admin"),
        inside + cloud.role_id("service"),
        f"{V3}/projects/{cloud.ids.project_id}/users/{user}/roles/{cloud.role_id('member')}",
        f"{V3}/projects/{project}/users/{cloud.ids.user_id}/roles/{cloud.role_id('member')}",
        f"{V3}/system/users/{user}/roles/{cloud.role_id('reader')}",
        f"{V3}/domains/default/users/{user}/roles/{cloud.role_id('reader')}",
    ):
        assert manager.put(refused).status_code == 403, refused
    listed = manager.get(f"{V3}/role_assignments").json()["role_assignments"]
    assert [each["scope"]["domain"]["id"] for each in listed] == [domain]
    assert manager.get(f"{V3}/roles/{cloud.role_id('member')}").status_code == 200
    assert manager.get(f"{V3}/roles/{cloud.role_id('admin')}").status_code == 403
    assert manager.get(f"{V3}/roles").status_code == 200


def test_a_member_gives_nothing_and_sees_no_roles(cloud):
    project = cloud.make("projects", "project", name="p")["id"]
    member = cloud.persona("eve", "manager", f"projects/{project}")
    path = f"{V3}/projects/{project}/users/{cloud.ids.user_id}/roles/{cloud.role_id('member')}"
    for method in ("PUT", "GET", "HEAD", "DELETE"):
        assert member(method, path).status_code == 403
    assert member.get(f"{V3}/projects/{project}/users/{'0' * 32}/roles").status_code == 403
    assert member.get(f"{V3}/role_assignments").status_code == 403
    assert member.post(f"{V3}/roles", json={"role": {"name": "x"}}).status_code == 403
    assert member.get(f"{V3}/role_inferences").status_code == 403
