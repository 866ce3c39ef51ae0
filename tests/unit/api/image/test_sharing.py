"""Who sees an image, and with whom it is shared."""

from __future__ import annotations

from typing import Any

import pytest

from sundog.control.image import Settings
from tests.unit.api.client import Client
from tests.unit.api.image.cloud import PATCH, Cloud, message

IMAGES = "/image/v2/images"


def listed(client: Client, **params: Any) -> list[str]:
    return [each["id"] for each in client.get(IMAGES, params=params).json()["images"]]


def share(cloud: Cloud, image_id: str, project: str = "b") -> Any:
    return cloud.alice.post(f"{IMAGES}/{image_id}/members", json={"member": project})


def answer(client: Client, image_id: str, project: str, status: str) -> Any:
    return client.put(f"{IMAGES}/{image_id}/members/{project}", json={"status": status})


@pytest.mark.parametrize(
    ("visibility", "shown", "listed_unasked"),
    [("private", False, False), ("shared", False, False), ("community", True, False), ("public", True, True)],
)
def test_what_others_see_of_an_image(cloud: Cloud, visibility: str, shown: bool, listed_unasked: bool) -> None:
    image_id = cloud.make(cloud.admin, owner="a", visibility=visibility)
    assert (cloud.bob.get(f"{IMAGES}/{image_id}").status_code == 200) is shown
    assert (image_id in listed(cloud.bob)) is listed_unasked
    assert (image_id in listed(cloud.bob, visibility=visibility)) is shown
    assert (image_id in listed(cloud.bob, visibility="all")) is shown
    assert image_id in listed(cloud.alice)
    assert image_id in listed(cloud.admin, visibility=visibility)


def test_a_shared_image_is_seen_at_once_and_listed_when_accepted(cloud: Cloud) -> None:
    image_id = cloud.make()
    made = share(cloud, image_id)
    assert made.status_code == 200
    assert (made.json()["member_id"], made.json()["status"]) == ("b", "pending")
    assert cloud.show(image_id, cloud.bob)["owner"] == "a"
    assert listed(cloud.bob) == []
    assert listed(cloud.bob, member_status="pending", visibility="shared") == [image_id]
    for status, seen in (("accepted", [image_id]), ("rejected", []), ("pending", [])):
        told = answer(cloud.bob, image_id, "b", status)
        assert (told.status_code, told.json()["status"]) == (200, status)
        assert listed(cloud.bob) == seen
        assert listed(cloud.bob, member_status="all") == [image_id]
    assert cloud.carol.get(f"{IMAGES}/{image_id}").status_code == 404


def test_members_know_of_themselves_and_the_owner_of_all(cloud: Cloud) -> None:
    image_id = cloud.make()
    for project in ("b", "c"):
        share(cloud, image_id, project)

    def members(client: Client) -> list[str]:
        return [each["member_id"] for each in client.get(f"{IMAGES}/{image_id}/members").json()["members"]]

    assert members(cloud.alice) == members(cloud.admin) == ["b", "c"]
    assert members(cloud.bob) == ["b"]
    assert cloud.bob.get(f"{IMAGES}/{image_id}/members/b").json()["image_id"] == image_id
    assert cloud.bob.get(f"{IMAGES}/{image_id}/members/c").status_code == 404
    assert answer(cloud.bob, image_id, "c", "accepted").status_code == 404


def test_a_member_only_looks(cloud: Cloud) -> None:
    image_id = cloud.make(data=b"x")
    share(cloud, image_id)
    assert cloud.bob.get(f"{IMAGES}/{image_id}/file").content == b"x"
    change = [{"op": "replace", "path": "/name", "value": "mine"}]
    for method, path, options in [
        ("PATCH", "", {"json": change, "headers": PATCH}),
        ("DELETE", "", {}),
        ("PUT", "/tags/t", {}),
        ("POST", "/members", {"json": {"member": "c"}}),
        ("DELETE", "/members/b", {}),
        ("POST", "/actions/deactivate", {}),
    ]:
        assert cloud.bob(method, f"{IMAGES}/{image_id}{path}", **options).status_code == 403, (method, path)
    assert cloud.show(image_id)["name"] is None


def test_the_owner_cannot_accept_for_a_member(cloud: Cloud) -> None:
    image_id = cloud.make()
    share(cloud, image_id)
    assert answer(cloud.alice, image_id, "b", "accepted").status_code == 403
    assert listed(cloud.bob) == []


