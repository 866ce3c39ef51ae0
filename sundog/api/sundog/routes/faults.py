"""What goes wrong on order: with hosts at once, with operations from now on."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.api.sundog import SERVICE, policy, schemas, views
from sundog.backends.playground import OperationFault


@SERVICE.operation("GET", "/faults", policy.FAULTS_LIST)
async def list_faults(ctx: Context) -> dict[str, Any]:
    """List the faults of operations that are ordered, the oldest first."""
    return {"faults": [views.order(each) for each in ctx.cloud.fleet.orders()]}


@SERVICE.operation("GET", "/faults/{number}", policy.FAULTS_LIST)
async def show_fault(ctx: Context, number: str) -> dict[str, Any]:
    """Show a fault that is ordered, and how often it may still strike."""
    return {"fault": views.order(ctx.cloud.fleet.standing(schemas.number(number)))}


@SERVICE.operation("POST", "/faults", policy.FAULTS_ORDER, status=201)
async def order_fault(ctx: Context, body: schemas.OrderFault) -> dict[str, Any]:
    """Order a fault: one of hosts happens at once, one of operations stands until it has struck often enough."""
    fleet, asked = ctx.cloud.fleet, body.fault
    if isinstance(asked, schemas.OfHosts):
        struck = await fleet.strike(asked.kind, asked.scope.record())
        return {"fault": {"kind": asked.kind, "hosts": [views.host_in_short(each) for each in struck]}}
    fault = OperationFault(
        asked.kind, asked.operation, asked.scope.record(), asked.count, asked.probability, asked.seconds
    )
    return {"fault": views.order(await fleet.order(fault))}


@SERVICE.operation("DELETE", "/faults/{number}", policy.FAULTS_ORDER, status=204)
async def take_fault_back(ctx: Context, number: str) -> None:
    """Take back what was ordered."""
    ctx.cloud.fleet.withdraw(schemas.number(number))
