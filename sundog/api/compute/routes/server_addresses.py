"""Addresses of servers: what they have, and the old ways to give them more, which Neutron has taken over."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.common import caller, server_of, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.routes.server_actions import action
from sundog.api.compute.schemas import server_actions as schemas
from sundog.api.compute.schemas.server_details import nothing
from sundog.api.compute.views import servers as views
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.control.compute.records import Server
from sundog.control.network.records import FloatingIp, Port
from sundog.errors import Conflict, Invalid, NotFound

_PATH: Final = f"{BASE}/servers/{{server_id}}/ips"
_LAST: Final = "2.43"
"""The last version in which addresses are given to servers, and not to ports."""


@stepped("GET", _PATH, RULES["os_compute_api:ips:index"], queries=nothing(), own=False)
async def list_server_addresses(ctx: Context, server_id: str) -> dict[str, Any]:
    """List the addresses of a server."""
    return {"addresses": _addresses(ctx, server_of(ctx, server_id, "os_compute_api:ips:index"))}


@stepped("GET", f"{_PATH}/{{label}}", RULES["os_compute_api:ips:show"], queries=nothing(), own=False)
async def show_server_addresses(ctx: Context, server_id: str, label: str) -> dict[str, Any]:
    """List the addresses of a server on one network."""
    found = _addresses(ctx, server_of(ctx, server_id, "os_compute_api:ips:show"))
    if label not in found:
        raise NotFound("Instance is not a member of specified network", network=label)
    return {label: found[label]}


def _addresses(ctx: Context, server: Server) -> dict[str, list[dict[str, Any]]]:
    return views.addresses(ctx.cloud.compute.servers.addresses([server])[server.id])


# ---------------------------------------------------------------- floating addresses


@action("addFloatingIp", "os_compute_api:os-floating-ips:add", until=_LAST)
async def add_floating_ip(ctx: Context, server_id: str, body: schemas.AddFloatingIp) -> None:
    """Let a floating IP lead to a server."""
    server = server_of(ctx, server_id, "os_compute_api:os-floating-ips:add")
    port, fixed = _to(ctx, server, body.added.fixed_address)
    floating = _floating(ctx, body.added.address)
    changes = {"port_id": port.id, "fixed_ip_address": fixed}
    ctx.cloud.network.floating_ips.update(caller(ctx).viewer, floating.id, changes)


@action("removeFloatingIp", "os_compute_api:os-floating-ips:remove", until=_LAST)
async def remove_floating_ip(ctx: Context, server_id: str, body: schemas.RemoveFloatingIp) -> None:
    """Let a floating IP lead nowhere."""
    server = server_of(ctx, server_id, "os_compute_api:os-floating-ips:remove")
    address = body.removed.address
    floating = _floating(ctx, address)
    if floating.port_id not in [port.id for port in ctx.cloud.compute.servers.ports(server)]:
        raise Conflict(f"Floating IP {address} is not associated with instance {server_id}.", address=address)
    ctx.cloud.network.floating_ips.update(caller(ctx).viewer, floating.id, {"port_id": None})


def _to(ctx: Context, server: Server, wanted: str | None) -> tuple[Port, str]:
    """The port and the IPv4 address of a server that a floating IP is to lead to."""
    fixed = [(port, each.ip_address) for port in ctx.cloud.compute.servers.ports(server) for each in port.fixed_ips]
    if not fixed:
        raise Invalid("No fixed IPs associated to instance")
    if wanted is not None:
        fixed = [each for each in fixed if each[1] == wanted]
        if not fixed:
            raise Invalid("Specified fixed address not assigned to instance", address=wanted)
    found = next((each for each in fixed if ":" not in each[1]), None)
    if found is None:
        raise Invalid(
            f"Unable to associate a floating IP to any fixed IPs for instance {server.id}. Instance has no fixed IPv4 "
            "addresses to associate."
        )
    return found


def _floating(ctx: Context, address: str) -> FloatingIp:
    found = ctx.cloud.network.floating_ips.list_all(caller(ctx).viewer, {"floating_ip_address": [address]})
    if not found:
        raise NotFound(f"Floating IP not found for address {address}.", address=address)
    floating: FloatingIp = found[0]
    return floating


# ---------------------------------------------------------------- fixed addresses


@action("addFixedIp", "os_compute_api:os-multinic:add", until=_LAST)
async def add_fixed_ip(ctx: Context, server_id: str, body: schemas.AddFixedIp) -> None:
    """Give a server another address on a network that it is on."""
    server = server_of(ctx, server_id, "os_compute_api:os-multinic:add")
    network_id = str(body.added.networkId)
    port = next((each for each in ctx.cloud.compute.servers.ports(server) if each.network_id == network_id), None)
    if port is None or not port.fixed_ips:
        raise Invalid(f"Network could not be found for instance {server_id}.", network=network_id)
    wanted = [*_kept(port), {"subnet_id": port.fixed_ips[0].subnet_id}]
    ctx.cloud.network.ports.update(caller(ctx).viewer, port.id, {"fixed_ips": wanted})


@action("removeFixedIp", "os_compute_api:os-multinic:remove", until=_LAST)
async def remove_fixed_ip(ctx: Context, server_id: str, body: schemas.RemoveFixedIp) -> None:
    """Take an address away from a server."""
    server = server_of(ctx, server_id, "os_compute_api:os-multinic:remove")
    address = body.removed.address
    for port in ctx.cloud.compute.servers.ports(server):
        if address in [each.ip_address for each in port.fixed_ips]:
            wanted = [each for each in _kept(port) if each["ip_address"] != address]
            ctx.cloud.network.ports.update(caller(ctx).viewer, port.id, {"fixed_ips": wanted})
            return
    raise Invalid(f"Instance {server_id} doesn't have fixed IP '{address}'.", address=address)


def _kept(port: Port) -> list[dict[str, str]]:
    return [{"subnet_id": each.subnet_id, "ip_address": each.ip_address} for each in port.fixed_ips]
