"""Lists: which things of a kind a client gets, page by page.

A key of the query that names an attribute must equal it. ``name__contains`` and its kin compare otherwise, with an
``i`` before the comparison where the case of letters does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from sundog.api.kit.context import Context
from sundog.api.kit.paging import next_link, page_of

_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": lambda value, wanted: wanted in value,
    "startswith": lambda value, wanted: value.startswith(wanted),
    "endswith": lambda value, wanted: value.endswith(wanted),
}
_ALL: Final = 1_000_000_000


def collection(
    ctx: Context, name: str, items: Sequence[dict[str, Any]], query: BaseModel | None, filters: Sequence[str] = ()
) -> dict[str, Any]:
    """The ``items`` that ``query`` asks for, under ``name``, with the links that Keystone gives."""
    asked = query.model_dump(exclude_none=True) if query is not None else {}
    chosen = [item for item in items if all(_fits(item, key, asked[key], filters) for key in asked)]
    page, more = page_of(
        chosen, lambda item: str(item["id"]), limit=asked.get("limit"), marker=asked.get("marker"), most=_ALL
    )
    following = next_link(ctx, str(page[-1]["id"])) if more and page else None
    return {name: page, "links": {"self": here(ctx), "previous": None, "next": following}}


def here(ctx: Context) -> str:
    """The address of the request, its query included."""
    url = ctx.request.url
    return f"{ctx.root}{url.path}" + (f"?{url.query}" if url.query else "")


def truth(text: str | None) -> bool:
    """Whether a key of a query string is there and does not say no."""
    return text is not None and text.strip().lower() not in ("0", "false", "no", "off", "n", "f")


def _fits(item: Mapping[str, Any], key: str, wanted: Any, filters: Sequence[str]) -> bool:
    attribute, _, comparison = key.partition("__")
    if attribute not in filters:
        return True
    value = item.get(attribute)
    if not comparison:
        return value is truth(str(wanted)) if isinstance(value, bool) else str(value) == str(wanted)
    folded = comparison.startswith("i") and comparison[1:] in _COMPARISONS
    compare = _COMPARISONS.get(comparison[1:] if folded else comparison)
    if compare is None or not isinstance(value, str):
        return True
    return compare(value.lower(), str(wanted).lower()) if folded else compare(value, str(wanted))
