"""The operations of images."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.responses import Response

from sundog.api.image import documents, patch, policy, queries, streams, views
from sundog.api.image.schemas import AddMember, AddTag, CreateImage, ImportImage, ListImages, UpdateMember
from sundog.api.image.service import SERVICE
from sundog.api.kit.bodies import parse_body, read_bytes
from sundog.api.kit.context import Context
from sundog.api.kit.service import NO_TOKEN, Reply
from sundog.control.image.data import STORE, Order, check_downloadable
from sundog.control.image.records import Image, NewImage
from sundog.errors import Conflict, Forbidden, Invalid, NotFound

IMPORT_METHODS: Final = ("glance-direct",)


# ---------------------------------------------------------------- discovery


@SERVICE.operation("GET", "", NO_TOKEN, status=300)
async def list_versions(ctx: Context) -> dict[str, Any]:
    """Show the versions of the service."""
    return views.versions(ctx)


@SERVICE.operation("GET", "/v2", NO_TOKEN, status=300)
async def list_versions_again(ctx: Context) -> dict[str, Any]:
    """Show the versions of the service, at the address of the only one."""
    return views.versions(ctx)


@SERVICE.operation("GET", "/versions", NO_TOKEN)
async def list_versions_plainly(ctx: Context) -> dict[str, Any]:
    """Show the versions of the service, with another status."""
    return views.versions(ctx)


@SERVICE.operation("GET", "/v2/schemas/{name}", policy.DISCOVER)
async def show_schema(ctx: Context, name: str) -> dict[str, Any]:
    """Show a schema: image, images, member, members."""
    if name not in documents.BY_NAME:
        raise NotFound("The resource could not be found.", schema=name)
    return documents.BY_NAME[name]


@SERVICE.operation("GET", "/v2/info/import", policy.DISCOVER)
async def show_import_info(ctx: Context) -> dict[str, Any]:
    """Show the ways of import."""
    described = {"description": "Import methods available.", "type": "array", "value": list(IMPORT_METHODS)}
    return {"import-methods": described}


@SERVICE.operation("GET", "/v2/info/stores", policy.DISCOVER)
async def show_stores_info(ctx: Context) -> dict[str, Any]:
    """Show the stores, of which there is one."""
    return {"stores": [{"id": STORE, "default": "true"}]}


# ---------------------------------------------------------------- images


@SERVICE.operation("GET", "/v2/images", policy.LIST, own=False)
async def list_images(ctx: Context, query: ListImages) -> dict[str, Any]:
    """List images."""
    policy.check_list(ctx)
    _check_named(ctx)
    wanted = queries.wanted(query)
    found = ctx.cloud.image.list(ctx.who, wanted)
    return views.images(ctx, [each for each in found if ctx.may(policy.GET, policy.target(each))], wanted.limit)


@SERVICE.operation("POST", "/v2/images", policy.ADD, status=201, own=False)
async def create_image(ctx: Context, body: CreateImage) -> Reply:
    """Create an image, without data."""
    told = body.model_dump(exclude_unset=True, include=set(CreateImage.model_fields))
    new = NewImage(**{"owner": ctx.who.project_id, **told}, properties=body.model_extra or {})
    policy.check_create(ctx, new.owner, new.visibility)
    image = ctx.cloud.image.create(new)
    headers = {
        "location": ctx.link(f"/v2/images/{image.id}"),
        "openstack-image-import-methods": ",".join(IMPORT_METHODS),
        "openstack-image-store-ids": STORE,
    }
    return Reply(views.image(image), 201, headers)


@SERVICE.operation("GET", "/v2/images/{image_id}", policy.GET, own=False)
async def show_image(ctx: Context, image_id: str) -> dict[str, Any]:
    """Show an image."""
    return views.image(_checked(ctx, policy.GET, image_id))


@SERVICE.operation("PATCH", "/v2/images/{image_id}", policy.MODIFY, own=False, media=documents.PATCHES)
async def update_image(ctx: Context, image_id: str) -> dict[str, Any]:
    """Change an image: all that is asked for, or nothing."""
    data = await read_bytes(ctx.request)
    changes = patch.parsed(data, ctx.request.headers.get("content-type", ""))

    def changed(image: Image) -> Image:
        def allow(name: str, value: Any) -> None:
            if name == "visibility":
                policy.check_visibility(ctx, value, policy.target(image))

        policy.check(ctx, policy.MODIFY, image)
        return patch.applied(image, changes, is_admin=ctx.who.is_admin, allow=allow)

    return views.image(ctx.cloud.image.update(ctx.who, image_id, changed))


@SERVICE.operation("DELETE", "/v2/images/{image_id}", policy.DELETE, status=204, own=False)
async def delete_image(ctx: Context, image_id: str) -> None:
    """Delete an image and its data."""
    _checked(ctx, policy.DELETE, image_id)
    ctx.cloud.image.delete(ctx.who, image_id)


@SERVICE.operation("DELETE", "/v2/images", policy.DELETE, status=204)
async def delete_no_image(ctx: Context) -> None:
    """Refuse to delete an image without an id."""
    _check_named(ctx)
    raise Invalid("The method DELETE is not allowed for this resource.", status=405)


@SERVICE.operation("POST", "/v2/images/{image_id}/actions/deactivate", policy.DEACTIVATE, status=204, own=False)
async def deactivate_image(ctx: Context, image_id: str) -> None:
    """Keep all but administrators from downloading an image."""
    _checked(ctx, policy.DEACTIVATE, image_id)
    ctx.cloud.image.deactivate(ctx.who, image_id)


@SERVICE.operation("POST", "/v2/images/{image_id}/actions/reactivate", policy.REACTIVATE, status=204, own=False)
async def reactivate_image(ctx: Context, image_id: str) -> None:
    """Let an image be downloaded again."""
    _checked(ctx, policy.REACTIVATE, image_id)
    ctx.cloud.image.reactivate(ctx.who, image_id)


# ---------------------------------------------------------------- tags


@SERVICE.operation("PUT", "/v2/images/{image_id}/tags/{tag}", policy.MODIFY, status=204, own=False)
async def add_tag(ctx: Context, image_id: str, tag: str) -> None:
    """Put a tag on an image."""
    parse_body(AddTag, json.dumps({"tag": tag}).encode())
    _checked(ctx, policy.MODIFY, image_id)
    ctx.cloud.image.add_tag(ctx.who, image_id, tag)


@SERVICE.operation("DELETE", "/v2/images/{image_id}/tags/{tag}", policy.MODIFY, status=204, own=False)
async def remove_tag(ctx: Context, image_id: str, tag: str) -> None:
    """Take a tag off an image."""
    _checked(ctx, policy.MODIFY, image_id)
    ctx.cloud.image.remove_tag(ctx.who, image_id, tag)


# ---------------------------------------------------------------- members


@SERVICE.operation("GET", "/v2/images/{image_id}/members", policy.GET_MEMBERS, own=False)
async def list_members(ctx: Context, image_id: str) -> dict[str, Any]:
    """List the projects that an image is shared with."""
    _checked(ctx, policy.GET_MEMBERS, image_id)
    return views.members(ctx.cloud.image.members.list(ctx.who, image_id))


@SERVICE.operation("POST", "/v2/images/{image_id}/members", policy.ADD_MEMBER, own=False)
async def add_member(ctx: Context, image_id: str, body: AddMember) -> dict[str, Any]:
    """Share an image with a project."""
    _checked(ctx, policy.ADD_MEMBER, image_id)
    return views.member(ctx.cloud.image.members.add(ctx.who, image_id, body.member))


@SERVICE.operation("GET", "/v2/images/{image_id}/members/{member_id}", policy.GET_MEMBER, own=False)
async def show_member(ctx: Context, image_id: str, member_id: str) -> dict[str, Any]:
    """Show what a project says to an image that is shared with it."""
    try:
        _checked(ctx, policy.GET_MEMBER, image_id)
        return views.member(ctx.cloud.image.members.show(ctx.who, image_id, member_id))
    except Forbidden as exc:  # as Glance has it: nobody learns whether there are members
        raise NotFound(exc.message, member=member_id) from exc


@SERVICE.operation("PUT", "/v2/images/{image_id}/members/{member_id}", policy.MODIFY_MEMBER, own=False)
async def update_member(ctx: Context, image_id: str, member_id: str, body: UpdateMember) -> dict[str, Any]:
    """Accept or reject an image."""
    _checked(ctx, policy.MODIFY_MEMBER, image_id)
    return views.member(ctx.cloud.image.members.update(ctx.who, image_id, member_id, body.status))


@SERVICE.operation("DELETE", "/v2/images/{image_id}/members/{member_id}", policy.DELETE_MEMBER, status=204, own=False)
async def remove_member(ctx: Context, image_id: str, member_id: str) -> None:
    """Share an image with a project no longer."""
    _checked(ctx, policy.DELETE_MEMBER, image_id)
    ctx.cloud.image.members.remove(ctx.who, image_id, member_id)


# ---------------------------------------------------------------- data


@SERVICE.operation("PUT", "/v2/images/{image_id}/file", policy.UPLOAD, status=204, own=False, media=documents.DATA)
async def upload_data(ctx: Context, image_id: str) -> None:
    """Upload the data of an image."""
    size = streams.told_size(ctx.request.headers)
    store = ctx.request.headers.get("x-image-meta-store", STORE)
    if store != STORE:
        raise Invalid(f"There is no store {store}; the store is {STORE}.", store=store)
    _checked(ctx, policy.UPLOAD, image_id)
    await ctx.cloud.image.data.upload(ctx.who, image_id, streams.chunks(ctx.request), told_size=size)


@SERVICE.operation("PUT", "/v2/images/{image_id}/stage", policy.MODIFY, status=204, own=False, media=documents.DATA)
async def stage_data(ctx: Context, image_id: str) -> None:
    """Upload data to be imported later."""
    size = streams.told_size(ctx.request.headers)
    _checked(ctx, policy.MODIFY, image_id)
    await ctx.cloud.image.data.stage(ctx.who, image_id, streams.chunks(ctx.request), told_size=size)


@SERVICE.operation("POST", "/v2/images/{image_id}/import", policy.MODIFY, status=202, own=False)
async def import_data(ctx: Context, image_id: str, body: ImportImage) -> Response:
    """Import what was staged."""
    if body.method.name not in IMPORT_METHODS:
        raise Invalid(f"Unknown import method name '{body.method.name}'.", method=body.method.name)
    if body.stores not in (None, [], [STORE]):
        raise Conflict(f"There is no store {', '.join(body.stores or ())}; the store is {STORE}.")
    _checked(ctx, policy.MODIFY, image_id)
    data = ctx.cloud.image.data
    task = data.begin_import(Order(ctx.who, ctx.request_id, body.model_dump(exclude_unset=True)), image_id)
    return streams.ThenResponse(202, lambda: data.run_import(task))


@SERVICE.operation("GET", "/v2/images/{image_id}/tasks", policy.GET, own=False)
async def list_image_tasks(ctx: Context, image_id: str) -> dict[str, Any]:
    """List the imports into an image."""
    _checked(ctx, policy.GET, image_id)
    return {"tasks": [views.task(each) for each in ctx.cloud.image.data.tasks(ctx.who, image_id)]}


@SERVICE.operation("GET", "/v2/images/{image_id}/file", policy.DOWNLOAD, own=False)
async def download_data(ctx: Context, image_id: str) -> Any:
    """Download the data of an image, or a range of them."""
    image = _found(ctx, image_id)
    check_downloadable(ctx.who, image)
    policy.check(ctx, policy.DOWNLOAD, image)
    image, file = ctx.cloud.image.data.open(ctx.who, image_id)
    if file is None:
        return Reply(None, 204)
    size = image.size or 0
    headers = {"content-md5": image.checksum or "", "accept-ranges": "bytes"}
    try:
        part = streams.span(ctx.request.headers.get("range"), size)
    except Invalid:
        file.close()
        raise
    if part is None:
        return streams.FileResponse(file, 0, size, ctx.request, status=200, headers=headers)
    first, last = part
    headers["content-range"] = f"bytes {first}-{last}/{size}"
    return streams.FileResponse(file, first, last - first + 1, ctx.request, status=206, headers=headers)


# ---------------------------------------------------------------- what operations share


def _found(ctx: Context, image_id: str) -> Image:
    image: Image = ctx.cloud.image.show(ctx.who, image_id)
    return image


def _checked(ctx: Context, rule: policy.Rule, image_id: str) -> Image:
    """An image to which the caller may do what ``rule`` is about."""
    image = _found(ctx, image_id)
    policy.check(ctx, rule, image)
    return image


def _check_named(ctx: Context) -> None:
    """Raises: NotFound for ``/v2/images/``, which is an image with an empty id and no list."""
    path: bytes = ctx.request.scope.get("raw_path") or b""
    if path.endswith(b"/"):
        raise NotFound("No image found with ID ", image="")
