"""Pools of floating IPs, until 2.35."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ANYBODY

CHECKS: Final = {
    "os_compute_api:os-floating-ip-pools": ANYBODY,
}
