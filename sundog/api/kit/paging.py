"""Pages of a list: limit and marker, sort keys, and the link to the next page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from sundog.api.kit.context import Context
from sundog.errors import Invalid

T = TypeVar("T")

MOST_ITEMS: Final = 1000
"""No page is longer, whatever is asked (Nova's ``max_limit``)."""


def page_of(
    rows: Sequence[T], key: Callable[[T], str], *, limit: int | None, marker: str | None, most: int = MOST_ITEMS
) -> tuple[Sequence[T], bool]:
    """The rows after the one whose key is ``marker``, ``limit`` at most; and whether there are more.

    Raises: Invalid for a negative limit, or a marker that is none of the rows.
    """
    if limit is not None and limit < 0:
        raise Invalid("limit param must be non-negative", limit=limit)
    begin = 0
    if marker is not None:
        begin = next((i + 1 for i, row in enumerate(rows) if key(row) == marker), -1)
        if begin < 0:
            raise Invalid(f"marker [{marker}] not found", marker=marker)
    end = begin + min(most if limit is None else limit, most)
    return rows[begin:end], end < len(rows)


def sorted_by(
    rows: Sequence[T],
    value: Callable[[T, str], Any],
    keys: Sequence[str],
    directions: Sequence[str],
    allowed: Sequence[str],
) -> list[T]:
    """The rows by several keys, the first counting most; missing values come first, and equal rows keep their order.

    Raises: Invalid for a key that is not among ``allowed``, or a direction that is neither asc nor desc.
    """
    result = list(rows)
    for number in reversed(range(len(keys))):
        name = keys[number]
        direction = directions[number] if number < len(directions) else "asc"
        if name not in allowed:
            raise Invalid(f"Sort key supplied is invalid: {name}", key=name)
        if direction not in ("asc", "desc"):
            raise Invalid(f"Unknown sort direction: {direction}, must be asc or desc", direction=direction)
        result.sort(key=lambda row: _comparable(value(row, name)), reverse=direction == "desc")
    return result


def _comparable(value: Any) -> tuple[bool, Any]:
    return (False, 0) if value is None else (True, value)


def query_without(context: Context, *keys: str) -> list[tuple[str, str]]:
    """The pairs of the request's query string whose keys are none of these, in their order."""
    pairs = parse_qsl(context.request.url.query, keep_blank_values=True)
    return [(key, value) for key, value in pairs if key not in keys]


def page_link(context: Context, query: Sequence[tuple[str, str]]) -> str:
    """The address of this request with another query string."""
    return f"{context.root}{context.request.url.path}?{urlencode(query)}"


def next_link(context: Context, marker: str) -> str:
    """The address of this request with another marker."""
    return page_link(context, [*query_without(context, "marker"), ("marker", marker)])
