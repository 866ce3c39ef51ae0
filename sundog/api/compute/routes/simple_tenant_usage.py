"""What projects have used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sundog.api.compute.common import stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import quotas as schemas
from sundog.api.compute.views import quotas as views
from sundog.api.compute.views.common import next_links, page_limit
from sundog.api.kit.context import Context
from sundog.errors import Invalid, NotFound

LIST = RULES["os_compute_api:os-simple-tenant-usage:list"]
SHOW = RULES["os_compute_api:os-simple-tenant-usage:show"]
MANY = "/v2.1/os-simple-tenant-usage"
ONE = "/v2.1/os-simple-tenant-usage/{project_id}"

_FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")


@stepped("GET", MANY, LIST, queries={"2.1": schemas.Period, "2.40": schemas.Period_2_40, "2.75": schemas.Period_2_75})
async def list_usages(ctx: Context, query: schemas.Period | schemas.Period_2_40) -> dict[str, Any]:
    """List what all projects have used in a period, since 2.40 page by page."""
    if ctx.request.scope["raw_path"].endswith(b"/"):
        raise NotFound("The resource could not be found.")  # a project is meant, by an id that is empty
    begin, end = _period(ctx, query.start, query.end)
    limit, marker = getattr(query, "limit", None), getattr(query, "marker", None)
    usages = ctx.cloud.compute.usages.over(begin, end, marker=marker, limit=page_limit(limit))
    more = next_links(ctx, [each.id for each in usages], limit) if ctx.at_least("2.40") else []
    told: dict[str, Any] = {"tenant_usages": views.usages(usages, begin, end, detailed=query.detailed == "1")}
    return told | ({"tenant_usages_links": more} if more else {})


@stepped(
    "GET",
    ONE,
    SHOW,
    queries={"2.1": schemas.OfOne_2_1, "2.40": schemas.OfOne_2_40, "2.75": schemas.OfOne_2_75},
    own=False,
)
async def show_usage(ctx: Context, project_id: str, query: schemas.OfOne_2_1 | schemas.OfOne_2_40) -> dict[str, Any]:
    """Show what a project has used in a period, since 2.40 page by page."""
    ctx.require(SHOW, {"project_id": project_id})
    begin, end = _period(ctx, query.start, query.end)
    limit, marker = getattr(query, "limit", None), getattr(query, "marker", None)
    usages = ctx.cloud.compute.usages.over(begin, end, project_id=project_id, marker=marker, limit=page_limit(limit))
    more = next_links(ctx, [each.id for each in usages], limit) if ctx.at_least("2.40") else []
    every = views.usages(usages, begin, end, detailed=True)
    told: dict[str, Any] = {"tenant_usage": every[0] if every else {}}
    return told | ({"tenant_usage_links": more} if more else {})


def _period(ctx: Context, start: str | None, end: str | None) -> tuple[datetime, datetime]:
    """From when to when; what is not said is now, and nothing has been used later."""
    now: datetime = ctx.cloud.compute.usages.now
    begin, until = _time(start, now), _time(end, now)
    # Nothing said is from now to now, between which Nova's clock goes on a little.
    if begin > until or (begin == until and (start or end)):
        raise Invalid("Invalid start time. The start time cannot occur after the end time.")
    return begin, min(until, now)


def _time(text: str | None, now: datetime) -> datetime:
    if not text:
        return now
    for each in _FORMATS:
        try:
            return datetime.strptime(text, each).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise Invalid(f"Invalid datetime string: {text[:64]!r} is in no known format, such as 2024-01-31T12:00:00")
