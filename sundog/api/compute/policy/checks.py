"""Checks that only Nova's rules have, with what they refer to written out."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN

SERVICE_OR_ADMIN: Final = f"role:service or {ADMIN}"
USER_OR_ADMIN: Final = f"{ADMIN} or user_id:%(user_id)s"
