"""Events that other services tell of servers."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.server_details import EVENTS, Event, Events
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.api.kit.service import Reply
from sundog.control.viewer import EVERYTHING
from sundog.errors import NotFound

_NEED_A_TAG: Final = ("volume-extended", "power-update", "accelerator-request-bound")


@stepped(
    "POST",
    f"{BASE}/os-server-external-events",
    RULES["os_compute_api:os-server-external-events:create"],
    bodies=EVENTS,
)
async def create_server_external_events(ctx: Context, body: Events) -> Reply:
    """Take note of events. Nothing waits for one: what they tell is looked up when it is needed."""
    codes = [_code(ctx, each) for each in body.events]
    told: list[dict[str, Any]] = [
        each.model_dump(exclude_unset=True) | {"status": "completed" if code == 200 else "failed", "code": code}
        for each, code in zip(body.events, codes, strict=True)
    ]
    return Reply({"events": told}, 200 if set(codes) == {200} else 207)


def _code(ctx: Context, event: Event) -> int:
    """What becomes of an event: 404 for no such server, 422 for one without a host."""
    try:
        server = ctx.cloud.compute.servers.show(EVERYTHING, event.server_uuid)
    except NotFound:
        return 404
    if str(event.name) in _NEED_A_TAG and event.tag is None:
        return 400
    return 200 if server.host is not None else 422
