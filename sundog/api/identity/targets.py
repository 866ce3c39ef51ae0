"""What a request is about, as the checks of rules name it: ``target.user.domain_id`` and the like.

What is not there is left out, so that a check that needs it says no: whoever may not see a thing is told 403 whether
there is such a thing or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.control.identity.records import Group, Project, Role, User
from sundog.errors import NotFound

T = TypeVar("T")


def about(**things: User | Group | Project | Role | None) -> dict[str, Any]:
    """The target of a request that is about these things."""
    told: dict[str, Any] = {}
    for name, thing in things.items():
        if thing is not None:
            told |= {
                f"target.{name}.id": thing.id,
                f"target.{name}.name": thing.name,
                f"target.{name}.domain_id": thing.domain_id or None,
            }
    return told


def within(ctx: Context, key: str) -> dict[str, Any]:
    """The target of a list, which a token for a domain confines to that domain."""
    return {key: ctx.who.domain_id} if ctx.who.domain_id is not None else {}


def seen(show: Callable[[str], T], identifier: str | None) -> T | None:
    """What ``show`` finds, or None."""
    try:
        return show(identifier) if identifier else None
    except NotFound:
        return None


def shown(ctx: Context, rule: Rule, name: str, show: Callable[[str], T], identifier: str) -> T:
    """The thing called ``name`` in rules, once the caller may have it.

    Raises: Forbidden; then NotFound.
    """
    thing: Any = seen(show, identifier)
    # For rules about whoever is named in the path.
    path = {"user_id": identifier} if name == "user" else {}
    ctx.require(rule, {**path, **about(**{name: thing})})
    return show(identifier) if thing is None else thing
