"""What was asked of servers."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import server_of, stepped, target
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.server_details import ACTIONS, nothing
from sundog.api.compute.views import server_details as views
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.api.kit.paging import MOST_ITEMS, next_link
from sundog.control.compute.actions import ActionQuery
from sundog.control.compute.records import Action, Server
from sundog.errors import Invalid

_PATH: Final = f"{BASE}/servers/{{server_id}}/os-instance-actions"
_RULE: Final = "os_compute_api:os-instance-actions"


@stepped("GET", _PATH, RULES[f"{_RULE}:list"], queries=ACTIONS, own=False)
async def list_actions(ctx: Context, server_id: str, query: Any) -> dict[str, Any]:
    """List what was asked of a server, the newest first."""
    server = server_of(ctx, server_id, f"{_RULE}:list", deleted=ctx.at_least("2.21"))
    if not ctx.at_least("2.58"):
        return {"instanceActions": [_action(ctx, each) for each in ctx.cloud.compute.actions.list_all(server.id)]}
    since, before = query.changes_since, getattr(query, "changes_before", None)
    if since is not None and before is not None and before < since:
        raise Invalid("The value of changes-since must be less than or equal to changes-before.")
    limit = MOST_ITEMS if query.limit is None else min(query.limit, MOST_ITEMS)
    found = [] if limit == 0 else ctx.cloud.compute.actions.list_all(
        server.id, ActionQuery(since, before, limit, query.marker)
    )  # fmt: skip
    told: dict[str, Any] = {"instanceActions": [_action(ctx, each) for each in found]}
    if found and len(found) == limit:
        told["links"] = [{"rel": "next", "href": next_link(ctx, found[-1].request_id)}]
    return told


@stepped("GET", f"{_PATH}/{{request_id}}", RULES[f"{_RULE}:show"], queries=nothing(), own=False)
async def show_action(ctx: Context, server_id: str, request_id: str) -> dict[str, Any]:
    """Show what a request asked of a server, and its steps."""
    server = server_of(ctx, server_id, f"{_RULE}:show", deleted=ctx.at_least("2.21"))
    action: Action = ctx.cloud.compute.actions.show(server.id, request_id)
    told = _action(ctx, action)
    events = _events(ctx, server, action)
    return {"instanceAction": told if events is None else told | {"events": events}}


def _action(ctx: Context, action: Action) -> dict[str, Any]:
    return views.action(action, updated=ctx.at_least("2.58"))


def _events(ctx: Context, server: Server, action: Action) -> list[dict[str, Any]] | None:
    """The steps of an action: for administrators, and since 2.51 for all, with less of each."""
    whole = ctx.may(RULES[f"{_RULE}:events"], target(server))
    if not whole and not ctx.at_least("2.51"):
        return None
    details = ctx.at_least("2.84") and ctx.may(RULES[f"{_RULE}:events:details"], target(server))
    by_uuid = ctx.cloud.compute.hosts.by_uuid
    return [
        views.event(
            each,
            by_uuid(each.host),
            server.project_id,
            traceback=whole,
            host_name=whole and ctx.at_least("2.62"),
            hashed_host=ctx.at_least("2.62"),
            details=details,
        )
        for each in ctx.cloud.compute.actions.events(action)
    ]
