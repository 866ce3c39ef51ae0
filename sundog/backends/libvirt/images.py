"""Images made harmless here, then kept on each host that boots from them: one flat qcow2 file of ours an image.

Nothing that somebody uploaded is ever opened by a host. An image is fetched to this machine, its header is looked at by
us, and ``qemu-img`` copies it, told the format, in a process of limited memory and time. The result, which has no file
below it, goes to the host; servers get overlays of it.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from sundog.backends.contract import ImageReference
from sundog.backends.libvirt.link import Link
from sundog.backends.libvirt.storage import Storage, copy_volume
from sundog.backends.libvirt.threads import Workers
from sundog.errors import BackendFailed, PlainFailure
from sundog.runtime import aio, clock
from sundog.units import Seconds

FORMATS: Final = ("qcow2", "raw")

# What qemu-img may take: 1 GiB of address space, and seconds of processor time. Each of its threads, of which there may
# be dozens, would take 72 MiB of it for a stack and a heap of its own, were they not smaller and shared.
_MEMORY_BYTES: Final = 2**30
_STACK_BYTES: Final = 2**20
_ONE_HEAP: Final = "MALLOC_ARENA_MAX=1"
_CPU_SECONDS: Final = 600
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_BASE: Final = re.compile(r"base-.*\.qcow2")
_ENCRYPTION_NONE: Final = 0
_EXTERNAL_DATA: Final = 1 << 2
_LARGEST: Final = 64 * 2**40

Fetched: TypeAlias = Callable[[str, ImageReference, Seconds], None]
"""What is told of an image that was brought to a host, by its uuid, and in how many seconds."""


class ImageSource(Protocol):
    """Where images come from."""

    def read(self, image: ImageReference) -> AsyncIterator[bytes]:
        """The image's bytes. What it raises ends the operation as ``BackendFailed``."""
        ...


@dataclass(frozen=True, slots=True)
class Base:
    """A flattened image as a volume, and the size of the disk in it."""

    volume: str
    capacity_bytes: int


def qcow2_size(header: bytes, name: str) -> int:
    """The size of the disk that a qcow2 header promises. ``name`` is the image's, for messages.

    Raises: PlainFailure if it is no qcow2, or leads to other files, or is encrypted, or beyond all measure.
    """
    if len(header) < 80 or header[:4] != b"QFI\xfb":
        raise PlainFailure(f"image {name} is no qcow2 image, although it was said to be one; upload it again")
    version, backing = struct.unpack(">IQ", header[4:16])
    size, crypt = struct.unpack(">QI", header[24:36])
    features = struct.unpack(">Q", header[72:80])[0] if version >= 3 else 0
    if version not in (2, 3):
        raise PlainFailure(f"image {name} is qcow2 of the version {version}; convert it to 3 (compat=1.1)")
    if backing:
        raise PlainFailure(f"image {name} has a backing file; flatten it with qemu-img convert")
    if features & _EXTERNAL_DATA:
        raise PlainFailure(f"image {name} keeps its data in another file; flatten it with qemu-img convert")
    if crypt != _ENCRYPTION_NONE:
        raise PlainFailure(f"image {name} is encrypted, and hosts have no key; decrypt it with qemu-img convert")
    if not 0 < size <= _LARGEST:
        raise PlainFailure(f"image {name} says that its disk has {size} bytes; that cannot be")
    return int(size)


def check_image(image: ImageReference) -> None:
    """Raises: PlainFailure for an image that no host could boot from, whatever is in it."""
    if image.disk_format not in FORMATS:
        raise PlainFailure(
            f"image {image.id} is {image.disk_format}, and hosts boot from {', '.join(FORMATS)}; convert it",
            image=image.id,
        )
    if not _NAME.fullmatch(image.id):
        raise PlainFailure(f"an image cannot have the id {image.id!r}", image=image.id)


