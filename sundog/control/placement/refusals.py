"""What Placement refuses, with the codes by which its clients tell one refusal from another.

Codes, once told, never change: they are those of OpenStack's Placement. So are the words that clients look for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sundog.errors import Conflict, Invalid, NotFound

CONCURRENT_UPDATE: Final = "placement.concurrent_update"
DUPLICATE_NAME: Final = "placement.duplicate_name"
INVENTORY_INUSE: Final = "placement.inventory.inuse"
PROVIDER_IN_USE: Final = "placement.resource_provider.inuse"
PROVIDER_CANNOT_DELETE_PARENT: Final = "placement.resource_provider.cannot_delete_parent"
RESOURCE_PROVIDER_NOT_FOUND: Final = "placement.resource_provider.not_found"
QUERY_DUPLICATE: Final = "placement.query.duplicate_key"
QUERY_BAD_VALUE: Final = "placement.query.bad_value"
QUERY_MISSING_VALUE: Final = "placement.query.missing_value"


def no_provider(uuid: str, purpose: str = "") -> NotFound:
    """There is no provider of this UUID."""
    return NotFound(f"No resource provider with uuid {uuid} found{purpose}", provider=uuid)


def stale_provider(message: str, uuid: str) -> Conflict:
    """The provider has changed since the client looked at it."""
    return Conflict(message, code=CONCURRENT_UPDATE, provider=uuid)


def no_class(name: str) -> str:
    """That there is no resource class of this name, in words."""
    return f"No such resource class {name}."


def no_traits(names: Iterable[str]) -> str:
    """That there are no traits of these names, in words."""
    return f"No such trait(s): {', '.join(sorted(names))}."


def bad_query(message: str, code: str | None = None) -> Invalid:
    """A query string that means nothing."""
    return Invalid(message) if code is None else Invalid(message, code=code)
