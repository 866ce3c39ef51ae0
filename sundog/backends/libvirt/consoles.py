"""Consoles of a copy: its serial line by a stream of libvirt's, so that a host needs nothing but its daemon, and its
screen by the connection that a VNC viewer would make.

A host's screens listen on its address, and ask for no password: that address belongs to the owner's own network.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sundog.backends.contract import ConsoleStream, ServerKey
from sundog.backends.libvirt.native import Connection, Library
from sundog.errors import BackendFailed
from sundog.runtime import aio

if TYPE_CHECKING:
    from sundog.backends.libvirt.link import Link

# What a reader is behind at most, in bytes; of what is older the console log has all.
_UNREAD: Final = 2**20
# How often to look for what a guest wrote, in seconds: typing must not feel slow.
_LOOK_S: Final = 0.025
# What is typed at once, and how long to wait until the next.
_PIECE: Final = 1024
_PAUSE_S: Final = 0.05
_AT_ONCE: Final = 64 * 1024
_WOULD_BLOCK: Final = -2


class SerialLine:
    """A serial line that is open: a ``ConsoleStream``. It ends with the connection to its host as well.

    ``run`` looks for what the guest wrote, every so often: libvirt could call back when there is anything, but never
    frees what a callback of a stream was given, and that keeps the connection open for good.
    """

    def __init__(self, link: Link, key: ServerKey) -> None:
        self.key = key
        self._link = link
        self._arrived = bytearray()
        self._changed, self._over, self._typing = aio.Event(), aio.Event(), aio.Lock()
        self._guard, self._given_up = threading.Lock(), False
        self._stream: Any = None

    # -- in threads

    def open(self, connection: Connection, uuid: str) -> None:
        """Take the line of a domain over. To be called in a thread."""
        library: Library = self._link.library
        stream = connection.newStream(library.VIR_STREAM_NONBLOCK)
        connection.lookupByUUIDString(uuid).openConsole(None, stream, library.VIR_DOMAIN_CONSOLE_FORCE)
        with self._guard:
            if not self._given_up:
                self._stream = stream
                return
        stream.abort()  # nobody waits for it any more

    def release(self, *, abort: bool = True) -> None:
        """Give the stream back, which would keep its connection open. To be called in a thread. Repeatable."""
        with self._guard:
            stream, self._stream, self._given_up = self._stream, None, True
        if stream is not None and abort:
            with contextlib.suppress(self._link.library.libvirtError):
                stream.abort()

    def _look(self) -> tuple[bytes, bool]:
        """What the guest wrote since, and whether that was all."""
        stream, data = self._stream, b""
        if stream is None:
            return b"", True
        try:
            while len(data) < _UNREAD and (part := stream.recv(_AT_ONCE)) != _WOULD_BLOCK:
                if not part:
                    return data, True
                data += part
        except self._link.library.libvirtError:
            return data, True
        return data, False

    def _type(self, data: bytes) -> int:
        """How much of it was sent."""
        stream = self._stream
        if stream is None:
            raise _over(self.key)
        try:
            return max(0, int(stream.send(data)))
        except self._link.library.libvirtError as error:
            raise _over(self.key) from error

    # -- on the loop

    def give_up(self) -> None:
        """Have a stream that is still being opened be given back at once."""
        with self._guard:
            self._given_up = True

    async def run(self) -> None:
        """Listen until it ends, and give the line back."""
        try:
            while not self._over.is_set():
                data, over = await self._link.on_lines(self._look)
                self._arrived += data
                del self._arrived[:-_UNREAD]
                if data:
                    self._changed.set()
                if over:
                    self.end()
                with contextlib.suppress(TimeoutError):
                    async with aio.timeout(_LOOK_S):
                        await self._over.wait()
        except BackendFailed:  # its host gives no answer
            pass
        finally:
            self.end()
            with contextlib.suppress(BackendFailed):
                await aio.shield(self._link.let_go(self))

    def end(self) -> None:
        """End it. What was written before can still be read."""
        self._over.set()
        self._changed.set()

    async def read(self) -> bytes:
        """What the guest wrote. Who is far behind misses the oldest of it."""
        while not self._arrived and not self._over.is_set():
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    async def write(self, data: bytes) -> None:
        """Type, some ten thousand bytes a second at most: libvirtd would queue all that the guest does not take."""
        async with self._typing:
            while data:
                if self._over.is_set():
                    raise _over(self.key)
                sent = await self._link.on_lines(partial(self._type, data[:_PIECE]))
                data = data[sent:]
                if data:
                    await aio.sleep(_PAUSE_S)

    async def close(self) -> None:
        """End it."""
        self.end()


class Screen:
    """A screen that is shown: a ``ConsoleStream`` of the bytes of RFB, the protocol of VNC."""

    def __init__(
        self, key: ServerKey, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        let_go: Callable[[Screen], None],
    ) -> None:  # fmt: skip
        self.key = key
        self._reader, self._writer, self._let_go = reader, writer, let_go
        self._ended = False

    def end(self) -> None:
        """End it."""
        if not self._ended:
            self._ended = True
            self._writer.close()
            self._writer.transport.abort()
            self._let_go(self)

    async def read(self) -> bytes:
        """What the screen sent."""
        data = b""
        with contextlib.suppress(ConnectionError):
            data = await self._reader.read(_AT_ONCE)
        if not data:
            self.end()
        return data

    async def write(self, data: bytes) -> None:
        """Send to the screen."""
        if self._reader.at_eof() or self._writer.is_closing():
            self.end()
        if self._ended:
            raise _over(self.key)
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError as error:
            self.end()
            raise _over(self.key) from error

    async def close(self) -> None:
        """End it."""
        self.end()


async def connect_screen(key: ServerKey, address: str, port: int, let_go: Callable[[Screen], None]) -> Screen:
    """The screen that listens on an address. Raises: BackendFailed if nobody does."""
    try:
        reader, writer = await asyncio.open_connection(address, port)
    except OSError as error:
        raise BackendFailed(
            f"the screen of server {key} cannot be reached at {address}:{port}: {error}; see to the way to its host",
            server=key,
        ) from error
    return Screen(key, reader, writer, let_go)


def _over(key: ServerKey) -> BackendFailed:
    return BackendFailed(f"this console of server {key} has ended; open it again", server=key)


if TYPE_CHECKING:

    def _are_consoles(line: SerialLine, screen: Screen) -> tuple[ConsoleStream, ConsoleStream]:
        return line, screen