def test_an_image_is_shared_no_longer(cloud: Cloud) -> None:
    image_id = cloud.make()
    share(cloud, image_id)
    answer(cloud.bob, image_id, "b", "accepted")
    gone = cloud.alice.delete(f"{IMAGES}/{image_id}/members/b")
    assert (gone.status_code, gone.content) == (204, b"")
    assert cloud.alice.delete(f"{IMAGES}/{image_id}/members/b").status_code == 404
    assert cloud.bob.get(f"{IMAGES}/{image_id}").status_code == 404
    assert listed(cloud.bob) == []


def test_a_private_image_is_not_seen_by_those_it_was_shared_with(cloud: Cloud) -> None:
    image_id = cloud.make()
    share(cloud, image_id)
    change = [{"op": "replace", "path": "/visibility", "value": "private"}]
    assert cloud.alice.patch(f"{IMAGES}/{image_id}", json=change, headers=PATCH).status_code == 200
    assert cloud.bob.get(f"{IMAGES}/{image_id}").status_code == 404
    refused = share(cloud, image_id, "c")
    assert (refused.status_code, message(refused)) == (403, "Only shared images have members.")
    assert cloud.alice.get(f"{IMAGES}/{image_id}/members/b").status_code == 404


@pytest.mark.parametrize("body", [{}, {"member": ""}, {"member": 5}, [], {"member": "m" * 256}])
def test_a_member_that_cannot_be_is_refused(cloud: Cloud, body: Any) -> None:
    image_id = cloud.make()
    assert cloud.alice.post(f"{IMAGES}/{image_id}/members", json=body).status_code == 400


def test_a_member_is_added_once_and_says_one_of_three_things(cloud: Cloud) -> None:
    image_id = cloud.make()
    share(cloud, image_id)
    assert share(cloud, image_id).status_code == 409
    for status in ("maybe", "", 5):
        assert answer(cloud.bob, image_id, "b", status).status_code == 400  # type: ignore[arg-type]


def test_members_have_a_limit(tmp_path: Any) -> None:
    cloud = Cloud(tmp_path / "images", Settings(most_members=2))
    image_id = cloud.make()
    assert [share(cloud, image_id, project).status_code for project in "bcd"] == [200, 200, 413]
    cloud.close()


def test_only_administrators_publicize_and_members_communitize(cloud: Cloud) -> None:
    image_id = cloud.make(visibility="private")
    for client, visibility, status in [
        (cloud.alice, "public", 403), (cloud.alice, "community", 200), (cloud.reader, "private", 403),
        (cloud.bob, "private", 403), (cloud.admin, "public", 200), (cloud.alice, "private", 200),
    ]:  # fmt: skip
        change = [{"op": "replace", "path": "/visibility", "value": visibility}]
        assert client.patch(f"{IMAGES}/{image_id}", json=change, headers=PATCH).status_code == status


def test_a_token_for_a_domain_has_no_part_in_images_not_even_in_public_ones(cloud: Cloud) -> None:
    orphan = cloud.make(cloud.admin, owner=None, visibility="public", data=b"x")
    assert cloud.domain.get(IMAGES).status_code == 403
    assert cloud.domain.post(IMAGES, json={}).status_code == 403
    for image in (orphan, cloud.make()):
        assert cloud.domain.get(f"{IMAGES}/{image}").status_code == 404
        change = [{"op": "replace", "path": "/name", "value": "mine"}]
        assert cloud.domain.patch(f"{IMAGES}/{image}", json=change, headers=PATCH).status_code == 404
        assert cloud.domain.delete(f"{IMAGES}/{image}").status_code == 404
        assert cloud.domain.get(f"{IMAGES}/{image}/members").status_code == 404


def test_who_has_no_project_does_not_own_what_belongs_to_none(cloud: Cloud) -> None:
    orphan = cloud.make(cloud.admin, owner=None, visibility="public", data=b"x")
    assert cloud.show(orphan, cloud.unscoped)["owner"] is None
    change = [{"op": "replace", "path": "/name", "value": "mine"}]
    assert cloud.unscoped.patch(f"{IMAGES}/{orphan}", json=change, headers=PATCH).status_code == 403
    assert cloud.unscoped.delete(f"{IMAGES}/{orphan}").status_code == 403
    assert cloud.unscoped.get(f"{IMAGES}/{orphan}/members").status_code == 403
