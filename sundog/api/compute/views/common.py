"""What several views need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sundog.api.kit.context import Context
from sundog.api.kit.paging import MOST_ITEMS, next_link

BASE: Final = "/v2.1"


def when(value: datetime | None) -> str | None:
    """A time as most of Nova's answers have it: ``2024-01-01T00:00:00Z``."""
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%SZ")


def when_to_microsecond(value: datetime | None) -> str | None:
    """A time as some of Nova's answers have it: ``2024-01-01T00:00:00.000000``, in UTC without saying so."""
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%S.%f")


def self_link(ctx: Context, collection: str, identifier: str) -> dict[str, str]:
    """The link to a thing."""
    return {"rel": "self", "href": ctx.link(f"{BASE}/{collection}/{identifier}")}


def bookmark(ctx: Context, collection: str, identifier: str) -> dict[str, str]:
    """The link to a thing without the version of the API."""
    return {"rel": "bookmark", "href": ctx.link(f"/{collection}/{identifier}")}


def links(ctx: Context, collection: str, identifier: str) -> list[dict[str, str]]:
    """The links of a thing."""
    return [self_link(ctx, collection, identifier), bookmark(ctx, collection, identifier)]


def page_limit(limit: int | None) -> int:
    """How many items a page has at most."""
    return min(MOST_ITEMS if limit is None else limit, MOST_ITEMS)


def next_links(ctx: Context, markers: Sequence[str], limit: int | None) -> list[dict[str, str]]:
    """The link to the next page, if this one is full: as in Nova, the next may then be empty."""
    most = page_limit(limit)
    if not most or len(markers) < most:
        return []
    return [{"rel": "next", "href": next_link(ctx, markers[-1])}]
