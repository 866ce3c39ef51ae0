"""Hypervisors."""

from __future__ import annotations

import re
from typing import Any

from sundog.api.compute.common import Steps, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import hosts as schemas
from sundog.api.compute.schemas.common import is_uuid
from sundog.api.compute.schemas.server_details import AnyQuery
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import hosts as views
from sundog.api.compute.views.common import next_links, page_limit
from sundog.api.kit.context import Context
from sundog.control.compute.hypervisors import missing
from sundog.control.compute.records import Host
from sundog.errors import Invalid, NotFound

ROOT = "os_compute_api:os-hypervisors"
LIST, DETAIL, SHOW = RULES[f"{ROOT}:list"], RULES[f"{ROOT}:list-detail"], RULES[f"{ROOT}:show"]
SEARCH, SERVERS = RULES[f"{ROOT}:search"], RULES[f"{ROOT}:servers"]
UPTIME, STATISTICS = RULES[f"{ROOT}:uptime"], RULES[f"{ROOT}:statistics"]
MANY = "/v2.1/os-hypervisors"
ONE = "/v2.1/os-hypervisors/{hypervisor_id}"

LISTS: Steps = {"2.1": AnyQuery, "2.33": schemas.Page, "2.53": schemas.ListHypervisors_2_53}

AnyList = AnyQuery | schemas.Page | schemas.ListHypervisors_2_53


@stepped("GET", MANY, LIST, queries=LISTS)
async def list_hypervisors(ctx: Context, query: AnyList) -> dict[str, Any]:
    """List hypervisors, since 2.33 page by page, since 2.53 by name too, with their servers if asked for."""
    return _listed(ctx, query, detailed=False)


@stepped("GET", f"{MANY}/detail", DETAIL, queries=LISTS)
async def list_hypervisors_in_detail(ctx: Context, query: AnyList) -> dict[str, Any]:
    """List hypervisors with all that is known of them."""
    return _listed(ctx, query, detailed=True)


@SERVICE.operation("GET", f"{MANY}/statistics", STATISTICS, until="2.87")
async def show_hypervisor_statistics(ctx: Context) -> dict[str, Any]:
    """Show what all enabled hypervisors have together."""
    hypervisors = ctx.cloud.compute.hypervisors
    return {"hypervisor_statistics": views.statistics(hypervisors.stand(hypervisors.list_all()))}


# Since 2.88 the path is that of a hypervisor, whose id it is not.
@SERVICE.operation("GET", f"{MANY}/statistics", STATISTICS, since="2.88")
async def show_no_statistics(ctx: Context) -> dict[str, Any]:
    """Statistics are gone."""
    raise Invalid("Invalid uuid statistics")


@stepped("GET", ONE, SHOW, queries={"2.1": AnyQuery, "2.53": schemas.ShowHypervisor_2_53})
async def show_hypervisor(
    ctx: Context, hypervisor_id: str, query: AnyQuery | schemas.ShowHypervisor_2_53
) -> dict[str, Any]:
    """Show a hypervisor, since 2.53 with its servers if asked for."""
    host = _one(ctx, hypervisor_id)
    told = _told(ctx, [host])
    return {"hypervisor": (_joined(ctx, [host], told) if getattr(query, "with_servers", False) else told)[0]}


@SERVICE.operation("GET", f"{ONE}/uptime", UPTIME, until="2.87")
async def show_hypervisor_uptime(ctx: Context, hypervisor_id: str) -> dict[str, Any]:
    """Show for how long a hypervisor has been there."""
    host = _one(ctx, hypervisor_id)
    [standing] = ctx.cloud.compute.hypervisors.stand([host])
    told = views.uptime(standing.up_for_s, ctx.cloud.compute.books.now())
    if told is None:
        raise Invalid(f"Compute service of {host.name} is unavailable at this time.", host=host.name)
    return {"hypervisor": views.hypervisor(ctx, host) | {"uptime": told}}


@SERVICE.operation("GET", f"{ONE}/search", SEARCH, until="2.52")
async def search_hypervisors(ctx: Context, hypervisor_id: str) -> dict[str, Any]:
    """List hypervisors by a part of their names."""
    return {"hypervisors": [views.hypervisor(ctx, each) for each in _matching(ctx, hypervisor_id)]}


@SERVICE.operation("GET", f"{ONE}/servers", SERVERS, until="2.52")
async def list_hypervisor_servers(ctx: Context, hypervisor_id: str) -> dict[str, Any]:
    """List hypervisors by a part of their names, with their servers."""
    hosts = _matching(ctx, hypervisor_id)
    return {"hypervisors": _joined(ctx, hosts, [views.hypervisor(ctx, each) for each in hosts])}


def _listed(ctx: Context, query: AnyList, *, detailed: bool) -> dict[str, Any]:
    pattern, limit, marker = (getattr(query, name, None) for name in ("pattern", "limit", "marker"))
    if pattern is not None and (limit is not None or marker):
        raise Invalid("Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.")
    paged = ctx.at_least("2.33") and pattern is None
    hosts: list[Host] = _page(ctx, limit, marker) if paged else _matching(ctx, pattern or "")
    told = _told(ctx, hosts) if detailed else [views.hypervisor(ctx, each) for each in hosts]
    if getattr(query, "with_servers", False):
        told = _joined(ctx, hosts, told)
    more = next_links(ctx, [str(each["id"]) for each in told], limit) if paged else []
    return {"hypervisors": told} | ({"hypervisors_links": more} if more else {})


def _page(ctx: Context, limit: int | None, marker: str | None) -> list[Host]:
    hosts: list[Host] = ctx.cloud.compute.hypervisors.list_all()
    begin = 0
    if marker is not None:
        ids = [each.uuid if ctx.at_least("2.53") else str(each.number) for each in hosts]
        if marker not in ids:
            raise Invalid(f"marker [{marker}] not found", marker=marker)
        begin = ids.index(marker) + 1
    return hosts[begin : begin + page_limit(limit)]


def _told(ctx: Context, hosts: list[Host]) -> list[dict[str, Any]]:
    now = ctx.cloud.compute.books.now()
    return [views.detailed(ctx, each, now) for each in ctx.cloud.compute.hypervisors.stand(hosts)]


def _joined(ctx: Context, hosts: list[Host], told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    servers = ctx.cloud.compute.hypervisors.servers(hosts)
    return [views.with_servers(ctx, each, servers.get(host.uuid, ())) for host, each in zip(hosts, told, strict=True)]


def _matching(ctx: Context, pattern: str) -> list[Host]:
    hosts: list[Host] = ctx.cloud.compute.hypervisors.list_all(pattern)
    if not hosts and pattern:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.", pattern=pattern)
    return hosts


def _one(ctx: Context, identifier: str) -> Host:
    """A hypervisor by what its id is in the version: a UUID since 2.53, a number before."""
    compute = ctx.cloud.compute
    if not ctx.at_least("2.53"):
        if not re.fullmatch(r"[0-9]{1,18}", identifier, re.ASCII):
            raise missing(identifier)
        by_number: Host = compute.hypervisors.by_number(int(identifier))
        return by_number
    if not is_uuid(identifier):
        raise Invalid(f"Invalid uuid {identifier}", id=identifier)
    found: Host | None = compute.hosts.by_uuid(identifier)
    if found is None:
        raise missing(identifier)
    return found
