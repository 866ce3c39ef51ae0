"""Reading a server's disk into an image, as it comes: never more of it is held than the driver hands over at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from sundog.backends.contract import ServerKey, SnapshotRecord
from sundog.control.compute.imaging import DISK_FORMAT, backups, delete_image, drop_image
from sundog.control.compute.records import Server
from sundog.control.compute.sagas.common import key_of
from sundog.control.compute.work import Saga, Work, work_server
from sundog.control.image.states import WITH_DATA
from sundog.control.principal import Principal
from sundog.errors import BackendFailed
from sundog.runtime import aio
from sundog.units import Seconds


@dataclass(slots=True)
class Pipe:
    """Bytes on their way from one task to another, a chunk at a time: who writes waits for who reads."""

    _chunks: asyncio.Queue[bytes | None] = field(default_factory=lambda: aio.Queue(maxsize=1))

    async def write(self, data: bytes) -> None:
        """Hand the next bytes over; waits until those before are taken."""
        if data:
            await self._chunks.put(data)

    async def end(self) -> None:
        """Say that there are no more."""
        await self._chunks.put(None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._chunks.get()
        if chunk is None:
            raise StopAsyncIteration
        return chunk


async def snapshot_to_image(work: Work, server: Server, image_id: str) -> None:
    """Read the disk of a server's copy into an image, which is without data or has all of them.

    If it fails, on whichever side, or is cancelled, the image is without data, and nothing goes on.

    Raises: BackendFailed, OutcomeUnknown or NotSupported of the host; what ``images.data.upload`` raises, NotFound for
    an image that was deleted meanwhile.
    """
    parts, action = work.parts, work.action
    assert server.host is not None
    host, key = server.host, key_of(server)
    who = Principal(action.user_id, project_id=action.project_id, roles=("admin",))
    if parts.images.show(who, image_id).status in WITH_DATA:
        return  # what was left to be done before a crash was to say so

    async def attempt(*, deadline: Seconds) -> None:
        pipe = Pipe()
        try:
            async with aio.TaskGroup() as group:
                group.create_task(parts.images.data.upload(who, image_id, pipe), name=f"image {image_id}")
                group.create_task(_read(work, host, key, pipe, deadline), name=f"snapshot {server.id}")
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first: the others are cancelled for it

    await work.ask(attempt, host, key, deadline=parts.settings.long)


async def _read(work: Work, host: str, key: ServerKey, pipe: Pipe, deadline: Seconds) -> None:
    record: SnapshotRecord = await work.parts.driver.snapshot(host, key, pipe, deadline=deadline)
    if record.disk_format != DISK_FORMAT:
        raise BackendFailed(f"host {host} gives snapshots as {record.disk_format}, not {DISK_FORMAT}", host=host)
    await pipe.end()


async def do(work: Work) -> None:
    """Fill the image; of backups, then delete those that are too many."""
    server, args = work.server(), work.args
    await snapshot_to_image(work, server, args["new_image"])
    with work.parts.books.writing() as tx:
        if "rotation" in args:
            for image_id in backups(tx, work.action, args["backup_type"])[args["rotation"] :]:
                delete_image(tx, work.parts, image_id)
        work.finish(tx, work_server(tx, work))


async def undo(work: Work) -> None:
    """The image is gone, and the server as it was."""
    with work.parts.books.writing() as tx:
        drop_image(tx, work.parts, work.action)
        work.finish(tx, work_server(tx, work), failure=work.action.message or "")


SAGA: Final = Saga(do, undo)
