"""From a body's model to what the control plane takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pydantic import BaseModel

from sundog.api.kit.context import Context
from sundog.errors import Invalid, NotFound

_RESERVED: Final = frozenset({"id", "links", "password", "original_password", "password_expires_at", "federated"})
"""What a client may send back of what it was shown, and what is never kept as it was sent."""


def given(part: BaseModel) -> dict[str, Any]:
    """The keys that a client sent, of those that there are."""
    told = part.model_dump(exclude_unset=True)
    return {key: value for key, value in told.items() if key in type(part).model_fields}


def rest(part: BaseModel) -> dict[str, Any]:
    """The other keys that a client sent, which are kept for it."""
    return {key: value for key, value in (part.model_extra or {}).items() if key not in _RESERVED}


def check_same(part: BaseModel, what: str, **current: Any) -> None:
    """Raises: Invalid for a key that would change what cannot be changed."""
    told = {**part.model_dump(exclude_unset=True), **(part.model_extra or {})}
    for key, value in current.items():
        if key in told and told[key] != value:
            raise Invalid(f"Cannot change {what} {key}", key=key)


def lean(values: dict[str, Any]) -> dict[str, Any]:
    """Without what was sent as null, which for something new means not at all."""
    return {key: value for key, value in values.items() if value is not None}


def domain_of(ctx: Context, told: str | None) -> str:
    """The domain of something new: as told, or that of a token for a domain, or Default, as in Keystone."""
    return told or ctx.who.domain_id or str(ctx.cloud.identity.settings.default_domain_id)


@contextmanager
def bad_if_missing() -> Iterator[None]:
    """What a body names and is not there makes the body wrong: 400, not 404.

    Raises: Invalid.
    """
    try:
        yield
    except NotFound as exc:
        raise Invalid(exc.message, **exc.facts) from exc


def texts(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """With an empty text for each of ``names`` that was sent as null."""
    return {key: "" if key in names and value is None else value for key, value in values.items()}
