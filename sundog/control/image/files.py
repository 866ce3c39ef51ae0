"""Where the data of images lie: one file an image in a folder, complete or not there at all.

Data arrive under a name of their own, are flushed to the disk, and only then get the name that counts. There are three
folders: ``incoming`` for what is arriving, ``staged`` for what waits to be imported, ``images`` for the rest. Reads and
writes are short and on the loop, as there are no threads in virtual time; between two of them others have their turn,
and while data are flushed, which is not short.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from sundog.errors import OutputError, TooLarge, Unavailable
from sundog.runtime import aio

BLOCK: Final[int] = 256 * 1024
"""How much is hashed, looked at and written at once: about a millisecond."""


class Inspector(Protocol):
    """Looks at data as they arrive. ``feed`` raises what speaks against them."""

    def feed(self, block: bytes) -> None:
        """Look at the next block."""
        ...


@dataclass(frozen=True, slots=True)
class Received:
    """What has arrived, with its MD5 and SHA-512 in hexadecimal."""

    size: int
    md5: str
    sha512: str


class ImageFiles:
    """The data of images under ``folder``, which is made if it is not there.

    Raises: OutputError if it cannot be.
    """

    def __init__(self, folder: Path) -> None:
        self._incoming, self._staged, self._images = (folder / name for name in ("incoming", "staged", "images"))
        try:
            for each in (self._incoming, self._staged, self._images):
                each.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise OutputError(f"the folder of images {folder} cannot be made: {exc.strerror}") from exc

    async def receive(
        self, image_id: str, chunks: AsyncIterator[bytes], *, inspector: Inspector | None, most: int
    ) -> Received:
        """Take data in, to be kept by :meth:`keep` or :meth:`stage`. If anything goes wrong nothing of them is left.

        Raises: TooLarge for more than ``most`` bytes, or more than the disk has room for; Unavailable if the disk
        fails otherwise; and what ``inspector`` and ``chunks`` raise.
        """
        path = self._incoming / image_id
        try:
            with _disk(path), path.open("wb") as file:
                received = await _copied(_blocks(chunks), file, inspector, most)
                file.flush()
                # A descriptor of its own: the file may be closed meanwhile, as when the client hangs up.
                await aio.apart(_flush, os.dup(file.fileno()))
        except BaseException:  # also when the client hung up
            path.unlink(missing_ok=True)
            raise
        return received

    def keep(self, image_id: str) -> None:
        """Make what was received the data of the image."""
        self._move(self._incoming, self._images, image_id)

    def stage(self, image_id: str) -> None:
        """Let what was received wait to be imported."""
        self._move(self._incoming, self._staged, image_id)

    async def examine(self, image_id: str, inspector: Inspector, *, most: int) -> Received:
        """Look at what is staged.

        Raises: as :meth:`receive`.
        """
        path = self._staged / image_id
        with _disk(path), path.open("rb") as file:
            return await _copied(_reads(file), None, inspector, most)

    def keep_staged(self, image_id: str) -> None:
        """Make what was staged the data of the image."""
        self._move(self._staged, self._images, image_id)

    def open(self, image_id: str) -> BinaryIO:
        """The data of an image, open to be read also after they are removed. Close it.

        Raises: Unavailable if they cannot be read.
        """
        path = self._images / image_id
        with _disk(path):
            return path.open("rb")

    def remove(self, image_id: str) -> None:
        """Remove the data of an image. None are fine. What is arriving goes on to arrive."""
        for folder in (self._images, self._staged):
            (folder / image_id).unlink(missing_ok=True)

    def discard(self, image_id: str) -> None:
        """Remove the data of an image, and those that were received and not kept."""
        (self._incoming / image_id).unlink(missing_ok=True)
        self.remove(image_id)

    def sweep(self, *, kept: Iterable[str], staged: Iterable[str]) -> list[Path]:
        """Remove what is neither the data of an image nor staged, as after a crash; what that was. For a start."""
        known = {self._images / each for each in kept} | {self._staged / each for each in staged}
        folders = (self._incoming, self._staged, self._images)
        stray = sorted(path for folder in folders for path in folder.iterdir() if path.is_file() and path not in known)
        for path in stray:
            path.unlink()
        return stray

    def names(self) -> dict[str, list[str]]:
        """The files that there are, sorted: ``images``, ``staged`` and ``incoming``."""
        folders = (self._incoming, self._staged, self._images)
        return {folder.name: sorted(path.name for path in folder.iterdir()) for folder in folders}

    def staged_ids(self) -> set[str]:
        """The images for which data wait to be imported."""
        return {path.name for path in self._staged.iterdir()}

    def _move(self, source: Path, target: Path, name: str) -> None:
        with _disk(target / name):
            (source / name).rename(target / name)
            for folder in (source, target):
                _sync(folder)


async def _copied(
    blocks: AsyncIterator[bytes], file: BinaryIO | None, inspector: Inspector | None, most: int
) -> Received:
    md5, sha512, size = hashlib.md5(usedforsecurity=False), hashlib.sha512(), 0
    async for block in blocks:
        size += len(block)
        if size > most:
            raise TooLarge(f"The incoming image is too large: the limit of {most} bytes is exceeded", limit=most)
        if inspector is not None:
            inspector.feed(block)
        md5.update(block)
        sha512.update(block)
        if file is not None:
            file.write(block)
        await aio.sleep(0)
    return Received(size, md5.hexdigest(), sha512.hexdigest())


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in blocks of ``BLOCK``: a client may send any number at once, also one at a time."""
    pending = bytearray()
    async for chunk in chunks:
        pending += chunk
        while len(pending) >= BLOCK:
            yield bytes(pending[:BLOCK])
            del pending[:BLOCK]
    if pending:
        yield bytes(pending)


async def _reads(file: BinaryIO) -> AsyncIterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def _flush(descriptor: int) -> None:
    """Make the data of a file last, which takes seconds for a long one, and close it."""
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turns what a disk raises into what a client is told."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise TooLarge(f"Image storage media is full: {exc.strerror}") from exc
        raise Unavailable(f"The storage of images cannot be used: {exc.strerror}", path=str(path)) from exc
