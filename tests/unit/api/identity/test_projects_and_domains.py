"""Projects, their tags and their tree, and domains, over HTTP."""

from __future__ import annotations

import pytest

V3 = "/identity/v3"


def test_a_project_is_created_shown_changed_and_deleted(cloud):
    made = cloud.make("projects", "project", name="p", description="d", domain_id="default", colour="red")
    assert made == {
        "id": made["id"],
        "name": "p",
        "description": "d",
        "domain_id": "default",
        "parent_id": "default",
        "is_domain": False,
        "enabled": True,
        "tags": [],
        "options": {},
        "colour": "red",
        "links": {"self": f"http://cloud.test{V3}/projects/{made['id']}"},
    }
    path = f"{V3}/projects/{made['id']}"
    assert cloud.admin.get(path).json() == {"project": made}
    change = {"project": {"name": "q", "enabled": False, "description": None, "tags": ["b", "a"]}}
    changed = cloud.admin.patch(path, json=change)
    assert changed.status_code == 200
    assert changed.json()["project"] == made | {"name": "q", "enabled": False, "description": "", "tags": ["a", "b"]}
    assert cloud.admin.patch(path, json={"project": {"is_domain": True}}).status_code == 400
    assert cloud.admin.patch(path, json={"project": {"domain_id": "other"}}).status_code == 400
    assert cloud.admin.delete(path).status_code == 204
    missing = cloud.admin.get(path)
    assert missing.json()["error"]["message"] == f"Could not find project: {made['id']}."


@pytest.mark.parametrize(
    "project",
    [
        {},
        {"name": ""},
        {"name": "x" * 65},
        {"name": "x", "domain_id": "nowhere"},
        {"name": "x", "parent_id": "0" * 32},
        {"name": "x", "tags": ["a,b"]},
        {"name": "x", "tags": [""]},
        {"name": "x", "tags": [str(i) for i in range(81)]},
        {"name": "x", "is_domain": True, "parent_id": "default"},
        {"name": "x", "options": {"unknown": 1}},
    ],
)
def test_a_project_that_makes_no_sense_is_400(cloud, project):
    assert cloud.admin.post(f"{V3}/projects", json={"project": project}).status_code == 400


