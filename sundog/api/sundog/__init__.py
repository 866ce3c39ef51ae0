"""``/sundog/v1``: what OpenStack has no word for: the clock, hosts, what goes wrong with them, what happens on them."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.service import Service
from sundog.errors import SundogError


def fault(status: int, message: str, _error: SundogError | None) -> dict[str, Any]:
    """``{"error": {"code": 404, "message": "..."}}``."""
    return {"error": {"code": status, "message": message}}


SERVICE = Service("sundog", prefix="/sundog/v1", fault=fault)

from sundog.api.sundog.routes import clock, events, faults, fleet  # noqa: E402, F401 - fill the table
