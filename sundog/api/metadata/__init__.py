"""The metadata service: what guests read about themselves, through a proxy on their network that says who they are.

A proxy names the server and its project in headers and signs the server's id with the secret that it shares with the
cloud, as Neutron's metadata agent does towards Nova. No other header, and no address, says who asks.
"""

from __future__ import annotations

from starlette.responses import Response

from sundog.api.kit.context import Context
from sundog.api.kit.faults import plain
from sundog.api.kit.service import NO_TOKEN, Service
from sundog.control.compute import metadata
from sundog.errors import Invalid

SERVICE = Service("metadata", prefix="/metadata", fault=plain)


@SERVICE.operation("GET", "", NO_TOKEN)
async def show_index(ctx: Context) -> Response:
    """List the versions, for everybody."""
    return _answer(metadata.index())


@SERVICE.operation("GET", "/{path:path}", NO_TOKEN)
async def show_metadata(ctx: Context, path: str) -> Response:
    """Show what a guest may know of itself at a path."""
    if not path.strip("/"):
        return _answer(metadata.index())
    proof = metadata.proof_of(*(_only(ctx, name) for name in _HEADERS))
    return _answer(ctx.cloud.compute.metadata.read(path, proof))


_HEADERS = ("X-Instance-ID", "X-Tenant-ID", "X-Instance-ID-Signature")


def _only(ctx: Context, name: str) -> str | None:
    """The value of a header. Raises: Invalid for several: which of them a proxy wrote cannot be told."""
    values = ctx.request.headers.getlist(name)
    if len(values) > 1:
        raise Invalid(f"Multiple {name} headers found within request.")
    return values[0] if values else None


def _answer(document: metadata.Document) -> Response:
    return Response(document.content, media_type=document.media_type)
