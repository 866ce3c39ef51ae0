"""Who may do what, by Glance's own names and defaults.

A target is an image: ``project_id`` and ``owner`` are whose it is, ``member_id`` is the caller's project if it is
shared with it. That others' images are not found is not decided here but where rows are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sundog.api.kit.context import Context
from sundog.api.kit.policy import (
    ADMIN,
    ANYBODY,
    OF_ALL,
    PROJECT_MEMBER,
    PROJECT_MEMBER_OR_ADMIN,
    PROJECT_READER_OR_ADMIN,
    Rule,
)
from sundog.control.image.books import missing
from sundog.control.image.records import Image
from sundog.errors import Forbidden

_SEEN: Final = (
    "project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s "
    "or 'shared':%(visibility)s"
)
_MEMBERS: Final = f"{ADMIN} or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))"

ADD: Final = Rule("add_image", f"{ADMIN} or ({PROJECT_MEMBER} and project_id:%(owner)s)", "Create an image")
GET: Final = Rule("get_image", f"{ADMIN} or (role:reader and ({_SEEN}))", "Show an image")
LIST: Final = Rule("get_images", PROJECT_READER_OR_ADMIN, "List images")
MODIFY: Final = Rule("modify_image", PROJECT_MEMBER_OR_ADMIN, "Update an image, its tags, or stage data")
PUBLICIZE: Final = Rule("publicize_image", ADMIN, "Make an image public")
COMMUNITIZE: Final = Rule("communitize_image", PROJECT_MEMBER_OR_ADMIN, "Make an image a community image")
DELETE: Final = Rule("delete_image", PROJECT_MEMBER_OR_ADMIN, "Delete an image")
UPLOAD: Final = Rule("upload_image", PROJECT_MEMBER_OR_ADMIN, "Upload the data of an image")
DOWNLOAD: Final = Rule("download_image", f"{ADMIN} or (role:member and ({_SEEN}))", "Download the data of an image")
DEACTIVATE: Final = Rule("deactivate", PROJECT_MEMBER_OR_ADMIN, "Deactivate an image")
REACTIVATE: Final = Rule("reactivate", PROJECT_MEMBER_OR_ADMIN, "Reactivate an image")
ADD_MEMBER: Final = Rule("add_member", PROJECT_MEMBER_OR_ADMIN, "Share an image with a project")
DELETE_MEMBER: Final = Rule("delete_member", PROJECT_MEMBER_OR_ADMIN, "Share an image with a project no longer")
GET_MEMBER: Final = Rule("get_member", _MEMBERS, "Show a member of an image")
GET_MEMBERS: Final = Rule("get_members", _MEMBERS, "List the members of an image")
MODIFY_MEMBER: Final = Rule(
    "modify_member", f"{ADMIN} or (role:member and project_id:%(member_id)s)", "Accept or reject an image"
)
DISCOVER: Final = Rule(
    "image:discover", ANYBODY, "Show schemas, stores and ways of import; Glance asks nothing here", OF_ALL
)

NONE: Final = ""
"""No project. For oslo.policy, None would be the project of every token without one."""

MORE: Final = (PUBLICIZE, COMMUNITIZE)
"""Rules that belong to no operation."""

_BY_VISIBILITY: Final = {"public": PUBLICIZE, "community": COMMUNITIZE}


def target(image: Image) -> dict[str, Any]:
    """An image as rules see it."""
    return {
        **image.properties,
        "id": image.id,
        "image_id": image.id,
        "owner": image.owner or NONE,
        "project_id": image.owner or NONE,
        "member_id": image.member_id or NONE,
        "visibility": image.visibility,
        "status": image.status,
        "protected": image.protected,
    }


def check(ctx: Context, rule: Rule, image: Image) -> None:
    """Raises: NotFound if the caller may not even see the image; Forbidden if they may, but not do this."""
    about = target(image)
    if ctx.may(rule, about):
        return
    if rule is GET or not ctx.may(GET, about):
        raise missing(image.id)
    ctx.require(rule, about)


def check_visibility(ctx: Context, visibility: Any, about: Mapping[str, Any]) -> None:
    """Raises: Forbidden if the caller may not give this visibility to an image."""
    rule = _BY_VISIBILITY.get(visibility)
    if rule is not None:
        ctx.require(rule, about)


def check_list(ctx: Context) -> None:
    """Raises: Forbidden if the caller may list no images."""
    ctx.require(LIST, {"project_id": ctx.who.project_id or NONE})


def check_create(ctx: Context, owner: str | None, visibility: str) -> None:
    """Raises: Forbidden if the caller may not make an image of this owner with this visibility."""
    about = {"project_id": owner or NONE, "owner": owner or NONE, "visibility": visibility}
    if not ctx.may(ADD, about) and owner != ctx.who.project_id:
        raise Forbidden(f"You are not permitted to create images owned by '{owner}'", owner=owner)
    ctx.require(ADD, about)
    check_visibility(ctx, visibility, about)