class Images:
    """Images flattened in ``folder`` on this machine, and brought to hosts; ``fetched`` is told of each that was."""

    def __init__(
        self, source: ImageSource, folder: Path, fetched: Fetched = lambda _host, _image, _seconds: None
    ) -> None:
        self._source, self._folder, self._fetched = source, folder, fetched
        self._locks: dict[tuple[str, str], aio.Lock] = {}
        self._holders: dict[tuple[str, str], dict[asyncio.Task[Any], None]] = {}
        self._coming: dict[tuple[str, str], int] = {}  # the bytes of bases that are being brought
        self._going: dict[tuple[str, str], None] = {}  # bases that are being removed
        self._wanted: dict[tuple[str, str], int] = {}  # when a base was wanted last, as a number that grows
        self._count = 0
        self._files = Workers("sundog-images", size=2)

    def close(self) -> None:
        """Let the threads end."""
        self._files.close()

    async def on_host(self, link: Link, image: ImageReference, *, limit: Seconds = 600.0) -> Base:
        """The image on a host, brought there unless it is there already. Raises: BackendFailed."""
        check_image(image)
        base = base_name(image.id)
        async with self._lock(link.name, image.id):
            self._hold(link, base)
            capacity = await self._complete(link.storage, base)
            if capacity is None:
                begin = clock.now()
                path, capacity = await self.local(image, limit=limit)
                async with self._room_for(link, base, path.stat().st_size):
                    await self._bring(link.storage, path, base, capacity)
                self._fetched(link.uuid, image, clock.now() - begin)
        return Base(base, capacity)

    async def local(self, image: ImageReference, *, limit: Seconds = 600.0) -> tuple[Path, int]:
        """The flattened image in our folder, and the size of its disk in bytes. Raises: BackendFailed."""
        check_image(image)
        path = self._folder / f"{image.id}.qcow2"
        async with self._lock("", image.id):
            if not path.exists():
                raw, made = self.scratch(f"{image.id}.fetched"), self.scratch(f"{image.id}.flat")
                try:
                    await self._fetch(image, raw)
                    await self._flatten(image, raw, made, limit)
                    made.rename(path)
                finally:
                    raw.unlink(missing_ok=True)
                    made.unlink(missing_ok=True)
        return path, qcow2_size(_head(path), image.id)

    async def from_host(self, source: Link, target: Link, base: str) -> None:
        """Bring a base from one host to another: its image may be gone by now."""
        async with self._lock(target.name, _image_of(base)):
            self._hold(target, base)
            if await self._complete(target.storage, base) is None:
                scratch = self.scratch(f"{target.name}-{base}")
                async with self._room_for(target, base, await source.storage.taken(base)):
                    try:
                        await copy_volume(source.storage, base, target.storage, base, "qcow2", scratch)
                        await target.storage.create(_mark(base), "raw", 0)
                    finally:
                        scratch.unlink(missing_ok=True)

    def scratch(self, name: str) -> Path:
        """A file for what is under way."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{name}.part"

    def _lock(self, host: str, image: str) -> aio.Lock:
        return self._locks.setdefault((host, image), aio.Lock())

    def _hold(self, link: Link, base: str) -> None:
        """Keep a base on a host until the operation has ended that is under way: it may have no disk on it yet."""
        place, task = (link.name, base), asyncio.current_task()
        self._count += 1
        self._wanted[place] = self._count
        if task is not None and task not in self._holders.setdefault(place, {}):
            self._holders[place][task] = None
            task.add_done_callback(lambda ended: self._let_go(place, ended))

    def _let_go(self, place: tuple[str, str], task: asyncio.Task[Any]) -> None:
        del self._holders[place][task]
        if not self._holders[place]:
            del self._holders[place]

    @asynccontextmanager
    async def _room_for(self, link: Link, base: str, need: int) -> AsyncIterator[None]:
        """Room for a base on a host while it is brought, taken from bases that nobody uses. Raises: BackendFailed."""
        before = dict(self._coming), dict(self._going)
        room = await link.storage.room()
        # From here on nobody else has a turn until it is written down what ours will take. What came or went since the
        # room was looked at is still what it was in what was told.
        coming, going = before[0] | self._coming, before[1] | self._going
        lacking = (max(0, size - room.taken.get(name, 0)) for (host, name), size in coming.items() if host == link.name)
        leaving = (room.idle.get(name, 0) for host, name in going if host == link.name)
        free = room.free - sum(lacking) + sum(leaving)
        # A base whose lock is taken is being brought: whoever brings it may be waiting for ours.
        mine = {
            name: size
            for name, size in room.idle.items()
            if name != base
            and (link.name, name) not in going
            and _BASE.fullmatch(name)
            and not self._lock(link.name, _image_of(name)).locked()
        }
        mine = {name: size for name, size in mine.items() if (link.name, name) not in self._holders}
        chosen = to_evict(need, free, mine, {name: self._wanted.get((link.name, name), 0) for name in mine})
        if chosen is None:
            raise BackendFailed(
                f"host {link.name} has {max(0, free)} bytes left, and the image in {base} takes {need}; no more images "
                "can be removed, so remove servers or give it a larger disk",
                host=link.uuid,
            )
        self._coming[link.name, base] = need
        self._going |= {(link.name, name): None for name in chosen}
        try:
            for name in chosen:
                try:
                    async with self._lock(link.name, _image_of(name)):
                        if (link.name, name) not in self._holders:
                            await link.storage.delete(_mark(name), name)  # in this order: what has a mark is complete
                finally:
                    self._going.pop((link.name, name), None)
            yield
        finally:
            del self._coming[link.name, base]
            for name in chosen:
                self._going.pop((link.name, name), None)

    async def _complete(self, storage: Storage, base: str) -> int | None:
        """The size of the disk in a base that was brought to its end; None if there is none."""
        if await storage.capacity(_mark(base)) is None:
            return None
        return await storage.capacity(base)

    async def _bring(self, storage: Storage, path: Path, base: str, capacity: int) -> None:
        await storage.create(base, "qcow2", capacity)
        with path.open("rb") as file:
            await storage.upload(base, file, path.stat().st_size)
        await storage.create(_mark(base), "raw", 0)  # only what has this mark was brought to its end

    async def _fetch(self, image: ImageReference, path: Path) -> None:
        try:
            with path.open("wb") as file:
                async for data in self._source.read(image):
                    await self._files.call(partial(file.write, data), 60.0)
        except aio.CancelledError:
            raise
        except Exception as error:
            raise BackendFailed(f"image {image.id} could not be fetched: {error}", image=image.id) from error
        if image.disk_format == "qcow2":
            qcow2_size(_head(path), image.id)

    async def _flatten(self, image: ImageReference, source: Path, target: Path, limit: Seconds) -> None:
        """Copy with qemu-img, in a process that can neither eat the machine nor run on when nobody waits."""
        process = await asyncio.create_subprocess_exec(
            "prlimit", f"--as={_MEMORY_BYTES}", f"--stack={_STACK_BYTES}", f"--cpu={_CPU_SECONDS}", "--",
            "env", _ONE_HEAP, "qemu-img", "convert", "-f", image.disk_format, "-O", "qcow2", str(source), str(target),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with aio.timeout(limit):
                _, said = await process.communicate()
        except TimeoutError as error:
            raise BackendFailed(f"image {image.id} was not flattened within {limit:g} s", image=image.id) from error
        finally:
            if process.returncode is None:
                process.kill()
                await aio.shield(process.wait())
        if process.returncode != 0:
            reason = said.decode(errors="replace").strip() or f"qemu-img ended with {process.returncode}"
            raise BackendFailed(f"image {image.id} could not be flattened: {reason}", image=image.id)


def to_evict(need: int, free: int, idle: Mapping[str, int], wanted: Mapping[str, int]) -> tuple[str, ...] | None:
    """Which bases are to go so that ``need`` bytes fit where ``free`` are; None if they do not fit even so.

    ``idle`` are those that can go, and the bytes that each takes. Those go first that were ``wanted`` longest ago.
    """
    chosen = []
    for name in sorted(idle, key=lambda each: (wanted[each], each)):
        if free >= need:
            break
        chosen.append(name)
        free += idle[name]
    return tuple(chosen) if free >= need else None


def base_name(image: str) -> str:
    """The volume of a flattened image on every host that has it."""
    return f"base-{image}.qcow2"


def _image_of(base: str) -> str:
    return base.removeprefix("base-").removesuffix(".qcow2")


def _mark(base: str) -> str:
    return f"{base}.complete"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(104)
