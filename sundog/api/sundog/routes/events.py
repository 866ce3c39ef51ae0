"""What happens on hosts, as it happens."""

from __future__ import annotations

from starlette.responses import Response

from sundog.api.kit.context import Context
from sundog.api.sundog import SERVICE, policy
from sundog.api.sundog.streams import EventStreamResponse


@SERVICE.operation("GET", "/events", policy.EVENTS_WATCH)
async def watch_events(ctx: Context) -> Response:
    """Watch what happens on hosts and to servers there from now on, as server-sent events."""
    return EventStreamResponse(ctx.cloud.fleet.watch(), ctx.cloud.clock)
