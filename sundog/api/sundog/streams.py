"""Server-sent events (WHATWG HTML, 9.2): text that never ends, an event a paragraph, comments to keep it alive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from pydantic_core import to_json
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sundog.api.sundog import views
from sundog.control.clock import Clock
from sundog.control.fleet import Watch
from sundog.units import Seconds

HEARTBEAT: Final[Seconds] = 15.0
"""Real seconds of silence after which a comment is sent: a client that has gone is found out, a proxy keeps waiting."""

_FASTEST: Final = 60.0
# Waiting is in the cloud's time: one that was begun at a high rate must not last for days if time slows down meanwhile.


class EventStreamResponse(StreamingResponse):
    """Sends what a watch tells until that is closed or the client goes; closes it in either case."""

    def __init__(self, watch: Watch, clock: Clock) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(_paragraphs(watch, clock), media_type="text/event-stream", headers=headers)
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._watch.close()


async def _paragraphs(watch: Watch, clock: Clock) -> AsyncIterator[bytes]:
    yield b": what happens from now on\n\n"
    while True:
        try:
            happened = await watch.next(HEARTBEAT * min(_FASTEST, max(1.0, clock.read().rate)))
        except StopAsyncIteration:
            return
        if happened is None:
            yield b": nothing happens\n\n"
        else:
            yield b"event: %s\ndata: %s\n\n" % (happened.kind.encode(), to_json(views.happening(happened)))
