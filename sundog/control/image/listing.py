"""Which images a list has and in which order: Glance's filters, sort keys and markers, as SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, and_, desc, exists, func, or_

from sundog.control.image.books import visible
from sundog.control.image.states import DELETED
from sundog.control.principal import Principal
from sundog.control.store import Row
from sundog.control.store.store import Where
from sundog.control.store.tables import image as tables
from sundog.errors import Invalid

SORT_KEYS: Final = (
    "name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at",
)  # fmt: skip

_NUMBERS: Final = ("size", "min_disk", "min_ram", "virtual_size")
_LISTS: Final = ("name", "id", "status", "container_format", "disk_format")
_EXACT: Final = ("visibility", "owner", "checksum", "os_hash_algo", "os_hash_value")
_INSTANTS: Final = ("created_at", "updated_at")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"(?:,|$)|([^,"]*)(?:,|$)')


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is to have. ``filters`` are texts by names, as they come in a query.

    ``sort`` has pairs of a key and ``"asc"`` or ``"desc"``, the first counting most.
    """

    filters: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    member_status: str = "accepted"
    sort: Sequence[tuple[str, str]] = ()
    marker: str | None = None
    limit: int = 25


def conditions(who: Principal, wanted: Wanted) -> list[Where]:
    """What holds for the images of a list.

    Raises: Invalid for a filter that cannot be understood.
    """
    images = tables.images.c
    status = None if wanted.member_status == "all" else wanted.member_status
    filters = dict(wanted.filters)
    where: list[Where] = [images.status != DELETED, visible(who, status)]
    where.append(images.os_hidden == _truth("os_hidden", filters.pop("os_hidden", "false")))
    if "protected" in filters:
        where.append(images.protected == _truth("protected", filters.pop("protected")))
    visibility = filters.pop("visibility", None)
    if visibility is None:
        # What others offer to everybody without being asked is told only to those who ask for it.
        where.append(or_(images.visibility != "community", images.owner == (who.project_id or "")))
    elif visibility != "all":
        where.append(images.visibility == visibility)
    where += [_filter(name, value) for name, value in filters.items()]
    where += [
        exists().where(tables.tags.c.image_id == images.id, tables.tags.c.value == tag)
        for tag in dict.fromkeys(wanted.tags)
    ]
    return where


def order(wanted: Wanted) -> list[tuple[Column[Any], bool]]:
    """The columns to sort by, each with whether it is descending; no two images are equal in all of them."""
    keys = list(wanted.sort) or [("created_at", "desc")]
    last = keys[0][1] if len(keys) == 1 else "desc"
    named = {key for key, _ in keys}
    keys += [(key, last) for key in ("created_at", "id") if key not in named]
    return [(tables.images.c[key], direction == "desc") for key, direction in keys]


def ordering(wanted: Wanted) -> list[ColumnElement[Any]]:
    """:func:`order` as SQL."""
    return [desc(_filled(column)) if descending else _filled(column) for column, descending in order(wanted)]


def after(row: Row, wanted: Wanted) -> Where:
    """What holds for the images that come after that of ``row`` in the order of ``wanted``."""
    said = [(column, descending, row[column.key]) for column, descending in order(wanted)]
    cases = []
    for i, (column, descending, value) in enumerate(said):
        equal = [_filled(c) == _default(c, v) for c, _, v in said[:i]]
        ours, its = _filled(column), _default(column, value)
        cases.append(and_(*equal, ours < its if descending else ours > its))
    return or_(*cases)


def _filled(column: Column[Any]) -> ColumnElement[Any]:
    """A column whose missing values count as the least."""
    if column.key not in ("name", "container_format", "disk_format", "size"):
        return column
    return func.coalesce(column, _default(column, None))


def _default(column: Column[Any], value: Any) -> Any:
    return value if value is not None else (-1 if column.key == "size" else "")


def _filter(name: str, value: str) -> Where:
    """One filter: of a column, or of a property of the name."""
    images = tables.images.c
    base, _, bound = name.rpartition("_")
    if bound in ("min", "max") and base in _NUMBERS:
        try:
            number = int(value)
        except ValueError:
            raise Invalid("Unable to filter on a range with a non-numeric value.", filter=name) from None
        number = max(min(number, 2**63 - 1), -(2**63))
        return images[base] >= number if bound == "min" else images[base] <= number
    if name in _INSTANTS:
        return _instant(name, value)
    if name in _LISTS:
        operator, sep, rest = value.partition(":")
        if not sep or operator == "eq":
            return images[name] == (rest if sep else value)
        if operator == "in":
            return images[name].in_(split(rest))
        raise Invalid(f"Unable to filter by unknown operator '{operator}'.", filter=name)
    if name in _EXACT:
        return images[name] == value
    if name in _NUMBERS:
        return images[name] == (int(value) if value.isascii() and value.isdigit() and len(value) < 19 else -1)
    properties = tables.properties.c
    return exists().where(properties.image_id == images.id, properties.name == name, properties.value == value)


def _instant(name: str, value: str) -> Where:
    column = tables.images.c[name]
    operator, threshold = "eq", _parsed(value)
    if threshold is None:
        operator, _, rest = value.partition(":")
        threshold = _parsed(rest)
    if threshold is None:
        raise Invalid(f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.', filter=name)
    match operator:
        case "gt":
            return column > threshold
        case "gte":
            return column >= threshold
        case "lt":
            return column < threshold
        case "lte":
            return column <= threshold
        case "neq":
            return column != threshold
        case "eq":
            return column == threshold
    raise Invalid("Unable to filter on a unknown operator.", filter=name)


def _parsed(text: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def _truth(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise Invalid(f"Invalid value '{value}' for '{name}' filter. Valid values are 'true' or 'false'.", filter=name)
    return value.lower() == "true"


def split(text: str) -> list[str]:
    """The values of an ``in:`` filter: parted by commas, those with commas in them between quotes.

    Raises: Invalid for a quote that is in the middle of a value, or never closed.
    """
    values, place = [], 0
    while place < len(text):
        match = _QUOTED.match(text, place)
        if match is None:
            raise Invalid(f"Invalid filter value {text}. A quotation mark is misplaced or not closed.")
        values.append(match[1] if match[1] is not None else match[2])
        place = match.end()
    return values
