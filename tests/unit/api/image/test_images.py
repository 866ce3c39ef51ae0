"""Records of images over HTTP: made, listed, shown, changed, deleted."""

from __future__ import annotations

import pytest

from tests.unit.api.image.cloud import DATA, OLD_PATCH, PATCH, Cloud, message

IMAGES = "/image/v2/images"
NOBODY = "11111111-2222-3333-4444-555555555555"


def test_the_versions_are_told_to_anybody_with_300(cloud: Cloud) -> None:
    for path in ("/image", "/image/", "/image/v2/"):
        answer = cloud.anybody.get(path)
        assert answer.status_code == 300
        versions = answer.json()["versions"]
        assert [each["id"] for each in versions if each["status"] == "CURRENT"] == ["v2.12"]
        assert versions[0]["links"] == [{"rel": "self", "href": "http://cloud.test/image/v2/"}]
    assert cloud.anybody.get("/image/versions").status_code == 200


def test_an_image_without_anything_is_queued_and_shared(cloud: Cloud) -> None:
    made = cloud.alice.post(IMAGES, json={})
    assert made.status_code == 201
    image = made.json()
    assert made.headers["location"] == f"http://cloud.test/image/v2/images/{image['id']}"
    assert made.headers["openstack-image-import-methods"] == "glance-direct"
    assert (image["status"], image["visibility"], image["owner"]) == ("queued", "shared", "a")
    assert (image["name"], image["size"], image["checksum"], image["tags"]) == (None, None, None, [])
    assert image["file"] == f"/v2/images/{image['id']}/file"
    assert "stores" not in image
    assert cloud.show(image["id"]) == image


def test_properties_are_told_among_the_attributes(cloud: Cloud) -> None:
    image_id = cloud.make(name="cirros", ramdisk_id="r", tags=["b", "a", "b"], min_disk=1, os_hidden=True)
    image = cloud.show(image_id)
    assert (image["name"], image["ramdisk_id"], image["min_disk"]) == ("cirros", "r", 1)
    assert image["tags"] == ["a", "b"]
    assert image["os_hidden"] is True


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"disk_format": "floppy"}, 400),
        ({"container_format": "box"}, 400),
        ({"visibility": "secret"}, 400),
        ({"name": "x" * 256}, 400),
        ({"min_disk": -1}, 400),
        ({"min_ram": 2**40}, 400),
        ({"min_ram": True}, 400),
        ({"protected": "yes"}, 400),
        ({"id": "not-a-uuid"}, 400),
        ({"color": 5}, 400),
        ({"color": None}, 400),
        ({"k" * 256: "v"}, 400),
        ({"tags": ["t" * 256]}, 400),
        ({"nul": "\0"}, 400),
        ({"": "no name"}, 400),
        ({"status": "active"}, 403),
        ({"size": 5}, 403),
        ({"checksum": "0" * 32}, 403),
        ({"self": "/"}, 403),
        ({"locations": []}, 403),
        ({"deleted": True}, 403),
        ({"os_glance_import_task": "x"}, 403),
        ({"owner": "b"}, 403),
        ({"visibility": "public"}, 403),
        ({f"p{i}": "v" for i in range(129)}, 413),
        ({"tags": [f"t{i}" for i in range(129)]}, 413),
    ],
)
def test_what_an_image_cannot_be_is_refused(cloud: Cloud, told: dict, status: int) -> None:
    refused = cloud.alice.post(IMAGES, json=told)
    assert refused.status_code == status, refused.text
    assert message(refused)
    assert cloud.alice.get(IMAGES, params={"os_hidden": "true"}).json()["images"] == []


@pytest.mark.parametrize("body", [b"[]", b"5", b"{", b"null", b'{"a":' * 5000])
def test_a_body_that_is_no_image_is_refused(cloud: Cloud, body: bytes) -> None:
    assert cloud.alice.post(IMAGES, content=body, headers={"content-type": "application/json"}).status_code == 400


def test_an_id_may_be_given_once_and_never_again(cloud: Cloud) -> None:
    assert cloud.make(id=NOBODY) == NOBODY
    assert cloud.alice.post(IMAGES, json={"id": NOBODY}).status_code == 409
    assert cloud.alice.delete(f"{IMAGES}/{NOBODY}").status_code == 204
    assert cloud.bob.post(IMAGES, json={"id": NOBODY}).status_code == 409


