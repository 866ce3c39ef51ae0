"""The query of a list, which is a small language of its own."""

from __future__ import annotations

from typing import Final

from sundog.api.image.schemas import ListImages
from sundog.control.image.listing import SORT_KEYS, Wanted
from sundog.errors import Invalid

DEFAULT_ITEMS: Final = 25
MOST_ITEMS: Final = 1000
"""How many images a page has if nothing is asked, and at most: Glance's own defaults."""

_VISIBILITIES: Final = ("community", "public", "private", "shared", "all")
_MEMBER_STATUSES: Final = ("pending", "accepted", "rejected", "all")


def wanted(query: ListImages) -> Wanted:
    """What a query asks for.

    Raises: Invalid.
    """
    filters = {name: str(value) for name, value in (query.model_extra or {}).items()}
    visibility = filters.get("visibility")
    if visibility and visibility not in _VISIBILITIES:
        raise Invalid(f"Invalid visibility value: {visibility}", visibility=visibility)
    if "changes-since" in filters:
        raise Invalid('The "changes-since" filter is no longer available on v2.')
    if query.member_status not in _MEMBER_STATUSES:
        raise Invalid(f"Invalid status: {query.member_status}", member_status=query.member_status)
    return Wanted(
        filters={name: value for name, value in filters.items() if name != "visibility" or value},
        tags=[tag.strip() for tag in query.tag],
        member_status=query.member_status,
        sort=_sort(query),
        marker=query.marker,
        limit=min(MOST_ITEMS, _limit(query.limit)),
    )


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_ITEMS
    try:
        limit = int(text)
    except ValueError:
        raise Invalid("limit param must be an integer", limit=text) from None
    if limit < 0:
        raise Invalid("limit param must be positive", limit=limit)
    return limit


def _sort(query: ListImages) -> list[tuple[str, str]]:
    """Either ``sort=name:asc,size`` or pairs of ``sort_key`` and ``sort_dir``; one direction counts for all keys."""
    if query.sort is not None:
        if query.sort_key or query.sort_dir:
            raise Invalid("Old and new sorting syntax cannot be combined")
        told = [each.partition(":")[::2] for each in query.sort.strip().split(",")]
        keys, directions = [key for key, _ in told], [direction or "desc" for _, direction in told]
    else:
        keys, directions = query.sort_key or ["created_at"], query.sort_dir or ["desc"]
        if len(directions) == 1:
            directions = directions * len(keys)
        if len(directions) != len(keys):
            raise Invalid("Number of sort dirs does not match the number of sort keys")
    keys, directions = [key.strip() for key in keys], [direction.strip() for direction in directions]
    for key in keys:
        if key not in SORT_KEYS:
            raise Invalid(f"Invalid sort key: {key}. It must be one of the following: {', '.join(SORT_KEYS)}.", key=key)
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise Invalid(f"Invalid sort direction: {direction}", direction=direction)
    pairs: dict[str, str] = {}
    for key, direction in zip(keys, directions, strict=True):
        pairs.setdefault(key, direction)  # sorting by a key again changes nothing
    return list(pairs.items())
