"""Limits of a project."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, ANYBODY

CHECKS: Final = {
    "os_compute_api:limits": ANYBODY,
    "os_compute_api:limits:other_project": ADMIN,
}
