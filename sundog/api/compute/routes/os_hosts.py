"""Hosts by their old name, until 2.42: hypervisors and services say more."""

from __future__ import annotations

from typing import Any, Final

from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import hosts as schemas
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import hosts as views
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.control.compute.records import Host, ServerQuery
from sundog.control.viewer import EVERYTHING
from sundog.errors import Invalid, NotSupported

RULE: Final = "os_compute_api:os-hosts"
MANY: Final = f"{BASE}/os-hosts"
ONE: Final = f"{MANY}/{{name}}"
UNTIL: Final = "2.42"


@SERVICE.operation("GET", MANY, RULES[f"{RULE}:list"], until=UNTIL)
async def list_hosts(ctx: Context, query: schemas.ListHosts) -> dict[str, Any]:
    """List the hosts that take new servers, of a zone if one is named."""
    found = [each for each in ctx.cloud.compute.hosts.list_all() if not each.disabled]
    hosts = [each for each in found if not query.zone or each.zone == query.zone]
    return {"hosts": [{"host_name": each.name, "service": "compute", "zone": each.zone} for each in hosts]}


@SERVICE.operation("GET", ONE, RULES[f"{RULE}:show"], until=UNTIL)
async def show_host(ctx: Context, name: str) -> dict[str, Any]:
    """Show what a host has, what is used of it, and by which projects."""
    host = ctx.cloud.compute.hosts.by_name(name)
    [standing] = ctx.cloud.compute.hypervisors.stand([host])
    servers = ctx.cloud.compute.servers.list_all(EVERYTHING, ServerQuery(equals={"host": host.uuid}))
    return {"host": views.resources(standing, servers)}


@SERVICE.operation("PUT", ONE, RULES[f"{RULE}:update"], until=UNTIL)
async def update_host(ctx: Context, name: str, body: schemas.ChangedHost) -> dict[str, Any]:
    """Let a host take new servers, or none."""
    host = _answering(ctx, name)
    if body.maintenance_mode is not None or body.status is None:
        raise _unsupported("be put into maintenance mode")
    disabled = body.status.lower() == "disable"
    ctx.cloud.compute.hosts.update(host.service_id, disabled=disabled)
    return {"host": name, "status": "disabled" if disabled else "enabled"}


@SERVICE.operation("GET", f"{ONE}/startup", RULES[f"{RULE}:start"], until=UNTIL)
async def start_host(ctx: Context, name: str) -> None:
    """Turn a host on, which no host here can be asked to do."""
    _answering(ctx, name)
    raise _unsupported("be started")


@SERVICE.operation("GET", f"{ONE}/shutdown", RULES[f"{RULE}:shutdown"], until=UNTIL)
async def shut_host_down(ctx: Context, name: str) -> None:
    """Turn a host off, which no host here can be asked to do."""
    _answering(ctx, name)
    raise _unsupported("be shut down")


@SERVICE.operation("GET", f"{ONE}/reboot", RULES[f"{RULE}:reboot"], until=UNTIL)
async def reboot_host(ctx: Context, name: str) -> None:
    """Turn a host off and on, which no host here can be asked to do."""
    _answering(ctx, name)
    raise _unsupported("be rebooted")


def _answering(ctx: Context, name: str) -> Host:
    """Raises: NotFound; Invalid for a host that is down."""
    host: Host = ctx.cloud.compute.hosts.by_name(name)
    if not host.is_up:
        raise Invalid(f"Compute service of {name} is unavailable at this time.", host=name)
    return host


def _unsupported(what: str) -> NotSupported:
    """As of most hypervisors in Nova, libvirt's among them."""
    return NotSupported(f"The requested functionality is not supported: the hosts of this cloud cannot {what}.")
