"""Tags of servers, since 2.26."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from sundog.api.compute.common import caller, server_of, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.server_details import Tags, nothing
from sundog.api.compute.schemas.server_parts import TagText
from sundog.api.compute.schemas.servers import MOST_TAGS
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.api.kit.service import Reply
from sundog.errors import Invalid, NotFound

_PATH: Final = f"{BASE}/servers/{{server_id}}/tags"
_RULE: Final = "os_compute_api:os-server-tags"
_TAG: Final[TypeAdapter[str]] = TypeAdapter(TagText)


@stepped("GET", _PATH, RULES[f"{_RULE}:index"], queries=nothing("2.26"), own=False)
async def list_server_tags(ctx: Context, server_id: str) -> dict[str, Any]:
    """List the tags of a server."""
    return {"tags": list(server_of(ctx, server_id, f"{_RULE}:index").tags)}


@SERVICE.operation("PUT", _PATH, RULES[f"{_RULE}:update_all"], since="2.26", own=False)
async def replace_server_tags(ctx: Context, server_id: str, body: Tags) -> dict[str, Any]:
    """Give a server these tags and no others."""
    server_of(ctx, server_id, f"{_RULE}:update_all")
    return {"tags": list(ctx.cloud.compute.servers.set_tags(caller(ctx), server_id, body.tags))}


@SERVICE.operation("DELETE", _PATH, RULES[f"{_RULE}:delete_all"], since="2.26", status=204, own=False)
async def delete_server_tags(ctx: Context, server_id: str) -> None:
    """Take all tags away."""
    server_of(ctx, server_id, f"{_RULE}:delete_all")
    ctx.cloud.compute.servers.set_tags(caller(ctx), server_id, (), name="delete_tags")


@stepped("GET", f"{_PATH}/{{tag}}", RULES[f"{_RULE}:show"], queries=nothing("2.26"), status=204, own=False)
async def check_server_tag(ctx: Context, server_id: str, tag: str) -> None:
    """Check that a server has a tag."""
    if tag not in server_of(ctx, server_id, f"{_RULE}:show").tags:
        raise _missing(server_id, tag)


@SERVICE.operation("PUT", f"{_PATH}/{{tag}}", RULES[f"{_RULE}:update"], since="2.26", status=201, own=False)
async def add_server_tag(ctx: Context, server_id: str, tag: str) -> Reply:
    """Give a server a tag."""
    server = server_of(ctx, server_id, f"{_RULE}:update")
    _check(tag)
    if len(server.tags) >= MOST_TAGS:
        raise Invalid(f"The number of tags exceeded the per-server limit {MOST_TAGS}")
    # Even a tag that is there already is only taken in a state in which tags may change.
    tags = dict.fromkeys((*server.tags, tag))
    ctx.cloud.compute.servers.set_tags(caller(ctx), server_id, tags, name="update_tag")
    if tag in server.tags:
        return Reply(status=204)
    return Reply(headers={"location": ctx.link(f"{BASE}/servers/{server_id}/tags/{tag}")})


@SERVICE.operation("DELETE", f"{_PATH}/{{tag}}", RULES[f"{_RULE}:delete"], since="2.26", status=204, own=False)
async def delete_server_tag(ctx: Context, server_id: str, tag: str) -> None:
    """Take a tag away."""
    server = server_of(ctx, server_id, f"{_RULE}:delete")
    if tag not in server.tags:
        raise _missing(server_id, tag)
    tags = [each for each in server.tags if each != tag]
    ctx.cloud.compute.servers.set_tags(caller(ctx), server_id, tags, name="delete_tag")


def _check(tag: str) -> None:
    try:
        _TAG.validate_python(tag)
    except ValidationError:
        raise Invalid(
            f"Tag '{tag[:255]}' is invalid. It must be a non empty string without characters '/' and ','."
        ) from None


def _missing(server_id: str, tag: str) -> NotFound:
    return NotFound(f"Server {server_id} has no tag '{tag[:255]}'", tag=tag)
