"""Images, as compute told of them until 2.35: the image service does it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from sundog.api.compute.policy import RULES
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views.common import BASE, links, next_links, page_limit, when
from sundog.api.kit.bodies import Query
from sundog.api.kit.context import Context
from sundog.control.image.listing import Wanted
from sundog.control.image.records import Image
from sundog.errors import Forbidden, NotFound

UNTIL: Final = "2.35"
LIST: Final = RULES["os_compute_api:images:list"]
DELETE: Final = RULES["os_compute_api:images:delete"]

_STATUS: Final = {"active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "deleted": "DELETED", "killed": "ERROR"}
_FROM_STATUS: Final = {"ACTIVE": "active", "SAVING": "queued", "DELETED": "deleted", "ERROR": "killed"}
_PROGRESS: Final = {"queued": 25, "saving": 50, "active": 100}


class ListImages(Query):
    """Which images, and which page of them."""

    name: str | None = None
    status: str | None = None
    server: str | None = None
    """The server of which an image was made: its id, or an address that ends in it."""
    type: str | None = None
    changes_since: str | None = Field(None, alias="changes-since")
    marker: str | None = None
    limit: int | None = Field(None, ge=0)


@SERVICE.operation("GET", f"{BASE}/images", LIST, until=UNTIL)
async def list_images(ctx: Context, query: ListImages) -> dict[str, Any]:
    """List images in brief."""
    found = _found(ctx, query)
    told = [{"id": each.id, "name": each.name, "links": _links(ctx, each.id)} for each in found]
    return _page(ctx, query, found, told)


@SERVICE.operation("GET", f"{BASE}/images/detail", LIST, until=UNTIL)
async def list_images_in_detail(ctx: Context, query: ListImages) -> dict[str, Any]:
    """List images with all that is known of them."""
    found = _found(ctx, query)
    return _page(ctx, query, found, [_told(ctx, each) for each in found])


@SERVICE.operation("GET", f"{BASE}/images/{{image_id}}", LIST, until=UNTIL)
async def show_image(ctx: Context, image_id: str) -> dict[str, Any]:
    """Show an image."""
    return {"image": _told(ctx, image_of(ctx, image_id))}


@SERVICE.operation("DELETE", f"{BASE}/images/{{image_id}}", DELETE, status=204, until=UNTIL)
async def delete_image(ctx: Context, image_id: str) -> None:
    """Delete an image."""
    image = image_of(ctx, image_id)
    if not ctx.may(DELETE, {"project_id": image.owner or ""}):
        raise Forbidden("You are not authorized to delete this image.", image=image_id)
    ctx.cloud.image.delete(ctx.who, image_id)


def image_of(ctx: Context, image_id: str) -> Image:
    """An image. Raises: NotFound in compute's words, for one that the caller does not see too."""
    try:
        image: Image = ctx.cloud.image.show(ctx.who, image_id)
    except NotFound:
        raise NotFound("Image not found.", image=image_id) from None
    return image


def _found(ctx: Context, query: ListImages) -> list[Image]:
    filters = {
        "name": query.name,
        "status": None if query.status is None else _FROM_STATUS.get(query.status.upper(), ""),
        "instance_uuid": None if query.server is None else query.server.rpartition("/")[2],
        "image_type": query.type,
        "updated_at": None if query.changes_since is None else f"gte:{query.changes_since}",
    }
    wanted = Wanted(
        filters={name: value for name, value in filters.items() if value is not None},
        marker=query.marker,
        limit=page_limit(query.limit),
    )
    return list(ctx.cloud.image.list(ctx.who, wanted))


def _page(ctx: Context, query: ListImages, found: list[Image], told: list[dict[str, Any]]) -> dict[str, Any]:
    page: dict[str, Any] = {"images": told}
    following = next_links(ctx, [each.id for each in found], query.limit) if query.limit else []
    return {**page, "images_links": following} if following else page


def _links(ctx: Context, image_id: str) -> list[dict[str, str]]:
    elsewhere = f"{ctx.root}/image/images/{image_id}"
    alternate = {"rel": "alternate", "type": "application/vnd.openstack.image", "href": elsewhere}
    return [*links(ctx, "images", image_id), alternate]


def _told(ctx: Context, image: Image) -> dict[str, Any]:
    """An image with all that is known of it; one that was made of a server says so."""
    told: dict[str, Any] = {
        "id": image.id,
        "name": image.name,
        "minRam": image.min_ram,
        "minDisk": image.min_disk,
        "metadata": dict(image.properties),
        "created": when(image.created_at),
        "updated": when(image.updated_at),
        "status": _STATUS.get(image.status, "UNKNOWN"),
        "progress": _PROGRESS.get(image.status, 0),
        "OS-EXT-IMG-SIZE:size": image.size,
        "links": _links(ctx, image.id),
    }
    server = image.properties.get("instance_uuid")
    if server is not None:
        told["server"] = {"id": server, "links": links(ctx, "servers", server)}
    return told
