"""Data of images over HTTP: uploaded, staged, imported, downloaded; and what is on the disk after each."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from sundog.api.image.streams import FileResponse, ThenResponse
from sundog.control.image import Settings
from sundog.control.image.data import Order
from sundog.control.image.files import BLOCK
from sundog.control.store.tables.image import images
from sundog.runtime import clock, warp
from tests.disks import small_disk
from tests.unit.api.image.cloud import BEARERS, DATA, PATCH, Cloud, message
from tests.unit.api.image.upload import Upload
from tests.unit.control.image.hostile import HONEST, HOSTILE, qcow2

IMAGES = "/image/v2/images"
ALICE = BEARERS["alice"]


def put(cloud: Cloud, image_id: str, data: Any, where: str = "file", **headers: str) -> Any:
    return cloud.alice.put(f"{IMAGES}/{image_id}/{where}", content=data, headers=DATA | headers)


def run_import(cloud: Cloud, image_id: str, **more: Any) -> Any:
    return cloud.alice.post(f"{IMAGES}/{image_id}/import", json={"method": {"name": "glance-direct"}, **more})


def test_an_upload_comes_back_as_it_was_with_its_checksums(cloud: Cloud) -> None:
    data = bytes(range(256)) * 4096 + b"odd"
    image_id = cloud.make(visibility="private")
    empty = cloud.alice.get(f"{IMAGES}/{image_id}/file")
    assert (empty.status_code, empty.content) == (204, b"")
    done = put(cloud, image_id, data)
    assert (done.status_code, done.content) == (204, b"")
    image = cloud.show(image_id)
    assert image["status"] == "active"
    assert (image["size"], image["virtual_size"]) == (len(data), len(data))
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", hashlib.sha512(data).hexdigest())
    assert image["stores"] == "file"
    got = cloud.alice.get(f"{IMAGES}/{image_id}/file")
    assert (got.status_code, got.content) == (200, data)
    assert got.headers["content-md5"] == image["checksum"]
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-length"] == str(len(data))
    assert cloud.files() == {f"images/{image_id}": data}


def test_a_body_of_unknown_length_in_crumbs_is_taken(cloud: Cloud) -> None:
    async def crumbs() -> AsyncIterator[bytes]:
        for i in range(BLOCK // 64 + 3):
            yield bytes([i % 251]) * 64

    image_id = cloud.make()
    assert put(cloud, image_id, crumbs()).status_code == 204
    assert cloud.show(image_id)["size"] == BLOCK + 192


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-4", 0, 4), ("bytes=5-", 5, 99), ("bytes=-3", 97, 99), ("bytes=90-1000", 90, 99), ("bytes=-1000", 0, 99)],
)
def test_a_range_is_a_part(cloud: Cloud, asked: str, first: int, last: int) -> None:
    data = bytes(range(100))
    image_id = cloud.make(data=data)
    part = cloud.alice.get(f"{IMAGES}/{image_id}/file", headers={"range": asked})
    assert part.status_code == 206
    assert part.content == data[first : last + 1]
    assert part.headers["content-range"] == f"bytes {first}-{last}/100"
    assert part.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("bytes=100-", 416), ("bytes=5-4", 416), ("bytes=-", 416), ("bytes=-0", 416), ("lines=1-2", 416),
        ("bytes=0-1,3-4", 400), (f"bytes={'9' * 5000}-", 416), ("bytes=x-y", 416),
    ],
)  # fmt: skip
def test_a_range_that_there_is_not_is_refused(cloud: Cloud, asked: str, status: int) -> None:
    image_id = cloud.make(data=bytes(100))
    assert cloud.alice.get(f"{IMAGES}/{image_id}/file", headers={"range": asked}).status_code == status


def test_an_empty_image_can_be_had_too(cloud: Cloud) -> None:
    image_id = cloud.make(data=b"")
    assert cloud.show(image_id)["size"] == 0
    got = cloud.alice.get(f"{IMAGES}/{image_id}/file")
    assert (got.status_code, got.content) == (200, b"")


def check_untouched(cloud: Cloud, image_id: str) -> None:
    """Nothing is on the disk, and the image waits for data."""
    image = cloud.show(image_id)
    assert (image["status"], image["size"], image["checksum"], image["virtual_size"]) == ("queued", None, None, None)
    assert cloud.files() == {}
    assert cloud.alice.get(f"{IMAGES}/{image_id}/file").status_code == 204


def test_a_hostile_upload_is_refused_and_leaves_nothing(cloud: Cloud) -> None:
    for what, claimed, data in HOSTILE:
        image_id = cloud.make(disk_format=claimed)
        refused = put(cloud, image_id, data)
        assert refused.status_code == 415, what
        assert message(refused)
        check_untouched(cloud, image_id)


def test_after_a_refusal_the_right_data_are_taken(cloud: Cloud) -> None:
    image_id = cloud.make(disk_format="qcow2")
    refused = put(cloud, image_id, b"raw" * 1000)
    assert message(refused) == "Image disk_format qcow2 does not match stream data raw"
    assert put(cloud, image_id, HONEST["qcow2"]).status_code == 204
    image = cloud.show(image_id)
    assert (image["size"], image["virtual_size"]) == (len(HONEST["qcow2"]), 1 << 30)


def test_data_are_taken_once(cloud: Cloud) -> None:
    image_id = cloud.make(data=b"first")
    for where in ("file", "stage"):
        refused = put(cloud, image_id, b"second", where)
        assert refused.status_code == 409
        assert "from active to" in message(refused)
    assert cloud.files() == {f"images/{image_id}": b"first"}


def test_data_need_formats(cloud: Cloud) -> None:
    made = cloud.alice.post(IMAGES, json={"disk_format": "raw"})
    refused = put(cloud, made.json()["id"], b"x")
    assert refused.status_code == 400
    assert message(refused) == "Property container_format must be set prior to saving data."


@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
def test_data_of_another_kind_are_not_taken(cloud: Cloud, kind: str) -> None:
    image_id = cloud.make()
    refused = cloud.alice.put(f"{IMAGES}/{image_id}/file", content=b"x", headers={"content-type": kind})
    assert refused.status_code == 415
    check_untouched(cloud, image_id)


def test_a_number_of_bytes_that_is_wrong_is_refused(cloud: Cloud) -> None:
    image_id = cloud.make()
    for told in ("5", "many", "-1", "9" * 400):
        assert put(cloud, image_id, b"123", **{"x-openstack-image-size": told}).status_code in (400, 413)
        check_untouched(cloud, image_id)
    assert put(cloud, image_id, b"123", **{"x-openstack-image-size": "3"}).status_code == 204


def test_an_image_above_the_limit_is_refused_before_and_while_it_arrives(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "images", Settings(most_bytes=1000))
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield bytes(1000)

    image_id = cloud.make()
    for where in ("file", "stage"):
        for data in (bytes(1001), endless()):
            refused = put(cloud, image_id, data, where)
            assert refused.status_code == 413
            assert "exceeded" in message(refused)
            check_untouched(cloud, image_id)
    assert sent <= 2 * (BLOCK + 2000), "it was stopped at once"
    assert put(cloud, image_id, bytes(1000)).status_code == 204
    cloud.close()


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "1m") as place:
        cloud = Cloud(place / "images")
        image_id = cloud.make()
        for where in ("file", "stage"):
            refused = put(cloud, image_id, bytes(2_000_000), where)
            assert refused.status_code == 413
            assert message(refused).startswith("Image storage media is full")
            check_untouched(cloud, image_id)
        assert put(cloud, image_id, bytes(500_000)).status_code == 204
        cloud.close()


# ---------------------------------------------------------------- clients that go, images that go


@pytest.mark.parametrize("where", ["file", "stage"])
def test_a_client_that_hangs_up_leaves_nothing(cloud: Cloud, where: str) -> None:
    image_id = cloud.make()

    async def main() -> None:
        upload = Upload(cloud, f"{IMAGES}/{image_id}/{where}")
        await upload.put(bytes(2 * BLOCK))
        assert list(cloud.files()) == [f"incoming/{image_id}"]
        upload.queue.put_nowait({"type": "http.disconnect"})
        await upload.task
        assert upload.status == 400

    asyncio.run(main())
    check_untouched(cloud, image_id)


@pytest.mark.parametrize("where", ["file", "stage"])
def test_a_server_that_stops_in_mid_upload_leaves_nothing(cloud: Cloud, where: str) -> None:
    image_id = cloud.make()

    async def main() -> None:
        upload = Upload(cloud, f"{IMAGES}/{image_id}/{where}")
        await upload.put(bytes(2 * BLOCK))
        upload.task.cancel()
        await asyncio.gather(upload.task, return_exceptions=True)

    asyncio.run(main())
    check_untouched(cloud, image_id)


@pytest.mark.parametrize("where", ["file", "stage"])
def test_of_two_uploads_at_once_the_first_counts(cloud: Cloud, where: str) -> None:
    image_id = cloud.make()

    async def main() -> None:
        first = Upload(cloud, f"{IMAGES}/{image_id}/file")
        await first.put(b"first ")
        second = Upload(cloud, f"{IMAGES}/{image_id}/{where}")
        await second.put(b"second", more=False)
        await second.task
        assert second.status == 409
        await first.put(b"again", more=False)
        await first.task
        assert first.status == 204

    asyncio.run(main())
    assert cloud.files() == {f"images/{image_id}": b"first again"}


@pytest.mark.parametrize("where", ["file", "stage"])
def test_an_image_deleted_in_mid_upload_is_gone_with_its_data(cloud: Cloud, where: str) -> None:
    image_id = cloud.make()

    async def main() -> None:
        upload = Upload(cloud, f"{IMAGES}/{image_id}/{where}")
        await upload.put(bytes(2 * BLOCK))
        cloud.images.delete(ALICE, image_id)
        await upload.put(b"rest", more=False)
        await upload.task
        assert upload.status == 410

    asyncio.run(main())
    assert cloud.files() == {}
    assert cloud.alice.get(f"{IMAGES}/{image_id}").status_code == 404


def test_a_download_goes_on_when_the_image_is_deleted(cloud: Cloud) -> None:
    image_id = cloud.make(data=b"still here")
    _image, file = cloud.images.data.open(ALICE, image_id)
    assert file is not None
    assert cloud.alice.delete(f"{IMAGES}/{image_id}").status_code == 204
    with file:
        assert file.read() == b"still here"


# ---------------------------------------------------------------- import


def test_what_is_staged_is_imported(cloud: Cloud) -> None:
    image_id = cloud.make()
    assert put(cloud, image_id, b"staged", "stage").status_code == 204
    image = cloud.show(image_id)
    assert (image["status"], image["size"], image["checksum"]) == ("uploading", 6, None)
    assert cloud.files() == {f"staged/{image_id}": b"staged"}
    assert cloud.alice.get(f"{IMAGES}/{image_id}/file").status_code == 204
    accepted = run_import(cloud, image_id)
    assert (accepted.status_code, accepted.content) == (202, b"")
    image = cloud.show(image_id)
    assert (image["status"], image["checksum"]) == ("active", hashlib.md5(b"staged").hexdigest())
    assert cloud.files() == {f"images/{image_id}": b"staged"}
    [task] = cloud.alice.get(f"{IMAGES}/{image_id}/tasks").json()["tasks"]
    assert (task["status"], task["type"], task["message"]) == ("success", "api_image_import", "")
    assert task["request_id"] == accepted.headers["x-openstack-request-id"]
    assert task["input"]["import_req"]["method"]["name"] == "glance-direct"


def test_a_hostile_import_fails_and_leaves_nothing(cloud: Cloud) -> None:
    for what, claimed, data in HOSTILE:
        image_id = cloud.make(disk_format=claimed)
        assert put(cloud, image_id, data, "stage").status_code == 204, what
        assert run_import(cloud, image_id).status_code == 202, what
        check_untouched(cloud, image_id)
        [task] = cloud.alice.get(f"{IMAGES}/{image_id}/tasks").json()["tasks"]
        assert task["status"] == "failure", what
        assert task["message"]


def test_an_import_needs_staged_data_and_formats(cloud: Cloud) -> None:
    image_id = cloud.make()
    refused = run_import(cloud, image_id)
    assert refused.status_code == 409
    assert message(refused) == "Image needs to be staged before 'glance-direct' method can be used"
    bare = cloud.alice.post(IMAGES, json={}).json()["id"]
    assert put(cloud, bare, b"x", "stage").status_code == 204
    assert message(run_import(cloud, bare)) == "'container_format' needs to be set before import"
    active = cloud.make(data=b"x")
    assert message(run_import(cloud, active)) == "Image with status active cannot be target for import"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400), ({"method": {}}, 400), ({"method": "glance-direct"}, 400),
        ({"method": {"name": "web-download"}}, 400),
        ({"method": {"name": "glance-direct"}, "all_stores": "yes"}, 400),
        ({"method": {"name": "glance-direct"}, "stores": ["tape"]}, 409),
    ],
)  # fmt: skip
def test_an_import_that_cannot_be_is_refused(cloud: Cloud, body: Any, status: int) -> None:
    image_id = cloud.make()
    put(cloud, image_id, b"x", "stage")
    assert cloud.alice.post(f"{IMAGES}/{image_id}/import", json=body).status_code == status
    assert cloud.show(image_id)["status"] == "uploading"
    assert run_import(cloud, image_id, stores=["file"]).status_code == 202


def test_an_import_goes_on_when_the_client_has_hung_up(cloud: Cloud) -> None:
    done = []

    async def then() -> None:
        done.append(True)

    async def broken(_message: Any) -> None:
        raise OSError("gone")

    async def main() -> None:
        with pytest.raises(OSError, match="gone"):
            await ThenResponse(202, then)({"type": "http"}, None, broken)  # type: ignore[arg-type]

    asyncio.run(main())
    assert done


# ---------------------------------------------------------------- deactivation, start after a crash


def test_a_deactivated_image_is_for_administrators(cloud: Cloud) -> None:
    image_id = cloud.make(data=b"x")
    for _ in range(2):
        off = cloud.alice.post(
            f"{IMAGES}/{image_id}/actions/deactivate", headers={"content-type": "application/json"}
        )  # fmt: skip
        assert (off.status_code, off.content) == (204, b"")
    assert cloud.show(image_id)["status"] == "deactivated"
    refused = cloud.alice.get(f"{IMAGES}/{image_id}/file")
    assert refused.status_code == 403
    assert cloud.admin.get(f"{IMAGES}/{image_id}/file").content == b"x"
    assert put(cloud, image_id, b"y").status_code == 409
    assert cloud.alice.post(f"{IMAGES}/{image_id}/actions/reactivate").status_code == 204
    assert cloud.alice.get(f"{IMAGES}/{image_id}/file").content == b"x"


def test_an_image_without_data_cannot_be_deactivated(cloud: Cloud) -> None:
    image_id = cloud.make()
    for action in ("deactivate", "reactivate"):
        refused = cloud.alice.post(f"{IMAGES}/{image_id}/actions/{action}")
        assert refused.status_code == 403
        assert message(refused) == f"Not allowed to {action} image in status 'queued'"


def test_a_start_after_a_crash_takes_back_what_was_under_way(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    cloud = Cloud(folder, place=str(tmp_path / "books.db"))
    active, staged = cloud.make(data=b"kept"), cloud.make()
    put(cloud, staged, b"waits", "stage")
    saving, saved, uploading, uploaded, importing = under_way = [cloud.make() for _ in range(5)]
    put(cloud, importing, b"y", "stage")
    asyncio.run(begin_import(cloud, importing))
    # What a process leaves behind that is killed while data arrive, and after they have got their name.
    with cloud.store.begin() as tx:
        tx.update(images, images.c.id.in_([saving, saved]), status="saving")
        tx.update(images, images.c.id.in_([uploading, uploaded]), status="uploading")
    for stray in (f"incoming/{saving}", f"images/{saved}", f"incoming/{uploading}", f"staged/{uploaded}"):
        (folder / stray).write_bytes(b"half of it")
    cloud.close()

    again = Cloud(folder, place=str(tmp_path / "books.db"))
    assert again.recover() == 5
    assert again.files() == {f"images/{active}": b"kept", f"staged/{staged}": b"waits"}
    assert [again.show(each)["status"] for each in (active, staged)] == ["active", "uploading"]
    assert {again.show(each)["status"] for each in under_way} == {"queued"}
    [task] = again.alice.get(f"{IMAGES}/{importing}/tasks").json()["tasks"]
    assert (task["status"], task["message"]) == ("failure", "The import was cut short.")
    assert again.recover() == 0
    again.close()


async def begin_import(cloud: Cloud, image_id: str) -> None:
    cloud.images.data.begin_import(Order(ALICE, "req-1", {"method": {"name": "glance-direct"}}), image_id)


def test_a_qcow2_is_downloaded_byte_by_byte_as_it_was(cloud: Cloud) -> None:
    data = qcow2()
    image_id = cloud.make(data=data, disk_format="qcow2")
    change = [{"op": "replace", "path": "/visibility", "value": "community"}]
    assert cloud.alice.patch(f"{IMAGES}/{image_id}", json=change, headers=PATCH).status_code == 200
    assert cloud.bob.get(f"{IMAGES}/{image_id}/file").content == data


def test_data_come_and_go_in_virtual_time(cloud: Cloud) -> None:
    image_id = cloud.make()
    data = bytes(3 * BLOCK + 1)
    sent: list[Any] = []

    async def never() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def main(_world: warp.World) -> None:
        upload = Upload(cloud, f"{IMAGES}/{image_id}/file")
        await upload.put(data, more=False)
        await upload.task
        assert upload.status == 204
        image, file = cloud.images.data.open(ALICE, image_id)
        assert file is not None
        assert image.updated_at == clock.EPOCH
        request = Request({"type": "http", "headers": []}, never)
        await FileResponse(file, 0, len(data), request, status=200, headers={})(request.scope, never, send)

    warp.run(main)
    assert b"".join(each.get("body", b"") for each in sent) == data