def test_an_administrator_makes_images_public_and_for_others(cloud: Cloud) -> None:
    made = cloud.admin.post(IMAGES, json={"owner": "b", "visibility": "public"})
    assert made.status_code == 201
    assert cloud.show(made.json()["id"], cloud.carol)["owner"] == "b"


def test_readers_look_and_change_nothing(cloud: Cloud) -> None:
    image_id = cloud.make(data=b"x")
    assert cloud.reader.post(IMAGES, json={}).status_code == 403
    for method, path in [
        ("DELETE", ""), ("PATCH", ""), ("PUT", "/tags/t"), ("POST", "/actions/deactivate"), ("GET", "/file"),
    ]:  # fmt: skip
        options = {"json": [], "headers": PATCH} if method == "PATCH" else {}
        refused = cloud.reader(method, f"{IMAGES}/{image_id}{path}", **options)
        assert refused.status_code == 403, (method, path)
        assert message(refused).startswith("You are not authorized to complete")
    assert cloud.show(image_id, cloud.reader)["status"] == "active"


def test_anothers_image_is_as_missing_as_one_that_never_was(cloud: Cloud) -> None:
    theirs = cloud.make(visibility="private", data=b"x")

    def answers(image_id: str) -> list[tuple[int, str]]:
        told = []
        for method, path, options in [
            ("GET", "", {}),
            ("PATCH", "", {"json": [{"op": "add", "path": "/a", "value": "b"}], "headers": PATCH}),
            ("DELETE", "", {}),
            ("PUT", "/file", {"content": b"y", "headers": DATA}),
            ("PUT", "/stage", {"content": b"y", "headers": DATA}),
            ("GET", "/file", {}),
            ("POST", "/import", {"json": {"method": {"name": "glance-direct"}}}),
            ("GET", "/tasks", {}),
            ("GET", "/members", {}),
            ("POST", "/members", {"json": {"member": "b"}}),
            ("GET", "/members/b", {}),
            ("PUT", "/members/b", {"json": {"status": "accepted"}}),
            ("DELETE", "/members/b", {}),
            ("PUT", "/tags/t", {}),
            ("DELETE", "/tags/t", {}),
            ("POST", "/actions/deactivate", {}),
            ("POST", "/actions/reactivate", {}),
        ]:
            answer = cloud.bob(method, f"{IMAGES}/{image_id}{path}", **options)
            told.append((answer.status_code, message(answer).replace(image_id, "ID")))
        return told

    assert answers(theirs) == answers(NOBODY)
    assert {status for status, _ in answers(theirs)} == {404}


def test_no_id_is_no_list(cloud: Cloud) -> None:
    assert cloud.alice.get(f"{IMAGES}/").status_code == 404
    assert cloud.alice.delete(f"{IMAGES}/").status_code == 404
    assert cloud.alice.delete(IMAGES).status_code == 405


