"""Aggregates, and the availability zones that they make."""

from __future__ import annotations

import re
from typing import Any

from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import aggregates as schemas
from sundog.api.compute.schemas.common import NoQuery
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import aggregates as views
from sundog.api.kit.context import Context
from sundog.errors import Invalid

ROOT = "os_compute_api:os-aggregates"
LIST, SHOW = RULES[f"{ROOT}:index"], RULES[f"{ROOT}:show"]
CREATE, UPDATE, DELETE = (RULES[f"{ROOT}:{name}"] for name in ("create", "update", "delete"))
ACTIONS = {name: RULES[f"{ROOT}:{name}"] for name in ("add_host", "remove_host", "set_metadata")}
ZONES = RULES["os_compute_api:os-availability-zone:list"]
ZONES_DETAIL = RULES["os_compute_api:os-availability-zone:detail"]
MANY = "/v2.1/os-aggregates"
ONE = "/v2.1/os-aggregates/{aggregate_id}"


@SERVICE.operation("GET", MANY, LIST)
async def list_aggregates(ctx: Context) -> dict[str, Any]:
    """List aggregates."""
    return {"aggregates": [views.aggregate(ctx, each) for each in ctx.cloud.compute.aggregates.list_all()]}


@SERVICE.operation("GET", MANY, LIST, since="2.102")
async def list_aggregates_2_102(ctx: Context, query: NoQuery) -> dict[str, Any]:
    """List aggregates."""
    return await list_aggregates(ctx)


@SERVICE.operation("GET", ONE, SHOW)
async def show_aggregate(ctx: Context, aggregate_id: str) -> dict[str, Any]:
    """Show an aggregate."""
    return {"aggregate": views.aggregate(ctx, ctx.cloud.compute.aggregates.show(_number(aggregate_id)))}


@SERVICE.operation("GET", ONE, SHOW, since="2.102")
async def show_aggregate_2_102(ctx: Context, aggregate_id: str, query: NoQuery) -> dict[str, Any]:
    """Show an aggregate."""
    return await show_aggregate(ctx, aggregate_id)


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


@SERVICE.operation("POST", f"{ONE}/action", ACTIONS["add_host"], own=False)
async def change_aggregate(ctx: Context, aggregate_id: str, body: schemas.AggregateAction) -> dict[str, Any]:
    """Add a host to an aggregate, remove one, or set metadata."""
    for name in body.model_fields_set:
        ctx.require(ACTIONS[name], {})
    number, aggregates = _number(aggregate_id), ctx.cloud.compute.aggregates
    if body.add_host is not None:
        changed = aggregates.add_host(number, body.add_host.host)
    elif body.remove_host is not None:
        changed = aggregates.remove_host(number, body.remove_host.host)
    else:
        assert body.set_metadata is not None
        changed = aggregates.set_metadata(number, body.set_metadata.metadata)
    return {"aggregate": views.aggregate(ctx, changed)}


def _number(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        raise Invalid("id must be an integer", id=text)
    return int(text)


# ---------------------------------------------------------------- availability zones


@SERVICE.operation("GET", "/v2.1/os-availability-zone", ZONES)
async def list_availability_zones(ctx: Context) -> dict[str, Any]:
    """List availability zones."""
    return {"availabilityZoneInfo": views.zones(ctx.cloud.compute.hosts.list_all(), detailed=False)}


@SERVICE.operation("GET", "/v2.1/os-availability-zone", ZONES, since="2.102")
async def list_availability_zones_2_102(ctx: Context, query: NoQuery) -> dict[str, Any]:
    """List availability zones."""
    return await list_availability_zones(ctx)


@SERVICE.operation("GET", "/v2.1/os-availability-zone/detail", ZONES_DETAIL)
async def list_availability_zones_in_detail(ctx: Context) -> dict[str, Any]:
    """List availability zones with their hosts."""
    return {"availabilityZoneInfo": views.zones(ctx.cloud.compute.hosts.list_all(), detailed=True)}


@SERVICE.operation("GET", "/v2.1/os-availability-zone/detail", ZONES_DETAIL, since="2.102")
async def list_availability_zones_in_detail_2_102(ctx: Context, query: NoQuery) -> dict[str, Any]:
    """List availability zones with their hosts."""
    return await list_availability_zones_in_detail(ctx)
