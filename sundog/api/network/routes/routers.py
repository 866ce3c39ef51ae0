"""Routers: interfaces, gateway and further routes."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.network import views
from sundog.api.network.kinds import (
    ROUTER,
    allowed,
    changed,
    listed,
    made,
    new,
    several,
    shown,
    told,
    viewer,
)
from sundog.api.network.policy import RULES
from sundog.api.network.schemas import (
    ChangedRouter,
    CreateRouters,
    InterfaceInfo,
    Listing,
    NewRouter,
    Showing,
    UpdateExtraRoutes,
    UpdateRouter,
)
from sundog.api.network.service import SERVICE
from sundog.control.network.routers import GatewaySpec


@SERVICE.operation("GET", "/v2.0/routers", RULES["get_router"], own=False)
async def list_routers(ctx: Context, query: Listing) -> dict[str, Any]:
    """List the routers that the caller sees."""
    return listed(ctx, ROUTER, ctx.cloud.network.routers, query)


@SERVICE.operation("POST", "/v2.0/routers", RULES["create_router"], status=201, own=False)
async def create_routers(ctx: Context, body: CreateRouters) -> dict[str, Any]:
    """Create a router, or several: all or none."""
    specs = [with_gateway(new(ctx, ROUTER, each), each) for each in several(body, ROUTER)]
    return made(ctx, ROUTER, body, ctx.cloud.network.routers.create(viewer(ctx), specs))


@SERVICE.operation("GET", "/v2.0/routers/{router_id}", RULES["get_router"], own=False)
async def show_router(ctx: Context, router_id: str, query: Showing) -> dict[str, Any]:
    """Show a router."""
    record = shown(ctx, ROUTER, ctx.cloud.network.routers, router_id)
    return {"router": told(ctx, ROUTER, record, query.fields)}


@SERVICE.operation("PUT", "/v2.0/routers/{router_id}", RULES["update_router"], own=False)
async def update_router(ctx: Context, router_id: str, body: UpdateRouter) -> dict[str, Any]:
    """Change a router."""
    record = allowed(ctx, ROUTER, ctx.cloud.network.routers, router_id, "update")
    changes = with_gateway(changed(ctx, ROUTER, body.router, record), body.router)
    return {"router": told(ctx, ROUTER, ctx.cloud.network.routers.update(viewer(ctx), router_id, changes))}


@SERVICE.operation("DELETE", "/v2.0/routers/{router_id}", RULES["delete_router"], status=204, own=False)
async def delete_router(ctx: Context, router_id: str) -> None:
    """Delete a router."""
    allowed(ctx, ROUTER, ctx.cloud.network.routers, router_id, "delete")
    ctx.cloud.network.routers.delete(viewer(ctx), router_id)


@SERVICE.operation("PUT", "/v2.0/routers/{router_id}/add_router_interface", RULES["add_router_interface"], own=False)
async def add_router_interface(ctx: Context, router_id: str, body: InterfaceInfo) -> dict[str, Any]:
    """Connect a router to a subnet, or by a port."""
    _allowed(ctx, router_id, "add_router_interface")
    wanted = {"subnet_id": body.subnet_id, "port_id": body.port_id}
    return views.interface(ctx.cloud.network.routers.add_interface(viewer(ctx), router_id, **wanted))


@SERVICE.operation(
    "PUT", "/v2.0/routers/{router_id}/remove_router_interface", RULES["remove_router_interface"], own=False
)
async def remove_router_interface(ctx: Context, router_id: str, body: InterfaceInfo) -> dict[str, Any]:
    """Disconnect a router from a subnet, or from all subnets of a port."""
    _allowed(ctx, router_id, "remove_router_interface")
    wanted = {"subnet_id": body.subnet_id, "port_id": body.port_id}
    return views.interface(ctx.cloud.network.routers.remove_interface(viewer(ctx), router_id, **wanted))


@SERVICE.operation("PUT", "/v2.0/routers/{router_id}/add_extraroutes", RULES["add_extraroutes"], own=False)
async def add_extraroutes(ctx: Context, router_id: str, body: UpdateExtraRoutes) -> dict[str, Any]:
    """Add routes to those that a router has."""
    _allowed(ctx, router_id, "add_extraroutes")
    routes = [each.model_dump() for each in body.router.routes]
    return {"router": told(ctx, ROUTER, ctx.cloud.network.routers.add_routes(viewer(ctx), router_id, routes))}


@SERVICE.operation("PUT", "/v2.0/routers/{router_id}/remove_extraroutes", RULES["remove_extraroutes"], own=False)
async def remove_extraroutes(ctx: Context, router_id: str, body: UpdateExtraRoutes) -> dict[str, Any]:
    """Take routes from a router."""
    _allowed(ctx, router_id, "remove_extraroutes")
    routes = [each.model_dump() for each in body.router.routes]
    return {"router": told(ctx, ROUTER, ctx.cloud.network.routers.remove_routes(viewer(ctx), router_id, routes))}


def _allowed(ctx: Context, router_id: str, rule: str) -> None:
    record = shown(ctx, ROUTER, ctx.cloud.network.routers, router_id)
    ctx.require(RULES[rule], views.target(record))


def with_gateway(values: dict[str, Any], part: NewRouter | ChangedRouter) -> dict[str, Any]:
    """With the gateway as the control plane takes it, if one was said, or none."""
    if "external_gateway_info" not in values:
        return values
    info = part.external_gateway_info
    rest = {name: value for name, value in values.items() if name != "external_gateway_info"}
    if info is None:
        return rest | {"gateway": None}
    told_ = info.model_fields_set
    fixed = [each.model_dump(exclude_none=True) for each in info.external_fixed_ips]
    return rest | {
        "gateway": GatewaySpec(
            info.network_id,
            info.enable_snat if "enable_snat" in told_ else None,
            fixed if "external_fixed_ips" in told_ else None,
        )
    }
