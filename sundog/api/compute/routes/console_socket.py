"""Consoles to type at: a WebSocket that carries the bytes of one, for whoever has a token.

As Nova's proxies and their clients do it: the token is in the query, ``binary`` is the subprotocol, and each message
is bytes as they come. A browser says from which page it asks, and only our own may.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from sundog.api.compute.service import SERVICE
from sundog.api.kit.links import public_base
from sundog.backends.contract import ConsoleStream
from sundog.errors import BackendFailed, Forbidden

SUBPROTOCOL: Final = "binary"
_HTTP: Final = {"ws": "http", "wss": "https"}
_PORTS: Final = {"http": 80, "https": 443}


@SERVICE.socket("/console")
async def serve_console(cloud: Any, socket: WebSocket) -> None:
    """Carry a console until either side ends it. Refused without a word of why."""
    _check_origin(socket)
    tokens = socket.query_params.getlist("token")
    if len(tokens) != 1:
        raise Forbidden("a console is asked for with one token")
    console = await cloud.compute.consoles.open(tokens[0])
    try:
        offered = socket.scope.get("subprotocols", ())
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        await _carry(socket, console)
    finally:
        await console.close()


def _check_origin(socket: WebSocket) -> None:
    """Raises: Forbidden for a browser that asks from a page of somebody else. Others send no origin."""
    origins = socket.headers.getlist("origin")
    if not origins:
        return
    own = _place(public_base(socket.headers, _HTTP.get(socket.url.scheme, socket.url.scheme)))
    if own is None or [_place(origin) for origin in origins] != [own]:
        raise Forbidden("a console is not for pages of other places")


def _place(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an address, by which two are of one origin; None if it has none."""
    with suppress(ValueError):
        parts = urlsplit(address.lower())
        if parts.scheme in _PORTS and parts.hostname:
            return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]
    return None


async def _carry(socket: WebSocket, console: ConsoleStream) -> None:
    """Both ways, until one of them comes to its end."""
    loop = asyncio.get_running_loop()
    ways = [loop.create_task(_from_guest(socket, console)), loop.create_task(_to_guest(socket, console))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
    for way in ways:
        if not way.cancelled():
            way.result()
    if WebSocketState.DISCONNECTED not in (socket.client_state, socket.application_state):
        with suppress(WebSocketDisconnect, RuntimeError):  # it may go in the same moment
            await socket.close()


async def _from_guest(socket: WebSocket, console: ConsoleStream) -> None:
    with suppress(WebSocketDisconnect):
        while data := await console.read():
            await socket.send_bytes(data)


async def _to_guest(socket: WebSocket, console: ConsoleStream) -> None:
    with suppress(BackendFailed):  # it has ended; the other way carries what it said last
        while (message := await socket.receive())["type"] == "websocket.receive":
            data = message.get("bytes") or (message.get("text") or "").encode(errors="replace")
            await console.write(data)
        return
    await asyncio.get_running_loop().create_future()
