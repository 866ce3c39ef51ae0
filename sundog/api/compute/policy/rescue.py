"""Rescuing a server."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import PROJECT_MEMBER_OR_ADMIN

CHECKS: Final = {
    "os_compute_api:os-rescue": PROJECT_MEMBER_OR_ADMIN,
    "os_compute_api:os-unrescue": PROJECT_MEMBER_OR_ADMIN,
}
