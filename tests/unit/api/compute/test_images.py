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
from tests.unit.api.compute.cloud import BEARERS, Person, authenticate, refused


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


def test_images_are_listed_by_their_server_their_kind_and_their_time(images, people):
    one = made(images, properties={"instance_uuid": "s1", "image_type": "snapshot"})
    two = made(images, properties={"instance_uuid": "s2", "image_type": "backup"})
    made(images)

    def found(query):
        return [each["id"] for each in people.alice.get(f"/images{query}").json()["images"]]

    assert found("?server=s1") == found("/detail?server=http://cloud.test/compute/v2.1/servers/s1") == [one]
    assert found("?type=backup") == found("/detail?type=backup&server=s2") == [two]
    assert found("?type=backup&server=s1") == []
    since = people.alice.get(f"/images/{two}").json()["image"]["created"]
    assert len(found(f"?changes-since={since}")) == 3
    assert found("?changes-since=2999-01-01T00:00:00Z") == []
    refused(people.alice.get("/images?changes-since=x"), 400)


def test_metadata_of_an_image_are_its_properties(images, people):
    path = f"/images/{made(images, properties={'a': '1', 'b': '2'})}/metadata"
    assert people.reader.get(path, v="2.38").json() == {"metadata": {"a": "1", "b": "2"}}
    assert people.alice.post(path, json={"metadata": {"b": "3"}}).json() == {"metadata": {"a": "1", "b": "3"}}
    assert people.alice.put(path, json={"metadata": {"c": "4"}}).json() == {"metadata": {"c": "4"}}
    assert people.alice.put(f"{path}/d", json={"meta": {"d": "5"}}).json() == {"meta": {"d": "5"}}
    assert people.alice.get(f"{path}/d").json() == {"meta": {"d": "5"}}
    gone = people.alice.delete(f"{path}/c")
    assert (gone.status_code, gone.content) == (204, b"")
    assert people.alice.get(path).json() == {"metadata": {"d": "5"}}
    assert refused(people.alice.delete(f"{path}/c"), 404) == "Invalid metadata key"
    refused(people.alice.get(f"{path}/c"), 404)
    assert refused(people.alice.put(f"{path}/d", json={"meta": {"e": "6"}}), 400) == "Request body and URI mismatch"
    refused(people.alice.put(path, json={"metadata": {"d": 5}}), 400)
    refused(people.alice.put(path, json={"metadata": {f"k{n}": "v" for n in range(129)}}), 413)
    refused(people.alice.get(path, v="2.39"), 404)


def test_only_the_owner_changes_the_metadata_of_an_image(images, people):
    body = {"metadata": {"k": "v"}}
    hidden, shown = made(images), made(images, visibility="public", properties={"a": "1"})
    refused(people.bob.post(f"/images/{hidden}/metadata", json=body), 404)
    refused(people.bob.get(f"/images/{hidden}/metadata"), 404)
    assert people.bob.get(f"/images/{shown}/metadata").json() == {"metadata": {"a": "1"}}
    refused(people.bob.post(f"/images/{shown}/metadata", json=body), 403)
    refused(people.bob.put(f"/images/{shown}/metadata", json=body), 403)
    refused(people.bob.put(f"/images/{shown}/metadata/k", json={"meta": {"k": "v"}}), 403)
    refused(people.bob.delete(f"/images/{shown}/metadata/a"), 403)
    refused(people.reader.post(f"/images/{hidden}/metadata", json=body), 403)


@pytest.mark.parametrize("name", ["id", "owner", "status", "visibility", "size", "self", "locations", "os_glance_x"])
def test_metadata_are_nothing_that_an_image_is_otherwise(images, people, name):
    path = f"/images/{made(images)}/metadata"
    refused(people.alice.post(path, json={"metadata": {name: "x"}}), 403)
    refused(people.alice.put(path, json={"metadata": {name: "x"}}), 403)
    refused(people.alice.put(f"{path}/{name}", json={"meta": {name: "x"}}), 403)
    assert people.alice.get(path).json() == {"metadata": {}}


def test_an_image_without_an_id_is_not_there(images, people):
    refused(people.alice.delete("/images/"), 404)
    refused(people.alice.delete("/images"), 405)


def test_only_the_owner_deletes_an_image(images, people):
    image_id, shown = made(images), made(images, visibility="public")
    assert people.bob.delete(f"/images/{image_id}").status_code == 404
    assert people.bob.delete(f"/images/{shown}").status_code == 403
    assert people.alice.delete(f"/images/{image_id}").status_code == 204
    assert people.alice.get(f"/images/{image_id}").status_code == 404


def test_since_2_36_there_are_none(people):
    assert people.alice.get("/images", v="2.36").status_code == 404
