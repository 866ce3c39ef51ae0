"""Regions, services, endpoints."""

from __future__ import annotations

from typing import Any

from sundog.api.identity import policy, told, views
from sundog.api.identity.lists import collection
from sundog.api.identity.schemas import (
    CreateEndpoint,
    CreateRegion,
    CreateService,
    EndpointListing,
    RegionListing,
    ServiceListing,
    UpdateEndpoint,
    UpdateRegion,
    UpdateService,
)
from sundog.api.identity.service import SERVICE
from sundog.api.kit.context import Context


@SERVICE.operation("GET", "/v3/regions", policy.LIST_REGIONS)
async def list_regions(ctx: Context, query: RegionListing) -> dict[str, Any]:
    """List regions."""
    items = [views.region(ctx, each) for each in ctx.cloud.identity.catalogue.regions()]
    return collection(ctx, "regions", items, query, ("parent_region_id",))


@SERVICE.operation("POST", "/v3/regions", policy.CREATE_REGION, status=201)
async def create_region(ctx: Context, body: CreateRegion) -> dict[str, Any]:
    """Create a region."""
    return _created(ctx, body, body.region.id)


@SERVICE.operation("PUT", "/v3/regions/{region_id}", policy.CREATE_REGION, status=201)
async def create_region_with_id(ctx: Context, region_id: str, body: CreateRegion) -> dict[str, Any]:
    """Create a region with this id."""
    told.check_same(body.region, "region", id=region_id)
    return _created(ctx, body, region_id)


@SERVICE.operation("GET", "/v3/regions/{region_id}", policy.GET_REGION)
async def show_region(ctx: Context, region_id: str) -> dict[str, Any]:
    """Show a region."""
    return {"region": views.region(ctx, ctx.cloud.identity.catalogue.region(region_id))}


@SERVICE.operation("PATCH", "/v3/regions/{region_id}", policy.UPDATE_REGION)
async def update_region(ctx: Context, region_id: str, body: UpdateRegion) -> dict[str, Any]:
    """Change a region."""
    told.check_same(body.region, "region", id=region_id)
    changes = told.texts(told.given(body.region), "description")
    region = ctx.cloud.identity.catalogue.update_region(region_id, changes, extra=told.rest(body.region))
    return {"region": views.region(ctx, region)}


@SERVICE.operation("DELETE", "/v3/regions/{region_id}", policy.DELETE_REGION, status=204)
async def delete_region(ctx: Context, region_id: str) -> None:
    """Delete a region."""
    ctx.cloud.identity.catalogue.delete_region(region_id)


@SERVICE.operation("GET", "/v3/services", policy.LIST_SERVICES)
async def list_services(ctx: Context, query: ServiceListing) -> dict[str, Any]:
    """List services."""
    items = [views.service(ctx, each) for each in ctx.cloud.identity.catalogue.services()]
    return collection(ctx, "services", items, query, ("type", "name"))


@SERVICE.operation("POST", "/v3/services", policy.CREATE_SERVICE, status=201)
async def create_service(ctx: Context, body: CreateService) -> dict[str, Any]:
    """Create a service."""
    values = told.lean(told.given(body.service))
    service = ctx.cloud.identity.catalogue.create_service(values.pop("type"), **values, extra=told.rest(body.service))
    return {"service": views.service(ctx, service)}


@SERVICE.operation("GET", "/v3/services/{service_id}", policy.GET_SERVICE)
async def show_service(ctx: Context, service_id: str) -> dict[str, Any]:
    """Show a service."""
    return {"service": views.service(ctx, ctx.cloud.identity.catalogue.service(service_id))}


@SERVICE.operation("PATCH", "/v3/services/{service_id}", policy.UPDATE_SERVICE)
async def update_service(ctx: Context, service_id: str, body: UpdateService) -> dict[str, Any]:
    """Change a service."""
    told.check_same(body.service, "service", id=service_id)
    changes = told.given(body.service)
    service = ctx.cloud.identity.catalogue.update_service(service_id, changes, extra=told.rest(body.service))
    return {"service": views.service(ctx, service)}


@SERVICE.operation("DELETE", "/v3/services/{service_id}", policy.DELETE_SERVICE, status=204)
async def delete_service(ctx: Context, service_id: str) -> None:
    """Delete a service with its endpoints."""
    ctx.cloud.identity.catalogue.delete_service(service_id)


@SERVICE.operation("GET", "/v3/endpoints", policy.LIST_ENDPOINTS)
async def list_endpoints(ctx: Context, query: EndpointListing) -> dict[str, Any]:
    """List endpoints."""
    items = [views.endpoint(ctx, each) for each in ctx.cloud.identity.catalogue.endpoints()]
    return collection(ctx, "endpoints", items, query, ("interface", "service_id", "region_id", "region"))


@SERVICE.operation("POST", "/v3/endpoints", policy.CREATE_ENDPOINT, status=201)
async def create_endpoint(ctx: Context, body: CreateEndpoint) -> dict[str, Any]:
    """Create an endpoint."""
    values = _in_region(told.lean(told.given(body.endpoint)))
    endpoint = ctx.cloud.identity.catalogue.create_endpoint(**values, extra=told.rest(body.endpoint))
    return {"endpoint": views.endpoint(ctx, endpoint)}


@SERVICE.operation("GET", "/v3/endpoints/{endpoint_id}", policy.GET_ENDPOINT)
async def show_endpoint(ctx: Context, endpoint_id: str) -> dict[str, Any]:
    """Show an endpoint."""
    return {"endpoint": views.endpoint(ctx, ctx.cloud.identity.catalogue.endpoint(endpoint_id))}


@SERVICE.operation("PATCH", "/v3/endpoints/{endpoint_id}", policy.UPDATE_ENDPOINT)
async def update_endpoint(ctx: Context, endpoint_id: str, body: UpdateEndpoint) -> dict[str, Any]:
    """Change an endpoint."""
    told.check_same(body.endpoint, "endpoint", id=endpoint_id)
    changes = _in_region(told.given(body.endpoint))
    new_region = changes.pop("new_region", False)
    endpoint = ctx.cloud.identity.catalogue.update_endpoint(
        endpoint_id, changes, new_region=new_region, extra=told.rest(body.endpoint)
    )
    return {"endpoint": views.endpoint(ctx, endpoint)}


@SERVICE.operation("DELETE", "/v3/endpoints/{endpoint_id}", policy.DELETE_ENDPOINT, status=204)
async def delete_endpoint(ctx: Context, endpoint_id: str) -> None:
    """Delete an endpoint."""
    ctx.cloud.identity.catalogue.delete_endpoint(endpoint_id)


def _created(ctx: Context, body: CreateRegion, region_id: str | None) -> dict[str, Any]:
    values = told.lean(told.given(body.region)) | {"region_id": region_id}
    values.pop("id", None)
    with told.bad_if_missing():
        region = ctx.cloud.identity.catalogue.create_region(**values, extra=told.rest(body.region))
    return {"region": views.region(ctx, region)}


def _in_region(values: dict[str, Any]) -> dict[str, Any]:
    """With the newer word for the region of an endpoint. One told by the older word is made where it is missing."""
    region = values.pop("region", None)
    if region is None or "region_id" in values:
        return values
    return {**values, "region_id": region, "new_region": True}
