"""Images of servers: made as the disk is read, whole or not at all, and backups of which the newest are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sundog.backends.contract import ImageSink, ServerKey, SnapshotRecord
from sundog.backends.simulated.console import empty_qcow2
from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute import Settings
from sundog.control.compute.records import Flavor, Server
from sundog.control.compute.sagas.snapshot import Pipe
from sundog.control.image.listing import Wanted
from sundog.control.image.records import Image
from sundog.errors import BackendFailed, Conflict, NotFound, TooLarge
from sundog.runtime import aio
from tests.computing import ADMIN, OWNER, Small, run, upload
from tests.crashing import Crash, run_to_crash

IMPATIENT = Settings(long=600.0, tries=2)


async def active(cloud: Small, **facts: Any) -> Server:
    server = cloud.create(**facts)
    await cloud.idle()
    return cloud.show(server)


def images(cloud: Small) -> list[Image]:
    """All images but the one that servers are made from."""
    return [each for each in cloud.images.list(ADMIN.principal, Wanted()) if each.id != cloud.image_id]


def files(cloud: Small) -> int:
    """How many files of images there are, the one that servers are made from left out."""
    kept = cloud.images._files
    return sum(1 for folder in (kept._incoming, kept._staged, kept._images) for _ in folder.iterdir()) - 1


def test_an_image_of_a_server_has_its_disk_and_says_where_it_is_from() -> None:
    async def main(cloud: Small) -> None:
        base = await upload(cloud.images, properties={"os_distro": "debian", "img_signature": "x"}, min_ram=64)
        server = await active(cloud, image_id=base)
        image_id = cloud.compute.snapshots.create_image(OWNER, server.id, "mine", {"purpose": "test"})
        assert cloud.images.show(OWNER.principal, image_id).status == "queued"
        assert cloud.show(server).task_state == "image_snapshot"
        await cloud.idle()
        image = cloud.images.show(OWNER.principal, image_id)
        assert (image.status, image.visibility, image.owner) == ("active", "private", OWNER.project_id)
        assert (image.name, image.disk_format, image.container_format) == ("mine", "qcow2", "bare")
        assert (image.min_disk, image.min_ram, image.virtual_size) == (1, 64, 1 << 30)
        assert dict(image.properties) == {
            "os_distro": "debian", "purpose": "test", "instance_uuid": server.id, "user_id": OWNER.user_id,
            "owner_id": OWNER.project_id, "image_type": "snapshot", "image_location": "snapshot",
            "image_state": "available", "base_image_ref": base,
        }  # fmt: skip
        after = cloud.show(server)
        assert (after.vm_state, after.task_state) == ("active", None)
        (action, _) = cloud.compute.actions.list_all(server.id)
        assert (action.action, action.phase, action.message) == ("createImage", "done", None)
        second = await active(cloud, image_id=image_id)
        assert second.vm_state == "active"
        again = cloud.compute.snapshots.create_image(OWNER, second.id, "of it", {})
        await cloud.idle()
        assert cloud.images.show(OWNER.principal, again).properties["base_image_ref"] == base

    run(main)


def test_an_administrators_image_of_a_server_is_shared_with_its_owner() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        image_id = cloud.compute.snapshots.create_image(ADMIN, server.id, "theirs", {})
        await cloud.idle()
        image = cloud.images.show(OWNER.principal, image_id)
        assert (image.owner, image.visibility, image.member_id) == (ADMIN.project_id, "shared", OWNER.project_id)
        assert image.properties["instance_owner"] == OWNER.project_id

    run(main)


def test_a_locked_server_is_read_all_the_same_but_not_one_that_is_busy() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.compute.servers.lock(OWNER, server.id)
        cloud.compute.snapshots.create_image(OWNER, server.id, "one", {})
        with pytest.raises(Conflict, match="task_state image_snapshot"):
            cloud.compute.snapshots.create_image(OWNER, server.id, "two", {})
        assert len(images(cloud)) == 1
        await cloud.idle()

    run(main)


def test_more_properties_than_an_image_may_have_change_nothing() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        with pytest.raises(TooLarge, match="properties"):
            cloud.compute.snapshots.create_image(OWNER, server.id, "x", {f"key{i}": "v" for i in range(200)})
        assert (images(cloud), cloud.show(server).task_state) == ([], None)

    run(main)


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.LOSE])
def test_a_lost_reply_only_makes_it_take_longer(kind: FaultKind) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.driver.faults.order(OperationFault(kind, "snapshot", count=1))
        image_id = cloud.compute.snapshots.create_image(OWNER, server.id, "mine", {})
        await cloud.idle()
        assert cloud.images.show(OWNER.principal, image_id).status == "active"
        assert files(cloud) == 1

    run(main)


@pytest.mark.parametrize("kind", [FaultKind.FAIL, FaultKind.HANG, FaultKind.LOSE])
def test_a_snapshot_that_fails_leaves_no_image_and_the_server_as_it_was(kind: FaultKind) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.driver.faults.order(OperationFault(kind, "snapshot", count=None))
        cloud.compute.snapshots.create_image(OWNER, server.id, "mine", {})
        await cloud.idle()
        assert (images(cloud), files(cloud)) == ([], 0)
        after = cloud.show(server)
        assert (after.vm_state, after.task_state, after.fault) == ("active", None, None)
        assert cloud.compute.actions.list_all(server.id)[0].message

    run(main, settings=IMPATIENT)


def test_a_host_that_dies_leaves_no_image() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.compute.snapshots.create_image(OWNER, server.id, "mine", {})
        await aio.sleep(1.0)
        cloud.driver.faults.strike(HostFault.KILL, Scope(host=server.host))
        await cloud.idle()
        assert (images(cloud), files(cloud), cloud.show(server).task_state) == ([], 0, None)

    run(main, settings=IMPATIENT)


def test_an_image_that_is_deleted_meanwhile_ends_the_snapshot_at_once() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        image_id = cloud.compute.snapshots.create_image(OWNER, server.id, "mine", {})
        cloud.images.delete(OWNER.principal, image_id)
        await cloud.idle()
        assert (files(cloud), cloud.show(server).task_state) == (0, None)
        with pytest.raises(NotFound):
            cloud.images.show(ADMIN.principal, image_id)
        assert "No image found" in (cloud.compute.actions.list_all(server.id)[0].message or "")

    run(main)


@pytest.mark.parametrize("when", [0.0, 0.5, 1.0])
def test_deleting_the_server_takes_the_unfinished_image_along(when: float) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.compute.snapshots.create_image(OWNER, server.id, "mine", {})
        await aio.sleep(when)
        cloud.compute.servers.delete(OWNER, server.id)
        assert images(cloud) == []
        await cloud.idle()
        assert (files(cloud), cloud.copies()) == (0, {})

    run(main)


@pytest.mark.parametrize("when", [0.0, 0.5, 1.5, 3.0, 60.0])
def test_a_crash_in_the_middle_changes_nothing_about_the_image(when: float) -> None:
    async def main(cloud: Small, crash: Crash) -> None:
        server = await active(cloud, flavor=Flavor("9", "wide", 1, 512, root_gb=8))
        image_id = cloud.compute.snapshots.create_image(OWNER, server.id, "mine", {})
        await aio.sleep(when)
        cloud = await crash(cloud)
        await cloud.idle()
        assert cloud.images.show(OWNER.principal, image_id).status == "active"
        assert (len(images(cloud)), files(cloud), cloud.show(server).task_state) == (1, 1, None)
        (action, _) = cloud.compute.actions.list_all(server.id)
        assert (action.phase, action.message) == ("done", None)

    run_to_crash(main)


# ---------------------------------------------------------------- backups


def test_of_backups_the_newest_are_kept() -> None:
    async def main(cloud: Small) -> None:
        server, other = await active(cloud), await active(cloud)
        made = []
        for number, (of, kind) in enumerate(
            [(server, "daily"), (server, "weekly"), (other, "daily"), (server, "daily"), (server, "daily")]
        ):
            made.append(cloud.compute.snapshots.create_backup(OWNER, of.id, f"b{number}", kind, 2))
            await cloud.idle()
            await aio.sleep(60.0)
        assert sorted(each.name or "" for each in images(cloud)) == ["b1", "b2", "b3", "b4"]
        kept = cloud.images.show(OWNER.principal, made[4])
        assert (kept.properties["image_type"], kept.properties["backup_type"]) == ("backup", "daily")
        assert cloud.compute.actions.list_all(server.id)[0].action == "createBackup"

    run(main)


def test_a_rotation_of_none_keeps_none() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.compute.snapshots.create_backup(OWNER, server.id, "first", "daily", 1)
        await cloud.idle()
        cloud.compute.snapshots.create_backup(OWNER, server.id, "none", "daily", 0)
        await cloud.idle()
        assert (images(cloud), files(cloud)) == ([], 0)

    run(main)


def test_what_others_call_a_backup_of_it_is_neither_counted_nor_deleted() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        claims = {"image_type": "backup", "backup_type": "daily", "instance_uuid": server.id}
        foreign = await upload(cloud.images, ADMIN, name="foreign", properties=claims)
        mine = cloud.compute.snapshots.create_backup(OWNER, server.id, "mine", "daily", 1)
        await cloud.idle()
        assert sorted(each.id for each in images(cloud)) == sorted([foreign, mine])

    run(main)


def test_a_backup_that_fails_costs_no_older_one() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.compute.snapshots.create_backup(OWNER, server.id, "first", "daily", 1)
        await cloud.idle()
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "snapshot", count=1))
        cloud.compute.snapshots.create_backup(OWNER, server.id, "second", "daily", 1)
        await cloud.idle()
        assert [each.name for each in images(cloud)] == ["first"]

    run(main)


# ---------------------------------------------------------------- the stream


class Streaming:
    """A driver whose snapshots are what ``write`` does with the sink; everything else is the simulated one's."""

    def __init__(self, driver: Any, write: Any) -> None:
        self._driver, self._write = driver, write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def snapshot(self, host: str, server: ServerKey, sink: ImageSink, *, deadline: float) -> SnapshotRecord:
        size: int = await self._write(sink)
        return SnapshotRecord("qcow2", size, 1 << 30)


