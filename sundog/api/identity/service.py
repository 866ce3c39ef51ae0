"""The service, and how it tells a client what went wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from sundog.api.identity import policy
from sundog.api.kit.service import Service
from sundog.errors import Forbidden, SundogError


def fault(status: int, message: str, error: SundogError | None) -> dict[str, Any]:
    """Keystone's: ``{"error": {"code", "message", "title"}}``."""
    if isinstance(error, Forbidden) and "rule" in error.facts:
        message = f"You are not authorized to perform the requested action: {error.rule}."
    return {"error": {"code": status, "message": message, "title": HTTPStatus(status).phrase}}


SERVICE: Final = Service("identity", prefix="/identity", fault=fault, rules=policy.MORE)
"""No microversions; the paths begin with ``/v3``, since the versions are told one step above."""
