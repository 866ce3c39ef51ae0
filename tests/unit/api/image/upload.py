"""An upload that a test takes through its steps."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.api.image.cloud import Cloud


class Upload:
    """An upload by hand, step by step, on one loop."""

    def __init__(self, cloud: Cloud, path: str, user: str = "alice") -> None:
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PUT", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("c", 1),
            "server": ("s", 80),
            "headers": [
                (b"host", b"s"), (b"x-auth-token", user.encode()), (b"content-type", b"application/octet-stream"),
            ],
        }  # fmt: skip

        async def send(message: Any) -> None:
            self.sent.append(message)

        self.task = asyncio.ensure_future(cloud.app(scope, self.queue.get, send))

    async def put(self, data: bytes, *, more: bool = True) -> None:
        self.queue.put_nowait({"type": "http.request", "body": data, "more_body": more})
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])
