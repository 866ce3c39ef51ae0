"""The service, and how it tells a client what went wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from sundog.api.image import policy
from sundog.api.kit.policy import OF_PROJECTS
from sundog.api.kit.service import Service
from sundog.errors import Forbidden, SundogError


def fault(status: int, message: str, error: SundogError | None) -> dict[str, Any]:
    """``{"error": {"code", "title", "message"}}``: Glance sends a page of HTML, but its clients look for this first."""
    if isinstance(error, Forbidden) and "rule" in error.facts:
        message = f"You are not authorized to complete {error.rule} action."
    return {"error": {"code": status, "title": HTTPStatus(status).phrase, "message": message}}


SERVICE: Final = Service("image", prefix="/image", fault=fault, rules=policy.MORE, scopes=OF_PROJECTS)
"""No microversions; the paths begin with ``/v2``, since the versions are told one step above."""
