"""A client of an application in the same process, over ASGI: no socket, no thread."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2 as httpx


class Client:
    """Sends one request at a time on an ordinary loop. ``headers`` go with each."""

    def __init__(self, app: Any, *, base: str = "http://cloud.test", **headers: str) -> None:
        self._app, self._base = app, base
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def __call__(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url=self._base) as client:
                return await client.request(method, path, headers=self.headers | (headers or {}), **options)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:
        return self("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self("DELETE", path, **options)
