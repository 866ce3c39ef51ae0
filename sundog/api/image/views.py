"""From records to what Glance's clients read. Addresses are told as Glance does: without host, from ``/v2`` on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from sundog.api.kit.context import Context
from sundog.api.kit.paging import query_without
from sundog.control.image.data import STORE
from sundog.control.image.records import Image, Member, Task
from sundog.control.image.states import WITH_DATA

# Clients find out what a cloud can do by these. 2.10 and 2.11 are about several stores; after 2.12 come proxies between
# workers, the cache and locations.
_VERSIONS: Final = ("v2.12", *(f"v2.{minor}" for minor in range(9, -1, -1)))

_ATTRIBUTES: Final = (
    "id", "name", "status", "visibility", "owner", "protected", "os_hidden", "disk_format", "container_format",
    "min_disk", "min_ram", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value",
)  # fmt: skip


def versions(ctx: Context) -> dict[str, Any]:
    """The versions, newest first, all at one address."""
    link = {"rel": "self", "href": ctx.link("/v2/")}
    return {
        "versions": [
            {"id": version, "status": "SUPPORTED" if number else "CURRENT", "links": [link]}
            for number, version in enumerate(_VERSIONS)
        ]
    }


def time(instant: datetime) -> str:
    """An instant as Glance writes it: to the second, in UTC."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def image(image: Image) -> dict[str, Any]:
    """An image, its properties among its attributes."""
    told = {
        **image.properties,
        **{name: getattr(image, name) for name in _ATTRIBUTES},
        "created_at": time(image.created_at),
        "updated_at": time(image.updated_at),
        "tags": list(image.tags),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }
    if image.status in WITH_DATA:
        told["stores"] = STORE
    return told


def images(ctx: Context, images: Sequence[Image], limit: int) -> dict[str, Any]:
    """A page of a list, with where the next one is if this one is full."""
    query = query_without(ctx, "marker")
    told: dict[str, Any] = {
        "images": [image(each) for each in images],
        "first": _address("/v2/images", query),
        "schema": "/v2/schemas/images",
    }
    if images and len(images) == limit:
        told["next"] = _address("/v2/images", [*query, ("marker", images[-1].id)])
    return told


def member(member: Member) -> dict[str, Any]:
    """A member of an image."""
    return {
        "member_id": member.member_id,
        "image_id": member.image_id,
        "status": member.status,
        "created_at": time(member.created_at),
        "updated_at": time(member.updated_at),
        "schema": "/v2/schemas/member",
    }


def members(members: Sequence[Member]) -> dict[str, Any]:
    """The members of an image."""
    return {"members": [member(each) for each in members], "schema": "/v2/schemas/members"}


def task(task: Task) -> dict[str, Any]:
    """An import."""
    return {
        "id": task.id,
        "image_id": task.image_id,
        "type": task.type,
        "status": task.status,
        "owner": task.owner,
        "user_id": task.user_id,
        "request_id": task.request_id,
        "input": task.input,
        "result": task.result,
        "message": task.message,
        "expires_at": None,
        "created_at": time(task.created_at),
        "updated_at": time(task.updated_at),
    }


def _address(path: str, query: Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
