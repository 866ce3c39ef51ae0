"""Metadata of images, as compute told of them until 2.38: they are properties in the image service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Final

from sundog.api.compute.policy import RULES
from sundog.api.compute.routes.images import image_of
from sundog.api.compute.schemas.server_details import OneItem, SeveralItems
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views.common import BASE
from sundog.api.image.schemas import check_writable
from sundog.api.kit.context import Context
from sundog.control.image.records import Image
from sundog.errors import Forbidden, Invalid, NotFound

UNTIL: Final = "2.38"
LIST: Final = RULES["os_compute_api:images:list"]
UPDATE: Final = RULES["os_compute_api:images:update"]

_ATTRIBUTES: Final = frozenset(each.name for each in fields(Image))
_PATH: Final = f"{BASE}/images/{{image_id}}/metadata"

Properties = Mapping[str, str]


@SERVICE.operation("GET", _PATH, LIST, until=UNTIL)
async def list_image_metadata(ctx: Context, image_id: str) -> dict[str, Any]:
    """List the metadata of an image."""
    return {"metadata": dict(image_of(ctx, image_id).properties)}


@SERVICE.operation("POST", _PATH, UPDATE, until=UNTIL)
async def update_image_metadata(ctx: Context, image_id: str, body: SeveralItems) -> dict[str, Any]:
    """Set some of the metadata of an image."""
    _check_names(body.metadata)
    return {"metadata": dict(_changed(ctx, image_id, lambda before: {**before, **body.metadata}))}


@SERVICE.operation("PUT", _PATH, UPDATE, until=UNTIL)
async def replace_image_metadata(ctx: Context, image_id: str, body: SeveralItems) -> dict[str, Any]:
    """Replace the metadata of an image."""
    _check_names(body.metadata)
    return {"metadata": dict(_changed(ctx, image_id, lambda _before: body.metadata))}


@SERVICE.operation("GET", f"{_PATH}/{{key}}", LIST, until=UNTIL)
async def show_image_metadata_item(ctx: Context, image_id: str, key: str) -> dict[str, Any]:
    """Show one item of the metadata of an image."""
    metadata = image_of(ctx, image_id).properties
    if key not in metadata:
        raise NotFound("The resource could not be found.", key=key)
    return {"meta": {key: metadata[key]}}


@SERVICE.operation("PUT", f"{_PATH}/{{key}}", UPDATE, until=UNTIL)
async def update_image_metadata_item(ctx: Context, image_id: str, key: str, body: OneItem) -> dict[str, Any]:
    """Set one item of the metadata of an image."""
    if key not in body.meta:
        raise Invalid("Request body and URI mismatch")
    _check_names(body.meta)
    _changed(ctx, image_id, lambda before: {**before, **body.meta})
    return {"meta": dict(body.meta)}


@SERVICE.operation("DELETE", f"{_PATH}/{{key}}", UPDATE, status=204, until=UNTIL)
async def delete_image_metadata_item(ctx: Context, image_id: str, key: str) -> None:
    """Delete one item of the metadata of an image."""

    def without(before: Properties) -> Properties:
        if key not in before:
            raise NotFound("Invalid metadata key", key=key)
        return {name: value for name, value in before.items() if name != key}

    _changed(ctx, image_id, without)


def _check_names(metadata: Properties) -> None:
    """Raises: Forbidden for a name that stands for something else in the image service than a property."""
    for name in metadata:
        check_writable(name)
        if name in _ATTRIBUTES:
            raise Forbidden(f"Attribute '{name}' is no property of an image, and is not set as one.", attribute=name)


def _changed(ctx: Context, image_id: str, after: Callable[[Properties], Properties]) -> Properties:
    """The properties of an image, made ``after`` of what they were.

    Raises: NotFound; Forbidden for an image that the caller sees but may not change.
    """
    image = image_of(ctx, image_id)
    if not ctx.may(UPDATE, {"project_id": image.owner or ""}):
        raise Forbidden(f"Not authorized for image {image_id}.", image=image_id)
    changed = ctx.cloud.image.update(
        ctx.who, image_id, lambda before: replace(before, properties=after(before.properties))
    )
    properties: Properties = changed.properties
    return properties
