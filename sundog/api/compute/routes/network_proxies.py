"""Floating IPs and networks, as compute told of them until 2.35: the network's own service does it."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import viewer
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas.common import is_uuid
from sundog.api.compute.schemas.proxies import AllocateFloatingIp
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.control.network.records import FloatingIp, NetworkRecord
from sundog.control.viewer import EVERYTHING
from sundog.errors import Invalid, NotFound, QuotaExceeded

FLOATING: Final = "os_compute_api:os-floating-ips"
UNTIL: Final = "2.35"

_ADMINS: Final = (
    "created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address",
    "vpn_public_port", "vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host",
    "priority", "rxtx_base", "mtu", "dhcp_server", "enable_dhcp", "share_address",
)  # fmt: skip
_EVERYBODYS: Final = ("cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6")


# ---------------------------------------------------------------- floating IPs


@SERVICE.operation("GET", f"{BASE}/os-floating-ip-pools", RULES["os_compute_api:os-floating-ip-pools"], until=UNTIL)
async def list_floating_ip_pools(ctx: Context) -> dict[str, Any]:
    """List the networks that floating IPs come from."""
    return {"floating_ip_pools": [{"name": each.name or each.id} for each in _pools(ctx)]}


@SERVICE.operation("GET", f"{BASE}/os-floating-ips", RULES[f"{FLOATING}:list"], until=UNTIL)
async def list_floating_ips(ctx: Context) -> dict[str, Any]:
    """List the floating IPs of the project."""
    own = {"project_id": [ctx.who.project_id or ""]}
    return {"floating_ips": [_told(ctx, each) for each in ctx.cloud.network.floating_ips.list_all(viewer(ctx), own)]}


@SERVICE.operation("GET", f"{BASE}/os-floating-ips/{{floating_id}}", RULES[f"{FLOATING}:show"], until=UNTIL)
async def show_floating_ip(ctx: Context, floating_id: str) -> dict[str, Any]:
    """Show a floating IP."""
    return {"floating_ip": _told(ctx, _floating(ctx, floating_id))}


@SERVICE.operation("POST", f"{BASE}/os-floating-ips", RULES[f"{FLOATING}:create"], until=UNTIL)
async def create_floating_ip(ctx: Context, body: AllocateFloatingIp) -> dict[str, Any]:
    """Take a floating IP out of a pool."""
    pools = [each for each in _pools(ctx) if body.pool in (None, each.name, each.id)]
    if not pools:
        raise NotFound(f"Floating IP pool {body.pool or ''} not found.".replace("  ", " "), pool=body.pool)
    spec = {"floating_network_id": pools[0].id, "project_id": ctx.who.project_id or ""}
    try:
        [made] = ctx.cloud.network.floating_ips.create(viewer(ctx), [spec])
    except QuotaExceeded:
        where = f" in pool {body.pool}" if body.pool else ""
        raise QuotaExceeded(f"IP allocation over quota{where}.") from None
    return {"floating_ip": _told(ctx, made)}


@SERVICE.operation(
    "DELETE", f"{BASE}/os-floating-ips/{{floating_id}}", RULES[f"{FLOATING}:delete"], status=202, until=UNTIL
)
async def delete_floating_ip(ctx: Context, floating_id: str) -> None:
    """Let a floating IP go."""
    ctx.cloud.network.floating_ips.delete(viewer(ctx), _floating(ctx, floating_id).id)


def _floating(ctx: Context, floating_id: str) -> FloatingIp:
    if not is_uuid(floating_id):
        raise Invalid(f"Invalid ID received {floating_id}.", id=floating_id)
    try:
        found: FloatingIp = ctx.cloud.network.floating_ips.show(viewer(ctx), floating_id)
    except NotFound:
        raise NotFound(f"Floating IP not found for ID {floating_id}", id=floating_id) from None
    return found


def _pools(ctx: Context) -> list[NetworkRecord]:
    return [each for each in ctx.cloud.network.networks.list_all(viewer(ctx)) if each.external]


def _told(ctx: Context, each: FloatingIp) -> dict[str, Any]:
    network = ctx.cloud.network.networks.show(EVERYTHING, each.floating_network_id)
    device = None if each.port_id is None else ctx.cloud.network.ports.show(EVERYTHING, each.port_id).device_id
    return {
        "id": each.id,
        "ip": each.floating_ip_address,
        "fixed_ip": each.fixed_ip_address,
        "instance_id": device or None,
        "pool": network.name or network.id,
    }


# ---------------------------------------------------------------- networks


@SERVICE.operation("GET", f"{BASE}/os-networks", RULES["os_compute_api:os-networks:list"], until=UNTIL)
async def list_networks(ctx: Context) -> dict[str, Any]:
    """List the networks that the caller sees."""
    return {"networks": [_network(ctx, each) for each in ctx.cloud.network.networks.list_all(viewer(ctx))]}


@SERVICE.operation("GET", f"{BASE}/os-networks/{{network_id}}", RULES["os_compute_api:os-networks:show"], until=UNTIL)
async def show_network(ctx: Context, network_id: str) -> dict[str, Any]:
    """Show a network."""
    return {"network": _network(ctx, _found(ctx, network_id))}


@SERVICE.operation("GET", f"{BASE}/os-tenant-networks", RULES["os_compute_api:os-tenant-networks:list"], until=UNTIL)
async def list_tenant_networks(ctx: Context) -> dict[str, Any]:
    """List the networks that the caller sees, in brief."""
    networks = ctx.cloud.network.networks.list_all(viewer(ctx))
    return {"networks": [{"id": each.id, "cidr": "None", "label": each.name} for each in networks]}


@SERVICE.operation(
    "GET", f"{BASE}/os-tenant-networks/{{network_id}}", RULES["os_compute_api:os-tenant-networks:show"], until=UNTIL
)
async def show_tenant_network(ctx: Context, network_id: str) -> dict[str, Any]:
    """Show a network in brief."""
    network = _found(ctx, network_id)
    return {"network": {"id": network.id, "cidr": "None", "label": network.name}}


def _found(ctx: Context, network_id: str) -> NetworkRecord:
    try:
        network: NetworkRecord = ctx.cloud.network.networks.show(viewer(ctx), network_id)
    except NotFound:
        raise NotFound("Network not found", network=network_id) from None
    return network


def _network(ctx: Context, network: NetworkRecord) -> dict[str, Any]:
    """The id and the name; all else that Nova told of networks of its own is null."""
    names = (*_EVERYBODYS, *(_ADMINS if ctx.who.is_admin else ()))
    return {"id": network.id, "label": network.name} | dict.fromkeys(names)
