"""Files on a host, by nothing but libvirt's storage: a folder as a pool for disks, another for console logs.

Names of volumes are ours and hold nothing that anybody else chose. Formats are always said. A volume of another host,
or of this machine, is brought there through libvirt's streams, whatever the host's URI.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from sundog.backends.libvirt.failures import Code
from sundog.backends.libvirt.host_xml import read_backing, read_files, read_pool_path, write_pool, write_volume
from sundog.backends.libvirt.lanes import Lane
from sundog.backends.libvirt.native import Connection
from sundog.backends.libvirt.records import DiskFormat
from sundog.errors import BackendFailed
from sundog.units import Seconds

if TYPE_CHECKING:
    from sundog.backends.libvirt.link import Link

T = TypeVar("T")

POOL: Final = "sundog"
LOGS: Final = "sundog-console-logs"

# What one call to a host moves: large enough to be quick, small enough to be broken off.
_PIECE: Final = 4 * 2**20
# What libvirt takes at once.
_MESSAGE: Final = 256 * 1024
_GIB: Final = 2**30


class Reader(Protocol):
    """Where the bytes of an upload come from: an open file, or anything with its ``read``."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most ``size``; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Room:
    """The free bytes of a disk, and what each volume takes on which no other and no domain lies, whosever.

    ``taken`` is what each volume takes of what is not free any more; empty where that is not known.
    """

    free: int
    idle: Mapping[str, int]
    taken: Mapping[str, int]