def streaming(cloud: Small, write: Any) -> None:
    """Let the cloud's snapshots be what ``write`` says."""
    parts = replace(cloud.compute.worker._parts, driver=Streaming(cloud.driver, write))
    cloud.compute.worker._parts = parts
    cloud.compute.snapshots._parts = parts


def test_never_more_than_a_chunk_waits_however_large_the_disk() -> None:
    ahead: list[int] = []

    async def main(cloud: Small) -> None:
        server = await active(cloud)

        async def write(sink: Any) -> int:
            data = empty_qcow2(1 << 30)
            await sink.write(data)
            for _ in range(64):
                await sink.write(bytes(1 << 18))
                ahead.append(sink._chunks.qsize())
            return len(data) + (64 << 18)

        streaming(cloud, write)
        image_id = cloud.compute.snapshots.create_image(OWNER, server.id, "mine", {})
        await cloud.idle()
        assert cloud.images.show(OWNER.principal, image_id).size == len(empty_qcow2(1 << 30)) + (64 << 18)

    run(main)
    assert max(ahead) <= 1


def test_a_disk_that_breaks_off_in_the_middle_is_no_image() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)

        async def write(sink: ImageSink) -> int:
            await sink.write(empty_qcow2(1 << 30))
            raise BackendFailed("the disk cannot be read any further")

        streaming(cloud, write)
        cloud.compute.snapshots.create_image(OWNER, server.id, "mine", {})
        await cloud.idle()
        assert (images(cloud), files(cloud)) == ([], 0)
        (action, *_) = cloud.compute.actions.list_all(server.id)
        assert action.message == "The host of the server could not do this."
        assert cloud.compute.actions.events(action)[0].details == "the disk cannot be read any further"

    run(main)


def test_a_host_whose_disk_is_a_trick_gives_no_image() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)

        async def write(sink: ImageSink) -> int:
            data = bytearray(empty_qcow2(1 << 30))
            data[8:20] = (512).to_bytes(8, "big") + (11).to_bytes(4, "big")  # a backing file
            data[512:523] = b"/etc/shadow"
            await sink.write(bytes(data))
            return len(data)

        streaming(cloud, write)
        cloud.compute.snapshots.create_image(OWNER, server.id, "mine", {})
        await cloud.idle()
        assert (images(cloud), files(cloud)) == ([], 0)

    run(main)


def test_a_writer_waits_for_the_reader() -> None:
    async def main(cloud: Small) -> None:
        pipe, said = Pipe(), []

        async def write() -> None:
            for number in range(3):
                await pipe.write(bytes([number]))
                said.append(f"wrote {number}")
            await pipe.end()

        async with aio.TaskGroup() as group:
            group.create_task(write())
            await aio.sleep(1.0)
            assert said == ["wrote 0"]
            assert [each async for each in pipe] == [b"\0", b"\1", b"\2"]

    run(main)
