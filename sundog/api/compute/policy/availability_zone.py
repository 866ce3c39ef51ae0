"""Availability zones."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, ANYBODY

CHECKS: Final = {
    "os_compute_api:os-availability-zone:list": ANYBODY,
    "os_compute_api:os-availability-zone:detail": ADMIN,
}
