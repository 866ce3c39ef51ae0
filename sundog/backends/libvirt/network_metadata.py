"""169.254.169.254 of every network: who asks is told by the network and the address, which port security keeps honest.

The socket is made inside the network's namespace, by a helper that hands it over and ends; what is accepted on it stays
in that namespace. No header that a guest sends is passed on or believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from sundog.backends.libvirt.network_dnsmasq import SERVER
from sundog.backends.networks import WiredNetwork
from sundog.errors import BackendFailed, SundogError
from sundog.runtime import aio
from sundog.units import Seconds

PORT: Final = 80
_LONGEST: Final = 8192
_PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Caller:
    """A server that asks for its metadata."""

    server_id: str
    project_id: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a guest is answered."""

    status: int
    content: bytes = b""
    media_type: str = "text/plain; charset=utf-8"


Ask: TypeAlias = Callable[[str, Caller], Awaitable[Reply]]
"""The metadata service: the document at a path, for a caller that is known."""


def callers(network: WiredNetwork) -> dict[str, Caller]:
    """Who asks on a network, by address."""
    return {
        address.ip: Caller(port.server_id, port.project_id)
        for port in network.ports
        for address in port.addresses
        if port.server_id
    }


async def answer(head: bytes, caller: Caller | None, ask: Ask) -> Reply:
    """What a request, as it came with all its headers, is answered."""
    words = head.partition(b"\r\n")[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1.") or not words[1].startswith(b"/"):
        return Reply(400, b"Bad Request\n")
    if words[0] not in (b"GET", b"HEAD"):
        return Reply(405, b"Method Not Allowed\n")
    if caller is None:
        return Reply(404, b"Not Found\n")
    try:
        path = words[1].decode("ascii").partition("?")[0]
    except UnicodeDecodeError:
        return Reply(400, b"Bad Request\n")
    reply = await ask(path, caller)
    return Reply(reply.status, b"", reply.media_type) if words[0] == b"HEAD" else reply


def written(reply: Reply) -> bytes:
    """A reply as HTTP/1.1; the connection ends with it."""
    return (
        f"HTTP/1.1 {reply.status} -\r\nContent-Type: {reply.media_type}\r\n"
        f"Content-Length: {len(reply.content)}\r\nConnection: close\r\n\r\n"
    ).encode() + reply.content


class Doors:
    """The sockets of networks, by namespace, and who is known on them."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._servers: dict[str, asyncio.Server] = {}
        self._callers: dict[str, Mapping[str, Caller]] = {}

    async def open(self, namespace: str, network: WiredNetwork) -> None:
        """Answer on a network, for the ports that it has now. Raises: BackendFailed."""
        self._callers[namespace] = callers(network)
        if namespace not in self._servers:
            made = await socket_in(namespace)

            async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._talk(namespace, reader, writer)

            self._servers[namespace] = await asyncio.start_server(talk, sock=made, limit=_LONGEST)

    async def _talk(self, namespace: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        try:
            async with aio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                caller = self._callers.get(namespace, {}).get(peer[0]) if peer else None
                try:
                    reply = await answer(head, caller, self._ask)
                except SundogError:
                    reply = Reply(500, b"Internal Server Error\n")
                writer.write(written(reply))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a guest that asks too slowly, too much, or has gone
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def close(self, namespace: str) -> None:
        """Answer no longer on a network."""
        self._callers.pop(namespace, None)
        server = self._servers.pop(namespace, None)
        if server is not None:
            server.close()

    def close_all(self) -> None:
        """Answer nobody any longer."""
        for namespace in list(self._servers):
            self.close(namespace)


_HELPER: Final = """
import socket, sys
made = socket.socket()
made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
made.bind((sys.argv[1], int(sys.argv[2])))
made.listen(128)
socket.send_fds(socket.socket(fileno=int(sys.argv[3])), [b"x"], [made.fileno()])
"""


async def socket_in(namespace: str, *, limit: Seconds = 30.0) -> socket.socket:
    """A socket that listens at the metadata address in a namespace of this machine. Raises: BackendFailed."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(
            "ip", "netns", "exec", namespace, sys.executable, "-I", "-c", _HELPER, SERVER, str(PORT),
            str(theirs.fileno()),
            pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with aio.timeout(limit):
                _, err = await process.communicate()
        except TimeoutError:
            process.kill()
            raise BackendFailed(f"no socket for metadata in {namespace} after {limit:.0f} s") from None
        if process.returncode:
            last = err.decode(errors="replace").strip().rpartition("\n")[2]
            raise BackendFailed(f"metadata cannot be answered in {namespace}: {last}")
        ours.setblocking(False)
        _, handles, _, _ = socket.recv_fds(ours, 1, 1)
    made = socket.socket(fileno=handles[0])
    made.setblocking(False)
    return made
