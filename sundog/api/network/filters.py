"""Lists: filters, which may be repeated, order, pages and the links between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request

from sundog.api.kit.context import Context
from sundog.api.kit.paging import page_link, page_of, query_without, sorted_by
from sundog.api.network.schemas import Listing
from sundog.errors import Invalid

_KEYS: Final = frozenset(("limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields"))
_TAGS: Final = ("tags", "tags-any", "not-tags", "not-tags-any")
_TRUE: Final = ("true", "1", "yes", "on", "t", "y")
_FALSE: Final = ("false", "0", "no", "off", "f", "n")
_NONE: Final = ("", "null", "None")
_ALL: Final = 1_000_000_000


def asked(request: Request) -> dict[str, list[str]]:
    """The filters of a request: of several values of a key one must be met. A key that is no attribute filters nothing.

    Neutron refuses such keys only with an extension that is not here, and clients rely on it.
    """
    params = request.query_params
    return {name: params.getlist(name) for name in params if name not in _KEYS}


def page(
    ctx: Context,
    many: str,
    items: Sequence[dict[str, Any]],
    query: Listing,
    wanted: Mapping[str, Sequence[str]],
    inner: Sequence[str],
) -> dict[str, Any]:
    """The answer to a list: the ``items`` that the filters ask for, in order, page by page.

    Raises: Invalid for sort keys that there are not, or a page that there is not.
    """
    chosen = [item for item in items if all(_fits(item, name, values) for name, values in wanted.items())]
    known = {name for item in items for name in item}
    if query.sort_dir and len(query.sort_dir) != len(query.sort_key):
        raise Invalid("The number of sort_keys and sort_dirs must be same")
    if items:
        allowed = sorted(known - set(inner) - {"tags"})
        for key in query.sort_key:
            if key not in allowed:
                raise Invalid(f"['{key}'] is invalid attribute for sort_keys")
        chosen = sorted_by(chosen, dict.get, query.sort_key, query.sort_dir, allowed)
    if query.page_reverse:
        chosen = chosen[::-1]
    limit = query.limit or None
    rows, more = page_of(chosen, lambda item: str(item["id"]), limit=limit, marker=query.marker, most=_ALL)
    if query.page_reverse:
        rows = rows[::-1]
    fields = set(query.fields)
    told = [{k: v for k, v in row.items() if k in fields} if fields else row for row in rows]
    answer: dict[str, Any] = {many: told}
    links = _links(ctx, rows, query, more) if limit is not None else []
    return answer | ({f"{many}_links": links} if links else {})


def _links(ctx: Context, rows: Sequence[dict[str, Any]], query: Listing, more: bool) -> list[dict[str, str]]:
    if not rows:
        return []
    forth, back = (query.marker is not None, more) if query.page_reverse else (more, query.marker is not None)
    links = []
    if forth:
        links.append({"rel": "next", "href": _address(ctx, str(rows[-1]["id"]), reverse=False)})
    if back:
        links.append({"rel": "previous", "href": _address(ctx, str(rows[0]["id"]), reverse=True)})
    return links


def _address(ctx: Context, marker: str, *, reverse: bool) -> str:
    kept = query_without(ctx, "marker", "page_reverse")
    more = [("marker", marker), *([("page_reverse", "True")] if reverse else [])]
    return page_link(ctx, [*kept, *more])


def _fits(item: Mapping[str, Any], name: str, values: Sequence[str]) -> bool:
    if name in _TAGS:
        return all(_tagged(set(item.get("tags", ())), name, value) for value in values)
    if name not in item:
        return True
    return any(_equals(item[name], value) for value in values)


def _equals(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return value is _truth(wanted)
    if value is None:
        return wanted in _NONE
    if isinstance(value, list):
        return any(_within(each, wanted) for each in value)
    return str(value) == wanted


def _within(each: Any, wanted: str) -> bool:
    """Whether a member of a list is meant: a word itself, an address by ``ip_address=...`` and the like."""
    if not isinstance(each, dict):
        return str(each) == wanted
    name, _, text = wanted.partition("=")
    if name == "ip_address_substr":
        return text in str(each.get("ip_address"))
    return str(each.get(name)) == text


def _truth(text: str) -> bool:
    lower = text.lower()
    if lower in _TRUE:
        return True
    if lower in _FALSE:
        return False
    raise Invalid(f"Invalid input for operation: '{text}' cannot be converted to boolean.", type="InvalidInput")


def _tagged(tags: set[str], name: str, value: str) -> bool:
    wanted = set(value.split(","))
    if name == "tags":
        return wanted <= tags
    if name == "tags-any":
        return bool(wanted & tags)
    return not (wanted <= tags if name == "not-tags" else wanted & tags)
