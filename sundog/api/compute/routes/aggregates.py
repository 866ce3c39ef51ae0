"""Aggregates, and the availability zones that they make."""

from __future__ import annotations

import re
from typing import Any

from sundog.api.compute.common import stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import aggregates as schemas
from sundog.api.compute.schemas.server_details import nothing
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import aggregates as views
from sundog.api.kit.context import Context
from sundog.errors import Invalid

ROOT = "os_compute_api:os-aggregates"
LIST, SHOW = RULES[f"{ROOT}:index"], RULES[f"{ROOT}:show"]
CREATE, UPDATE, DELETE = (RULES[f"{ROOT}:{name}"] for name in ("create", "update", "delete"))
ZONES = RULES["os_compute_api:os-availability-zone:list"]
ZONES_DETAIL = RULES["os_compute_api:os-availability-zone:detail"]
MANY = "/v2.1/os-aggregates"
ONE = "/v2.1/os-aggregates/{aggregate_id}"


@stepped("GET", MANY, LIST, queries=nothing())
async def list_aggregates(ctx: Context) -> dict[str, Any]:
    """List aggregates."""
    return {"aggregates": [views.aggregate(ctx, each) for each in ctx.cloud.compute.aggregates.list_all()]}


@stepped("GET", ONE, SHOW, queries=nothing())
async def show_aggregate(ctx: Context, aggregate_id: str) -> dict[str, Any]:
    """Show an aggregate."""
    return {"aggregate": views.aggregate(ctx, ctx.cloud.compute.aggregates.show(_number(aggregate_id)))}


@SERVICE.operation("POST", MANY, CREATE)
async def create_aggregate(ctx: Context, body: schemas.CreateAggregate) -> dict[str, Any]:
    """Create an aggregate."""
    made = ctx.cloud.compute.aggregates.create(body.aggregate.name, body.aggregate.availability_zone)
    return {"aggregate": views.new(ctx, made)}


@SERVICE.operation("PUT", ONE, UPDATE)
async def update_aggregate(ctx: Context, aggregate_id: str, body: schemas.UpdateAggregate) -> dict[str, Any]:
    """Rename an aggregate, or make it another availability zone."""
    changes, number = body.aggregate, _number(aggregate_id)
    aggregates = ctx.cloud.compute.aggregates
    if "availability_zone" in changes.model_fields_set and changes.availability_zone is None:
        told = f"Aggregate {aggregates.show(number).name} does not support empty named availability zone"
        raise Invalid(f"Cannot update aggregate {number}. Reason: {told}.")
    changed = aggregates.update(number, name=changes.name, zone=changes.availability_zone)
    return {"aggregate": views.aggregate(ctx, changed)}


@SERVICE.operation("DELETE", ONE, DELETE)
async def delete_aggregate(ctx: Context, aggregate_id: str) -> None:
    """Delete an aggregate."""
    ctx.cloud.compute.aggregates.delete(_number(aggregate_id))


@SERVICE.operation("POST", f"{ONE}/action", RULES[f"{ROOT}:add_host"], action="add_host")
async def add_aggregate_host(ctx: Context, aggregate_id: str, body: schemas.AddHost) -> dict[str, Any]:
    """Put a host into an aggregate."""
    changed = ctx.cloud.compute.aggregates.add_host(_number(aggregate_id), body.add_host.host)
    return {"aggregate": views.aggregate(ctx, changed)}


@SERVICE.operation("POST", f"{ONE}/action", RULES[f"{ROOT}:remove_host"], action="remove_host")
async def remove_aggregate_host(ctx: Context, aggregate_id: str, body: schemas.RemoveHost) -> dict[str, Any]:
    """Take a host out of an aggregate."""
    changed = ctx.cloud.compute.aggregates.remove_host(_number(aggregate_id), body.remove_host.host)
    return {"aggregate": views.aggregate(ctx, changed)}


@SERVICE.operation("POST", f"{ONE}/action", RULES[f"{ROOT}:set_metadata"], action="set_metadata")
async def set_aggregate_metadata(ctx: Context, aggregate_id: str, body: schemas.SetMetadata) -> dict[str, Any]:
    """Set keys of an aggregate's metadata, or remove them."""
    changed = ctx.cloud.compute.aggregates.set_metadata(_number(aggregate_id), body.set_metadata.metadata)
    return {"aggregate": views.aggregate(ctx, changed)}


def _number(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        raise Invalid("id must be an integer", id=text)
    return int(text)


# ---------------------------------------------------------------- availability zones


@stepped("GET", "/v2.1/os-availability-zone", ZONES, queries=nothing())
async def list_availability_zones(ctx: Context) -> dict[str, Any]:
    """List availability zones."""
    return {"availabilityZoneInfo": views.zones(ctx.cloud.compute.hosts.list_all(), detailed=False)}


@stepped("GET", "/v2.1/os-availability-zone/detail", ZONES_DETAIL, queries=nothing())
async def list_availability_zones_in_detail(ctx: Context) -> dict[str, Any]:
    """List availability zones with their hosts."""
    return {"availabilityZoneInfo": views.zones(ctx.cloud.compute.hosts.list_all(), detailed=True)}
