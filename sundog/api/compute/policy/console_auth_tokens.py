"""Tokens of consoles."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN

CHECKS: Final = {
    "os_compute_api:os-console-auth-tokens": ADMIN,
}
