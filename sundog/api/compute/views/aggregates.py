"""Aggregates and availability zones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sundog.api.compute.views.common import when_to_microsecond
from sundog.api.kit.context import Context
from sundog.control.compute.aggregates import Aggregate
from sundog.control.compute.records import Host


def new(ctx: Context, each: Aggregate) -> dict[str, Any]:
    """An aggregate that was just made."""
    told = {
        "id": each.number,
        "name": each.name,
        "availability_zone": each.zone,
        "created_at": when_to_microsecond(each.created_at),
        "updated_at": when_to_microsecond(each.updated_at),
        "deleted": False,
        "deleted_at": None,
    }
    return told | ({"uuid": each.uuid} if ctx.at_least("2.41") else {})


def aggregate(ctx: Context, each: Aggregate) -> dict[str, Any]:
    """An aggregate with its hosts and metadata."""
    return new(ctx, each) | {"hosts": list(each.hosts), "metadata": dict(each.metadata)}


def zones(hosts: Iterable[Host], *, detailed: bool) -> list[dict[str, Any]]:
    """The zones of hosts: first those where one is enabled, with these hosts if ``detailed``, then the others."""
    every = list(hosts)
    enabled = [each for each in every if not each.disabled]
    usable = sorted({each.zone for each in enabled})
    others = sorted({each.zone for each in every} - set(usable))
    told = [_zone(zone, [each for each in enabled if each.zone == zone] if detailed else None) for zone in usable]
    return told + [{"zoneName": zone, "zoneState": {"available": False}, "hosts": None} for zone in others]


def _zone(name: str, hosts: list[Host] | None) -> dict[str, Any]:
    services = None
    if hosts is not None:
        services = {
            each.name: {
                "nova-compute": {
                    "available": each.is_up,
                    "active": not each.disabled,
                    "updated_at": when_to_microsecond(each.updated_at),
                }
            }
            for each in hosts
        }
    return {"zoneName": name, "zoneState": {"available": True}, "hosts": services}