class Storage:
    """The files of one host."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def path(self, name: str) -> str:
        """Where a volume lies on its host."""
        return f"{self._link.spec.pool}/{name}"

    def log_path(self, name: str) -> str:
        """Where a console log lies on its host."""
        return f"{self._link.spec.pool}/console-logs/{name}"

    def prepare(self, connection: Connection) -> int:
        """Have both pools; the size of that for disks in GiB. To be called in a thread."""
        pool = self._have(connection, POOL, self._link.spec.pool)
        with contextlib.suppress(self._link.library.libvirtError):  # not while something is being made there
            pool.refresh(0)
        self._have(connection, LOGS, f"{self._link.spec.pool}/console-logs")
        return int(pool.info()[1] // _GIB)

    def _have(self, connection: Connection, name: str, path: str) -> Any:
        try:
            pool = connection.storagePoolLookupByName(name)
        except self._link.library.libvirtError as error:
            if error.get_error_code() != Code.NO_STORAGE_POOL:
                raise
            return _started(_defined(connection, name, path))
        pool = _started(pool)
        there = read_pool_path(pool.XMLDesc(0))
        if PurePosixPath(there) == PurePosixPath(path):  # libvirt leaves out a slash at the end
            return pool
        pool.refresh(0)
        file = self._link.library.VIR_STORAGE_VOL_FILE  # folders are listed as volumes too
        if any(volume.info()[0] == file for volume in pool.listAllVolumes(0)):
            raise BackendFailed(
                f"host {self._link.name} has its storage pool {name} in {there}, with files in it, and not in {path}; "
                f"say --pool {there.removesuffix('/console-logs')}, or let go of what is there: "
                f"virsh pool-destroy {name} and virsh pool-undefine {name}",
                host=self._link.uuid,
            )
        pool.destroy()  # nothing was ever put there
        pool.undefine()
        return _started(_defined(connection, name, path))

    # -- small files, in threads

    def read_file(self, connection: Connection, name: str) -> bytes | None:
        """The beginning of a volume; None if there is none. To be called in a thread."""
        volume = self._find(connection.storagePoolLookupByName(POOL), name)
        if volume is None:
            return None
        stream, data = connection.newStream(0), bytearray()
        volume.download(stream, 0, 0, 0)
        while part := stream.recv(_MESSAGE):
            data += part
            if len(data) > _MESSAGE:
                stream.abort()
                return bytes(data)
        stream.finish()
        return bytes(data)

    def write_file(self, connection: Connection, name: str, data: bytes) -> None:
        """Have a volume of a few bytes, filled up with zeros. To be called in a thread.

        One that is there keeps what it holds until all of it is replaced at once.
        """
        pool = connection.storagePoolLookupByName(POOL)
        volume, stream = self._find(pool, name), connection.newStream(0)
        if volume is None:
            volume = pool.createXML(write_volume(name, "raw", len(data)), 0)
        _, capacity, allocation = volume.info()
        size = max(len(data), capacity, allocation)  # it can be made larger, but not smaller than the blocks it has
        if capacity < size:
            volume.resize(size, 0)
        data = data.ljust(size, b"\0")
        volume.upload(stream, 0, len(data), 0)
        stream.send(data)
        stream.finish()

    def delete_file(self, connection: Connection, name: str) -> None:
        """Remove a volume, if it is there. To be called in a thread."""
        self._delete(connection.storagePoolLookupByName(POOL), name)

    # -- volumes

    async def create(self, name: str, disk_format: str, capacity_bytes: int, *, backing: str = "") -> None:
        """An empty volume, or an overlay of the volume ``backing``. One of that name is replaced."""
        xml = write_volume(name, disk_format, capacity_bytes, backing=self.path(backing) if backing else "")

        def create(connection: Connection) -> None:
            pool = connection.storagePoolLookupByName(POOL)
            self._delete(pool, name)
            pool.createXML(xml, 0)

        await self._link.call("create volume", create)

    async def delete(self, *names: str) -> None:
        """Remove volumes; those that are not there are no matter."""

        def delete(connection: Connection) -> None:
            pool = connection.storagePoolLookupByName(POOL)
            for name in names:
                self._delete(pool, name)

        await self._link.call("delete volume", delete)

    def _delete(self, pool: Any, name: str) -> None:
        volume = self._find(pool, name)
        if volume is not None:
            volume.delete(0)

    def _find(self, pool: Any, name: str) -> Any:
        try:
            return pool.storageVolLookupByName(name)
        except self._link.library.libvirtError as error:
            if error.get_error_code() != Code.NO_STORAGE_VOL:
                raise
            return None

    async def capacity(self, name: str) -> int | None:
        """The size of the disk in a volume in bytes; None if the volume is not there."""

        def ask(connection: Connection) -> int | None:
            volume = self._find(connection.storagePoolLookupByName(POOL), name)
            return None if volume is None else int(volume.info()[1])

        return await self._link.call("inspect volume", ask)

    async def taken(self, name: str) -> int:
        """How many bytes of its disk a volume takes; 0 if it is not there."""

        def ask(connection: Connection) -> int:
            volume = self._find(connection.storagePoolLookupByName(POOL), name)
            return 0 if volume is None else int(volume.info()[2])

        return await self._link.call("inspect volume", ask)

    async def room(self) -> Room:
        """How much room there is on the disk, and what takes it."""

        def ask(connection: Connection) -> Room:
            native, fresh = self._link.library, False
            pool = connection.storagePoolLookupByName(POOL)
            with contextlib.suppress(native.libvirtError):  # not while something is being made there
                pool.refresh(0)
                fresh = True
            used: set[str] = set()
            taken: dict[str, int] = {}
            for domain in connection.listAllDomains(0):
                for flag in (0, native.VIR_DOMAIN_XML_INACTIVE):
                    used |= read_files(self._unless_gone("<domain/>", domain.XMLDesc, flag))
            for volume in pool.listAllVolumes(0):
                used.add(read_backing(self._unless_gone("<volume/>", volume.XMLDesc, 0)))
                taken[volume.name()] = self._unless_gone((0, 0, 0), volume.info)[2]
            idle = {name: size for name, size in taken.items() if self.path(name) not in used}
            return Room(int(pool.info()[3]), idle, taken if fresh else {})

        return await self._link.call("look for room", ask)

    def _unless_gone(self, instead: T, ask: Callable[..., T], *args: int) -> T:
        """What is asked of a domain or a volume, which may have gone since it was listed."""
        try:
            return ask(*args)
        except self._link.library.libvirtError as error:
            if error.get_error_code() not in (Code.NO_DOMAIN, Code.NO_STORAGE_VOL):
                raise
            return instead

    async def grow(self, name: str, capacity_bytes: int) -> None:
        """Make the disk in a volume larger; one that is large enough is left alone."""

        def grow(connection: Connection) -> None:
            volume = connection.storagePoolLookupByName(POOL).storageVolLookupByName(name)
            if volume.info()[1] < capacity_bytes:
                volume.resize(capacity_bytes, 0)

        await self._link.call("grow volume", grow)

    async def flatten(self, source: str, name: str, capacity_bytes: int, *, limit: Seconds) -> None:
        """A volume ``name`` with all that the disk ``source``, which nobody writes, and the file below it hold."""
        xml = write_volume(name, "qcow2", capacity_bytes)

        def flatten(connection: Connection) -> None:
            pool = connection.storagePoolLookupByName(POOL)
            self._delete(pool, name)
            pool.createXMLFrom(xml, pool.storageVolLookupByName(source), 0)

        await self._link.call("copy volume", flatten, limit=limit)

    # -- bytes

    async def upload(self, name: str, reader: Reader, size: int) -> None:
        """Write ``size`` bytes into a volume that is there."""

        def begin(connection: Connection) -> Any:
            volume = connection.storagePoolLookupByName(POOL).storageVolLookupByName(name)
            stream = connection.newStream(0)
            volume.upload(stream, 0, size, 0)
            return stream

        def send(stream: Any) -> bool:
            data = memoryview(reader.read(_PIECE))
            more = bool(data)
            while data:
                data = data[stream.send(bytes(data[:_MESSAGE])) :]
            return more

        async with self._link.lane() as lane:
            stream = await self._link.call("upload", begin, lane=lane)
            done = False
            try:
                while await self._link.call("upload", lambda _connection: send(stream), lane=lane):
                    pass
                done = True
            finally:
                await self._end(lane, stream, well=done)

    async def download(self, name: str, *, offset: int = 0, logs: bool = False) -> AsyncGenerator[bytes, None]:
        """The bytes of a volume from ``offset`` on; with ``logs`` of a console log."""

        def begin(connection: Connection) -> Any:
            volume = connection.storagePoolLookupByName(LOGS if logs else POOL).storageVolLookupByName(name)
            stream = connection.newStream(0)
            volume.download(stream, offset, 0, 0)
            return stream

        def receive(stream: Any) -> bytes:
            parts, size = [], 0
            while size < _PIECE and (part := stream.recv(_MESSAGE)):
                parts.append(part)
                size += len(part)
            return b"".join(parts)

        async with self._link.lane() as lane:
            stream = await self._link.call("download", begin, lane=lane)
            done = False
            try:
                while data := await self._link.call("download", lambda _connection: receive(stream), lane=lane):
                    yield data
                done = True
            finally:
                await self._end(lane, stream, well=done)

    async def _end(self, lane: Lane, stream: Any, *, well: bool) -> None:
        def end(_connection: Connection) -> None:
            _ = stream.finish() if well else stream.abort()

        await self._link.call("end of a stream", end, lane=lane)

    # -- console logs

    async def tail(self, name: str, last_bytes: int) -> bytes:
        """The last bytes of a console log; none if nothing was written."""

        def size(connection: Connection) -> int:
            pool = connection.storagePoolLookupByName(LOGS)
            pool.refresh(0)
            volume = self._find(pool, name)
            flag = self._link.library.VIR_STORAGE_VOL_GET_PHYSICAL
            return 0 if volume is None else int(volume.infoFlags(flag)[2])

        length = await self._link.call("console_log", size)
        if not length or last_bytes <= 0:
            return b""
        parts = [each async for each in self.download(name, offset=max(0, length - last_bytes), logs=True)]
        return b"".join(parts)[-last_bytes:]

    async def delete_logs(self, stem: str) -> None:
        """Remove a copy's console logs, also those that the host has put aside because they grew."""

        def delete(connection: Connection) -> None:
            pool = connection.storagePoolLookupByName(LOGS)
            pool.refresh(0)
            for volume in pool.listAllVolumes(0):
                if volume.name().startswith(stem):
                    volume.delete(0)

        await self._link.call("delete console log", delete)


def _defined(connection: Connection, name: str, path: str) -> Any:
    pool = connection.storagePoolDefineXML(write_pool(name, path), 0)
    pool.setAutostart(1)
    return pool


def _started(pool: Any) -> Any:
    if not pool.isActive():
        pool.build(0)  # its folder, which may have been on a disk that is no longer there
        pool.create(0)
    return pool


async def copy_volume(
    source: Storage, name: str, target: Storage, new_name: str, disk_format: DiskFormat, scratch: Path
) -> None:
    """Bring the file of a volume to another host, or to another name, by way of ``scratch`` on this machine."""
    capacity = await source.capacity(name)
    with scratch.open("w+b") as file:
        async for data in source.download(name):
            file.write(data)
        size = file.tell()
        file.seek(0)
        # With its size and format, so that the host is never in doubt about either, whatever it sees of the bytes.
        await target.create(new_name, disk_format, capacity or size)
        await target.upload(new_name, file, size)
