"""Stands between a driver and libvirt's daemons, and lets single calls go wrong as they do on a wire.

libvirt's messages have a length and a header of six numbers (``virnetprotocol.x``); nothing more is looked at here.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import dataclass, field
from typing import Final, Literal

Trick = Literal["fail", "hang", "lose"]

PROGRAM: Final = 0x20008086
CALL, REPLY = 0, 1
FAILED: Final = 1  # the status of a reply
INTERNAL_ERROR: Final = 1  # VIR_ERR_INTERNAL_ERROR
DOMAIN_CREATE, DOMAIN_DESTROY, DOMAIN_UNDEFINE_FLAGS = 9, 12, 231  # remote_protocol.x


@dataclass
class Wire:
    """A port of this machine that leads to one daemon. ``tricks`` are played once each, by procedure."""

    host: str
    port: int
    tricks: dict[int, Trick] = field(default_factory=dict)
    swallowed: bool = False
    server: asyncio.Server | None = None
    serving: dict[asyncio.Task[None], None] = field(default_factory=dict)

    async def open(self) -> int:
        """Listen; the port that is listened on."""
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more connections, and end those that there are."""
        if self.server is not None:
            self.server.close()
        for task in self.serving:
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)

    async def idle(self) -> None:
        """Return when nobody is connected. A call that was never answered holds its connection as long as it waits."""
        while self.serving and not self.swallowed:
            await asyncio.sleep(0.01)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._pass_on(reader, writer))
        self.serving[task] = None
        task.add_done_callback(self.serving.pop)
        task.add_done_callback(lambda _task: writer.close())  # also if it was cancelled before it began

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(3):  # wait_for loses a connection that came as it was cancelled
                there_reader, there_writer = await asyncio.open_connection(self.host, self.port)
        except (OSError, TimeoutError):
            writer.close()
            return
        lost: set[int] = set()
        ways = [
            asyncio.ensure_future(self._forward(reader, there_writer, writer, lost)),
            asyncio.ensure_future(self._back(there_reader, writer, lost)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for each in (writer, there_writer):
                each.transport.abort()
                with contextlib.suppress(ConnectionError):
                    await each.wait_closed()

    async def _forward(
        self, reader: asyncio.StreamReader, there: asyncio.StreamWriter, back: asyncio.StreamWriter, lost: set[int]
    ) -> None:
        async for message in _messages(reader):
            program, _, procedure, kind, serial, _ = struct.unpack(">6I", message[4:28])
            trick = self.tricks.pop(procedure, None) if (program, kind) == (PROGRAM, CALL) else None
            if trick == "fail":
                back.write(_error(message, "as was ordered"))
            elif trick == "lose":
                lost.add(serial)
            elif trick == "hang":
                self.swallowed = True
            if trick in (None, "lose"):
                there.write(message)
                await there.drain()

    async def _back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: set[int]) -> None:
        async for message in _messages(there):
            _, _, _, kind, serial, _ = struct.unpack(">6I", message[4:28])
            if kind == REPLY and serial in lost:
                return
            writer.write(message)
            await writer.drain()


async def _messages(reader: asyncio.StreamReader):  # type: ignore[no-untyped-def]
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readexactly(4)
            yield head + await reader.readexactly(struct.unpack(">I", head)[0] - 4)


def _error(call: bytes, text: str) -> bytes:
    """The reply that a call failed."""
    program, version, procedure, _, serial, _ = struct.unpack(">6I", call[4:28])
    said = text.encode()
    padded = said + b"\0" * (-len(said) % 4)
    body = struct.pack(">6I", program, version, procedure, REPLY, serial, FAILED)
    body += struct.pack(">3I", INTERNAL_ERROR, 10, 1) + struct.pack(">I", len(said)) + padded
    body += struct.pack(">I", 2)  # level: an error
    body += struct.pack(">4I", 0, 0, 0, 0)  # no domain, no strings
    body += struct.pack(">2i", 0, 0) + struct.pack(">I", 0)  # two numbers, no network
    return struct.pack(">I", len(body) + 4) + body
