"""The store cannot be used while data of an image arrive: the image is without data as soon as it can be said."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sundog.backends.simulated.console import empty_qcow2
from sundog.control.image import ImageFiles, Images
from sundog.control.image.data import Order
from sundog.control.image.records import NewImage
from sundog.control.store import open_store
from sundog.errors import StoreUnavailable
from sundog.runtime import aio
from sundog.runtime.seeds import Streams
from sundog.soak.gates import Gate, GatedStore, StoreTrouble
from tests.computing import OWNER, Small, run
from tests.crashing import Crash, run_to_crash

DISK = empty_qcow2(1 << 30)


async def chunks(trouble: StoreTrouble, probability: float) -> AsyncIterator[bytes]:
    yield DISK[:1000]
    trouble.probability = probability
    yield DISK[1000:]


def new_image(cloud: Small) -> str:
    new = NewImage(owner=OWNER.project_id, disk_format="qcow2", container_format="bare")
    return cloud.images.create(new).id


def test_an_upload_that_the_store_cannot_take_in_may_be_begun_again() -> None:
    trouble = StoreTrouble(Streams(1).stream("trouble"))
    store = GatedStore(open_store(":memory:"), Gate(lambda: None), trouble)

    async def main(cloud: Small) -> None:
        image_id, who = new_image(cloud), OWNER.principal
        with pytest.raises(StoreUnavailable):
            await cloud.images.data.upload(who, image_id, chunks(trouble, 1.0))
        await aio.sleep(100.0)
        trouble.probability = 0.0
        assert cloud.images.show(who, image_id).status == "saving"
        await aio.sleep(60.0)
        assert cloud.images.show(who, image_id).status == "queued"
        await cloud.images.data.upload(who, image_id, chunks(trouble, 0.0))
        assert cloud.images.show(who, image_id).status == "active"

    run(main, store=store)


def test_an_import_that_the_store_cannot_take_in_says_so_later() -> None:
    trouble = StoreTrouble(Streams(1).stream("trouble"))
    store = GatedStore(open_store(":memory:"), Gate(lambda: None), trouble)

    async def main(cloud: Small) -> None:
        image_id, who, data = new_image(cloud), OWNER.principal, cloud.images.data
        await data.stage(who, image_id, chunks(trouble, 0.0))
        task = data.begin_import(Order(who, "req-import", {}), image_id)
        trouble.probability = 1.0
        await data.run_import(task)
        await aio.sleep(100.0)
        trouble.probability = 0.0
        await aio.sleep(60.0)
        assert cloud.images.show(who, image_id).status == "queued"
        (told,) = data.tasks(who, image_id)
        assert (told.status, told.message) == (
            "failure",
            "the store cannot be used, as was ordered; nothing was changed",
        )

    run(main, store=store)


@pytest.mark.parametrize("way", ["upload", "stage", "import"])
@pytest.mark.parametrize("seconds", [0.0, 10.0])
def test_what_the_store_could_not_take_back_before_the_process_was_killed_is_taken_back_at_the_next_start(
    way: str, seconds: float
) -> None:
    async def main(cloud: Small, crash: Crash) -> None:
        trouble = StoreTrouble(Streams(1).stream("trouble"))
        store = GatedStore(cloud.store, Gate(lambda: None), trouble)
        image_id, who = new_image(cloud), OWNER.principal
        data = Images(store, cloud.ids, ImageFiles(cloud.folder)).data
        if way == "import":
            await data.stage(who, image_id, chunks(trouble, 0.0))
            task = data.begin_import(Order(who, "req-import", {}), image_id)
            trouble.probability = 1.0
            await data.run_import(task)
        else:
            with pytest.raises(StoreUnavailable):
                await (data.upload if way == "upload" else data.stage)(who, image_id, chunks(trouble, 1.0))
        await aio.sleep(seconds)
        stuck = {"upload": "saving", "stage": "uploading", "import": "importing"}[way]
        assert cloud.images.show(who, image_id).status == stuck
        assert any(image_id in names for names in cloud.images.files().values())
        cloud = await crash(cloud)
        assert cloud.images.show(who, image_id).status == "queued"
        assert cloud.images.files() == {"images": [cloud.image_id], "staged": [], "incoming": []}
        assert [each.status for each in cloud.images.data.tasks(who, image_id)] == ["failure"] * (way == "import")
        await cloud.images.data.upload(who, image_id, chunks(trouble, 0.0))
        assert cloud.images.show(who, image_id).status == "active"

    run_to_crash(main)


def test_a_start_at_which_the_store_cannot_be_used_takes_nothing_back_and_the_next_one_does() -> None:
    async def main(cloud: Small, crash: Crash) -> None:
        trouble = StoreTrouble(Streams(1).stream("trouble"))
        image_id, who = new_image(cloud), OWNER.principal
        images = Images(GatedStore(cloud.store, Gate(lambda: None), trouble), cloud.ids, ImageFiles(cloud.folder))
        await images.data.stage(who, image_id, chunks(trouble, 0.0))
        images.data.begin_import(Order(who, "req-import", {}), image_id)
        before = images.files()
        trouble.probability = 1.0
        with pytest.raises(StoreUnavailable):
            images.recover()
        trouble.probability = 0.0
        assert (images.show(who, image_id).status, images.files()) == ("importing", before)
        cloud = await crash(cloud)
        assert cloud.images.show(who, image_id).status == "queued"
        assert cloud.images.files()["staged"] == []

    run_to_crash(main)
