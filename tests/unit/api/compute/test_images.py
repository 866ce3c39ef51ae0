"""Images as compute told of them until 2.35."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from sundog.api.compute import SERVICE
from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.control.image import ImageFiles, Images
from sundog.control.image.records import NewImage
from sundog.control.store import open_store
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams
from tests.computing import ADMIN, upload
from tests.unit.api.compute.cloud import BEARERS, Person, authenticate


@pytest.fixture
def images(tmp_path):
    store = open_store(":memory:")
    store.migrate()
    yield Images(store, Ids(Streams(1).stream("ids")), ImageFiles(tmp_path))
    store.close()


@pytest.fixture
def people(images):
    desk = Desk(SimpleNamespace(image=images), Policy(SERVICE.rules), authenticate, lambda: "req-1")
    app = application([SERVICE], desk)
    return SimpleNamespace(**{name: Person(app, x_auth_token=name) for name in BEARERS})


def made(images, **facts):
    async def main():
        return images.create(NewImage(**{"owner": "project-a", "name": "mine", **facts})).id

    return asyncio.run(main())


def test_an_image_is_told_as_nova_told_it(images, people):
    image_id = asyncio.run(upload(images, ADMIN, properties={"instance_uuid": "s1", "os": "none"}))
    told = people.alice.get(f"/images/{image_id}").json()["image"]
    assert (told["status"], told["progress"], told["minDisk"]) == ("ACTIVE", 100, 0)
    assert told["server"]["id"] == "s1"
    assert told["metadata"] == {"instance_uuid": "s1", "os": "none"}
    assert [each["rel"] for each in told["links"]] == ["self", "bookmark", "alternate"]


def test_lists_are_filtered_and_come_in_pages(images, people):
    ids = [made(images, name=name) for name in ("one", "two", "three")]
    assert {each["id"] for each in people.alice.get("/images").json()["images"]} == set(ids)
    assert [each["name"] for each in people.alice.get("/images/detail?name=two").json()["images"]] == ["two"]
    assert people.alice.get("/images?status=ACTIVE").json()["images"] == []
    page = people.alice.get("/images?limit=2").json()
    assert len(page["images"]) == 2
    assert "marker=" in page["images_links"][0]["href"]


def test_only_the_owner_deletes_an_image(images, people):
    image_id, shown = made(images), made(images, visibility="public")
    assert people.bob.delete(f"/images/{image_id}").status_code == 404
    assert people.bob.delete(f"/images/{shown}").status_code == 403
    assert people.alice.delete(f"/images/{image_id}").status_code == 204
    assert people.alice.get(f"/images/{image_id}").status_code == 404


def test_since_2_36_there_are_none(people):
    assert people.alice.get("/images", v="2.36").status_code == 404
