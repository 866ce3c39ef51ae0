"""Who asks, and what several operations do with it."""

from __future__ import annotations

from sundog.api.kit.context import Context
from sundog.control.compute.records import Caller
from sundog.control.viewer import Viewer
from sundog.errors import Invalid, NotFound


def caller(ctx: Context) -> Caller:
    """The bearer of the token, with the id of the request."""
    return Caller.of(ctx.who, ctx.request_id)


def viewer(ctx: Context) -> Viewer:
    """For whom things are looked up."""
    return caller(ctx).viewer


def check_project(ctx: Context, project_id: str) -> None:
    """Raises: Invalid if there is no such project."""
    try:
        ctx.cloud.identity.projects.show(project_id)
    except NotFound:
        raise Invalid(f"Project ID {project_id} is not a valid project.", project=project_id) from None
