"""The data of images: uploads, imports of what was staged before, downloads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Final

from sundog.control.image import books
from sundog.control.image.files import ImageFiles, Received
from sundog.control.image.inspection import Inspection
from sundog.control.image.records import Image, Task
from sundog.control.image.settings import Settings
from sundog.control.image.states import (
    ACTIVE,
    DEACTIVATED,
    IMPORTING,
    QUEUED,
    SAVING,
    UPLOADING,
    WITH_DATA,
    check_step,
)
from sundog.control.principal import Principal
from sundog.control.store import Store, Tx
from sundog.control.store.store import Where
from sundog.control.store.tables import image as tables
from sundog.errors import Conflict, Forbidden, Invalid, NotFound, StoreUnavailable, SundogError, TooLarge
from sundog.runtime import aio, clock
from sundog.runtime.ids import Ids
from sundog.units import Seconds

_LOG: Final = logging.getLogger("sundog.image")
_CUT_SHORT: Final = "The import was cut short."
_PAUSE: Final[Seconds] = 1.0
_LONGEST_PAUSE: Final[Seconds] = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """Who asked for an import, by which request, and how."""

    who: Principal
    request_id: str
    request: Mapping[str, Any]


class Data:
    """The data of images.

    A file is where it belongs before the books say so, and is removed after they have said so: what a crash leaves
    behind is a file too many, which :meth:`recover` finds.
    """

    def __init__(self, store: Store, ids: Ids, files: ImageFiles, settings: Settings) -> None:
        self._store, self._ids, self._files, self._settings = store, ids, files, settings
        self._owed: dict[asyncio.Task[None], None] = {}

    def recover(self) -> int:
        """Take back what was under way when the process ended, and remove files of no image; how many those were."""
        images = tables.images.c
        staged = self._files.staged_ids()
        with self._store.begin() as tx:
            self._reset(tx, images.status.in_((SAVING, IMPORTING)))
            waiting = tx.find(tables.images, images.status == UPLOADING)
            whole = {row["id"] for row in waiting if row["size"] is not None and row["id"] in staged}
            for row in waiting:
                if row["id"] not in whole:
                    self._reset(tx, images.id == row["id"])
            tx.update(
                tables.tasks,
                tables.tasks.c.status == "processing",
                status="failure", message=_CUT_SHORT, updated_at=clock.utcnow(),
            )  # fmt: skip
            kept = [row["id"] for row in tx.find(tables.images, images.status.in_(WITH_DATA))]
        return len(self._files.sweep(kept=kept, staged=whole))

    async def upload(
        self, who: Principal, image_id: str, chunks: AsyncIterator[bytes], *, told_size: int | None = None
    ) -> None:
        """Take in the data of an image. If anything goes wrong nothing of them is left and the image is as before.

        ``told_size`` is how many bytes the client says there are.

        Raises: NotFound; Conflict for an image that has data or is getting some; Invalid for one without formats, or
        another number of bytes; Unsupported for data that are not what they are said to be; TooLarge; NotFound with
        the status 410 if the image was deleted meanwhile; Unavailable.
        """
        image = self._begin(who, image_id, SAVING, told_size)
        inspection = self._inspection(image)
        try:
            received = await self._receive(image_id, chunks, inspection, told_size)
            virtual_size = inspection.verdict()
            self._files.keep(image_id)
            self._activate(image_id, SAVING, received, virtual_size)
        except BaseException:  # also when the client hung up
            self._give_up(image_id, SAVING)
            raise

    async def stage(
        self, who: Principal, image_id: str, chunks: AsyncIterator[bytes], *, told_size: int | None = None
    ) -> None:
        """Take in data to be imported later. They are looked at then.

        Raises: as :meth:`upload`, but for formats and contents.
        """
        self._begin(who, image_id, UPLOADING, told_size)
        try:
            received = await self._receive(image_id, chunks, None, told_size)
            self._files.stage(image_id)
            with self._store.begin() as tx:
                if not tx.update(tables.images, *_in(image_id, UPLOADING), size=received.size):
                    raise _gone(image_id)
        except BaseException:
            self._give_up(image_id, UPLOADING)
            raise

    def begin_import(self, order: Order, image_id: str) -> Task:
        """Say that what was staged is to be imported, which :meth:`run_import` then does.

        Raises: NotFound; Conflict for an image without staged data or formats.
        """
        with self._store.begin() as tx:
            image = books.image_of(tx, order.who, image_id)
            if image.status == ACTIVE:
                raise Conflict("Image with status active cannot be target for import", image=image_id)
            if image.status != UPLOADING or image.size is None:
                raise Conflict("Image needs to be staged before 'glance-direct' method can be used", image=image_id)
            for name in ("container_format", "disk_format"):
                if not getattr(image, name):
                    raise Conflict(f"'{name}' needs to be set before import", image=image_id)
            now = clock.utcnow()
            tx.update(tables.images, *_in(image_id, UPLOADING), status=IMPORTING, updated_at=now)
            task = Task(
                id=str(self._ids.uuid()),
                image_id=image_id,
                type="api_image_import",
                status="processing",
                owner=order.who.project_id,
                user_id=order.who.user_id,
                request_id=order.request_id,
                input={"image_id": image_id, "import_req": dict(order.request), "backend": [STORE]},
                result=None,
                message="",
                created_at=now,
                updated_at=now,
            )
            tx.insert(tables.tasks, **{name: getattr(task, name) for name in Task.__slots__})
        return task

    async def run_import(self, task: Task) -> None:
        """Import what was staged. Whatever comes of it is in the task; a failure leaves the image without data."""
        try:
            await self._import(task.image_id)
        except SundogError as error:
            self._give_up(task.image_id, IMPORTING)
            self._finish(task, "failure", error.message)
        except BaseException:
            self._give_up(task.image_id, IMPORTING)
            self._finish(task, "failure", _CUT_SHORT)
            raise
        else:
            self._finish(task, "success", "")

    def tasks(self, who: Principal, image_id: str) -> Sequence[Task]:
        """The imports into an image, the oldest first.

        Raises: NotFound.
        """
        table = tables.tasks
        with self._store.read() as reader:
            books.image_of(reader, who, image_id)
            rows = reader.find(table, table.c.image_id == image_id, order_by=[table.c.created_at, table.c.id])
            return [books.task(row) for row in rows]

    def open(self, who: Principal, image_id: str) -> tuple[Image, BinaryIO | None]:
        """An image and its data, open to be read; None if it has none. Close them.

        Raises: NotFound; Forbidden for a deactivated image, except to administrators; Unavailable.
        """
        with self._store.read() as reader:
            image = books.image_of(reader, who, image_id)
        check_downloadable(who, image)
        if image.status not in WITH_DATA:
            return image, None
        return image, self._files.open(image_id)

    # ---------------------------------------------------------------- steps

    def _begin(self, who: Principal, image_id: str, status: str, told_size: int | None) -> Image:
        most = self._settings.most_bytes
        with self._store.begin() as tx:
            image = books.image_of(tx, who, image_id)
            check_step(image, status)
            if told_size is not None and told_size > most:
                raise TooLarge(f"The incoming image is too large: the limit of {most} bytes is exceeded", limit=most)
            tx.update(tables.images, tables.images.c.id == image_id, status=status, updated_at=clock.utcnow())
        return image

    async def _receive(
        self, image_id: str, chunks: AsyncIterator[bytes], inspection: Inspection | None, told_size: int | None
    ) -> Received:
        received = await self._files.receive(image_id, chunks, inspector=inspection, most=self._settings.most_bytes)
        if told_size is not None and received.size != told_size:
            raise Invalid(
                f"{received.size} bytes of image data arrived; {told_size} were announced", size=received.size
            )
        return received

    async def _import(self, image_id: str) -> None:
        with self._store.read() as reader:
            image = books.any_image(reader, image_id)
        if image is None:
            raise _gone(image_id)
        inspection = self._inspection(image)
        received = await self._files.examine(image_id, inspection, most=self._settings.most_bytes)
        virtual_size = inspection.verdict()
        self._files.keep_staged(image_id)
        self._activate(image_id, IMPORTING, received, virtual_size)

    def _activate(self, image_id: str, before: str, received: Received, virtual_size: int | None) -> None:
        """Raises: NotFound with the status 410 if the image was deleted meanwhile."""
        with self._store.begin() as tx:
            done = tx.update(
                tables.images,
                *_in(image_id, before),
                status=ACTIVE,
                size=received.size,
                virtual_size=virtual_size,
                checksum=received.md5,
                os_hash_algo="sha512",
                os_hash_value=received.sha512,
                updated_at=clock.utcnow(),
            )
            if not done:
                raise _gone(image_id)

    def _surely(self, what: str, step: Callable[[], None]) -> None:
        """Do what must not be left undone: now, or as soon as the store can be used again."""
        try:
            step()
        except StoreUnavailable as error:
            _LOG.warning("%s waits for the store: %s", what, error)
            task = asyncio.get_running_loop().create_task(self._insist(step), name=what)
            self._owed[task] = None
            task.add_done_callback(self._owed.pop)

    async def _insist(self, step: Callable[[], None]) -> None:
        pause = _PAUSE
        while True:
            await aio.sleep(pause)
            try:
                step()
            except StoreUnavailable:
                pause = min(2.0 * pause, _LONGEST_PAUSE)
            else:
                return

    def _give_up(self, image_id: str, status: str) -> None:
        """Make an image as it was before any data arrived, and leave none of them."""
        self._surely(f"taking back the data of image {image_id}", partial(self._take_back, image_id, status))

    def _take_back(self, image_id: str, status: str) -> None:
        """Make an image as it was before any data arrived, and leave none of them.

        Nothing is done to an image that has got its data after all, as when the store went away while it said so.
        """
        with self._store.begin() as tx:
            self._reset(tx, *_in(image_id, status))
            row = tx.get(tables.images, id=image_id)
        if row is not None and row["status"] not in WITH_DATA:
            self._files.discard(image_id)

    def _reset(self, tx: Tx, *where: Where) -> None:
        tx.update(tables.images, *where, status=QUEUED, size=None, virtual_size=None, updated_at=clock.utcnow())

    def _finish(self, task: Task, status: str, message: str) -> None:
        self._surely(f"the end of import {task.id}", partial(self._write_end, task, status, message))

    def _write_end(self, task: Task, status: str, message: str) -> None:
        result = {"image_id": task.image_id} if status == "success" else None
        if status == "failure":
            _LOG.warning("the import %s into image %s failed: %s", task.id, task.image_id, message)
        with self._store.begin() as tx:
            tx.update(
                tables.tasks,
                tables.tasks.c.id == task.id,
                status=status, message=message, result=result, updated_at=clock.utcnow(),
            )  # fmt: skip

    def _inspection(self, image: Image) -> Inspection:
        assert image.disk_format is not None
        assert image.container_format is not None
        return Inspection(
            image.disk_format, image.container_format, most_virtual=self._settings.most_virtual_bytes
        )  # fmt: skip


STORE: Final = "file"
"""The name of the one store that there is."""


def check_downloadable(who: Principal, image: Image) -> None:
    """Raises: Forbidden for a deactivated image, except to administrators."""
    if image.status == DEACTIVATED and not who.is_admin:
        raise Forbidden(
            "The requested image has been deactivated. Image data download is forbidden.", image=image.id
        )  # fmt: skip


def _in(image_id: str, status: str) -> list[Where]:
    return [tables.images.c.id == image_id, tables.images.c.status == status]


def _gone(image_id: str) -> NotFound:
    return NotFound(
        f"Image {image_id} could not be found after upload. The image may have been deleted during the upload, "
        "cleaning up the chunks uploaded.",
        image=image_id, status=410,
    )  # fmt: skip
