"""The data of images on their way: bodies that are not kept in memory, answers that are read from a file."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any, BinaryIO, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sundog.control.image.files import BLOCK
from sundog.errors import Invalid, Unsupported
from sundog.runtime import aio

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DATA: Final = "application/octet-stream"
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_LONGEST: Final = 19
"""Digits of a number of bytes: more fit in no file."""


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives.

    Raises: Invalid if the client hangs up before its end.
    """
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise Invalid("The client hung up before all image data were here.") from None


def told_size(headers: Mapping[str, str]) -> int | None:
    """How many bytes the client says there are; None if it does not.

    Raises: Unsupported for a body that is not said to be data; Invalid for a size that is no number.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != DATA:
        raise Unsupported(f"Invalid content type {kind}; image data are {DATA}", media_type=kind)
    told = headers.get("x-openstack-image-size", headers.get("content-length"))
    if told is None:
        return None
    if not (told.isascii() and told.isdigit()) or len(told) > _LONGEST:
        raise Invalid("Invalid or missing image size in request headers.", size=told)
    return int(told)


def span(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte that a ``Range`` asks for; None if it asks for all.

    Raises: Invalid, with the status 416 for a range that there is not.
    """
    if header is None:
        return None
    if "," in header:
        raise Invalid("Requests with multiple ranges are not supported; make several requests with one range each.")
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-" or max(len(match[1]), len(match[2])) > _LONGEST:
        raise Invalid("Invalid Range header.", status=416)
    if not match[1]:
        first, last = max(size - int(match[2]), 0), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
    if first > last:
        raise Invalid(f"Invalid Range header: the image has {size} bytes.", status=416)
    return first, last


class FileResponse(Response):
    """An answer that is read from an open file, which it closes. Starlette's own reads in threads."""

    def __init__(
        self, file: BinaryIO, first: int, count: int, request: Request, *, status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status_code=status, headers=headers, media_type=DATA)
        self.headers["content-length"] = str(count)
        self._file, self._first, self._count, self._request = file, first, count, request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; less of it if the client hangs up."""
        with self._file as file:
            file.seek(self._first)
            left = self._count
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while left and not await self._request.is_disconnected():
                block = file.read(min(BLOCK, left))
                left -= len(block)
                await send({"type": "http.response.body", "body": block, "more_body": True})
                await aio.sleep(0)
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class ThenResponse(Response):
    """An empty answer after which something is done, also if the client is not there any more to get it."""

    def __init__(self, status: int, then: Callable[[], Awaitable[None]]) -> None:
        super().__init__(status_code=status)
        self.headers["content-length"] = "0"
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and go on."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._then()