def test_a_name_is_taken_once_in_a_domain(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    cloud.make("projects", "project", name="p")
    again = cloud.admin.post(f"{V3}/projects", json={"project": {"name": "p"}})
    assert again.status_code == 409
    assert again.json()["error"]["message"].startswith("Conflict occurred attempting to store project")
    cloud.make("projects", "project", name="p", domain_id=domain)
    assert cloud.admin.post(f"{V3}/domains", json={"domain": {"name": "d"}}).status_code == 409
    cloud.make("domains", "domain", name="p")


def test_projects_make_a_tree(cloud):
    admin = cloud.admin
    top = cloud.make("projects", "project", name="top")["id"]
    middle = cloud.make("projects", "project", name="middle", parent_id=top)
    assert (middle["domain_id"], middle["parent_id"]) == ("default", top)
    low = cloud.make("projects", "project", name="low", parent_id=middle["id"])["id"]
    cloud.grant(cloud.ids.user_id, "member", f"projects/{top}")
    shown = admin.get(f"{V3}/projects/{low}?parents_as_ids&subtree_as_ids").json()["project"]
    assert shown["parents"] == {middle["id"]: {top: {"default": None}}}
    assert shown["subtree"] is None
    shown = admin.get(f"{V3}/projects/{top}?subtree_as_ids").json()["project"]
    assert shown["subtree"] == {middle["id"]: {low: None}}
    shown = admin.get(f"{V3}/projects/{low}?parents_as_list&subtree_as_list").json()["project"]
    assert [each["project"]["name"] for each in shown["parents"]] == ["top"]
    assert shown["subtree"] == []
    assert admin.get(f"{V3}/projects/{low}?parents_as_list&parents_as_ids").status_code == 400
    assert admin.delete(f"{V3}/projects/{top}").status_code == 403
    children = admin.get(f"{V3}/projects?parent_id={top}").json()["projects"]
    assert [each["name"] for each in children] == ["middle"]
    other = cloud.make("domains", "domain", name="d")["id"]
    wrong = {"project": {"name": "x", "parent_id": top, "domain_id": other}}
    assert admin.post(f"{V3}/projects", json=wrong).status_code == 400
    deeper = cloud.make("projects", "project", name="deeper", parent_id=low)["id"]
    too_deep = {"project": {"name": "x", "parent_id": deeper}}
    assert admin.post(f"{V3}/projects", json=too_deep).status_code == 403
    admin.patch(f"{V3}/projects/{top}", json={"project": {"enabled": False}})
    below_disabled = {"project": {"name": "x", "parent_id": middle["id"]}}
    assert admin.post(f"{V3}/projects", json=below_disabled).status_code == 403


def test_a_domain_is_a_project_too(cloud):
    made = cloud.make("projects", "project", name="d", is_domain=True)
    assert (made["is_domain"], made["domain_id"], made["parent_id"]) == (True, None, None)
    assert cloud.admin.get(f"{V3}/domains/{made['id']}").json()["domain"]["name"] == "d"
    names = {each["name"] for each in cloud.admin.get(f"{V3}/projects?is_domain=true").json()["projects"]}
    assert names == {"Default", "d"}
    names = {each["name"] for each in cloud.admin.get(f"{V3}/projects").json()["projects"]}
    assert names == {"admin"}
    project = cloud.make("projects", "project", name="p")["id"]
    assert cloud.admin.get(f"{V3}/domains/{project}").status_code == 404


def test_tags_are_put_checked_and_taken_away(cloud):
    admin = cloud.admin
    project = cloud.make("projects", "project", name="p", tags=["red"])["id"]
    other = cloud.make("projects", "project", name="q", tags=["red", "blue"])["id"]
    path = f"{V3}/projects/{project}/tags"
    assert admin.get(path).json()["tags"] == ["red"]
    added = admin.put(f"{path}/blue")
    assert (added.status_code, added.content) == (201, b"")
    assert admin.get(f"{path}/blue").status_code == 204
    assert admin("HEAD", f"{path}/blue").status_code == 204
    assert admin.get(f"{path}/green").status_code == 404
    assert admin.put(f"{path}/a,b").status_code == 400
    replaced = admin.put(path, json={"tags": ["green"]})
    assert (replaced.status_code, replaced.json()["tags"]) == (200, ["green"])
    assert admin.put(path, json={"tags": "green"}).status_code == 400
    assert admin.delete(f"{path}/green").status_code == 204
    assert admin.delete(f"{path}/green").status_code == 404

    def found(query: str) -> set[str]:
        return {each["id"] for each in admin.get(f"{V3}/projects?{query}").json()["projects"]}

    admin.put(path, json={"tags": ["red", "green"]})
    assert found("tags=red") == {project, other}
    assert found("tags=red,blue") == {other}
    assert found("tags-any=green,blue") == {project, other}
    assert found("not-tags=red,blue") == {project, cloud.ids.project_id}
    assert found("not-tags-any=red") == {cloud.ids.project_id}
    assert admin.delete(path).status_code == 204
    assert admin.get(path).json()["tags"] == []


def test_a_member_sees_the_own_project_and_no_other(cloud):
    mine = cloud.make("projects", "project", name="mine")["id"]
    theirs = cloud.make("projects", "project", name="theirs")["id"]
    member = cloud.persona("eve", "manager", f"projects/{mine}")
    assert member.get(f"{V3}/projects/{mine}").status_code == 200
    assert member.get(f"{V3}/projects/{mine}/tags").status_code == 200
    refused, missing = member.get(f"{V3}/projects/{theirs}"), member.get(f"{V3}/projects/{'0' * 32}")
    assert refused.status_code == missing.status_code == 403
    assert refused.json() == missing.json()
    for method, path in (
        ("GET", "projects"),
        ("POST", "projects"),
        ("PATCH", f"projects/{mine}"),
        ("DELETE", f"projects/{mine}"),
        ("PUT", f"projects/{mine}/tags/x"),
        ("DELETE", f"projects/{mine}/tags"),
        ("GET", "domains"),
        ("POST", "domains"),
        ("DELETE", "domains/default"),
    ):
        body = {"project": {"name": "x"}} if "projects" in path else {"domain": {"name": "x"}}
        assert member(method, f"{V3}/{path}", json=body).status_code == 403, (method, path)
    # One's own domain is for everybody to see.
    assert member.get(f"{V3}/domains/default").status_code == 200
    assert member.get(f"{V3}/domains/{cloud.make('domains', 'domain', name='d')['id']}").status_code == 403


def test_a_manager_of_a_domain_manages_its_projects(cloud):
    domain = cloud.make("domains", "domain", name="d")["id"]
    manager = cloud.persona("boss", "manager", f"domains/{domain}", domain)
    made = manager.post(f"{V3}/projects", json={"project": {"name": "p"}})
    assert made.status_code == 201
    assert made.json()["project"]["domain_id"] == domain
    path = f"{V3}/projects/{made.json()['project']['id']}"
    assert [each["name"] for each in manager.get(f"{V3}/projects").json()["projects"]] == ["p"]
    assert manager.put(f"{path}/tags/x").status_code == 201
    assert manager.get(f"{V3}/projects/{cloud.ids.project_id}").status_code == 403
    assert manager.delete(path).status_code == 204
    elsewhere = {"project": {"name": "p", "domain_id": "default"}}
    assert manager.post(f"{V3}/projects", json=elsewhere).status_code == 403
    assert [each["id"] for each in manager.get(f"{V3}/domains").json()["domains"]] == [domain]


def test_domains_are_created_shown_changed_and_deleted_once_disabled(cloud):
    admin = cloud.admin
    made = cloud.make("domains", "domain", name="d", description="x")
    assert (made["enabled"], made["tags"], made["options"]) == (True, [], {})
    assert "is_domain" not in made
    path = f"{V3}/domains/{made['id']}"
    assert admin.get(path).json() == {"domain": made}
    assert [each["id"] for each in admin.get(f"{V3}/domains?name=d").json()["domains"]] == [made["id"]]
    assert admin.get(f"{V3}/domains?name=Default").json()["domains"][0]["id"] == "default"
    changed = admin.patch(path, json={"domain": {"name": "e", "description": "y"}})
    assert (changed.json()["domain"]["name"], changed.json()["domain"]["description"]) == ("e", "y")
    assert admin.delete(path).status_code == 403
    assert admin.patch(path, json={"domain": {"enabled": False}}).json()["domain"]["enabled"] is False
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404
    assert admin.delete(path).status_code == 404
    assert admin.patch(path, json={"domain": {}}).status_code == 404
    chosen = cloud.make("domains", "domain", name="f", explicit_domain_id="a" * 32)
    assert chosen["id"] == "a" * 32


def test_the_domain_default_stays(cloud):
    path = f"{V3}/domains/default"
    assert cloud.admin.patch(path, json={"domain": {"enabled": False}}).status_code == 403
    assert cloud.admin.delete(path).status_code == 403
    assert cloud.admin.delete(f"{V3}/projects/default").status_code == 403


def test_what_is_immutable_stays_until_it_is_not(cloud):
    path = f"{V3}/projects/{cloud.make('projects', 'project', name='p', options={'immutable': True})['id']}"
    assert cloud.admin.delete(path).status_code == 403
    assert cloud.admin.patch(path, json={"project": {"name": "q"}}).status_code == 403
    freed = cloud.admin.patch(path, json={"project": {"options": {"immutable": False}}})
    assert freed.status_code == 200
    assert cloud.admin.delete(path).status_code == 204