def test_a_deleted_image_is_gone(cloud: Cloud) -> None:
    image_id = cloud.make(data=b"x")
    assert list(cloud.files()) == [f"images/{image_id}"]
    deleted = cloud.alice.delete(f"{IMAGES}/{image_id}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert cloud.alice.get(f"{IMAGES}/{image_id}").status_code == 404
    assert cloud.alice.delete(f"{IMAGES}/{image_id}").status_code == 404
    assert cloud.files() == {}


def test_a_protected_image_stays(cloud: Cloud) -> None:
    image_id = cloud.make(protected=True)
    refused = cloud.alice.delete(f"{IMAGES}/{image_id}")
    assert refused.status_code == 403
    assert message(refused) == f"Image {image_id} is protected and cannot be deleted."
    change = [{"op": "replace", "path": "/protected", "value": False}]
    assert cloud.alice.patch(f"{IMAGES}/{image_id}", json=change, headers=PATCH).status_code == 200
    assert cloud.alice.delete(f"{IMAGES}/{image_id}").status_code == 204


# ---------------------------------------------------------------- PATCH


def test_both_forms_of_patch_change_attributes_and_properties(cloud: Cloud) -> None:
    image_id = cloud.make(name="old", color="red", shape="round")
    changes = [
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/a~1b~0c", "value": "v"},
        {"op": "remove", "path": "/color"},
        {"op": "replace", "path": "/tags", "value": ["t"]},
    ]
    image = cloud.alice.patch(f"{IMAGES}/{image_id}", json=changes, headers=PATCH).json()
    assert (image["name"], image["a/b~c"], image["tags"]) == ("new", "v", ["t"])
    assert "color" not in image
    old = [{"replace": "/name", "value": "newer"}, {"remove": "/shape"}, {"add": "/size_of_shoe", "value": "44"}]
    image = cloud.alice.patch(f"{IMAGES}/{image_id}", json=old, headers=OLD_PATCH).json()
    assert (image["name"], image["size_of_shoe"]) == ("newer", "44")
    assert "shape" not in image


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "replace", "path": "/id", "value": NOBODY}, 403),
        ({"op": "add", "path": "/os_glance_x", "value": "y"}, 403),
        ({"op": "remove", "path": "/size"}, 403),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/owner", "value": "b"}, 403),
        ({"op": "add", "path": "/owner", "value": "b"}, 403),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "add", "path": "/locations/-", "value": {}}, 400),
        ({"op": "replace", "path": "/locations", "value": []}, 403),
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409),
        ({"op": "remove", "path": "/nothing"}, 409),
        ({"op": "replace", "path": "/name", "value": 5}, 400),
        ({"op": "replace", "path": "/disk_format", "value": "floppy"}, 400),
        ({"op": "replace", "path": "/min_disk", "value": -1}, 400),
        ({"op": "add", "path": "/p", "value": 5}, 400),
        ({"op": "add", "path": "/p"}, 400),
        ({"op": "move", "path": "/p", "value": "x"}, 400),
        ({"path": "/p", "value": "x"}, 400),
        ({"op": "add", "value": "x"}, 400),
        ({"op": "add", "path": "p", "value": "x"}, 400),
        ({"op": "add", "path": "/a/b", "value": "x"}, 400),
        ({"op": "add", "path": "/a//b", "value": "x"}, 400),
        ({"op": "add", "path": "/a~2", "value": "x"}, 400),
        ({"op": "add", "path": "/", "value": "x"}, 400),
        ({"op": "add", "path": 5, "value": "x"}, 400),
        ({"op": ["add"], "path": "/a", "value": "x"}, 400),
        ("add", 400),
    ],
)
def test_a_change_that_cannot_be_made_takes_the_others_back(cloud: Cloud, change: dict, status: int) -> None:
    image_id = cloud.make(name="as it was")
    before = cloud.show(image_id)
    changes = [{"op": "replace", "path": "/name", "value": "changed"}, change]
    refused = cloud.alice.patch(f"{IMAGES}/{image_id}", json=changes, headers=PATCH)
    assert refused.status_code == status, refused.text
    assert cloud.show(image_id) == before


def test_what_openstacksdk_sends_back_changes_nothing(cloud: Cloud) -> None:
    image_id = cloud.make(data=b"x")
    changes = [{"op": "add", "path": "/stores", "value": "tape"}, {"op": "remove", "path": "/stores"}]
    assert cloud.alice.patch(f"{IMAGES}/{image_id}", json=changes, headers=PATCH).json()["stores"] == "file"


def test_the_older_form_adds_only_what_is_not_there(cloud: Cloud) -> None:
    image_id = cloud.make(color="red")
    for change, status in [
        ({"add": "/color", "value": "blue"}, 409),
        ({"add": "/name", "value": "x"}, 409),
        ({"add": "/a", "replace": "/b", "value": "x"}, 400),
        ({"value": "x"}, 400),
    ]:
        refused = cloud.alice.patch(f"{IMAGES}/{image_id}", json=[change], headers=OLD_PATCH)
        assert refused.status_code == status
    newer = [{"op": "add", "path": "/color", "value": "blue"}]
    assert cloud.alice.patch(f"{IMAGES}/{image_id}", json=newer, headers=PATCH).json()["color"] == "blue"


