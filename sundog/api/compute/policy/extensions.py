"""The list of extensions."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ANYBODY

CHECKS: Final = {
    "os_compute_api:extensions": ANYBODY,
}
