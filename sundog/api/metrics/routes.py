"""The one operation."""

from __future__ import annotations

from starlette.requests import Request

from sundog.api.kit.context import Context
from sundog.api.kit.links import is_loopback
from sundog.api.kit.service import NO_TOKEN, Reply
from sundog.api.metrics import SERVICE, SHOW, views
from sundog.control import readings
from sundog.errors import Unauthorized


@SERVICE.operation("GET", "", NO_TOKEN)
async def show_metrics(ctx: Context) -> Reply:
    """Show metrics: to whoever asks on this machine, to administrators from elsewhere."""
    if not _is_local(ctx.request):
        _require_administrator(ctx)
    told = views.text(await readings.read(ctx.cloud), ctx.request.app.state.meter.registry)
    return Reply(told, headers={"content-type": views.CONTENT_TYPE})


def _is_local(request: Request) -> bool:
    """Whether a program of this machine asks by an address of this machine.

    One that passes others' requests on, or a page of theirs in a browser, is told by the name that was asked for.
    """
    host = request.url.hostname or ""
    passed_on = any(name.startswith("x-forwarded-") or name == "forwarded" for name in request.headers)
    client = request.client.host if request.client is not None else ""
    return is_loopback(client) and (host == "localhost" or is_loopback(host)) and not passed_on


def _require_administrator(ctx: Context) -> None:
    token = ctx.request.headers.get("x-auth-token")
    if not token:
        raise Unauthorized("The request you have made requires authentication.")
    ctx.policy.require(SHOW, ctx.cloud.identity.authenticate(token), {})