def test_a_patch_of_another_kind_is_not_taken(cloud: Cloud) -> None:
    image_id = cloud.make()
    for kind in ("application/json", "application/json-patch+json", ""):
        refused = cloud.alice.patch(f"{IMAGES}/{image_id}", content=b"[]", headers={"content-type": kind})
        assert refused.status_code == 415
    for body in (b"{}", b"nonsense", b""):
        assert cloud.alice.patch(f"{IMAGES}/{image_id}", content=body, headers=PATCH).status_code == 400


def test_formats_are_settled_once_there_are_data(cloud: Cloud) -> None:
    image_id = cloud.make(data=b"x")
    change = [{"op": "replace", "path": "/disk_format", "value": "qcow2"}]
    refused = cloud.alice.patch(f"{IMAGES}/{image_id}", json=change, headers=PATCH)
    assert refused.status_code == 403
    assert message(refused) == "Attribute disk_format can be only replaced for a queued image."


def test_an_administrator_gives_an_image_to_another_project(cloud: Cloud) -> None:
    image_id = cloud.make(visibility="private")
    change = [{"op": "replace", "path": "/owner", "value": "b"}]
    assert cloud.admin.patch(f"{IMAGES}/{image_id}", json=change, headers=PATCH).json()["owner"] == "b"
    assert cloud.alice.get(f"{IMAGES}/{image_id}").status_code == 404
    assert cloud.show(image_id, cloud.bob)["owner"] == "b"


# ---------------------------------------------------------------- tags, schemas, stores


def test_tags_come_and_go(cloud: Cloud) -> None:
    image_id = cloud.make()
    for _ in range(2):
        put = cloud.alice.put(f"{IMAGES}/{image_id}/tags/blue moon")
        assert (put.status_code, put.content) == (204, b"")
    assert cloud.show(image_id)["tags"] == ["blue moon"]
    assert cloud.alice.delete(f"{IMAGES}/{image_id}/tags/blue moon").status_code == 204
    assert cloud.alice.delete(f"{IMAGES}/{image_id}/tags/blue moon").status_code == 404
    assert cloud.alice.put(f"{IMAGES}/{image_id}/tags/{'x' * 256}").status_code == 400


def test_schemas_and_stores_are_told(cloud: Cloud) -> None:
    for name in ("image", "images", "member", "members"):
        assert cloud.reader.get(f"/image/v2/schemas/{name}").json()["name"] == name
    assert cloud.reader.get("/image/v2/schemas/cow").status_code == 404
    described = cloud.reader.get("/image/v2/schemas/image").json()["properties"]
    told = cloud.show(cloud.make(data=b"x"))
    assert set(told) == set(described)
    assert cloud.reader.get("/image/v2/info/import").json()["import-methods"]["value"] == ["glance-direct"]
    assert cloud.reader.get("/image/v2/info/stores").json()["stores"] == [{"id": "file", "default": "true"}]
    assert cloud.anybody.get("/image/v2/schemas/image").status_code == 401


@pytest.mark.parametrize("part", ["%00", "%ff", "%ed%a0%80", "x" * 5000])
def test_odd_ids_are_those_of_nothing(cloud: Cloud, part: str) -> None:
    image_id = cloud.make()
    for method in ("GET", "PATCH", "DELETE"):
        options = {"json": [], "headers": PATCH} if method == "PATCH" else {}
        for path in (part, f"{image_id}/members/{part}", f"{part}/file", f"{part}/tasks"):
            assert cloud.alice(method, f"{IMAGES}/{path}", **options).status_code in (400, 403, 404, 405)


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"\\ud800"}', b'{"p":"\\ud800"}', b'{"\\ud800":"p"}', b'{"tags":["\\ud800"]}', b'{"\\u0000":"x"}',
        b'{"min_disk":1e400}', b'{"min_disk":NaN}', b'{"min_disk":' + b"9" * 5000 + b"}", b'{"tags":"abc"}',
    ],
)  # fmt: skip
def test_odd_values_are_refused_in_a_new_image_and_in_a_change(cloud: Cloud, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    assert cloud.alice.post(IMAGES, content=body, headers=headers).status_code == 400
    name, _, value = body[1:-1].partition(b":")
    change = b'[{"op":"add","path":"/' + name[1:] + b',"value":' + value + b"}]"
    assert cloud.alice.patch(f"{IMAGES}/{cloud.make()}", content=change, headers=PATCH).status_code == 400
