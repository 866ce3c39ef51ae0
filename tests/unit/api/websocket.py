"""A WebSocket client of an application in the same process and on the same loop, over ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

from sundog.runtime import aio


class Socket:
    """One WebSocket: ``await Socket.connect(app, "/path?query")``. ``refused`` says that it was, with 403."""

    def __init__(self, app: Any, target: str, headers: list[tuple[str, str]], protocols: tuple[str, ...]) -> None:
        path, _, query = target.partition("?")
        self._scope = {
            "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "client": ("127.0.0.1", 1),
            "server": ("cloud.test", 80), "subprotocols": list(protocols),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (("host", "cloud.test"), *headers)],
        }  # fmt: skip
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.ensure_future(app(self._scope, self._to_app.get, self._from_app.put))
        self.refused = False
        self.subprotocol: str | None = None
        self.code: int | None = None

    @classmethod
    async def connect(
        cls, app: Any, target: str, *headers: tuple[str, str], protocols: tuple[str, ...] = ("binary",)
    ) -> Socket:
        """A socket that was accepted, or refused."""
        socket = cls(app, target, list(headers), protocols)
        async with aio.timeout(60.0):
            answer = await socket._from_app.get()
        if answer["type"] == "websocket.accept":
            socket.subprotocol = answer["subprotocol"]
        else:
            assert answer["type"] == "websocket.close"
            socket.refused = True
            await socket._task
        return socket

    async def send(self, data: bytes | str) -> None:
        kind = "text" if isinstance(data, str) else "bytes"
        self._to_app.put_nowait({"type": "websocket.receive", kind: data})

    async def receive(self) -> bytes:
        """The next message; empty when the application has closed."""
        async with aio.timeout(600.0):
            message = await self._from_app.get()
        if message["type"] == "websocket.close":
            self.code = message["code"]
            return b""
        data: bytes = message["bytes"]
        return data

    async def until(self, end: bytes) -> bytes:
        """What comes up to ``end``."""
        data = b""
        while not data.endswith(end):
            part = await self.receive()
            assert part, f"closed after {data!r}"
            data += part
        return data

    async def closed(self) -> int | None:
        """Wait for the application to close; its code."""
        while await self.receive():
            pass
        async with aio.timeout(60.0):
            await self._task
        return self.code

    async def leave(self) -> None:
        """Hang up, and see that the application notices."""
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1005})
        async with aio.timeout(60.0):
            await self._task
