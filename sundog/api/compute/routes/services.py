"""Services: that of each host can be disabled, or said to be down."""

from __future__ import annotations

import re
from typing import Any

from sundog.api.compute.common import stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import hosts as schemas
from sundog.api.compute.schemas.common import is_uuid
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import hosts as views
from sundog.api.kit.context import Context
from sundog.control.compute.records import Host
from sundog.errors import Invalid, NotFound

LIST = RULES["os_compute_api:os-services:list"]
UPDATE = RULES["os_compute_api:os-services:update"]
DELETE = RULES["os_compute_api:os-services:delete"]
MANY = "/v2.1/os-services"
ONE = "/v2.1/os-services/{service_id}"


@stepped("GET", MANY, LIST, queries={"2.1": schemas.ListServices, "2.75": schemas.ListServices_2_75})
async def list_services(ctx: Context, query: schemas.ListServices) -> dict[str, Any]:
    """List services."""
    return {"services": [views.service(ctx, each) for each in _chosen(ctx, query)]}


@stepped("PUT", ONE, UPDATE, bodies={"2.1": schemas.OneService, "2.11": schemas.OneService_2_11}, until="2.52")
async def change_service(ctx: Context, service_id: str, body: schemas.OneService) -> dict[str, Any]:
    """Enable or disable a service, or since 2.11 force it down: the last part of the path says which."""
    return _changed(ctx, service_id, body)


@SERVICE.operation("PUT", ONE, UPDATE, since="2.53")
async def update_service(ctx: Context, service_id: str, body: schemas.ChangedService) -> dict[str, Any]:
    """Enable or disable a service, or say that it is down."""
    if body.status is None and body.forced_down is None:
        raise Invalid("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
    if body.status == "enabled" and body.disabled_reason is not None:
        raise Invalid("Specifying 'disabled_reason' with status 'enabled' is invalid.")
    host = ctx.cloud.compute.hosts.update(
        _uuid(service_id),
        disabled=None if body.status is None else body.status == "disabled",
        disabled_reason=body.disabled_reason,
        forced_down=body.forced_down,
    )
    return {"service": views.service(ctx, host)}


@SERVICE.operation("DELETE", ONE, DELETE, status=204)
async def delete_service(ctx: Context, service_id: str) -> None:
    """Forget a service with its host, which must hold no servers."""
    if ctx.at_least("2.53"):
        ctx.cloud.compute.hosts.remove(_uuid(service_id))
        return
    if not re.fullmatch(r"[0-9]{1,18}", service_id, re.ASCII):
        raise Invalid("id must be an integer", id=service_id)
    found = next((each for each in ctx.cloud.compute.hosts.list_all() if each.number == int(service_id)), None)
    if found is None:
        raise NotFound(f"Service {service_id} could not be found.", service=service_id)
    ctx.cloud.compute.hosts.remove(found.service_id)


def _chosen(ctx: Context, query: schemas.ListServices) -> list[Host]:
    hosts: list[Host] = ctx.cloud.compute.hosts.list_all()
    if query.binary not in (None, "", views.BINARY):
        return []
    return [each for each in hosts if query.host in (None, "", each.name)]


def _changed(ctx: Context, action: str, body: schemas.OneService) -> dict[str, Any]:
    forced = getattr(body, "forced_down", None)
    known = ("enable", "disable", "disable-log-reason") + (("force-down",) if ctx.at_least("2.11") else ())
    if action not in known:
        raise NotFound("Unknown action", action=action)
    told: dict[str, Any] = {"host": body.host, "binary": body.binary}
    if action == "force-down":
        if forced is None:
            raise Invalid("Missing forced_down field")
        changes: dict[str, Any] = {"forced_down": forced}
        told["forced_down"] = forced
    else:
        reason = body.disabled_reason if action == "disable-log-reason" else None
        if action == "disable-log-reason" and reason is None:
            raise Invalid("Missing disabled reason field")
        changes = {"disabled": action != "enable", "disabled_reason": reason}
        told["status"] = "enabled" if action == "enable" else "disabled"
        told |= {} if reason is None else {"disabled_reason": reason}
    if body.binary != views.BINARY:
        raise Invalid(f"Updating a {body.binary} service is not supported. Only nova-compute services can be updated.")
    ctx.cloud.compute.hosts.update(_by_name(ctx, body.host).service_id, **changes)
    return {"service": told}


def _by_name(ctx: Context, name: str) -> Host:
    found = next((each for each in ctx.cloud.compute.hosts.list_all() if each.name == name), None)
    if found is None:
        raise NotFound(f"Could not find binary nova-compute on host {name}.", host=name)
    return found


def _uuid(text: str) -> str:
    if not is_uuid(text):
        raise Invalid(f"Invalid uuid {text}", id=text)
    return text
