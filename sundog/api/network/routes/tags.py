"""Tags of everything that may have some, made for all kinds alike."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from sundog.api.kit.context import Context
from sundog.api.network.kinds import FLOATING_IP, GROUP, NETWORK, PORT, ROUTER, SUBNET, SUBNET_POOL, Kind, shown
from sundog.api.network.policy import RULES
from sundog.api.network.schemas import Tags, TagText
from sundog.api.network.service import SERVICE
from sundog.api.network.views import target
from sundog.control.network.tags import missing_tag
from sundog.errors import Invalid

_TAG: Final[TypeAdapter[str]] = TypeAdapter(TagText)
_PARTS: Final = (
    ("networks", NETWORK, "networks"),
    ("subnets", SUBNET, "subnets"),
    ("ports", PORT, "ports"),
    ("security-groups", GROUP, "groups"),
    ("routers", ROUTER, "routers"),
    ("floatingips", FLOATING_IP, "floating_ips"),
    ("subnetpools", SUBNET_POOL, "subnet_pools"),
)


def _declare(collection: str, kind: Kind, part: str) -> None:
    """The operations on the tags of one kind of thing."""
    path = f"/v2.0/{collection}/{{identifier}}/tags"
    get, put, delete = (RULES[f"{action}_{kind.one}:tags"] for action in ("get", "update", "delete"))
    post = RULES[f"create_{kind.one}:tags"]

    def record(ctx: Context, identifier: str, action: str) -> Any:
        each = shown(ctx, kind, getattr(ctx.cloud.network, part), identifier)
        ctx.require(RULES[f"{action}_{kind.one}:tags"], target(each))
        return each

    async def list_tags(ctx: Context, identifier: str) -> dict[str, Any]:
        """List the tags of a thing."""
        return {"tags": list(record(ctx, identifier, "get").tags)}

    async def replace_tags(ctx: Context, identifier: str, body: Tags) -> dict[str, Any]:
        """Give a thing these tags and no others."""
        record(ctx, identifier, "update")
        return {"tags": ctx.cloud.network.tags.replace(collection, identifier, body.tags)}

    async def add_tags(ctx: Context, identifier: str, body: Tags) -> dict[str, Any]:
        """Give a thing further tags."""
        record(ctx, identifier, "create")
        return {"tags": ctx.cloud.network.tags.add(collection, identifier, body.tags)}

    async def remove_tags(ctx: Context, identifier: str) -> None:
        """Take all tags away."""
        record(ctx, identifier, "delete")
        ctx.cloud.network.tags.replace(collection, identifier, ())

    async def check_tag(ctx: Context, identifier: str, tag: str) -> None:
        """Check that a thing has a tag."""
        if tag not in record(ctx, identifier, "get").tags:
            raise missing_tag(tag)

    async def add_tag(ctx: Context, identifier: str, tag: str) -> None:
        """Give a thing a tag."""
        record(ctx, identifier, "update")
        ctx.cloud.network.tags.add(collection, identifier, [_checked(tag)])

    async def remove_tag(ctx: Context, identifier: str, tag: str) -> None:
        """Take a tag away."""
        record(ctx, identifier, "delete")
        ctx.cloud.network.tags.remove(collection, identifier, tag)

    for handler in (list_tags, replace_tags, add_tags, remove_tags, check_tag, add_tag, remove_tag):
        handler.__name__ = f"{handler.__name__}_of_{kind.many}"
    SERVICE.operation("GET", path, get, own=False)(list_tags)
    SERVICE.operation("PUT", path, put, own=False)(replace_tags)
    SERVICE.operation("POST", path, post, own=False)(add_tags)
    SERVICE.operation("DELETE", path, delete, status=204, own=False)(remove_tags)
    SERVICE.operation("GET", f"{path}/{{tag}}", get, status=204, own=False)(check_tag)
    SERVICE.operation("PUT", f"{path}/{{tag}}", put, status=201, own=False)(add_tag)
    SERVICE.operation("DELETE", f"{path}/{{tag}}", delete, status=204, own=False)(remove_tag)


def _checked(tag: str) -> str:
    try:
        return _TAG.validate_python(tag)
    except ValidationError:
        raise Invalid("a tag has 1 to 255 characters, none of them a control character") from None


for _each in _PARTS:
    _declare(*_each)
