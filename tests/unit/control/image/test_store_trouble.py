"""The store cannot be used while data of an image arrive: the image is without data as soon as it can be said."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sundog.backends.simulated.console import empty_qcow2
from sundog.control.image.data import Order
from sundog.control.image.records import NewImage
from sundog.control.store import open_store
from sundog.errors import StoreUnavailable
from sundog.runtime import aio
from sundog.runtime.seeds import Streams
from sundog.soak.gates import Gate, GatedStore, StoreTrouble
from tests.computing import OWNER, Small, run

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
